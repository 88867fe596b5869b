import itertools

import numpy as np
import pytest

import emokit
from emokit import EmokitError, dose
from emokit.dose import DoseResult, Panel

EMOTIONS = ("afraid", "calm", "sad", "happy", "bored", "proud")


def result(panel=1.0, ladder=1.0, twin=0.0, block=1):
    """A result whose curves change by the given factor in the expected direction; other emotions go the other way."""
    rng = np.random.default_rng(0)
    curves = {}
    for p in dose.PANELS:
        for kind, factor in (("panel", panel), ("ladder", ladder), ("twin", twin)):
            change = np.array([{"up": 1, "down": -1}.get(p.expect.get(e, ""), 0.0) for e in EMOTIONS]) * factor
            change = np.where(change == 0, -0.3 * abs(factor) * rng.choice([-1, 1], len(EMOTIONS)), change)
            curves[p.title, kind] = np.linspace(0, 1, 4)[:, None, None] * change * np.ones((1, 3, 1))
    return DoseResult(dose.PANELS, EMOTIONS, block, curves)


def test_the_six_panels_are_the_papers():
    assert [p.name for p in dose.PANELS] == [
        "tylenol", "hours without food", "sister's age", "dog missing", "runway", "exam",
    ]  # fmt: skip
    signs = {(p.name, e, way) for p in dose.PANELS for e, way in p.expect.items()}
    assert len(signs) == 12
    assert {("tylenol", "afraid", "up"), ("tylenol", "calm", "down"), ("sister's age", "sad", "down")} <= signs
    assert dose.PANELS[0].values == [500, 1000, 2000, 4000, 8000, 16000]
    for panel in dose.PANELS:
        assert panel.twin
        assert panel.ladder
        assert not any(c.isdigit() for rung in panel.ladder for c in rung)
    assert "poison centre" in dose.PANELS[0].note


def test_the_papers_block_is_two_thirds_of_depth():
    assert [dose.two_thirds(n) for n in (30, 28, 18, 12, 1)] == [19, 18, 11, 7, 0]


def test_signs_and_their_p_equal_a_full_enumeration():
    got = result()
    signs = got.signs("panel")
    assert (signs.right, signs.total) == (12, 12)
    hits = total = 0
    for order in itertools.permutations(range(6)):
        right = 0
        for p in dose.PANELS:
            change = got.curves[p.title, "panel"][-1, 1] - got.curves[p.title, "panel"][0, 1]
            right += sum((change[order[EMOTIONS.index(e)]] > 0) == (way == "up") for e, way in p.expect.items())
        hits += right >= 12
        total += 1
    assert signs.p == pytest.approx(hits / total, abs=0.02)


@pytest.mark.parametrize(
    ("kwargs", "verdict"),
    [
        ({}, "replicates"),
        ({"twin": 2.0}, "does not replicate"),  # afraid rises as much on the harmless sentence
        ({"panel": -1.0}, "does not replicate"),
        ({"panel": -1.0, "ladder": -1.0}, "inconclusive"),
        ({"ladder": -1.0}, "replicates"),
    ],
)
def test_the_verdict_follows_the_rule(kwargs, verdict):
    got = result(**kwargs)
    assert got.verdict == verdict
    assert verdict in repr(got)
    assert "p = " in got.why


def test_wrong_tylenol_signs_forbid_replication_even_with_a_small_p():
    got = result()
    got.curves["tylenol", "panel"][:, :, EMOTIONS.index("calm")] *= -1
    assert got.signs("panel").right == 11
    assert got.verdict == "does not replicate"


def test_a_run_scores_the_readout_as_reading_does(model, vectors):
    panel = Panel(
        "I saw {X} birds.",
        [1, 20, 300],
        expect={"happy": "up"},
        twin="I saw {X} bricks.",
        ladder=["No bird.", "A flock."],
    )
    got = dose.run(model, vectors, [panel], block=2)
    for value, score in zip(panel.values, got.curve(panel, "panel", "happy"), strict=True):
        reading = emokit.read(model, vectors, [{"role": "user", "content": f"I saw {value} birds."}], block=2)
        assert score == pytest.approx(reading.scores[reading.readout, vectors.index("happy")], abs=1e-4)
    frame = got.to_frame()
    assert frame["kind"].tolist() == ["panel", "ladder", "twin"]
    assert frame.loc[2, "expected"] == "flat"
    assert len(got.by_block()) == 4
    assert got.block == 2
    assert dose.run(model, vectors, [panel]).block == dose.two_thirds(4)
    assert got.signs("ladder").total == 1


def test_a_second_run_needs_no_forward_pass(model, vectors):
    panel = Panel("I saw {X} birds.", [1, 20])
    first = dose.run(model, vectors, [panel])
    calls = []
    model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    again = dose.run(model, vectors, [panel])
    assert calls == []
    np.testing.assert_array_equal(first.curves[panel.title, "panel"], again.curves[panel.title, "panel"])
    assert again.verdict == "inconclusive"


def test_curves_are_plotted_for_each_kind():
    got = result()
    for kind in ("panel", "ladder", "twin"):
        assert len([a for a in got.plot(kind).axes if a.get_visible()]) == 6
    assert len(got.compare().axes) == 3
    assert len({axis.get_ylim() for axis in got.compare().axes}) == 1  # one scale for the effect and its controls
    with pytest.raises(EmokitError, match="no panel has a ladder"):
        DoseResult((Panel("{X}", [1, 2]),), EMOTIONS, 0, {}).plot("ladder")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"template": "no place", "values": [1, 2]}, "without {X}"),
        ({"template": "{X}", "values": [1]}, "fewer than two"),
        ({"template": "{X}", "values": [1, 2], "twin": "none"}, "without {X}"),
        ({"template": "{X}", "values": [1, 2], "ladder": ["one"]}, "rungs"),
        ({"template": "{X}", "values": [1, 2], "expect": {"sad": "rise"}}, "neither up nor down"),
    ],
)
def test_bad_panels_are_refused(kwargs, message):
    with pytest.raises(EmokitError, match=message):
        Panel(**kwargs)


def test_panels_that_ask_for_unknown_emotions_or_nothing_are_refused(model, vectors):
    with pytest.raises(EmokitError, match="unknown emotion"):
        dose.run(model, vectors, [Panel("{X} it is.", [1, 2], expect={"joy": "up"})])
    with pytest.raises(EmokitError, match="no panel"):
        dose.run(model, vectors, [])


def test_braces_in_a_template_are_left_alone():
    assert Panel("{X} {of} {", [1, 2]).sentences() == ["1 {of} {", "2 {of} {"]


def test_rungs_are_sentences_or_words_for_the_template():
    panel = Panel("I took {X} pills.", [1, 2], ladder=["hardly any", "I took far too many pills!"])
    assert panel.rungs() == ["I took hardly any pills.", "I took far too many pills!"]


def test_panels_of_one_title_would_overwrite_each_other_and_are_refused(model, vectors):
    twice = [Panel("I saw {X} birds.", [1, 2]), Panel("I saw {X} birds.", [5, 6])]
    with pytest.raises(EmokitError, match="own name"):
        dose.run(model, vectors, twice)
    assert len(dose.run(model, vectors, twice[0]).panels) == 1  # a single panel needs no list


def test_too_few_signs_for_a_verdict_are_called_so(model, vectors):
    few = dose.run(model, vectors, Panel("I saw {X} birds.", [1, 2], expect={"happy": "up"}))
    assert not few.signs().decidable
    assert "so few signs" in few.why
    assert result().signs().decidable
    assert "so few signs" not in result().why


def test_every_block_has_its_verdict_and_others_are_refused():
    table = result().by_block()
    assert set(table["verdict"]) == {"replicates"}
    for block in (3, -1):
        with pytest.raises(EmokitError, match="Blocks are 0 to 2"):
            result().signs(block=block)


def test_where_all_emotions_rise_alike_the_signs_prove_nothing():
    """Every labelling then gets as many right, ties count, and p is 1."""
    panel = Panel("{X} of them", [1, 2], expect={"afraid": "up", "sad": "up"}, name="all rise")
    rising = DoseResult(
        (panel,), EMOTIONS, 0, {("all rise", "panel"): np.linspace(0, 1, 2)[:, None, None] * np.ones((1, 1, 6))}
    )
    assert (rising.signs().right, rising.signs().p) == (2, 1.0)
