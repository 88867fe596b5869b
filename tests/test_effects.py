import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr

from emokit import effects


@pytest.mark.parametrize("curve", [[0.1, 0.3, 0.2, 0.9, 0.5, 0.7], [3, 2, 2, 1, 0, -4], [1, 2, 3, 4]])
def test_rho_is_scipys_and_p_that_of_a_full_enumeration(curve):
    rho, p = effects.spearman(np.array(curve, float))
    assert rho == pytest.approx(spearmanr(range(len(curve)), curve).statistic)
    every = [abs(spearmanr(order, curve).statistic) for order in itertools.permutations(range(len(curve)))]
    assert p == pytest.approx(np.mean(np.array(every) >= abs(rho) - 1e-9))


def test_a_perfect_order_of_six_values_is_one_of_360_and_a_flat_curve_shows_nothing():
    assert effects.spearman(np.arange(6.0)) == (pytest.approx(1), pytest.approx(2 / 720))
    assert effects.spearman(np.ones(6)) == (0.0, 1.0)


def test_a_sign_is_claimed_no_oftener_than_its_error():
    """The oracle: noise about 0, of the numbers of values and the errors that the experiments ask for."""
    rng = np.random.default_rng(0)
    for count, share in ((6, 0.05), (10, 0.05), (10, 0.01), (24, 0.01)):
        wrong = np.mean([effects.sign(rng.standard_normal(count), share) != 0 for _ in range(4000)])
        assert wrong <= share + 3 * np.sqrt(share / 4000)
    assert effects.sign(np.array([1, 1.1, 0.9, 1, 1.05, 1]), 0.05) == 1
    assert effects.sign(-np.array([1, 1.1, 0.9, 1, 1.05, 1]), 0.05) == -1
    assert effects.sign(np.ones(6), 0.001) == 0  # all six point one way in 1 of 32 cases
    assert effects.sign(np.array([]), 0.05) == 0


def test_many_values_have_drawn_orders_the_real_one_first_and_always_the_same():
    drawn = effects.orders(9)
    assert drawn.shape == (effects.ORDERS, 9)
    assert drawn[0].tolist() == list(range(9))
    assert (np.sort(drawn, axis=1) == np.arange(9)).all()
    assert effects.spearman(np.arange(9.0))[1] < 0.001


@pytest.mark.parametrize(
    ("values", "rising"),
    [
        ([500, 1000, 2000, 4000, 8000, 16000], True), ([1, 8], False), ([1, 9.0], True), ([0, 2, 96], False), ([-1, 20], False),
        ([100, 10, 1], False), ([1, 100, 50], False), (["1", "100"], False), ([1, float("inf")], False), ([1, float("nan"), 90], False),
    ],
)  # fmt: skip
def test_slopes_are_per_doubling_only_where_that_has_a_meaning(values, rising):
    assert (effects.doublings(values) is not None) == rising


def test_a_slope_is_exact_on_a_line():
    values = [1, 4, 8, 64]
    assert effects.slope(3 * np.log2(values), effects.doublings(values)) == pytest.approx(3)
    assert effects.slope(np.array([5.0, 3, 1])) == pytest.approx(-2)
    assert effects.slope(np.zeros(4)) == 0


def test_random_scores_are_those_of_the_vectors_own_random_directions(vectors):
    rng, block = np.random.default_rng(3), 2
    states = rng.standard_normal((5, vectors.width))
    gram = vectors.at(block) @ vectors.at(block).T
    got = effects.random_scores(states @ vectors.at(block).T, gram, seed=7)
    assert got.shape == (5, effects.DIRECTIONS)
    np.testing.assert_allclose(got[:, 0], states @ vectors.random(7).rows[block], rtol=1e-4, atol=1e-5)


def test_a_bootstrap_over_wordings_has_their_mean_and_as_much_spread_as_they_differ():
    same = effects.resampled_mean(np.full((5, 1), 0.3), 1000, 0)
    assert (same.min(), same.max()) == (pytest.approx(0.3), pytest.approx(0.3))
    changes = np.array([[0.1], [0.2], [0.3], [0.4], [0.5]])
    drawn = effects.resampled_mean(changes, 4000, 0)
    assert drawn.mean() == pytest.approx(0.3, abs=0.01)
    assert drawn.std() == pytest.approx(changes.std() / np.sqrt(5), rel=0.1)
    low, high = effects.interval(drawn)
    assert 0.1 <= low < 0.25 < 0.35 < high <= 0.5


def test_each_draw_of_wordings_keeps_its_draw_of_topics():
    topics = np.arange(1000.0)
    drawn = effects.resampled_mean(np.stack([topics, topics]), 1000, 0)
    np.testing.assert_array_equal(drawn, topics)


def test_no_draws_have_no_interval():
    assert np.isnan(effects.interval(np.empty(0))).all()


@pytest.mark.parametrize("count", [0, 1, 4, 5, 30])
def test_a_mean_has_an_interval_from_five_values_on(count):
    value, low, high = effects.mean_interval(np.arange(count) * 1.0, 1000, 0)
    np.testing.assert_equal(value, (count - 1) / 2 if count else np.nan)
    assert np.isfinite([low, high]).all() == (count >= 5)
    assert effects.shown((value, low, high)).count("[") == int(count >= 5)
