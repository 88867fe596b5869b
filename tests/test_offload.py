"""Models whose weights accelerate keeps in memory or on a disk read, steer and reply as those on one device."""

import accelerate
import numpy as np
import pytest
import torch
from conftest import hooks, tiny_model

import emokit
from emokit import EmokitError, activations

TEXTS = ["The kettle boiled over and she laughed until she cried.", "He lost the song in the rain."]
PARTS = ("model.embed_tokens", "model.rotary_emb", *(f"model.layers.{i}" for i in range(3)), "model.norm", "lm_head")
DISK = {
    "all": {"": "disk"},
    "blocks 1 and 2": {p: "disk" if p[-1] in "12" else "cpu" for p in PARTS},
    "embeddings and head": {p: "disk" if p in ("model.embed_tokens", "lm_head") else "cpu" for p in PARTS},
}


@pytest.fixture
def tied():
    return False


@pytest.fixture
def plain(tied, tmp_path):
    model = tiny_model(tie_word_embeddings=tied, num_hidden_layers=3)
    model.hf.save_pretrained(tmp_path / "tiny")
    model.tokenizer.save_pretrained(tmp_path / "tiny")
    return model


def away(model):
    """How many parameters are not here."""
    return sum(p.device.type == "meta" for p in model.hf.parameters())


def some_vectors(model):
    """Random directions, in the model's own units."""
    rng, shape = np.random.default_rng(0), (model.n_blocks, 2, model.width)
    rows = rng.standard_normal(shape).astype(np.float32)
    norms = np.linalg.norm(activations.story_means(model, TEXTS), axis=-1).mean(0)
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return emokit.EmotionVectors(("happy", "sad"), rows, np.zeros((model.n_blocks, model.width), np.float32), norms, 1)


def same(plain, other):
    """All that emokit does with `other` gives what it gives with `plain`, and leaves the weights where they were."""
    before, carried = away(other), hooks(other)
    assert other.device == plain.device
    assert other.fingerprint == plain.fingerprint
    np.testing.assert_allclose(
        activations.story_means(other, TEXTS, cache=False),
        activations.story_means(plain, TEXTS, cache=False),
        atol=1e-5,
    )
    vectors = some_vectors(plain)
    scores = [emokit.read(m, vectors, TEXTS[0]).scores for m in (plain, other)]
    np.testing.assert_allclose(*scores, atol=1e-5)
    with emokit.steer(plain, vectors, {"happy": 0.8, "sad": -0.3}, positions="reply", blocks=[0, 2]):
        wanted = plain.generate("Hello", max_new_tokens=5)
    with emokit.steer(other, vectors, {"happy": 0.8, "sad": -0.3}, positions="reply", blocks=[0, 2]) as active:
        assert other.generate("Hello", max_new_tokens=5) == wanted
    assert active.fired
    assert wanted != other.generate("Hello", max_new_tokens=5) == plain.generate("Hello", max_new_tokens=5)
    sweeps = [emokit.sweep(m, vectors, "Hello", "happy", [-0.5, 0.5], max_new_tokens=3).replies for m in (plain, other)]
    assert sweeps[0] == sweeps[1]
    chances = [m.logprobs("Hello", [" world", "!"]) for m in (plain, other)]
    np.testing.assert_allclose(*chances, atol=1e-4)
    replied = [activations.reply_states(m, "Hello", ["a b", "c"], 2)[0] for m in (plain, other)]
    np.testing.assert_allclose(replied[0][0], replied[1][0], atol=1e-5)
    slopes = [emokit.logit_lens(m, vectors, "sad").slopes for m in (plain, other)]
    np.testing.assert_allclose(*slopes, atol=1e-3)
    bags = [activations.embeddings(m, TEXTS) for m in (plain, other)]
    np.testing.assert_allclose(*bags, atol=1e-6)
    assert other.fingerprint == plain.fingerprint  # a pass unties what accelerate keeps elsewhere
    assert (away(other), hooks(other)) == (before, carried)


@pytest.mark.parametrize(("where", "tied"), [("all", True), ("blocks 1 and 2", True), ("embeddings and head", False)])
def test_weights_on_the_disk(plain, tmp_path, where):
    other = emokit.load_model(tmp_path / "tiny", device_map=DISK[where], offload_folder=tmp_path / "offloaded")
    assert away(other) > 0
    same(plain, other)


@pytest.mark.parametrize("tied", [False, True])
def test_weights_in_memory_that_are_fetched_when_needed(plain, tmp_path):
    loaded = emokit.load_model(tmp_path / "tiny")
    accelerate.cpu_offload(loaded.hf, execution_device=torch.device("cpu"))
    other = emokit.Model(loaded.hf, loaded.tokenizer, "tiny")
    assert away(other) == len(list(other.hf.parameters()))
    same(plain, other)


def test_weights_on_the_disk_that_were_here_first(plain, tmp_path):
    loaded = emokit.load_model(tmp_path / "tiny")
    accelerate.disk_offload(loaded.hf, tmp_path / "offloaded", execution_device=torch.device("cpu"))
    same(plain, emokit.Model(loaded.hf, loaded.tokenizer, "tiny"))


def test_auto_on_a_machine_with_room_is_as_without(plain, tmp_path):
    other = emokit.load_model(tmp_path / "tiny", device_map="auto")
    assert away(other) == 0
    same(plain, other)


def test_other_weights_elsewhere_have_another_fingerprint(plain, tmp_path):
    changed = tiny_model(num_hidden_layers=3)
    with torch.no_grad():
        changed.hf.model.layers[2].mlp.up_proj.weight[0, 0] += 1
    changed.hf.save_pretrained(tmp_path / "changed")
    changed.tokenizer.save_pretrained(tmp_path / "changed")
    other = emokit.load_model(tmp_path / "changed", device_map={"": "disk"})
    assert other.fingerprint == changed.fingerprint != plain.fingerprint


@pytest.mark.parametrize("wrong", ["banana", {"model.layers.0": "disk"}, {"": "cuda:99"}])
def test_a_map_that_cannot_be_is_one_clear_error(plain, tmp_path, wrong):
    with pytest.raises(EmokitError, match="cannot load a model"):
        emokit.load_model(tmp_path / "tiny", device_map=wrong)


def test_a_device_and_a_map_together_are_refused(tmp_path):
    with pytest.raises(EmokitError, match="both a device and a device_map"):
        emokit.load_model(tmp_path / "tiny", device="cpu", device_map="auto")
