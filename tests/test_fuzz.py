"""Files and texts that no one would write: emokit reads them whole or raises EmokitError, and nothing else."""

import json
import math

import numpy as np
import pytest
from conftest import stories as fixture_stories
from conftest import tiny_model
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import emokit
from emokit import EmokitError, EmotionVectors, dose
from emokit.stories import Story, StorySet

FIXTURES = [
    HealthCheck.function_scoped_fixture,
    HealthCheck.too_slow,
]  # conftest's own_cache, which changes nothing here


def fuzz(examples):
    """As many examples, the same ones in every run."""
    return settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=FIXTURES
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def model():
    return tiny_model(max_position_embeddings=128)


@pytest.fixture(scope="module")
def vectors(model):
    return emokit.extract(model, fixture_stories.__wrapped__(), cache=False)


@pytest.fixture(scope="module")
def saved(vectors, folder):
    vectors.save(folder / "whole.safetensors")
    return (folder / "whole.safetensors").read_bytes()


# strategies

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates and NUL too
WORDS = st.text(min_size=1, max_size=30).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["emotion", "topic", "text", "source", "neutral"])
ODD_LINES = st.sampled_from(
    [
        "[" * 20_000,
        '{"a":' * 20_000,
        "9" * 10_000,
        "NaN",
        "-Infinity",
        "\ufeff{}",
        '{"emotion": NaN, "topic": "t", "text": "x"}',
        '{"emotion": "sad", "topic": "t", "text": ' + "9" * 10_000 + "}",
        '{"emotion": "sad", "topic": "t", "text": "a\u2028b\u2029c\x85d\x0be"}',
        '{"emotion": "sad", "topic": "t", "text": "\\ud83d"}',
        '{"emotion": "sad", "topic": "t", "text": "\\u0000"}',
        '{"emotion": "neutral", "topic": "t", "text": "It rained."}',
        '{"emotion": "sad", "topic": "t", "text": "x", "text": "y"}',
        "null",
        " \t\x0c ",
    ]
)
LINES = st.one_of(
    JSON.map(json.dumps),
    st.dictionaries(FIELDS, JSON, max_size=5).map(json.dumps),
    st.fixed_dictionaries({"emotion": WORDS, "topic": WORDS, "text": WORDS}).map(json.dumps),
    ODD_LINES,
)
STORY_SETS = st.builds(
    StorySet,
    st.lists(st.builds(Story, WORDS.filter(lambda e: e != "neutral"), WORDS, WORDS), min_size=1, max_size=5).map(tuple),
    st.lists(st.builds(Story, st.just("neutral"), WORDS, WORDS), min_size=1, max_size=3).map(tuple),
)
FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6)


def damaged(data, flips, cut, inserted=b"", at=0):
    """Bytes with some replaced, some put in, and cut."""
    changed = bytearray(data)
    for place, value in flips:
        if changed:
            changed[place % len(changed)] = value
    at %= len(changed) + 1
    changed[at:at] = inserted
    return bytes(changed[: len(changed) - cut] if cut else changed)


# story files


def loaded_or_refused(load, path, data):
    """What `load` makes of a file of these bytes, or None where it refused them by name; the file stays as it was."""
    path.write_bytes(data)
    try:
        loaded, refusal = load(path), ""
    except EmokitError as error:
        loaded, refusal = None, str(error)
    assert path.read_bytes() == data
    assert loaded is not None or path.name in refusal
    return loaded


def load_or_refuse(path, data):
    """Load a file of these bytes: a StorySet of texts, or None where emokit refused them."""
    loaded = loaded_or_refused(emokit.load_stories, path, data)
    if loaded is None:
        return None
    assert len(loaded) == len(list(loaded)) > 0
    assert all(isinstance(v, str) and v.strip() for s in loaded for v in (s.emotion, s.topic, s.text))
    assert len(loaded.fingerprint) == 12
    assert all(str(finding) for finding in StorySet(loaded.stories).lint())  # emokit's neutral stories would cost time
    return loaded


@fuzz(60)
@given(data=st.binary(max_size=200))
def test_a_story_file_of_any_bytes_is_read_or_refused_by_name(folder, data):
    load_or_refuse(folder / "bytes.jsonl", data)


@fuzz(150)
@given(lines=st.lists(LINES, max_size=4), end=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]), mark=st.booleans())
@example(lines=['{"emotion": "sad", "topic": "t", "text": "a\u2028b"}'], end="\r\n", mark=True)
def test_a_story_file_of_any_lines_is_read_or_refused_by_name(folder, lines, end, mark):
    text = ("\ufeff" if mark else "") + end.join(lines)
    load_or_refuse(folder / "lines.jsonl", text.encode("utf-8", "surrogatepass"))


@fuzz(100)
@given(stories=STORY_SETS, flips=FLIPS, cut=st.integers(0, 60), inserted=st.binary(max_size=4), at=st.integers(0, 500))
def test_a_damaged_story_file_is_read_or_refused_by_name(folder, stories, flips, cut, inserted, at):
    stories.save(folder / "saved.jsonl")
    data = (folder / "saved.jsonl").read_bytes()
    load_or_refuse(folder / "damaged.jsonl", damaged(data, flips, cut, inserted, at))


@fuzz(100)
@given(stories=STORY_SETS, end=st.sampled_from([b"\n", b"\r\n"]), mark=st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_stories_come_back_from_their_file_as_they_were_whatever_the_line_ends(folder, stories, end, mark):
    path = folder / "round.jsonl"
    stories.save(path)
    again = load_or_refuse(path, mark + path.read_bytes().replace(b"\n", end))
    assert again == stories
    assert again.fingerprint == stories.fingerprint


# vectors files


def vectors_or_refuse(path, data):
    loaded = loaded_or_refused(EmotionVectors.load, path, data)
    if loaded is None:
        return None
    blocks, emotions, width = loaded.directions.shape
    assert loaded.mean.shape == (blocks, width)
    assert loaded.norms.shape == (blocks,)
    assert len(loaded.emotions) == emotions
    assert loaded.best_block in loaded.blocks
    assert all(np.isfinite(a).all() for a in (loaded.directions, loaded.mean, loaded.norms))
    assert repr(loaded)
    assert all(loaded[e].rows.shape == (blocks, width) for e in loaded.emotions)
    return loaded


@fuzz(150)
@given(
    flips=FLIPS, cut=st.integers(0, 4000), inserted=st.binary(max_size=9), at=st.integers(0, 10**6), head=st.booleans()
)
def test_a_damaged_vectors_file_is_read_or_refused_by_name_and_never_changed(
    folder, saved, flips, cut, inserted, at, head
):
    length = 8 + int.from_bytes(saved[:8], "little")
    part = (lambda place: place % length) if head else (lambda place: place)  # half of them in the header
    data = damaged(saved, [(part(p), v) for p, v in flips], cut * (not head), inserted * (not head), part(at))
    vectors_or_refuse(folder / "damaged.safetensors", data)


KEYS = st.sampled_from(["schema", "emotions", "best_block", "provenance"])
ABOUT = st.one_of(
    JSON,
    st.sampled_from([[], ["a"] * 3, ["a", "b", "c"], ["a", "b", 3], {"model": []}, {"model": None}, {"model": [["a", 1]]},
                     {"model": {"name": 3, "fingerprint": []}}, True, 1.0, 10**400, "\ud800"]),
)  # fmt: skip


@fuzz(150)
@given(changes=st.dictionaries(KEYS, ABOUT, max_size=3), gone=st.sets(KEYS, max_size=1))
def test_a_vectors_file_with_another_description_is_read_or_refused_by_name(folder, saved, changes, gone):
    length = int.from_bytes(saved[:8], "little")
    header = json.loads(saved[8 : 8 + length])
    about = {k: v for k, v in (json.loads(header["__metadata__"]["emokit"]) | changes).items() if k not in gone}
    header["__metadata__"]["emokit"] = json.dumps(about)
    new = json.dumps(header).encode("utf-8", "surrogatepass")
    vectors_or_refuse(folder / "about.safetensors", len(new).to_bytes(8, "little") + new + saved[8 + length :])


TENSOR = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "F64", "I8", "U8", "BOOL", "F8_E4M3", "I64", "x"]),
        "shape": st.lists(st.integers(0, 40), max_size=4),
        "data_offsets": st.lists(st.integers(0, 2000), min_size=2, max_size=2),
    }
)


@fuzz(100)
@given(name=st.sampled_from(["directions", "mean", "norms", "more"]), tensor=TENSOR | JSON, same_size=st.booleans())
def test_a_vectors_file_with_another_table_of_arrays_is_read_or_refused_by_name(folder, saved, name, tensor, same_size):
    length = int.from_bytes(saved[:8], "little")
    header = json.loads(saved[8 : 8 + length])
    if same_size and isinstance(tensor, dict) and "dtype" in tensor and name in header:
        tensor = {**header[name], "dtype": tensor["dtype"]}
    header[name] = tensor
    new = json.dumps(header).encode("utf-8", "surrogatepass")
    vectors_or_refuse(folder / "table.safetensors", len(new).to_bytes(8, "little") + new + saved[8 + length :])


# texts

TEXTS = st.one_of(
    ANY_TEXT,
    st.text(st.sampled_from("a \n\0é😀👨‍👩‍👧ﷺ\u0301\u200d\ufeff\ufffd"), max_size=20),
    st.lists(st.sampled_from(["<s>", "</s>", "<|end|>", "<|user|>", "<|assistant|>", "hi", " ", "<"]), max_size=6).map("".join),
)  # fmt: skip
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "x", ""]), "content": TEXTS}),
    max_size=3,
)


@fuzz(150)
@given(content=TEXTS | MESSAGES)
def test_any_text_is_read_whole_with_finite_scores_or_refused(model, vectors, content):
    try:
        reading = emokit.read(model, vectors, content)
    except EmokitError:
        return
    assert "".join(reading.tokens) == reading.text
    assert reading.text == (content if isinstance(content, str) else reading.text)
    assert reading.scores.shape == (len(reading.tokens), len(vectors.emotions))
    assert np.isfinite(reading.scores).all()
    assert 0 <= reading.readout < len(reading.tokens)


@fuzz(80)
@given(content=TEXTS | MESSAGES, temperature=st.sampled_from([0.0, 1.0, 1e-320, 1e30]))
@example(content="hi", temperature=1e-320)
def test_any_prompt_is_answered_or_refused(model, content, temperature):
    try:
        prompt = model.prompt(content)
        pieces = list(model.stream(content, max_new_tokens=2, temperature=temperature, seed=0))
    except EmokitError:
        return
    assert isinstance(prompt, str)
    assert len(pieces) <= 2
    assert "".join(pieces) == model.generate(content, 2, temperature, seed=0)


@fuzz(80)
@given(prompt=TEXTS | MESSAGES, continuations=st.lists(TEXTS, max_size=3))
def test_any_continuations_have_finite_log_probabilities_or_are_refused(model, prompt, continuations):
    try:
        values = model.logprobs(prompt, continuations)
    except EmokitError:
        return
    assert len(values) == len(continuations)
    assert all(math.isfinite(v) and v <= 1e-4 for v in values)


VALUES = st.integers() | st.floats() | TEXTS
BRACES = st.lists(st.sampled_from(["{X}", "{", "}", "{{X}}", "{x}", "%s", "{0}", "\\1", "mg ", "?"]), max_size=6).map(
    "".join
)


@fuzz(80)
@given(
    template=BRACES,
    values=st.lists(VALUES, max_size=3),
    twin=st.none() | BRACES,
    ladder=st.none() | st.lists(TEXTS, max_size=3),
)
def test_a_panel_puts_each_value_in_the_place_of_x_and_leaves_other_braces(template, values, twin, ladder):
    try:
        panel = dose.Panel(template, values, twin=twin, ladder=ladder)
    except EmokitError:
        return
    assert panel.sentences() == [str(v).join(template.split("{X}")) for v in values]
    assert panel.twins() == ([] if twin is None else [str(v).join(twin.split("{X}")) for v in values])
    assert len(panel.rungs()) == len(ladder or ())


@fuzz(10)
@given(
    template=BRACES,
    values=st.lists(VALUES, min_size=2, max_size=3),
    ladder=st.none() | st.lists(TEXTS, min_size=2, max_size=3),
)
def test_a_dose_of_any_panel_has_finite_scores_or_is_refused(model, vectors, template, values, ladder):
    try:
        result = dose.run(model, vectors, dose.Panel(template, values, {"sad": "up"}, ladder=ladder))
    except EmokitError:
        return
    assert all(np.isfinite(curve).all() for curve in result.curves.values())
    assert result.verdict in ("replicates", "does not replicate", "inconclusive")
