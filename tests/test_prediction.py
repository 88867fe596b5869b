import numpy as np
import pytest
from sklearn.linear_model import Ridge
from test_geometry import WORDS, made, with_valence

import emokit
from emokit import geometry, norms, prediction


def test_the_matrix_is_ridge_regression_with_each_word_left_out():
    rng = np.random.default_rng(0)
    rows, y = rng.standard_normal((11, 30)).astype(np.float32), rng.standard_normal(11)
    for penalty in (0.1, 1.0):
        rest = [np.arange(11) != i for i in range(11)]
        expected = [Ridge(alpha=penalty).fit(rows[r], y[r]).predict(rows[~r])[0] for r in rest]
        np.testing.assert_allclose(prediction.leave_one_out(rows, penalty) @ y, expected, atol=1e-4)


def test_planted_valence_is_predicted_and_noise_is_not():
    found = geometry.left_out(with_valence(6.0))
    assert found.r > 0.8
    assert found.p < 0.01
    assert found.interval[0] > 0.3
    assert "can be predicted" in found.plot().get_suptitle()
    p = np.array([geometry.left_out(with_valence(0, seed)).p for seed in range(40)])
    assert (p <= 0.05).mean() <= 0.15
    assert 0.35 < p.mean() < 0.65
    worst = geometry.left_out(with_valence(0, int(p.argmax())))
    assert "cannot be predicted" in worst.plot().get_suptitle()


def test_only_rated_words_take_part(vectors):
    found = geometry.left_out(with_valence(3.0))
    rated = [w for w in WORDS if np.isfinite(norms.valence([w])[0])]
    assert list(found.emotions) == rated
    assert "afraid" not in found.emotions
    assert set(found.to_frame().index) == set(rated)
    off = np.abs(found.to_frame().rated - found.to_frame().predicted)
    assert list(off) == sorted(off, reverse=True)
    assert len(geometry.left_out(with_valence(3.0), rating="arousal").emotions) == len(WORDS)


def test_by_block_is_left_out_at_each_block():
    from test_similarity import blocks

    both = blocks(with_valence(6.0), with_valence(0.0))
    found = geometry.left_out(both)
    for block in (0, 1):
        there = geometry.left_out(both, block)
        assert there.r == pytest.approx(found.by_block[block])
        assert there.p == pytest.approx(found.p_by_block[block])
    assert found.block == 0


def test_the_order_of_words_does_not_matter():
    whole = with_valence(3.0)
    order = np.random.default_rng(0).permutation(len(WORDS))
    other = made(whole.at()[order], [WORDS[i] for i in order])
    assert geometry.left_out(other).r == pytest.approx(geometry.left_out(whole).r, abs=1e-5)


def test_what_cannot_be_predicted_is_refused(vectors):
    with pytest.raises(emokit.EmokitError, match="too few rated"):
        geometry.left_out(vectors)
    with pytest.raises(emokit.EmokitError, match="unknown rating"):
        geometry.left_out(with_valence(1.0), rating="dominance")
    with pytest.raises(emokit.EmokitError, match="unknown block"):
        geometry.left_out(with_valence(1.0), 7)
