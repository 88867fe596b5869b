import threading

import numpy as np
import pytest

import emokit
from emokit import EmokitError, dose
from emokit.dose import Panel
from emokit.widgets import DoseLab
from emokit.widgets.conclusion import conclude, signed, table
from emokit.widgets.dose_lab import OWN

BIRDS = Panel(
    "I saw {X} birds.", [1, 20, 300, 4000], expect={"happy": "up", "sad": "down"}, twin="I saw {X} bricks.",
    ladder=["No bird.", "A bird.", "A flock."], paraphrases=["There were {X} birds.", "{X} birds flew by."],
)  # fmt: skip


@pytest.fixture
def board(model, vectors):
    board = DoseLab(model, vectors, BIRDS)
    assert board.wait(30)
    yield board
    board.close()


def from_browser(board, **state):
    """What the front end sends when a control is moved."""
    message = {"method": "update", "state": state, "buffer_paths": []}
    board._handle_msg({"content": {"data": message}, "buffers": []})


def test_it_shows_what_the_lab_gives(board, model, vectors):
    expected = dose.run(model, vectors, BIRDS)
    assert board.result.verdict == board.view["verdict"] == expected.verdict
    names = {"panel": "the numbers", "twin": "the numbers in a harmless sentence", "ladder": "the ladder in words"}
    assert [chart["name"] for chart in board.view["charts"]] == list(names.values())
    for kind, chart in zip(names, board.view["charts"], strict=True):
        assert chart["sentences"] == BIRDS.kinds()[kind]
        for emotion, curve in chart["curves"].items():
            scores = expected.curve(BIRDS, kind, emotion)
            np.testing.assert_allclose(curve, scores - scores[0], atol=1e-5)
        low, high = expected.band(BIRDS, kind)
        np.testing.assert_allclose([chart["low"], chart["high"]], [low, high], atol=1e-5)
    assert board.view["charts"][0]["labels"] == ["1", "20", "300", "4000"]
    assert board.view["charts"][2]["labels"] == ["1", "2", "3"]


def test_every_block_to_both_ends_without_a_forward_pass(board, model, vectors):
    passes = []
    handle = model.blocks[0].register_forward_hook(lambda *_: passes.append(1))
    for block in (0, 3, 1):
        from_browser(board, block=block)
        assert board.wait(30)
        assert board.view["block"] == board.result.block == block
        expected = dose.run(model, vectors, BIRDS, block).curve(BIRDS, "panel", "sad")
        np.testing.assert_allclose(board.view["charts"][0]["curves"]["sad"], expected - expected[0], atol=1e-5)
    assert passes == []
    assert any("the lab's block is 2" in text for text in board.conclusion.cannot)
    from_browser(board, block=2)
    assert not any("the lab's block" in text for text in board.conclusion.cannot)
    handle.remove()


def test_fields_are_edited_by_message(board):
    from_browser(
        board, template="I lost {X} keys.", values=[1, "2.50", 7, 9, 11], expect={"angry": "up"}, twin=" ", ladder=[],
        paraphrases=[],
    )  # fmt: skip
    assert board.wait(30)
    panel = board.result.panels[0]
    assert panel.sentences() == [
        "I lost 1 keys.",
        "I lost 2.50 keys.",
        "I lost 7 keys.",
        "I lost 9 keys.",
        "I lost 11 keys.",
    ]
    assert (panel.twin, panel.ladder, dict(panel.expect)) == (None, None, {"angry": "up"})
    assert len(board.view["charts"]) == 1
    assert [row[0] for row in board.view["table"]] == ["emotion", "angry"]


def test_it_starts_from_a_panel_and_goes_back_to_it(model, vectors):
    board = DoseLab(model, vectors)
    assert board.about["starts"] == ["dog missing", OWN]  # those whose emotions the vectors have
    dog = dose.PANELS[3]
    assert board.result.panels == (dog,)
    board.set(template="My dog has been away for {X} days now.")
    assert board.result.panels[0] is not dog
    board._handle_custom_msg({"do": "reset"}, [])
    assert board.result.panels == (dog,)
    from_browser(board, start=OWN)
    assert board.result.panels[0].template == "I just ran {X} km."
    assert dict(board.expect) == {"happy": "up"}
    from_browser(board, start="dog missing")
    assert board.result.panels == (dog,)
    from_browser(board, start="cat missing")
    assert "There are: dog missing" in board.error
    board.close()
    with pytest.raises(EmokitError, match="no panel of this name"):
        DoseLab(model, vectors, "tylenol")


def test_a_choice_of_a_panel_is_one_run_and_brings_its_note(model, vectors):
    board = DoseLab(model, vectors, OWN)
    board.wait(30)
    runs = []
    board._worker.submit = lambda settings: runs.append(settings)
    from_browser(board, start="dog missing")
    assert [run.template for run in runs] == [dose.PANELS[3].template]
    assert board.note == ""
    board.close()
    noted = Panel("I took {X}.", [1, 2], expect={"sad": "up"}, note="Call a doctor.")
    board = DoseLab(model, vectors, noted)
    assert board.note == "Call a doctor."
    board.set(template="I lost {X}.")
    board.reset()
    assert board.result.panels[0].template == noted.template
    board.close()


def test_one_emotion_says_what_it_can_not_conclude(model, vectors):
    board = DoseLab(model, vectors, OWN)
    verdict, reason, can, cannot = board.conclusion
    assert verdict == "inconclusive"
    assert "a single panel rarely decides" in reason
    assert [text.split()[0] for text in can] == ["happy", "At"]
    told = " ".join(cannot)
    for part in (
        "few signs",
        "give a twin",
        "without a ladder",
        "p = 0.08",
        "stories=",
        "on one model, tiny",
        "feels anything",
    ):
        assert part in told
    assert "luck" not in told
    board.close()


def test_each_panel_of_ones_own_is_one_more_chance_and_is_counted(board):
    assert not any("isn't luck" in text for text in board.conclusion.cannot)
    board.set(expect={"happy": "down"})
    assert any("2 panels of your own were tried" in text for text in board.conclusion.cannot)
    board.set(block=1)
    board.set(block=2)
    board.set(expect=dict(BIRDS.expect))
    assert any("2 panels" in text for text in board.conclusion.cannot)


def test_emokits_own_panels_are_no_tries(model, vectors, monkeypatch):
    heard = Panel("I heard {X} birds.", [1, 20, 300, 4000], expect={"happy": "up"})
    monkeypatch.setattr("emokit.widgets.dose_lab.PANELS", (BIRDS, heard))
    monkeypatch.setattr(DoseLab, "_tell_six", lambda *_: None)
    board = DoseLab(model, vectors, BIRDS)
    board.wait(30)
    board.start = heard.title
    assert board.result.panels == (heard,)
    assert not any("isn't luck" in text for text in board.conclusion.cannot)
    board.close()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"template": "No place for it."}, "Write {X} where the value goes"),
        ({"template": ""}, "Write {X}"),
        ({"values": [5]}, "Give at least two"),
        ({"values": [5, 5]}, "Give each value once"),
        ({"values": list(range(41))}, "Use 40 or fewer"),
        ({"values": [1, None]}, "neither a number nor a text"),
        ({"values": "1, 2"}, "values"),
        ({"expect": {}}, "before you look"),
        ({"expect": {"joy": "up"}}, "Choose among: "),
        ({"expect": {"sad": "sideways"}}, 'Use "up" or "down"'),
        ({"twin": "Nothing."}, "Write {X}"),
        ({"ladder": ["One."]}, "at least two sentences"),
        ({"block": 99}, "Blocks are 0 to 3"),
        ({"block": "x"}, "block"),
        ({"template": "x" * 600 + "{X}"}, "context"),
    ],
)
def test_what_can_not_be_is_told_with_what_to_do_and_gone_afterwards(board, state, words):
    shown = board.view
    from_browser(board, **state)
    with pytest.raises(EmokitError) if not board.error else pytest.MonkeyPatch.context():
        board.wait(30)
    assert words in board.error
    assert board.view == shown
    from_browser(board, template="I saw {X} cats.", values=[1, 2], expect={"sad": "up"}, twin="", ladder=[], block=1)
    assert board.wait(30)
    assert board.error == ""
    assert board.result.panels[0].template == "I saw {X} cats."


def test_wrong_arguments_are_refused(model, vectors, stories):
    with pytest.raises(EmokitError, match="not a Model"):
        DoseLab(vectors, model)
    with pytest.raises(EmokitError, match="not a Panel"):
        DoseLab(model, vectors, 3)
    with pytest.raises(EmokitError, match="not a StorySet"):
        DoseLab(model, vectors, stories="core")
    with pytest.raises(EmokitError, match="unknown block"):
        DoseLab(model, vectors, block=9)
    board = DoseLab(model, vectors, BIRDS, stories=emokit.stories.StorySet(stories.stories[:-1], stories.neutral))
    with pytest.raises(EmokitError, match="not made from these stories"):
        board.wait(60)
    board.close()


def test_stories_give_the_lab_s_intervals_at_every_block(model, vectors, stories):
    board = DoseLab(model, vectors, BIRDS, stories=stories)
    for block in (2, 0):
        board.set(block=block)
        assert board.wait(120)
        expected = dose.run(model, vectors, BIRDS, block, stories=stories).to_frame()
        np.testing.assert_allclose(board.result.to_frame()[["low", "high"]], expected[["low", "high"]])
        row = expected.iloc[0]
        assert board.view["table"][1][3] == f"{signed(row['low'])} to {signed(row['high'])}"
        assert not any("stories=" in text for text in board.conclusion.cannot)
    board.close()


def test_drawing_ends_when_it_is_stopped(model, vectors, stories, monkeypatch):
    begun, draws = threading.Event(), []
    original = emokit.remake.Remade.resampled

    def slow(self, count, seed):
        for one in original(self, count, seed):
            draws.append(1)
            begun.set()
            yield one

    monkeypatch.setattr(emokit.remake.Remade, "resampled", slow)
    board = DoseLab(model, vectors, BIRDS, stories=stories)
    assert begun.wait(60)
    board.stop()
    assert board.wait(60)
    assert len(draws) < 1000
    assert board.status == "stopped"
    assert board.result.boot == {}
    board.close()


def test_the_six_panels_stand_beside_it(model, vectors):
    names = ("afraid", "calm", "sad", "happy")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4, 4, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    own = emokit.EmotionVectors(names, rows, vectors.mean, vectors.norms, vectors.best_block)
    board = DoseLab(model, own, "tylenol")
    assert board.result.panels == (dose.PANELS[0],)
    assert "poison centre" in board.note
    assert board.about["starts"] == [p.name for p in dose.PANELS] + [OWN]
    expected = dose.run(model, own)
    assert board.view["six"] == f"{expected.verdict} ({expected.why})"
    board.set(block=0)
    assert board.six.why == dose.run(model, own, block=0).why
    board.close()


def test_two_boards_on_one_model(model, vectors):
    first, second = DoseLab(model, vectors, BIRDS), DoseLab(model, vectors, OWN)
    for turn in range(3):
        first.set(values=[1, 2, 3 + turn])
        second.set(values=[5, 6, 7 + turn])
    assert first.result.panels[0].sentences()[-1] == "I saw 5 birds."
    assert second.result.panels[0].sentences()[-1] == "I just ran 9 km."
    for board in (first, second):
        again = dose.run(model, vectors, board.result.panels)
        assert again.to_frame().equals(board.result.to_frame())
        board.close()


def test_a_closed_board_leaves_no_thread(model, vectors):
    board = DoseLab(model, vectors, BIRDS)
    board.wait(30)
    thread = board._worker._thread
    board.close()
    thread.join(5)
    assert not thread.is_alive()


def test_its_words_and_its_picture(board):
    assert repr(board) == "DoseLab('I saw {X} birds.', 4 values, expected: happy up, sad down)"
    data = board._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"].startswith("iVBOR")
    assert len(board._figure().axes) == 3


# the words


def made(panel=1.0, ladder=1.0, twin=0.0, spread=0.05, expect=("up", "down"), boot=None):
    """A result of two expected emotions among 40, which change by these factors of the expectation; others by less."""
    names = ("happy", "sad", *(f"other {i}" for i in range(38)))
    told = Panel(
        "I saw {X}.", [1, 2, 3, 4, 5], dict(zip(names, expect, strict=False)), twin="It is {X}.", ladder=["A.", "B."]
    )
    rng, curves = np.random.default_rng(0), {}
    for kind, factor in (("panel", panel), ("ladder", ladder), ("twin", twin)):
        change = spread * rng.standard_normal(40)
        change[:2] = [factor * {"up": 1, "down": -1}[way] for way in expect]
        steps = np.linspace(0, 1, 2 if kind == "ladder" else 5)
        curves[told.title, kind] = np.repeat((steps[:, None] * change)[:, None], 3, axis=1)
    draws = {} if boot is None else {key: np.full((100, 40), 0.1) * np.linspace(*boot, 100)[:, None] for key in curves}
    return dose.DoseResult((told,), names, 1, curves, boot=draws)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (made(), "happy goes up (+1.000) as expected, further than 19 of 20 random directions, and further than on the harmless twin (0.000)."),
        (made(expect=("down", "up")), "happy goes down (−1.000) as expected, further than"),
        (made(panel=-1.0), "happy goes down (−1.000), against what was expected: further than 19 of 20 random directions."),
        (made(panel=-0.001), "against what was expected: no further than random directions go."),
        (made(panel=0.001), "it ends within the grey band, which is no evidence."),
        (made(panel=0.0), "happy stays where it is"),
        (made(twin=2.0), "But the harmless twin does no less (+2.000): the digits may do it"),
        (made(boot=(-1, 2)), "though other stories could turn it round"),
        (made(), "Told in words, happy goes up (+1.000), beyond the grey band"),
        (made(ladder=-1.0), "Not even told in words does happy go up"),
        (made(), "At 3 of 3 blocks all 2 signs are as expected."),
        (made(panel=-1.0), "At 0 of 3 blocks"),
    ],
)  # fmt: skip
def test_what_can_be_said(result, words):
    assert any(words in text for text in conclude(result, model="m", usual=1).can)


def test_reasons_follow_the_rule():
    def told(**factors):
        return conclude(made(**factors), model="m", usual=1)

    assert told().verdict == "inconclusive"  # two signs
    assert "in 2" in told().reason or "in 3" in told().reason
    many = dict(expect=("up",))
    assert "few signs" in " ".join(conclude(made(**many), model="m", usual=1).cannot)


def test_the_table_holds_the_numbers_of_the_lab():
    head, happy, sad = table(made())
    assert happy[:4] == ["happy", "up", "+1.000", "–"]
    assert sad[2] == "−1.000"
    assert happy[5] == "+1.00 (0.02)"
    assert happy[6:] == ["0.000", "+1.000", "–"]
    assert len(head) == len(happy) == len(sad)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0124, "+0.012"), (-0.0006, "−0.001"), (-0.0001, "0.000"), (float("nan"), "–")]
)
def test_changes_as_text(value, text):
    assert signed(value) == text
