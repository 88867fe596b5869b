from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

import emokit
from emokit.vectors import Direction


def test_the_lens_is_the_slope_of_the_logits_at_the_mean(model, vectors):
    """Against autograd: J d * norm, J the Jacobian of head(norm(.)) at the mean."""
    found = emokit.logit_lens(model, vectors, "sad", block=1)
    state = torch.tensor(vectors.mean[1])
    push = torch.tensor(vectors["sad"].rows[1] * vectors.norms[1])
    _, slope = torch.autograd.functional.jvp(lambda h: model.hf.lm_head(model.norm(h)), state, push)
    slope = slope.detach()
    np.testing.assert_allclose(found.slopes, slope, rtol=2e-2, atol=2e-2 * float(slope.abs().max()))


def test_the_lens_is_linear_in_the_direction(model, vectors):
    def lens(direction):
        return emokit.logit_lens(model, vectors, direction).slopes

    happy, sad = vectors["happy"], vectors["sad"]
    scale = np.abs(lens(sad)).max()
    np.testing.assert_allclose(lens(-sad), -lens(sad), atol=0.02 * scale)
    np.testing.assert_allclose(lens(happy + sad), lens(happy) + lens(sad), atol=0.05 * scale)


def test_a_direction_that_is_a_tokens_own_row_raises_that_token(model, vectors):
    token = 40
    row = model.hf.lm_head.weight[token].detach().numpy()
    rows = np.tile(row / np.linalg.norm(row), (model.n_blocks, 1)).astype(np.float32)
    found = emokit.logit_lens(model, vectors, Direction("row", rows, vectors.fingerprint))
    piece = model.tokenizer.decode([token])
    assert found.rank(piece) == 0
    assert found.top(1) == [piece]
    assert list(found.to_frame(3)["up"]) == found.top(3)
    assert list(found.to_frame(3)["down"]) == found.bottom(3)
    assert repr(found).startswith(f"Lens(row at block {vectors.best_block}; up: [{piece!r}")


def test_foreign_directions_and_words_of_several_tokens_are_refused(model, vectors):
    with pytest.raises(emokit.EmokitError, match="not an emotion or a Direction"):
        emokit.logit_lens(model, vectors, Direction("other", vectors["sad"].rows, "0" * 12))
    with pytest.raises(emokit.EmokitError, match="not a token"):
        emokit.logit_lens(model, vectors, "sad").rank("several words")


def test_in_sixteen_bits_the_slopes_are_those_of_the_same_weights_in_thirty_two(model, vectors):
    coarse = model.hf.bfloat16()
    fine = emokit.Model(deepcopy(coarse).float(), model.tokenizer, "fine")
    low = emokit.Model(coarse, model.tokenizer, "coarse")
    found = [
        emokit.logit_lens(m, replace(vectors, provenance={"model": m.facts()}), "sad", block=1).slopes
        for m in (low, fine)
    ]
    assert np.corrcoef(*found)[0, 1] > 0.999
