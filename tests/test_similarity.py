from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from test_geometry import WORDS, made, with_valence

import emokit
from emokit import geometry, similarity


def blocks(*each):
    """Vectors whose blocks are those of several one-block vectors."""
    first = each[0]
    directions = np.concatenate([v.directions for v in each])
    return replace(
        first, directions=directions, mean=directions.mean(1), norms=np.ones(len(each), np.float32), best_block=0
    )


def turned(vectors, noise=0.0, seed=3):
    """The same directions in a space turned about, which changes no cosine; with so much noise."""
    rng = np.random.default_rng(seed)
    rows = vectors.at() @ np.linalg.qr(rng.standard_normal((vectors.width, vectors.width)))[0]
    return made(rows + noise * rng.standard_normal(rows.shape) / np.sqrt(vectors.width))


def test_rho_is_spearmans_over_the_pairs():
    one, other = with_valence(2.0), with_valence(2.0, seed=1)
    got = geometry.similarity(one, other)
    pairs = np.triu_indices(len(WORDS), 1)
    cosines = [(v.at() @ v.at().T)[pairs] for v in (one, other)]
    assert got.rho == pytest.approx(spearmanr(*cosines).statistic)
    assert got.interval[0] <= got.rho <= got.interval[1]
    off = np.abs(got.to_frame().one - got.to_frame().other)
    assert list(off) == sorted(off, reverse=True)
    assert len(off) == 66


def test_an_emotion_drawn_twice_counts_twice_and_never_with_itself():
    x, y = (similarity._ranked((v.at() @ v.at().T)[None])[0] for v in (with_valence(2.0), with_valence(2.0, seed=1)))
    drawn = np.array([[1.0] * 12, [2, 0, 1, 3, 1, 1, 0, 1, 0, 1, 1, 1]])
    got = similarity._resampled(x, y, drawn)
    assert got[0] == pytest.approx((x * y).sum(), abs=1e-6)
    again = np.repeat(np.arange(12), drawn[1].astype(int))
    apart = again[:, None] != again
    assert got[1] == pytest.approx(np.corrcoef(x[again][:, again][apart], y[again][:, again][apart])[0, 1])


def test_a_turned_space_is_the_same_and_widths_may_differ():
    one = with_valence(2.0)
    same = geometry.similarity(one, turned(one))
    assert same.rho == pytest.approx(1, abs=1e-3)
    assert same.p < 0.01
    assert geometry.similarity(one, with_valence(2.0, width=20)).emotions == WORDS


def test_planted_likeness_is_found_and_in_noise_p_is_uniform():
    one = with_valence(2.0)
    assert geometry.similarity(one, turned(one, noise=0.5)).p < 0.01
    p = [geometry.similarity(with_valence(0, s), with_valence(0, 100 + s)).p for s in range(30)]
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) <= 0.05) <= 0.2


def test_p_is_mantels_which_renames_the_emotions_of_a_whole_table():
    """The oracle: rows and columns are permuted together, and Spearman's rho is taken anew."""
    one, other = with_valence(0, 1), with_valence(0, 2)
    got = geometry.similarity(one, other, seed=5)
    pairs = np.triu_indices(len(WORDS), 1)
    a, b = (v.at() @ v.at().T for v in (one, other))
    rng = np.random.default_rng(5)
    orders = [rng.permutation(len(WORDS)) for _ in range(similarity.PERMUTATIONS)]
    null = np.array([spearmanr(a[pairs], b[order][:, order][pairs]).statistic for order in orders])
    assert 0.02 < got.p < 0.98
    assert got.p == pytest.approx((1 + (null >= got.rho - 1e-9).sum()) / (1 + len(null)), abs=2e-3)


def test_only_shared_emotions_count_in_whatever_order():
    one, other = with_valence(2.0), with_valence(2.0, seed=1)
    order = np.random.default_rng(0).permutation(len(WORDS))[:9]
    part = replace(other, emotions=tuple(WORDS[i] for i in order), directions=other.directions[:, order])
    got = geometry.similarity(one, part)
    keep = sorted(order)
    assert got.emotions == tuple(WORDS[i] for i in keep)
    assert got.rho == pytest.approx(geometry.similarity(part, one).rho)
    with pytest.raises(emokit.EmokitError, match="at least 5"):
        geometry.similarity(one, replace(part, emotions=tuple("abcdefghi")))


def test_the_map_is_similarity_at_every_pair_of_blocks():
    one = blocks(with_valence(2.0), with_valence(2.0, seed=1), with_valence(0, seed=2))
    other = blocks(with_valence(1.0, seed=5), turned(with_valence(2.0)))
    got = geometry.similarity_map(one, other)
    assert got.values.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            assert got.values[i, j] == pytest.approx(geometry.similarity(one, other, i, j).rho)
    assert got.values[0, 1] == pytest.approx(1, abs=1e-3)
    assert "most alike: blocks 0 and 1" in repr(got)
    own = geometry.similarity_map(one)
    np.testing.assert_allclose(own.values, own.values.T, atol=1e-9)
    np.testing.assert_allclose(np.diag(own.values), 1)
    assert "most alike" not in repr(own)


def test_chance_reaches_the_level_of_the_map_in_about_one_of_twenty():
    beyond = [
        (found := geometry.similarity_map(with_valence(0, s), with_valence(0, 50 + s))).values.max() > found.level
        for s in range(40)
    ]
    assert np.mean(beyond) <= 0.2


def test_the_same_block_of_the_same_vectors_is_no_comparison(vectors):
    with pytest.raises(emokit.EmokitError, match="the same directions on both sides"):
        geometry.similarity(with_valence(1.0))
    with pytest.raises(emokit.EmokitError, match="too few emotions"):
        geometry.similarity(vectors, other_block=0)  # three emotions


def test_titles_say_what_came_out():
    one = with_valence(2.0)
    assert "lie alike" in geometry.similarity(one, turned(one)).plot().get_suptitle()
    pairs = [geometry.similarity(with_valence(0, s), with_valence(0, 100 + s)) for s in range(3)]
    least = max(pairs, key=lambda found: found.p)
    assert "No likeness beyond chance" in least.plot().get_suptitle()
    assert geometry.similarity_map(one, turned(one))._repr_png_().startswith(b"\x89PNG")
