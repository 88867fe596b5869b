from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA

import emokit
from emokit import EmokitError, geometry
from emokit.vectors import EmotionVectors

WORDS = (
    "happy",
    "proud",
    "loving",
    "calm",
    "hopeful",
    "sad",
    "angry",
    "afraid",
    "guilty",
    "lonely",
    "jealous",
    "bored",
)


def made(rows, words=WORDS):
    """Vectors of one block with these rows, scaled to length 1."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    width = rows.shape[1]
    return EmotionVectors(
        tuple(words), rows[None].astype(np.float32), np.zeros((1, width), np.float32), np.ones(1, np.float32), 0
    )


def with_valence(strength, seed=0, width=48):
    """Random directions, with so much of the words' valence on one axis."""
    rows = np.random.default_rng(seed).standard_normal((len(WORDS), width))
    rows[:, 7] += strength * np.nan_to_num(geometry.valence(WORDS))
    return made(rows)


def test_components_equal_scikit_learns(vectors):
    found = geometry.pca(vectors, 1)
    oracle = PCA().fit(vectors.at(1))
    np.testing.assert_allclose(found.variance, oracle.explained_variance_ratio_[:2], rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs(oracle.transform(vectors.at(1))[:, :2]), atol=1e-5)
    np.testing.assert_allclose(np.abs(found.axes), np.abs(oracle.components_[:2]), atol=1e-4)
    np.testing.assert_allclose((vectors.at(1) - vectors.at(1).mean(0)) @ found.axes.T, found.coordinates, atol=1e-5)


def test_planted_valence_is_found_named_and_turned_upwards():
    for sign in (1, -1):
        found = geometry.pca(with_valence(sign * 6.0))
        assert found.valence.found
        assert found.valence.component == 0
        assert found.valence.r[0] > 0.9
        assert found.valence.interval[0] > 0
        assert found.coordinates[WORDS.index("happy"), 0] > found.coordinates[WORDS.index("sad"), 0]
        assert "valence is PC1" in repr(found)
        assert "PC1 = valence" in found.plot().axes[0].get_xlabel()


def test_in_noise_no_component_is_called_valence_more_often_than_one_in_twenty():
    """The null: the p of the best of five components is uniform, so it is below 0.05 in about one case in twenty."""
    p = np.array([geometry.pca(with_valence(0, seed)).valence.p for seed in range(60)])
    assert (p <= 0.05).mean() <= 0.15
    assert 0.3 < p.mean() < 0.7
    assert "no component is valence" in repr(geometry.pca(with_valence(0, int(p.argmax()))))


def test_the_p_counts_the_choice_among_components():
    x, y = np.random.default_rng(1).standard_normal((20, 5)), np.random.default_rng(2).standard_normal(20)
    both = geometry.agreement("valence", x, y)
    alone = geometry.agreement("valence", x[:, [both.component]], y)
    assert both.r[both.component] == pytest.approx(np.corrcoef(x[:, both.component], y)[0, 1])
    assert alone.r[0] == pytest.approx(both.r[both.component])
    assert both.p > 2 * alone.p


def test_unrated_words_are_left_out_and_too_few_are_no_test():
    x, y = np.random.default_rng(1).standard_normal((20, 3)), np.random.default_rng(2).standard_normal(20)
    gap = y.copy()
    gap[:4] = np.nan
    assert geometry.agreement("v", x, gap).count == 16
    np.testing.assert_allclose(geometry.agreement("v", x, gap).r, geometry.agreement("v", x[4:], y[4:]).r)
    gap[:16] = np.nan
    assert geometry.agreement("v", x, gap) is None
    assert geometry.valence(["happy", "no such word"])[0] > 0
    assert np.isnan(geometry.valence(["no such word"])[0])
    assert np.isnan(geometry.arousal(["no such word"])[0])


def test_results_do_not_depend_on_the_order_of_emotions():
    whole = with_valence(3.0)
    order = np.random.default_rng(0).permutation(len(WORDS))
    other = replace(whole, emotions=tuple(WORDS[i] for i in order), directions=whole.directions[:, order])
    a, b = geometry.pca(whole), geometry.pca(other)
    np.testing.assert_allclose(a.coordinates[order], b.coordinates, atol=1e-4)
    assert a.valence.p == pytest.approx(b.valence.p, abs=0.02)
    assert geometry.cosines(whole).contrast == pytest.approx(geometry.cosines(other).contrast)
    assert geometry.cosines(whole).clusters == geometry.cosines(other).clusters


def test_cosines_are_ordered_by_cluster_and_their_contrast_is_a_plain_mean(vectors):
    found = geometry.cosines(vectors, 1)
    assert list(found.clusters) == sorted(found.clusters, key=found.clusters.index)  # runs, none broken
    table = geometry.ratings()
    assert [table[e]["cluster"] for e in found.emotions] == list(found.clusters)
    for i, a in enumerate(found.emotions):
        for j, b in enumerate(found.emotions):
            assert found.values[i, j] == pytest.approx(float(vectors[a].rows[1] @ vectors[b].rows[1]), abs=1e-5)
    assert found.to_frame().loc["happy", "sad"] == found.to_frame().loc["sad", "happy"]


def test_planted_clusters_are_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    table = geometry.ratings()
    own = [table[w]["cluster"] for w in WORDS]
    centres = {c: rng.standard_normal(48) for c in own}
    planted = geometry.cosines(made(np.stack([centres[c] for c in own]) + rng.standard_normal((len(WORDS), 48))))
    assert planted.contrast > 0.3
    assert planted.p <= 0.005
    noise = [geometry.cosines(made(np.random.default_rng(s).standard_normal((len(WORDS), 48)))).p for s in range(20)]
    assert 0.25 < np.mean(noise) < 0.75


def test_pleasant_clusters_come_first():
    order = list(dict.fromkeys(geometry.cosines(with_valence(0)).clusters))
    pleasant = [np.mean([float(r["valence"]) for r in geometry.ratings().values() if r["cluster"] == c]) for c in order]
    assert pleasant == sorted(pleasant, reverse=True)


def test_words_outside_the_table_are_a_cluster_of_their_own():
    rows = np.random.default_rng(0).standard_normal((12, 20))
    found = geometry.cosines(made(rows, ("zesty", *WORDS[1:])))
    assert found.emotions[-1] == "zesty"
    assert found.clusters[-1] == "others"
    assert geometry.pca(made(rows, ("zesty", *WORDS[1:]))).to_frame().loc["zesty", "cluster"] == ""


def test_two_emotions_have_no_plane():
    with pytest.raises(emokit.EmokitError, match="at least three"):
        geometry.pca(made(np.eye(2, 8), ("happy", "sad")))


def test_unknown_blocks_are_refused(vectors):
    for function in (geometry.pca, geometry.cosines):
        with pytest.raises(emokit.EmokitError, match="unknown block"):
            function(vectors, 99)


def test_tables_and_pictures():
    found = geometry.pca(with_valence(3.0))
    frame = found.to_frame()
    assert list(frame.index) == list(WORDS)
    assert frame.loc["happy", "valence"] == pytest.approx(2.7)
    assert 1 <= frame.loc["angry", "arousal"] <= 7
    assert found._repr_png_() == found._repr_png_()
    assert geometry.cosines(with_valence(3.0))._repr_png_().startswith(b"\x89PNG")


def test_every_block_is_what_pca_finds_there_and_one_is_marked():
    one, two = with_valence(6.0), with_valence(0.0)
    directions = np.concatenate([one.directions, two.directions])
    both = replace(one, directions=directions, mean=directions.mean(1), norms=np.ones(2, np.float32), best_block=1)
    found = geometry.by_block(both)
    for block in (0, 1):
        alone = geometry.pca(both, block).valence
        there = found.valence[block]
        assert abs(there.r[there.component]) == pytest.approx(abs(alone.r[alone.component]), abs=1e-5)
        assert (there.component, there.count) == (alone.component, alone.count)
        assert there.p == pytest.approx(alone.p, abs=1e-3)
    frame = found.to_frame()
    assert list(frame.chosen) == [False, True]
    assert (frame.valence_low <= frame.valence_r).all()
    assert frame.valence_p[0] < 0.01
    assert "at block 1, chosen on stories" in repr(found)
    assert "no component is valence" in repr(found) or found.valence[1].p <= 0.05
    assert found._repr_png_().startswith(b"\x89PNG")


def test_the_level_is_what_permuted_ratings_stay_below():
    x, y = np.random.default_rng(1).standard_normal((20, 5)), np.random.default_rng(2).standard_normal(20)
    found = geometry.agreement("valence", x, y)
    below = replace(found, p=0.05)
    assert (found.p <= 0.05) == (abs(found.r[found.component]) >= found.level - 0.01)
    assert below.found


def test_unrated_words_have_no_agreement_at_any_block():
    rows = np.random.default_rng(0).standard_normal((12, 20))
    with pytest.raises(emokit.EmokitError, match="too few rated"):
        geometry.by_block(made(rows, [f"word {i}" for i in range(12)]))


def test_components_that_turn_slowly_never_flip_from_block_to_block():
    # what PC1 orders the emotions by turns by 150 degrees over six blocks: each is like its neighbour, the ends are not
    rng = np.random.default_rng(0)
    one, other = np.linalg.qr(rng.standard_normal((8, 2)) - 0.1)[0].T
    one, other = one - one.mean(), other - other.mean()
    rows = []
    for angle in np.radians(np.arange(0, 180, 30)):
        block = 0.1 * rng.standard_normal((8, 16))
        block[:, 0] += 5 * (np.cos(angle) * one + np.sin(angle) * other)
        rows.append(block)
    directions = np.array(rows, np.float32)
    for best in (0, 3, 5):
        turning = emokit.EmotionVectors(
            WORDS[:8], directions, np.zeros((6, 16), np.float32), np.ones(6, np.float32), best
        )
        planes = geometry.pcas(turning)
        first = np.stack([p.coordinates[:, 0] for p in planes])
        assert ((first[1:] * first[:-1]).sum(1) > 0).all()
        assert (first[0] * first[-1]).sum() < 0
        np.testing.assert_array_equal(planes[best].coordinates, geometry.pca(turning).coordinates)
        for b, plane in enumerate(planes):
            rows_b = directions[b] - directions[b].mean(0)
            np.testing.assert_allclose(rows_b @ plane.axes.T, plane.coordinates, atol=1e-4)
            own = geometry.pca(turning, b).valence
            assert plane.valence.p == own.p
            np.testing.assert_allclose(np.abs(plane.valence.r), np.abs(own.r))


def test_what_is_no_argument_is_refused(vectors):
    for wrong in (lambda: geometry.cosines(None), lambda: geometry.cosines(vectors, seed=-1)):
        with pytest.raises(EmokitError):
            wrong()
    with pytest.raises(EmokitError, match="no such components"):
        geometry.pca(vectors).plot(axes=(0, 99))
