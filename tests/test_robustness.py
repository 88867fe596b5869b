import numpy as np
import pytest

from emokit import robustness, selection

EMOTIONS, TOPICS, WIDTH = 5, 8, 24
LABELS, FOLDS = np.tile(np.arange(EMOTIONS), TOPICS), np.repeat(np.arange(TOPICS), EMOTIONS)
NONE = np.empty((0, WIDTH), np.float32)


def made(strength, seed=0):
    """Story means [stories, width]: an emotion's own point, so strong, in noise."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((EMOTIONS, WIDTH))
    return (strength * points[LABELS] + rng.standard_normal((len(LABELS), WIDTH)) + 3).astype(np.float32)


def plain_hits(means, labels, folds, parts):
    """Held-out hits as one would write them down."""
    hits = np.zeros(len(labels), bool)
    for i in range(len(labels)):
        rest = folds != folds[i]
        units, mean = selection.directions(means[rest], labels[rest], parts)
        hits[i] = int(((means[i] - mean) @ units.T).argmax()) == labels[i]
    return hits


@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_sums_by_topic_give_the_hits_of_directions_made_anew(keep):
    chosen = np.random.default_rng(1).random(len(LABELS)) < keep
    chosen[:10] = True  # two topics with all
    means, parts = made(0.5)[chosen], selection.components(made(1, 5), 3)
    labels, folds = LABELS[chosen], selection.codes(FOLDS[chosen].tolist())
    expected = plain_hits(means, labels, folds, parts)
    np.testing.assert_array_equal(selection.heldout_hits(means, labels, folds, parts), expected)
    assert 0 < expected.mean() < 1


def test_a_resampled_direction_is_the_one_of_the_repeated_stories():
    means, parts = made(0.5), selection.components(made(1, 5), 2)
    weights = np.array([[1] * TOPICS, [3, 0, 2, 0, 1, 1, 0, 1]])
    sums = selection.sums_by_topic(means, LABELS, FOLDS)
    got = robustness.resampled_cosines(*sums, parts, weights)
    np.testing.assert_allclose(got[0], 1, atol=1e-5)
    again = np.repeat(np.arange(len(LABELS)), weights[1][FOLDS])
    whole, _ = selection.directions(means, LABELS, parts)
    remade, _ = selection.directions(means[again], LABELS[again], parts)
    np.testing.assert_allclose(got[1], (whole * remade).sum(1), atol=1e-5)


def test_an_emotion_that_a_draw_leaves_out_has_no_cosine():
    there = ~((LABELS == 0) & (FOLDS > 1))
    sums = selection.sums_by_topic(made(1)[there], LABELS[there], FOLDS[there])
    got = robustness.resampled_cosines(*sums, NONE, np.array([[0, 0, 1, 1, 1, 1, 1, 1]]))
    assert np.isnan(got[0, 0])
    assert np.isfinite(got[0, 1:]).all()


def test_large_resamplings_in_parts_equal_those_at_once(monkeypatch):
    sums = selection.sums_by_topic(made(1), LABELS, FOLDS)
    weights = robustness.drawn(TOPICS, 50, np.random.default_rng(0))
    assert (weights.sum(1) == TOPICS).all()
    whole = robustness.resampled_cosines(*sums, NONE, weights)
    monkeypatch.setattr(robustness, "CHUNK", 7 * EMOTIONS * WIDTH)
    np.testing.assert_allclose(robustness.resampled_cosines(*sums, NONE, weights), whole, atol=1e-6)


def stability(strength):
    means = made(strength)[:, None].repeat(3, 1)
    rng = np.random.default_rng(0)
    shuffled = np.concatenate([rng.permutation(EMOTIONS) for _ in range(TOPICS)])
    return robustness.stability(
        means, np.stack([NONE] * means.shape[1]), 1, LABELS, shuffled, FOLDS, tuple("abcde"), rng
    )


def test_firm_directions_stay_and_directions_of_chance_keep_about_seven_tenths():
    firm, noise = stability(5.0), stability(0.0)
    assert firm.cosine.min() > 0.98
    assert 0.6 < noise.cosine.mean() < 0.82
    assert 0.6 < noise.noise < 0.82
    assert ((firm.low <= firm.cosine) & (firm.cosine <= firm.high)).all()
    np.testing.assert_allclose(firm.by_block, firm.cosine.mean(), atol=0.01)  # three equal blocks
    assert list(firm.to_frame().cosine) == sorted(firm.cosine)
    assert "shuffled labels" in repr(firm)


def test_anisotropy_is_the_mean_cosine_of_stories_with_nothing_in_common():
    means = made(0.5)[:, None]
    rows = means[:, 0] / np.linalg.norm(means[:, 0], axis=1, keepdims=True)
    apart = (LABELS[:, None] != LABELS) & (FOLDS[:, None] != FOLDS)
    assert robustness.anisotropy(means, LABELS, FOLDS)[0] == pytest.approx((rows @ rows.T)[apart].mean())
    assert np.isnan(robustness.anisotropy(means[:5], LABELS[:5], FOLDS[:5])[0])


def test_more_topics_tell_more_and_chance_stays_chance():
    rng = np.random.default_rng(0)
    got = robustness.needed(made(0.6), LABELS, FOLDS, NONE, rng)
    assert got.topics == (1, 2, 4, 7)
    assert got.accuracy[0].mean() + 0.1 < got.accuracy[-1].mean()
    noise = robustness.needed(made(0.0), LABELS, FOLDS, NONE, rng)
    np.testing.assert_allclose(noise.accuracy.mean(1), 1 / EMOTIONS, atol=0.12)
    assert list(got.to_frame().index) == [1, 2, 4, 7]
    assert "7 topics" in repr(got)


def test_with_all_topics_but_one_it_is_the_held_out_accuracy():
    means = made(0.6)
    by_topic = selection.heldout_hits(means, LABELS, FOLDS, NONE).reshape(TOPICS, EMOTIONS).mean(1)
    got = robustness.needed(means, LABELS, FOLDS, NONE, np.random.default_rng(0)).accuracy[-1]
    assert {round(float(a), 6) for a in got} <= {round(float(a), 6) for a in by_topic}


def test_an_emotion_without_a_story_in_a_draw_is_missed_and_not_guessed():
    there = ~((LABELS == 0) & (FOLDS > 1))
    got = robustness.needed(made(9.0)[there], LABELS[there], FOLDS[there], NONE, np.random.default_rng(0))
    assert got.accuracy.max() <= 1
    assert got.accuracy[0].min() < 1
