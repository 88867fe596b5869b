import contextlib
import hashlib
import threading

import pytest

import emokit
from emokit import EmokitError
from emokit.files import corpus
from emokit.lint import first_person
from emokit.stories import Story, StorySet
from emokit.widgets import StoryBrowser


@pytest.fixture
def board(stories):
    board = StoryBrowser(stories)
    assert board.wait(20)
    yield board
    board.close()


@pytest.fixture(scope="module")
def core():
    return emokit.load_stories()


def from_browser(board, **state):
    """What the front end sends when a control is moved."""
    message = {"method": "update", "state": state, "buffer_paths": []}
    board._handle_msg({"content": {"data": message}, "buffers": []})


def texts(board):
    return [row[3] for row in board.view["rows"]]


# find and read


def test_all_stories_are_there_the_neutral_ones_last(board, stories):
    assert board.found == list(range(15))
    assert board.view["story"]["text"] == stories[0].text
    assert board.view["rows"][14][1] == "neutral"
    assert board.status.startswith("15 of 15 stories · lint: ")


def test_filters_find_what_a_loop_finds(core):
    board = StoryBrowser(core)
    rows = [*core.stories, *core.neutral]
    for emotion, topic, person, words in [
        ("sad", "", "first", ""), ("sad", "", "third", ""), ("", core.topics[3], "", ""), ("", "", "", "WINDOW"), ("neutral", "", "first", ""),
        ("proud", core.topics[0], "", "no such words"),
    ]:  # fmt: skip
        from_browser(board, emotion=emotion, topic=topic, person=person, words=words)
        expected = [
            i for i, s in enumerate(rows)
            if emotion in ("", s.emotion) and topic in ("", s.topic) and words.lower() in s.text.lower()
            and (not person or first_person(s.text) == (person == "first"))
        ]  # fmt: skip
        assert board.found == expected
        assert [row[0] for row in board.view["rows"]] == expected[:500]
    both = sum(
        len(board.found)
        for person in ("first", "third")
        if not board.set(person=person, emotion="sad", topic="", words="")
    )
    assert both == 16
    board.close()


def test_a_chosen_story_is_read_with_its_labels(board, stories):
    from_browser(board, at=4)
    assert board.wait(20)
    story = board.view["story"]
    assert (story["place"], story["emotion"], story["topic"], story["text"]) == (4, *_parts(stories[4]))
    assert story["person"] == "third"


def _parts(story):
    return story.emotion, story.topic, story.text


# lint


def test_findings_stand_at_their_story_though_sources_are_missing_or_the_same():
    rows = [
        Story(
            emotion,
            topic,
            f"The {topic} was shut and the {thing} lay on the floor, where {n} people had put it.",
            "same file",
        )
        for n, (emotion, thing) in enumerate((("sad", "coat"), ("happy", "lamp")))
        for topic in ("garden", "office")
    ]
    rows[1] = Story(
        "sad", "office", "She was sad about it, and the clerk at the window shook his head and closed.", "same file"
    )
    rows[2] = Story("happy", "garden", "Somebody had left the gate open and the goats were in the beans again.")
    board = StoryBrowser(StorySet(tuple(rows), (Story("neutral", "hall", rows[2].text),)))
    assert board.wait(20)
    assert any(f.startswith("emotion word: 'sad'") for f in _findings(board, 1))
    assert not any(f.startswith("emotion word") for p in (0, 2, 3, 4) for f in _findings(board, p))
    assert [f for f in _findings(board, 4) if f.startswith("duplicate")] == ["duplicate: much the same as 'story 2'"]
    board.set(only="with findings")
    assert 1 in board.found
    assert 4 in board.found
    assert sum(row[4] for row in board.view["rows"]) + len(board.view["whole"]) == len(board.edited.lint())
    board.close()


def _findings(board, place):
    board.set(at=place)
    board.wait(20)
    return board.view["story"]["findings"]


def test_an_edit_is_linted_and_its_undoing_too(core):
    board = StoryBrowser(core, emotion="sad")
    assert board.wait(60)
    place = board.found[0]
    assert "lint: 0 findings in stories" in board.status
    board.edit(
        place,
        text="He was sad, deeply sad, and there was nobody in the house who could have told him why it was so, then or later.",
    )
    assert _findings(board, place) == ["emotion word: 'sad' in a sad story"]
    board.set(only="edited")
    assert board.found == [place]
    board.undo(place)
    assert board.found == []
    assert "lint: 0 findings in stories" in board.status
    board.close()


# edit


def test_an_edit_from_the_browser_goes_into_a_copy(board, stories):
    before = stories.fingerprint
    from_browser(board, edits={"2": {"text": "Other words.", "topic": "office"}, "13": {"text": "The shed is dry."}})
    assert board.wait(20)
    copy = board.edited
    assert (copy[2].text, copy[2].topic, copy[2].emotion) == ("Other words.", "office", stories[2].emotion)
    assert copy.neutral[1].text == "The shed is dry."
    assert [s for i, s in enumerate(copy) if i != 2] == [s for i, s in enumerate(stories) if i != 2]
    assert stories.fingerprint == before != copy.fingerprint
    assert texts(board)[2] == "Other words."
    assert board.view["rows"][2][5]


def test_no_edit_gives_the_stories_themselves_and_what_changes_nothing_is_none(board, stories):
    assert board.edited is stories
    from_browser(board, edits={"2": {"text": stories[2].text, "emotion": stories[2].emotion}})
    assert board.edits == {}
    board.edit(2, topic="moon")
    board.edit(2, text="Two parts are changed.")
    assert board.edits == {"2": {"topic": "moon", "text": "Two parts are changed."}}
    board.edit(2, topic=stories[2].topic, text=stories[2].text)
    assert board.edits == {}
    board.edit(0, text="x y")
    board.undo()
    assert board.edited is stories


def test_a_story_may_become_neutral_and_another_emotion(board):
    board.edit(0, emotion="neutral")
    board.edit(14, emotion="wistful")
    copy = board.edited
    assert len(copy) == 12
    assert copy.stories[-1].emotion == "wistful"
    assert copy.neutral[0].topic == "garden"
    board.set(emotion="wistful")
    assert board.found == [14]


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.csv"])
def test_a_saved_copy_is_what_load_stories_reads(board, tmp_path, name):
    board.edit(1, text='He said "no", twice;\nthen, after a while, yes.')
    board.save(tmp_path / name)
    assert emokit.load_stories(tmp_path / name).fingerprint == board.edited.fingerprint
    sent = []
    board.send = sent.append
    board._handle_custom_msg({"do": name.rsplit(".", 1)[1]}, [])
    assert sent[0]["text"] == (tmp_path / name).read_text(encoding="utf-8")


def test_no_shipped_file_is_written(core):
    def digest():
        return [hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(corpus().rglob("*.*"))]

    before = digest()
    board = StoryBrowser(core)
    board.edit(0, text="Other words.")
    for path in (corpus() / "core" / "afraid.jsonl", str(corpus() / "core" / ".." / "new.jsonl")):
        with pytest.raises(EmokitError, match="not over the shipped stories"):
            board.save(path)
    assert digest() == before
    board.close()


# what can't be


def test_an_edit_that_can_not_be_is_shown_with_what_to_do_and_nothing_is_lost(board):
    from_browser(board, edits={"0": {"text": "  "}, "1": {"text": "Good words."}})
    with pytest.raises(EmokitError, match="empty"):
        board.wait(20)
    assert "Fill it in" in board.error
    assert texts(board)[1] == "Good words."
    with pytest.raises(EmokitError, match="empty"):
        _ = board.edited
    from_browser(board, edits={"0": {"text": "Now there are words."}, "1": {"text": "Good words."}})
    assert board.wait(20)
    assert board.error == ""
    assert [s.text for s in board.edited[:2]] == ["Now there are words.", "Good words."]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"edits": {"99": {"text": "a"}}}, "places 0 to 14"),
        ({"edits": {"-1": {"text": "a"}}}, "place"),
        ({"edits": {"first": {"text": "a"}}}, "place"),
        ({"edits": {"1": "a"}}, "not an edit"),
        ({"edits": {"1": {"mood": "a"}}}, "not an edit"),
        ({"edits": {"1": {"text": 7}}}, "Fill it in"),
        ({"edits": [1]}, "edits"),
        ({"at": 99}, "places 0 to 14"),
        ({"at": -1}, "0 or more"),
        ({"emotion": "hapy"}, "Did you mean happy"),
        ({"topic": "gardn"}, "Choose among: garden"),
        ({"person": "second"}, "person"),
        ({"words": 5}, "words"),
    ],
)
def test_bad_input_is_shown_on_the_board(board, state, said):
    from_browser(board, **state)
    with contextlib.suppress(EmokitError):  # raised by the wait, or shown before it
        board.wait(20)
    assert said in board.error
    from_browser(board, edits={}, at=0, emotion="", topic="", words="s")
    assert board.wait(20)
    assert board.error == ""


def test_bad_arguments_from_python(board, model):
    with pytest.raises(EmokitError, match="not a StorySet"):
        StoryBrowser(model)
    with pytest.raises(EmokitError, match="no story to browse"):
        StoryBrowser(StorySet(()))
    with pytest.raises(EmokitError, match="no story at this place"):
        board.edit(15, text="a")
    with pytest.raises(EmokitError, match="whole number"):
        board.undo("x")
    with pytest.raises(EmokitError, match="empty"):
        board.edit(1, text="")
    assert board.edits == {}
    with pytest.raises(EmokitError, match="no setting"):
        board.set(colour="red")


# the board


def test_a_long_list_is_cut_and_says_of_how_many():
    rows = tuple(Story("sad", f"t{i}", f"Line {i} of many, {i * i}.") for i in range(700))
    board = StoryBrowser(StorySet(rows))
    assert len(board.found) == 700
    assert len(board.view["rows"]) == 500
    assert board.view["found"] == 700
    board.close()


def test_a_closed_board_leaves_no_thread_and_two_do_not_mix(stories):
    first, second = StoryBrowser(stories), StoryBrowser(stories)
    first.edit(0, text="Only here.")
    assert first.wait(20)
    assert second.wait(20)
    assert second.edited is stories
    threads = [w._thread for board in (first, second) for w in (board._worker, board._linter)]
    first.close()
    second.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_lint_reads_on_while_stories_are_read(stories, monkeypatch):
    from emokit.widgets import browser

    going = threading.Event()

    def slow(given):
        going.wait(20)
        return iter(())

    monkeypatch.setattr(browser, "lint", slow)
    board = StoryBrowser(stories)
    for place in (3, 5):
        board.set(at=place)
        assert board._worker.wait(20)
        assert board.view["story"]["place"] == place
    assert board.view["story"]["lint"] == "lint is reading ..."
    assert not board.wait(0.05)
    going.set()
    assert board.wait(20)
    assert board.view["story"]["lint"] == "lint finds nothing in this story"
    board.close()


def test_its_words_and_its_picture(board):
    assert repr(board) == "StoryBrowser(15 stories, 0 edited)"
    data = board._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"].startswith("iVBOR")
    board.set(words="nowhere to be found")
    assert board.found == []
    assert board._figure() is not None
