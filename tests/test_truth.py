"""What must hold on the real SmolLM2-135M with the shipped corpus. Bounds leave room for other machines' rounding."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import hooks

import emokit
from emokit import activations, dose, geometry

pytestmark = pytest.mark.truth


def test_the_converted_model_is_smollm2(smol):
    assert (smol.name, smol.n_blocks, smol.width) == ("SmolLM2-135M-Instruct", 30, 576)
    assert smol.prompt("Hi").endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert smol.tokenizer.convert_tokens_to_ids("<|im_end|>") in smol.stop_tokens
    assert "Paris" in smol.generate("What is the capital of France?", max_new_tokens=20)


def test_directions_tell_unseen_topics_far_better_than_words_and_shuffled_labels(smol, smol_vectors):
    result = emokit.validate(smol, emokit.load_stories())
    at_best = result.accuracy[result.best_block]
    assert at_best > 0.7
    assert result.interval[0] > result.embeddings + 0.1
    assert result.null.max() < 0.15
    assert result.p < 0.02
    assert result.passes
    assert result.verdict == "passes"
    assert result.messages.first[result.best_block] >= 0.5
    assert result.messages.interval[0] > max(result.messages.null, result.messages.embeddings)
    assert result.stability.low.min() > result.stability.noise - 0.1
    assert result.stability.cosine.min() > result.stability.noise + 0.05
    assert result.anisotropy[result.best_block] > 0.9
    assert (np.diff(result.needed.accuracy.mean(1)) > 0).all()
    assert 10 <= smol_vectors.best_block <= 24


def test_messages_are_read(smol, smol_vectors):
    messages = emokit.load_messages()
    scores = np.stack([emokit.read(smol, smol_vectors, m.text).scores.mean(0) for m in messages])
    scores -= scores.mean(0)
    own = np.array([smol_vectors.index(m.emotion) for m in messages])
    rank = (scores > scores[np.arange(len(own)), own][:, None]).sum(1)
    assert (rank == 0).mean() >= 0.5
    assert (rank < 3).mean() >= 0.75


def test_human_valence_is_predicted_from_directions(smol_vectors):
    """Ridge on the directions, one emotion left out at a time, against VADER's ratings (MIT)."""
    found = geometry.left_out(smol_vectors)
    assert found.r > 0.7
    assert found.p < 0.01


def test_the_largest_axis_is_the_emotions_and_hardly_a_confounds(smol, smol_vectors):
    found = geometry.confounds(smol, emokit.load_stories(), smol_vectors)
    share = dict(zip(found.factors, found.share[0], strict=True))
    assert share.pop("emotion") > 0.5
    assert set(share) == {"topic", "length", "person", "speech", "mode"}
    assert max(share.values()) < 0.15


def test_neighbouring_blocks_lay_emotions_out_alike(smol_vectors):
    found = geometry.similarity_map(smol_vectors)
    best = smol_vectors.best_block
    assert found.values[best, best - 1] > 0.9
    assert found.values[best, best - 1] > found.values[best, 0] > found.level


def test_each_direction_raises_its_own_word_over_the_others(smol, smol_vectors):
    emotions = ["angry", "sad", "afraid", "happy"]
    words = [f" {e}" for e in emotions]
    base = np.array(smol.logprobs("He feels", words))
    gains = []
    for emotion in emotions:
        with emokit.steer(smol, smol_vectors, {emotion: 0.25}):
            gains.append(np.array(smol.logprobs("He feels", words)) - base)
    gains = np.array(gains)
    over = [gains[i, i] - np.delete(gains[:, i], i).mean() for i in range(4)]
    assert min(over) >= 1
    assert np.mean(over) >= 2.5


def test_ladders_in_words_move_the_scores_and_a_run_is_a_verdict(smol, smol_vectors):
    result = dose.run(smol, smol_vectors)
    assert result.block == 19
    assert result.verdict in ("replicates", "does not replicate", "inconclusive")
    ladder = result.curve(dose.PANELS[0], "ladder", "afraid")
    assert ladder[-1] > ladder[0]


def test_strength_zero_is_bit_identical_and_no_hook_stays(smol, smol_vectors):
    ids = torch.tensor([smol.encode("The door opened.")])
    with torch.no_grad():
        plain = smol.hf(ids).logits
        with emokit.steer(smol, smol_vectors, {"afraid": 0.0}):
            assert torch.equal(smol.hf(ids).logits, plain)
        with pytest.raises(KeyboardInterrupt), emokit.steer(smol, smol_vectors, {"afraid": 0.3}):
            raise KeyboardInterrupt
        assert torch.equal(smol.hf(ids).logits, plain)
    assert hooks(smol) == 0


@pytest.mark.parametrize("text", ["two  spaces", "e😀mo👩‍👩‍👧ji", "漢字とかな交じり文", "naïve café\n\nline"])
def test_pieces_join_to_the_text(smol, smol_vectors, text):
    reading = emokit.read(smol, smol_vectors, text)
    assert "".join(reading.tokens) == text
    assert reading.scores.shape == (len(reading.tokens), 24)


def test_token_zero_is_a_giant_that_means_leave_out(smol, smol_vectors):
    norms = np.linalg.norm(activations.token_states(smol, smol.encode("Once there was a king."), [15])[:, 0], axis=1)
    assert norms[0] > 20 * norms[1:].max()
    assert smol_vectors.norms[15] < 400


def test_a_cached_extraction_is_many_times_faster(smol, smol_vectors):
    texts = [s.text for s in emokit.load_stories()][:32]

    def seconds(cache):
        begun = time.perf_counter()
        activations.story_means(smol, texts, cache=cache)
        return time.perf_counter() - begun

    assert seconds(cache=False) > 10 * seconds(cache=True)


def test_everything_works_with_sockets_blocked(smol, smol_vectors, monkeypatch):
    import socket

    def blocked(*_args, **_kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "socket", blocked)
    monkeypatch.setattr(socket, "create_connection", blocked)
    model = emokit.load_model()
    vectors = emokit.extract(model, emokit.load_stories())
    assert emokit.read(model, vectors, "The phone rang at 3 a.m.")._repr_png_()
    with emokit.steer(model, vectors, {"calm": 0.2}):
        assert model.generate("Hello", max_new_tokens=3)


def test_the_readme_says_what_comes_out(smol_vectors, capsys):
    """The first code block is run and printed lines compared, but for the generated text, which other CPUs may round apart."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", readme, re.S).groups()
    exec(code, {})
    printed = capsys.readouterr().out.splitlines()
    shown = shown.splitlines()
    assert [printed[0], printed[1], printed[-1]] == [shown[0], shown[1], shown[-1]]
    assert len(code.strip().splitlines()) - code.count("\n\n") - 1 == 8
