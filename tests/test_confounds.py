from dataclasses import replace

import numpy as np
import pytest

import emokit
from emokit import confounds, geometry, lint
from emokit.stories import StorySet


def plain_share(scores, group):
    """Adjusted share of variance between groups, as one would write it down."""
    within = sum(((scores[group == g] - scores[group == g].mean(0)) ** 2).sum(0) for g in np.unique(group))
    total = ((scores - scores.mean(0)) ** 2).sum(0)
    count = len(scores)
    return 1 - within / (count - len(np.unique(group))) / (total / (count - 1))


GROUP, TOPIC = np.arange(60) % 4, np.repeat(np.arange(6), 10)


def test_shares_are_those_of_an_analysis_of_variance():
    scores = np.random.default_rng(0).standard_normal((60, 3)) + 5
    scores[:, 1] += 3 * GROUP
    got = confounds.shares(scores, GROUP, TOPIC, np.ones((1, 6)))[0]
    np.testing.assert_allclose(got, plain_share(scores, GROUP))
    assert got[1] > 0.8
    assert abs(got[0]) < 0.2


def test_weighted_topics_are_repeated_topics():
    scores = np.random.default_rng(0).standard_normal((60, 3))
    weights = np.array([2, 0, 1, 3, 0, 0])
    again = np.repeat(np.arange(60), weights[TOPIC])
    got = confounds.shares(scores, GROUP, TOPIC, weights[None])[0]
    np.testing.assert_allclose(got, plain_share(scores[again], GROUP[again]))


def test_what_does_not_vary_tells_nothing():
    scores = np.random.default_rng(0).standard_normal((60, 3))
    assert (confounds.shares(scores, np.zeros(60, int), TOPIC, np.ones((1, 6))) == 0).all()
    assert (confounds.shares(np.ones((60, 3)), GROUP, TOPIC, np.ones((1, 6))) == 0).all()


def test_in_noise_the_mean_share_is_zero():
    scores = np.random.default_rng(0).standard_normal((60, 4000))
    assert abs(confounds.shares(scores, GROUP, TOPIC, np.ones((1, 6))).mean()) < 0.003


def test_a_planted_confound_is_found(model, stories, vectors, monkeypatch):
    """Directions of which one is where long stories lie."""
    long = StorySet(
        tuple(replace(s, text=s.text + " It went on" * (3 * (i % 4))) for i, s in enumerate(stories)), stories.neutral
    )
    means = emokit.activations.story_means(model, [s.text for s in long])[:, 1]
    length = confounds.factors(long.stories)["length"]
    assert set(length) == {0, 1, 2, 3}
    axis = means[length >= 2].mean(0) - means[length < 2].mean(0)
    directions = vectors.directions.copy()
    directions[1, 0] = axis / np.linalg.norm(axis)
    found = geometry.confounds(model, long, replace(vectors, directions=directions), 1)
    frame = found.to_frame().set_index(["axis", "factor"])
    assert frame.loc[(vectors.emotions[0], "length"), "share"] > 0.5
    assert (frame.low <= frame.high).all()


def test_axes_factors_and_the_null(model, stories, vectors):
    found = geometry.confounds(model, stories, vectors)
    assert found.axes == ("PC1", "PC2", *vectors.emotions)
    assert found.factors == ("emotion", "topic", "length", "person", "speech")  # the neutral stories are not the kit's
    assert found.random.shape == (confounds.RANDOM, 5)
    assert ((found.p > 0) & (found.p <= 1)).all()
    assert len(found.to_frame()) == 5 * 5
    assert found._repr_png_() == geometry.confounds(model, stories, vectors)._repr_png_()


def test_random_axes_reach_their_own_level_in_one_of_twenty(model, stories, vectors):
    found = geometry.confounds(model, stories, vectors)
    again = geometry.confounds(model, stories, vectors, seed=1)
    beyond = (again.random > found.level).mean(0)
    assert (np.abs(beyond[:2] - 0.05) < 0.04).all()


def test_narrative_modes_are_those_of_the_data_card():
    neutral = emokit.load_stories().neutral
    modes = confounds.modes(neutral)
    assert list(np.bincount(modes)) == [24] * 6
    assert list(modes[:9]) == [0, 1, 2, 3, 4, 5, 0, 2, 4]
    assert list(modes[9:18]) == [0, 1, 2, 3, 4, 5, 1, 3, 5]
    quoted = np.array([lint.quoted(s.text) > 0 for s in neutral])
    dialogue = modes == confounds.MODES.index("dialogue")
    assert quoted[dialogue].mean() > 0.9
    assert quoted[~dialogue].mean() < 0.1
    shuffled = np.random.default_rng(0).permutation(len(neutral))
    assert list(confounds.modes([neutral[i] for i in shuffled])) == list(modes[shuffled])


def test_stories_of_ones_own_have_no_known_mode(stories):
    assert confounds.modes(stories.neutral) is None
    assert confounds.modes(()) is None


def test_features_of_a_text():
    assert lint.first_person("I went home.")
    assert not lint.first_person('"I am off," she said.')
    assert lint.quoted('"I am off," she said.') == pytest.approx(3 / 5)
    assert lint.quoted("Nobody spoke.") == 0


def test_another_models_vectors_are_refused(model, stories, vectors):
    from conftest import tiny_model

    with pytest.raises(emokit.EmokitError, match="other weights"):
        geometry.confounds(tiny_model(seed=1), stories, vectors)
