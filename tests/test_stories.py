import json

import numpy as np
import pytest

import emokit
from emokit import EmokitError, lint
from emokit.stories import Story, StorySet, corpus

CORE = (
    "happy proud loving calm hopeful excited grateful confident relieved amused surprised nervous afraid desperate "
    "hopeless sad lonely guilty ashamed jealous angry frustrated disgusted bored"
).split()


def rules(*texts, emotion="sad", topics=None):
    rows = tuple(Story(emotion, (topics or [f"t{i}" for i in range(len(texts))])[i], t) for i, t in enumerate(texts))
    return [f.rule for f in StorySet(rows).lint()]


def test_the_shipped_corpus_is_what_the_card_says():
    shipped = emokit.load_stories()
    assert sorted(shipped.emotions) == sorted(CORE)
    assert len(shipped.topics) == 16
    assert len({(s.emotion, s.topic) for s in shipped}) == len(shipped) == 24 * 16
    assert all(37 <= len(s.text.split()) <= 45 for s in shipped)
    assert len(shipped.neutral) >= 60
    assert {s.topic for s in shipped.neutral} == set(shipped.topics)


def test_the_shipped_corpus_passes_lint():
    assert [str(f) for f in emokit.load_stories().lint()] == []


def test_half_of_each_emotions_stories_are_told_in_the_first_person():
    for emotion in CORE:
        group = emokit.load_stories(emotions=[emotion])
        first = sum(bool(lint.FIRST_PERSON & set(lint._narrated(s.text))) for s in group)
        assert first == 8, emotion


def test_messages_are_four_an_emotion_and_apart_from_the_stories():
    messages = emokit.load_messages()
    assert {e: sum(m.emotion == e for m in messages) for e in messages.emotions} == dict.fromkeys(CORE, 4)
    assert not {m.text for m in messages} & {s.text for s in emokit.load_stories()}
    assert not [f for f in messages.lint() if f.rule == "emotion word"]
    assert emokit.load_messages(["sad"]).emotions == ["sad"]


def test_choosing_emotions():
    assert emokit.load_stories(emotions=["sad", "happy"]).emotions == ["sad", "happy"]
    assert emokit.load_stories(emotions="sad").emotions == ["sad"]
    assert set(emokit.load_stories(emotions="all").emotions) >= set(CORE)
    with pytest.raises(EmokitError, match="afraid, alarmed, .* and 133 more"):
        emokit.load_stories(emotions=["gleeful"])
    with pytest.raises(EmokitError, match="no story"):
        emokit.load_stories(emotions=[])


def test_a_set_is_a_sequence_with_a_table(stories):
    assert stories[0].emotion == "happy"
    assert [s.topic for s in stories][:2] == ["garden", "office"]
    assert repr(stories) == "StorySet(12 stories: 3 emotions x 4 topics; 3 neutral)"
    assert list(stories.to_frame().columns) == ["emotion", "topic", "text"]


def test_own_stories_come_back_from_a_file_or_a_folder(stories, tmp_path):
    stories.save(tmp_path / "mine.jsonl")
    for path in (tmp_path / "mine.jsonl", tmp_path):
        again = emokit.load_stories(path)
        assert again == stories
        assert again.fingerprint == stories.fingerprint
    assert emokit.load_stories(tmp_path)[0].source == "mine.jsonl:1"


def test_without_own_neutral_stories_emokits_are_used(tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps({"emotion": "sad", "topic": "t", "text": "It ended."}) + "\n")
    assert len(emokit.load_stories(tmp_path / "x.jsonl").neutral) >= 60


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", '{"emotion": "sad"}', '{"emotion": "sad", "topic": "t", "text": ""}',
             '{"emotion": 3, "topic": "t", "text": "x"}', "[" * 5000, '{"emotion": "sad", "topic": "t", "text": "cut of'],
)  # fmt: skip
def test_unreadable_rows_are_named_by_file_and_line(tmp_path, line):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"emotion": "sad", "topic": "t", "text": "It ended."}\n' + line + "\n")
    with pytest.raises(EmokitError, match="mine.jsonl:2"):
        emokit.load_stories(path)


def test_missing_empty_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(EmokitError, match="no such"):
        emokit.load_stories(tmp_path / "none.jsonl")
    with pytest.raises(EmokitError, match=r"no \.jsonl"):
        emokit.load_stories(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(EmokitError, match="no story"):
        emokit.load_stories(tmp_path / "empty.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(EmokitError, match="UTF-8"):
        emokit.load_stories(tmp_path / "latin.jsonl")


# lint: each rule finds what it is for, and only that


def test_lint_finds_words_forms_and_synonyms_but_no_prefixes():
    assert rules("He felt SAD then.") == ["emotion word"]
    assert rules("A sorrowful day.") == ["emotion word"]
    assert rules("She made a saddle.", emotion="angry") == []
    assert rules("At last; at ease.", emotion="calm") == ["emotion word"]
    assert rules("He was at eased place.", emotion="calm") == []
    assert rules("The gleam of it.", emotion="gleam") == ["emotion word"]  # an emotion of your own


def test_lint_finds_duplicates():
    text = "The old man closed the shop for the last time and walked home through the rain."
    assert "duplicate" in rules(text, text)
    assert "duplicate" in rules(text, text.replace("old", "young"))
    assert "duplicate" not in rules(text, "A girl opened her letter in the station and ran all the way to the harbour.")


def test_lint_finds_lengths_and_topics_and_persons():
    assert rules("word " * 10 + "a", "word2 " * 100).count("length") >= 1
    rows = [Story(e, t, f"{e} {t} xyz") for e in ("sad", "angry") for t in ("a", "b") if (e, t) != ("angry", "b")]
    assert "topic" in [f.rule for f in StorySet((*rows,)).lint()]
    all_first = [f"I {w} my {w}." for w in ("saw", "ate", "cut", "lit")]
    assert "person" in rules(*all_first)
    assert "person" not in rules("I saw it.", "I ate it.", "He cut it.", "She lit it.")
    assert "person" in rules(
        *[f'He said, "I {w} my {w}."' for w in ("saw", "ate", "cut", "lit")]
    )  # speech does not count


def test_lint_finds_punctuation_that_marks_an_emotion():
    def rows(emotion, end):
        return [Story(emotion, str(i), f"It was number {i} of {emotion}{end}") for i in range(5)]

    found = StorySet((*rows("sad", "."), *rows("angry", "!"), *rows("calm", "."))).lint()
    assert [f.what for f in found if f.rule == "form"] == [
        "100% of the angry stories have exclamation marks, 33% of all"
    ]


def test_lint_finds_repeats_within_an_emotion():
    cue = [f"The {w} hit his stomach." for w in ("red", "blue", "grey")]
    assert "cue" in rules(*cue)
    assert "cue" not in rules(*cue[:2])
    assert "opening" in rules("When she came in late.", "When she came to me.")
    assert rules(*[f"{w} she never came home {w}" for w in ("a1", "b2", "c3")]).count("phrase") == 2
    assert "phrase" not in rules(*[f"{w} it was in the {w}" for w in ("a1", "b2", "c3")])


def test_nothing_to_lint_is_nothing_found():
    assert StorySet(()).lint() == []


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "n.jsonl").write_text('{"emotion": "sad", "topic": "t", "text": "It ended."}', encoding="utf-8-sig")
    assert emokit.load_stories(tmp_path / "n.jsonl").emotions == ["sad"]


def test_neutral_stories_must_not_name_emotions():
    found = StorySet((), (Story("neutral", "t", "He was happy."),))
    assert [f.rule for f in lint._avoided(found)] == ["emotion word"]


def test_word_lists_cover_every_emotion():
    lists = json.loads((corpus() / "lint.json").read_text())
    assert set(lists["avoid"]) == set(emokit.load_stories(emotions="all").emotions)
    assert all(emotion in words for emotion, words in lists["avoid"].items())


def test_lint_finds_names_and_words_that_mark_an_emotion():
    def rows(emotion, word, name="he"):
        return [Story(emotion, str(i), f"Number {i} of it, and {name} had a {word} x{i}{emotion}.") for i in range(5)]

    def found(*sets):
        return [
            (f.rule, f.what)
            for f in StorySet(tuple(s for r in sets for s in r)).lint()
            if f.rule in ("name", "telling word")
        ]

    assert found(rows("sad", "cup"), rows("calm", "cup")) == []
    assert found(rows("sad", "cup", "Ada"), rows("calm", "cup"))[0] == ("name", "'Ada' is in 5 sad stories; at most 2")
    assert ("telling word", "'kite' is in 100% of the sad stories, 0% of others") in found(
        rows("sad", "kite"), rows("calm", "cup")
    )
    assert lint.names("Then Mr Ito met Ada. Nobody came, I think, to Rome.") == {"Ito", "Ada", "Rome"}


def test_near_duplicates_are_found_across_emotions():
    text = "The old man closed the shop for the last time and walked home through the rain."
    found = StorySet((Story("sad", "a", text), Story("calm", "b", text.replace("rain", "sun")))).lint()
    assert [f.rule for f in found if f.rule == "duplicate"] == ["duplicate"]


def test_leaks_are_what_a_plain_bag_of_words_tells_and_shuffling_ends_them():
    """The oracle: the same test in scikit-learn and dense arrays, as notebook 01 does it."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    from emokit import selection

    stories = emokit.load_stories()
    table = lint.leaks(stories)
    bags = TfidfVectorizer(sublinear_tf=True, analyzer=lint.words).fit_transform([s.text for s in stories]).toarray()
    labels, topics = (selection.codes([getattr(s, name) for s in stories]) for name in ("emotion", "topic"))
    units = selection.heldout_hits(bags, labels, topics, bags[:0])
    assert table.told.mean() == pytest.approx(units.mean())
    assert list(table.told) == sorted(table.told, reverse=True)
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(np.flatnonzero(topics == t)) for t in range(16)])
    places = np.concatenate([np.flatnonzero(topics == t) for t in range(16)])
    texts = dict(zip(places.tolist(), (stories[i].text for i in order), strict=True))
    mixed = StorySet(tuple(Story(s.emotion, s.topic, texts[i]) for i, s in enumerate(stories)))
    assert lint.leaks(mixed).told.mean() < 0.1 < 0.3 < table.told.mean()


def test_leaks_name_the_telling_words():
    rows = [Story(e, str(i), f"{w} thing {i}") for e, w in (("sad", "kite"), ("calm", "drum")) for i in range(4)]
    table = lint.leaks(StorySet(tuple(rows)))
    assert list(table.told) == [1.0, 1.0]
    assert {row.emotion: row.words.split(",")[0] for row in table.itertuples()} == {"sad": "kite", "calm": "drum"}
    assert list(lint.leaks(StorySet(tuple(Story("sad", str(i), "!!") for i in range(2)))).told) == [1.0]


ALL = 173


def test_the_whole_corpus_is_what_the_card_says():
    shipped = emokit.load_stories(emotions="all")
    assert shipped.emotions[:24] == emokit.load_stories().emotions
    assert len(shipped.emotions) == ALL
    assert len({(s.emotion, s.topic) for s in shipped}) == len(shipped) == ALL * 16
    assert set(shipped.topics) == set(emokit.load_stories().topics)
    assert all(35 <= len(s.text.split()) <= 47 for s in shipped)
    assert len(shipped.neutral) >= 120
    assert set(shipped.emotions) == set(emokit.geometry.ratings())


def test_the_whole_corpus_passes_lint():
    assert [str(f) for f in emokit.load_stories(emotions="all").lint()] == []


def test_half_of_every_emotions_stories_are_told_in_the_first_person_by_topic():
    shipped = emokit.load_stories(emotions="all")
    first = {s.topic: set() for s in shipped}
    for s in shipped:
        first[s.topic].add(bool(lint.FIRST_PERSON & set(lint._narrated(s.text))))
    assert sorted(map(str, first.values())) == ["{False}"] * 8 + ["{True}"] * 8


def test_messages_of_all_words_are_four_each_and_name_none():
    messages = emokit.load_messages("all")
    assert {e: sum(m.emotion == e for m in messages) for e in messages.emotions} == dict.fromkeys(messages.emotions, 4)
    assert set(messages.emotions) == set(emokit.geometry.ratings())
    assert [str(f) for f in messages.lint() if f.rule in ("emotion word", "duplicate")] == []
    texts = [s.text for s in emokit.load_stories(emotions="all")]
    assert not {m.text for m in messages} & set(texts)


@pytest.mark.parametrize("sign", ["\u2028", "\x0c", "\x0b", "\x85", ",", '"', "\n"])
def test_a_text_with_any_sign_comes_back_from_a_csv(tmp_path, sign):
    text = f"She ran{sign} laughing, and sang."
    StorySet((Story("happy", "a train", text), Story("sad", "a bus", "He sat."))).save(tmp_path / "a.csv")
    assert emokit.load_stories(tmp_path / "a.csv")[0].text == text


def test_a_comma_without_quotation_marks_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("emotion,topic,text\nhappy,train,She ran, laughing and singing\nsad,bus,He sat.\n")
    with pytest.raises(EmokitError, match=r"a\.csv:2 has more cells"):
        emokit.load_stories(tmp_path / "a.csv")


def test_emotions_may_be_an_array_and_none_of_them_is_no_story():
    chosen = emokit.load_stories(emotions=np.array(["happy", "sad"]))
    assert chosen.emotions == ["happy", "sad"]
    for nothing in ((), set(), np.array([])):
        with pytest.raises(EmokitError, match="no story"):
            emokit.load_stories(emotions=nothing)
