import json
import random

import numpy as np
import pytest
from conftest import tiny_model
from safetensors.numpy import load_file, save_file

import emokit
from emokit import EmokitError, EmotionVectors, activations
from emokit.stories import Story, StorySet
from emokit.vectors import TENSORS


def test_rows_are_unit_and_start_from_the_mean_over_emotions(model, stories, vectors):
    for block in vectors.blocks:
        np.testing.assert_allclose(np.linalg.norm(vectors.at(block), axis=1), 1, atol=1e-5)
    means = activations.story_means(model, [s.text for s in stories])
    by_emotion = np.stack([means[[s.emotion == e for s in stories]].mean(0) for e in vectors.emotions])
    np.testing.assert_allclose(vectors.mean, by_emotion.mean(0), atol=1e-5)
    assert vectors.at(2).dtype == np.float32
    assert vectors.at().shape == (3, 32)
    np.testing.assert_array_equal(vectors.at(), vectors.at(vectors.best_block))


def test_directions_hold_nothing_of_the_neutral_components(model, stories):
    vectors = emokit.extract(model, stories)
    count = vectors.provenance["selection"]["components"]
    neutral = activations.story_means(model, [s.text for s in stories.neutral])
    for block in vectors.blocks:
        parts = emokit.selection.components(neutral[:, block], count)
        np.testing.assert_allclose(vectors.at(block) @ parts.T, 0, atol=1e-4)


def test_norms_are_the_median_over_all_tokens_but_the_first(model, stories, vectors):
    norms = [
        np.linalg.norm(activations.token_states(model, model.encode(s.text), range(4)), axis=2)[1:] for s in stories
    ]
    np.testing.assert_allclose(vectors.norms, np.median(np.concatenate(norms), axis=0), rtol=1e-4)


def test_the_order_of_stories_does_not_matter(model, stories, vectors):
    shuffled = list(stories)
    random.Random(0).shuffle(shuffled)
    again = emokit.extract(model, StorySet(tuple(shuffled), stories.neutral))
    for emotion in vectors.emotions:
        np.testing.assert_allclose(again[emotion].rows, vectors[emotion].rows, atol=1e-4)
    assert again.provenance["stories"]["fingerprint"] == vectors.provenance["stories"]["fingerprint"]


def test_a_changed_label_runs_no_forward_pass(model, stories, vectors):
    calls = []
    model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    relabelled = tuple(Story("glad" if s.emotion == "happy" else s.emotion, s.topic, s.text) for s in stories)
    assert "glad" in emokit.extract(model, StorySet(relabelled, stories.neutral)).emotions
    assert calls == []


def test_cached_equals_uncached(model, stories, vectors):
    fresh = emokit.extract(model, stories, cache=False)
    for name in TENSORS:
        np.testing.assert_allclose(getattr(fresh, name), getattr(vectors, name), atol=1e-4)


def test_without_neutral_stories_nothing_is_removed(model, stories):
    vectors = emokit.extract(model, StorySet(stories.stories))
    assert vectors.provenance["selection"]["components"] == 0


def test_directions_are_linear(vectors):
    happy, sad = vectors["happy"], vectors["sad"]
    assert not (happy + (-happy)).rows.any()
    np.testing.assert_allclose((happy - sad).rows, happy.rows - sad.rows)
    np.testing.assert_allclose((2 * happy).rows, (happy + happy).rows)
    np.testing.assert_array_equal((happy * 0.5).rows, (0.5 * happy).rows)
    assert repr(0.5 * (happy - sad)) == "Direction(0.5*(happy - sad))"
    assert len({happy: 1, sad: 2}) == 2


def test_a_random_direction_is_unit_in_the_span_and_a_function_of_the_seed(vectors):
    control = vectors.random(3)
    np.testing.assert_allclose(np.linalg.norm(control.rows, axis=1), 1, atol=1e-5)
    for block in vectors.blocks:
        basis = vectors.at(block)
        weights, *_ = np.linalg.lstsq(basis.T, control.rows[block], rcond=None)
        np.testing.assert_allclose(weights @ basis, control.rows[block], atol=1e-4)
    np.testing.assert_array_equal(control.rows, vectors.random(3).rows)
    assert not np.allclose(control.rows, vectors.random(4).rows)


def test_too_little_to_make_directions_of_is_refused(model, stories):
    def having(keep):
        return StorySet(tuple(s for s in stories if keep(s)), stories.neutral)

    with pytest.raises(EmokitError, match="too few emotions"):
        emokit.extract(model, having(lambda s: s.emotion == "sad"))
    with pytest.raises(EmokitError, match="one story: 'sad'"):
        emokit.extract(model, having(lambda s: s.emotion != "sad" or s.topic == "office"))
    with pytest.raises(EmokitError, match="one topic"):
        emokit.extract(model, StorySet(tuple(Story(s.emotion, "all", s.text) for s in stories)))


def test_unknown_emotions_and_blocks_name_what_there_is(vectors):
    with pytest.raises(EmokitError, match="happy, sad, angry"):
        vectors["joyful"]
    for block in (4, -1, 1.5, True):
        with pytest.raises(EmokitError, match="0 to 3"):
            vectors.at(block)


# files


def test_a_saved_file_is_read_back_bit_for_bit(model, vectors, tmp_path):
    vectors.save(tmp_path / "v.safetensors")
    again = EmotionVectors.load(tmp_path / "v.safetensors", model)
    for name in TENSORS:
        np.testing.assert_array_equal(getattr(again, name), getattr(vectors, name))
    assert (again.emotions, again.best_block, again.provenance) == (
        vectors.emotions, vectors.best_block, vectors.provenance,
    )  # fmt: skip
    assert [f.name for f in tmp_path.iterdir() if f.is_file()] == ["v.safetensors"]


def test_a_wrong_model_is_refused(vectors, tmp_path):
    vectors.save(tmp_path / "v.safetensors")
    for other, message in ((tiny_model(seed=1), "other weights"), (tiny_model(num_hidden_layers=3), "blocks x 32")):
        with pytest.raises(EmokitError, match=message):
            EmotionVectors.load(tmp_path / "v.safetensors", other)
        with pytest.raises(EmokitError, match=message):
            emokit.read(other, vectors, "Hello there")


def _about(**changes):
    return {"schema": 1, "emotions": ["a", "b"], "best_block": 0, "provenance": {}} | changes


GOOD = {
    "directions": np.ones((2, 2, 4), np.float32),
    "mean": np.ones((2, 4), np.float32),
    "norms": np.ones(2, np.float32),
}
NAN = np.full((2, 4), np.nan, np.float32)


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        (GOOD, {}, "not of emokit's"),
        (GOOD, {"emokit": "{"}, "description is damaged"),
        (GOOD, {"emokit": "[" * 5000}, "description is damaged"),
        (GOOD, {"emokit": json.dumps({"schema": 1})}, "description is damaged"),
        (GOOD, {"emokit": json.dumps(_about(schema=99))}, "unknown schema 99"),
        (GOOD, {"emokit": json.dumps(_about(best_block=2))}, "don't fit"),
        (GOOD, {"emokit": json.dumps(_about(best_block=True))}, "don't fit"),
        (GOOD, {"emokit": json.dumps(_about(emotions=["a"]))}, "don't fit"),
        (GOOD, {"emokit": json.dumps(_about(emotions=["a", "a"]))}, "don't fit"),
        (GOOD, {"emokit": json.dumps(_about(emotions=[1, []]))}, "don't fit"),
        ({k: GOOD[k] for k in ("directions", "mean")}, {"emokit": json.dumps(_about())}, "don't fit"),
        (GOOD | {"norms": np.ones(3, np.float32)}, {"emokit": json.dumps(_about())}, "don't fit"),
        (GOOD | {"norms": np.ones(2, np.float64)}, {"emokit": json.dumps(_about())}, "don't fit"),
        (GOOD | {"mean": NAN}, {"emokit": json.dumps(_about())}, "NaN"),
    ],
)
def test_foreign_and_damaged_files_are_refused_each_with_its_message(tmp_path, tensors, metadata, message):
    save_file(dict(tensors), tmp_path / "v.safetensors", metadata=metadata)
    with pytest.raises(EmokitError, match=message):
        EmotionVectors.load(tmp_path / "v.safetensors")


def test_the_undamaged_file_of_that_kind_is_read(tmp_path):
    save_file(dict(GOOD), tmp_path / "v.safetensors", metadata={"emokit": json.dumps(_about())})
    assert EmotionVectors.load(tmp_path / "v.safetensors").emotions == ("a", "b")


def test_truncated_missing_and_empty_files_are_refused(vectors, tmp_path):
    path = tmp_path / "v.safetensors"
    vectors.save(path)
    whole = path.read_bytes()
    for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(EmokitError, match="truncated"):
            EmotionVectors.load(path)
    with pytest.raises(EmokitError, match="no such"):
        EmotionVectors.load(tmp_path / "none.safetensors")


def test_a_failed_save_keeps_the_old_file(vectors, tmp_path, monkeypatch):
    import safetensors.numpy

    path = tmp_path / "v.safetensors"
    vectors.save(path)
    before = path.read_bytes()

    def full(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(EmokitError, match="No space left"):
        vectors.save(path)
    assert path.read_bytes() == before
    assert [f for f in tmp_path.iterdir() if f.is_file()] == [path]


def test_one_json_value_holds_the_provenance(vectors, tmp_path):
    from safetensors import safe_open

    vectors.save(tmp_path / "v.safetensors")
    with safe_open(tmp_path / "v.safetensors", "np") as file:
        assert list(file.metadata()) == ["emokit"]
        about = json.loads(file.metadata()["emokit"])
    assert about["provenance"]["model"]["fingerprint"] == vectors.provenance["model"]["fingerprint"]
    assert set(load_file(tmp_path / "v.safetensors")) == set(TENSORS)
