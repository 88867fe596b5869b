"""Your own story files: JSON lines and CSV, what is wrong in them told by line, the rest taken only when told to."""

import json

import pytest

import emokit
from emokit import EmokitError

GOOD = [
    ("sad", "a pet", 'She said "come, boy", and nobody came.'),
    ("happy", "a pet", "The pup, two months old,\nran to her."),
]


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_in_any_order_with_further_columns_and_any_usual_delimiter(tmp_path, delimiter):
    rows = [["Text", "id", " Emotion", "topic"], ['"She said ""come""' + delimiter + ' boy."', "1", "sad", " a pet "]]
    path = write(tmp_path / "mine.csv", "\r\n".join(delimiter.join(row) for row in rows), "utf-8-sig")
    (story,) = emokit.load_stories(path)
    assert (story.emotion, story.topic, story.text) == ("sad", "a pet", f'She said "come"{delimiter} boy.')
    assert story.source == "mine.csv:2"


@pytest.mark.parametrize("name", ["mine.csv", "mine.jsonl", "MINE.CSV"])
def test_stories_come_back_as_they_were_saved(tmp_path, name):
    made = emokit.StorySet(tuple(emokit.Story(*row) for row in GOOD), (emokit.Story("neutral", "a pet", "A dog sat."),))
    made.save(tmp_path / name)
    again = emokit.load_stories(tmp_path / name)
    assert again == made
    assert again.neutral == made.neutral


def test_a_folder_may_hold_both_kinds(tmp_path):
    write(tmp_path / "a.csv", "emotion,topic,text\nsad,a pet,It ran off.\n")
    write(tmp_path / "b.jsonl", json.dumps({"emotion": "happy", "topic": "a pet", "text": "It came back."}))
    assert emokit.load_stories(tmp_path).emotions == ["sad", "happy"]


BAD_CSV = 'emotion,topic,text\nsad,a pet,"two\nlines"\nsad,,no topic\nhappy,a pet\n\nhappy,a pet,fine\n'
BAD_JSON = '{"emotion": "sad", "topic": "t", "text": "fine"}\n[]\n{"emotion": "sad", "topic": 3, "text": "x"}\n\n{"emotion": "sad", "topic": "t", "text": " "}\n'


@pytest.mark.parametrize(
    ("name", "text", "named", "left"),
    [
        ("mine.csv", BAD_CSV, ["mine.csv:4 has no topic", "mine.csv:5 has no text"], ["two\nlines", "fine"]),
        ("mine.jsonl", BAD_JSON, ["mine.jsonl:2 is not a story", "mine.jsonl:3 is not a story: a topic must be a string", "mine.jsonl:5 has no text"], ["fine"]),
    ],
)  # fmt: skip
def test_all_unusable_rows_are_named_and_the_rest_is_taken_only_when_told_to(tmp_path, capsys, name, text, named, left):
    path = write(tmp_path / name, text)
    with pytest.raises(EmokitError, match="skip_unusable=True") as error:
        emokit.load_stories(path)
    assert [n for n in named if n in str(error.value)] == named
    assert f"{len(named)} of {len(named) + len(left)} rows" in str(error.value)
    assert [s.text for s in emokit.load_stories(path, skip_unusable=True)] == left
    printed = capsys.readouterr().out
    assert [n for n in named if n in printed] == named
    assert path.read_bytes() == text.encode()


def test_many_unusable_rows_are_counted_and_ten_shown(tmp_path):
    path = write(tmp_path / "mine.jsonl", "{}\n" * 25)
    with pytest.raises(EmokitError, match="25 of 25 rows .* and 15 more") as error:
        emokit.load_stories(path)
    assert str(error.value).count("is not a story") == 10
    with pytest.raises(EmokitError, match="there is no story"):
        emokit.load_stories(path, skip_unusable=True)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("feeling,topic,text\nsad,a,b\n", "does not name the columns"),
        ("", "there is no story"),
        ('emotion,topic,text\nsad,a,"open\n', r"mine.csv:2 is not CSV"),
    ],
)
def test_csv_that_is_none_is_refused_by_name(tmp_path, text, what):
    path = write(tmp_path / "mine.csv", text)
    with pytest.raises(EmokitError, match=what):
        emokit.load_stories(path)
