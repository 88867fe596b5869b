"""The builder of stories: what it takes and rejects, that it is seeded and goes on where it was stopped."""

import re

import pytest
from conftest import tiny_model

import emokit
from emokit import EmokitError, builder, generation, lint
from emokit.stories import build

STORY = (
    "The last bus had gone and {n} miles of road lay before her in the rain. Her hands shook round the torn ticket. "
    '"Nobody will come for me now number {n}," she said, and sat down on the {n} kerb.'
)


@pytest.fixture
def writer(monkeypatch):
    """A model whose replies are `replies` in turn, and the seeds it was asked with."""
    model = tiny_model()
    model.asked = []
    replies = iter(())

    def scripted(_model, prompts, _limit, _temperature, seeds, bar=True):
        model.asked += seeds
        return [next(model.script) for _ in prompts]

    model.script = replies
    monkeypatch.setattr(generation, "replies", scripted)
    return model


def story(n):
    return " ".join(f"{w}{n}" if i % 3 else w for i, w in enumerate(STORY.replace("{n}", str(n)).split()))


def test_what_is_rejected_is_tried_again_and_counted_by_reason(writer):
    writer.script = iter(["too short.", f"He was sad. {story(1)}", story(2), story(3), story(4), story(5)])
    built = build(writer, ["sad", "lonely"], ["a bus", "a pet"], attempts=3, batch=2)
    assert built.emotions == ["sad", "lonely"]
    assert len(built) == 4
    assert built.reasons == {"too short": 1, "gives the emotion away": 1}
    assert len(set(writer.asked)) == len(writer.asked) == 6
    assert repr(built).startswith("Built(4 of 4 stories; 2 of 6 attempts rejected: ")
    assert list(built.rejected().reason) == ["too short: 2 words", "gives the emotion away: sad"]


def test_a_pair_that_never_passes_is_left_out_and_none_at_all_is_an_error(writer):
    writer.script = iter([story(1), "No.", "No.", "No."])
    built = build(writer, ["sad"], ["a bus", "a pet"], attempts=2, batch=1)
    assert ([s.topic for s in built], built.wanted, len(built.attempts)) == (["a bus"], 2, 3)
    writer.script = iter(["No."] * 4)
    with pytest.raises(EmokitError, match=r"no story of tiny passed in 4 attempts: 'too short: 1 words'"):
        build(writer, ["sad"], ["a bus", "a pet"], attempts=2, batch=1, seed=1)


def test_a_stopped_run_goes_on_where_it_was_and_comes_to_the_same(writer):
    def stopped():
        yield from (story(1), story(2))
        raise KeyboardInterrupt

    writer.script = stopped()
    wanted = dict(emotions=["sad", "lonely"], topics=["a bus", "a pet"], batch=1)
    with pytest.raises(KeyboardInterrupt):
        build(writer, **wanted)
    writer.asked.clear()
    writer.script = iter([story(3), story(4)])
    resumed = build(writer, **wanted)
    assert len(writer.asked) == 2
    writer.script = iter(())  # nothing more is asked for
    assert build(writer, **wanted) == resumed
    assert [s.text for s in resumed] == [story(n) for n in (1, 2, 3, 4)]


def test_a_damaged_log_loses_only_the_damaged_line(writer):
    writer.script = iter([story(1), story(2)])
    first = build(writer, ["sad"], ["a bus", "a pet"], batch=1)
    (log,) = (emokit.files.cache_dir() / "built").glob("*.jsonl")
    log.write_bytes(log.read_bytes()[:-20])  # as a kill leaves it
    writer.script = iter([story(2)])
    assert build(writer, ["sad"], ["a bus", "a pet"], batch=1) == first
    writer.script = iter(())
    assert build(writer, ["sad"], ["a bus", "a pet"], batch=1) == first


def test_other_prompts_seeds_and_temperatures_are_other_runs(writer):
    for settings in ({}, {"seed": 1}, {"temperature": 0.5}, {"prompt": builder.PROMPT + " {emotion} {topic}"}):
        writer.script = iter([story(1)])
        build(writer, ["sad"], ["a bus"], **settings)
        assert next(writer.script, None) is None, settings


def test_a_reply_depends_on_its_seed_and_not_on_its_batch():
    """The law behind resuming: one at a time, or together, in whatever order."""
    model = tiny_model()
    prompts = [model.encode(model.prompt(text)) for text in ("one", "two", "six")]
    together = generation.replies(model, prompts, 12, 0.9, [1, 2, 3])
    alone = [generation.replies(model, [p], 12, 0.9, [s])[0] for p, s in zip(prompts, (1, 2, 3), strict=True)]
    assert together == alone
    assert generation.replies(model, prompts[:1], 12, 0.9, [9]) != alone[:1]
    assert alone[0] == model.generate("one", max_new_tokens=12, temperature=0.9, seed=1)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("**The Lost Dog**\n\nShe ran out. He was gone and", "She ran out."),
        ("Title: Rain\nIt rained. “Come in,” she said.", 'It rained. "Come in," she said.'),
        ("Here is a short story:\n\nIt rained.\n\nShe left.", "It rained. She left."),
        ("no end at all", ""),
        ('He called. "Nobody is there."', 'He called. "Nobody is there."'),
        ("word " * 200 + "end.", ""),
        ("", ""),
    ],
)
def test_a_reply_is_tidied_to_its_story(reply, text):
    assert builder.tidy(reply) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (story(1), ""),
        ("As an AI I have none. " + story(1), "is no story"),
        ("A sorrow. " + story(1), "gives the emotion away: sorrow"),
        ("she ran home and " * 10, "repeats itself"),
        (story(7), "much the same as another"),
        (builder.PROMPT, "repeats the prompt"),
    ],
)
def test_each_reason_for_rejecting(text, reason):
    assert builder.judge("sad", text, builder.PROMPT, [lint.runs(story(7))]) == reason


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"prompt": "Write about {topic}."}, r"without \{emotion\}"),
        ({"prompt": "Be {emotion}."}, r"without \{topic\}"),
        ({"per_topic": 0}, "per_topic"),
        ({"attempts": 0}, "attempts"),
        ({"batch": 1.5}, "batch"),
        ({"emotions": "sad"}, "must be a list"),
        ({"topics": [1]}, "must be a string"),
    ],
)
def test_bad_arguments_are_named(model, settings, match):
    with pytest.raises(EmokitError, match=match):
        build(model, **(dict(emotions=["sad"], topics=["a bus"]) | settings))


def test_a_random_model_writes_no_story(model):
    with pytest.raises(EmokitError, match="no story of tiny passed in 2 attempts"):
        build(model, ["sad"], ["a bus"], attempts=2, max_new_tokens=8)


def test_the_prompt_can_be_seen_and_changed():
    assert {"{emotion}", "{topic}"} <= set(re.findall(r"\{\w+\}", emokit.stories.PROMPT))
    assert "build" in dir(emokit.stories)
