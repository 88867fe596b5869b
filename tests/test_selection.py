import numpy as np
import pytest

from emokit import EmokitError, selection

RNG = np.random.default_rng(0)
EMOTIONS = [e for e in "abc" for _ in range(6)]
TOPICS = [t for _ in "abc" for t in "uvwxyz"]


def planted(strength, blocks=5, at=(2, 3, 4)):
    """Story means [18, blocks, 16] with the emotion planted at some blocks, and neutral ones of the same noise."""
    codes = selection.codes(EMOTIONS)
    means = RNG.standard_normal((18, blocks, 16)).astype(np.float32)
    centres = np.eye(16, dtype=np.float32)[:3] * strength
    for block in at:
        means[:, block] += centres[codes]
    return means, RNG.standard_normal((12, blocks, 16)).astype(np.float32)


def test_codes_follow_first_appearance():
    assert selection.codes(["b", "a", "b"]).tolist() == [0, 1, 0]


def test_components_are_orthonormal_and_the_directions_of_most_variance():
    data = RNG.standard_normal((30, 6)) * np.array([9, 1, 1, 1, 1, 4])
    parts = selection.components(data, 2)
    np.testing.assert_allclose(parts @ parts.T, np.eye(2), atol=1e-6)
    assert abs(parts[0, 0]) > 0.9
    assert abs(parts[1, 5]) > 0.9
    assert selection.components(data, 0).shape == (0, 6)


def test_held_out_accuracy_equals_a_plain_loop():
    means, neutral = planted(1.0)
    labels, folds = selection.codes(EMOTIONS), selection.codes(TOPICS)
    parts = selection.components(neutral[:, 2], 3)
    hits = 0
    for i in range(18):
        rest = [j for j in range(18) if TOPICS[j] != TOPICS[i]]
        by_emotion = [np.mean([means[j, 2] for j in rest if EMOTIONS[j] == e], axis=0) for e in "abc"]
        mean = np.mean(by_emotion, axis=0)
        scores = []
        for row in by_emotion:
            raw = row - mean
            for part in parts:
                raw = raw - (raw @ part) * part
            state = means[i, 2] - mean
            scores.append(raw @ state / np.linalg.norm(raw) / np.linalg.norm(state))
        hits += int(np.argmax(scores)) == labels[i]
    assert selection.heldout(means[:, 2], labels, folds, parts) == hits / 18


def test_a_story_never_helps_to_classify_itself():
    """With a private dimension a story, stories left in would be told perfectly and held-out ones by chance."""
    means = np.eye(18, dtype=np.float32)
    score = selection.heldout(means, selection.codes(EMOTIONS), selection.codes(TOPICS), np.empty((0, 18), np.float32))
    assert score < 0.5


def test_the_middle_of_the_plateau_is_chosen():
    means, neutral = planted(20.0, blocks=11, at=range(3, 10))
    chosen = selection.select(means, neutral, EMOTIONS, TOPICS)
    assert chosen.accuracy[3:10].min() == 1
    assert chosen.block == 6
    assert chosen.components == 0
    assert list(chosen.to_frame().columns) == [0, 10]


def test_shuffled_labels_destroy_the_accuracy():
    means, _ = planted(20.0, blocks=3, at=range(3))
    rng = np.random.default_rng(1)
    labels, folds = selection.codes(EMOTIONS), selection.codes(TOPICS)
    none = np.empty((0, 16), np.float32)
    shuffled = [selection.heldout(means[:, 1], rng.permutation(labels), folds, none) for _ in range(20)]
    assert selection.heldout(means[:, 1], labels, folds, none) == 1
    assert np.mean(shuffled) < 0.6


def test_neutral_components_remove_a_nuisance():
    labels, folds = selection.codes(EMOTIONS), selection.codes(TOPICS)
    means, neutral = planted(4.0, blocks=1, at=[0])
    nuisance = np.eye(16, dtype=np.float32)[9]
    means[:, 0] += RNG.standard_normal((18, 1)).astype(np.float32) * 60 * nuisance
    neutral[:, 0] += RNG.standard_normal((12, 1)).astype(np.float32) * 60 * nuisance
    raw = selection.heldout(means[:, 0], labels, folds, selection.components(neutral[:, 0], 0))
    assert selection.heldout(means[:, 0], labels, folds, selection.components(neutral[:, 0], 1)) > raw


def test_one_topic_cannot_be_held_out():
    means, neutral = planted(1.0)
    with pytest.raises(EmokitError, match="one topic"):
        selection.select(means, neutral, EMOTIONS, ["t"] * 18)


def test_labels_of_topics_with_one_emotion_each_are_shuffled_over_all_stories():
    labels, folds = np.repeat(np.arange(3), 4), np.arange(12)  # a topic, such as a title, for each story
    found = [selection.shuffled(labels, folds, np.random.default_rng(seed)) for seed in range(5)]
    assert all(sorted(one) == sorted(labels) for one in found)
    assert not any((one == labels).all() for one in found)


def test_the_accuracy_at_the_block_that_would_be_chosen():
    """The oracle: `select` itself, without neutral components to choose among."""
    means, _ = planted(3.0, blocks=7, at=[2, 3, 4])
    none = np.empty((7, 0, means.shape[2]), np.float32)
    chosen = selection.select(means, means[:0], EMOTIONS, TOPICS)
    found = selection.chosen_accuracy(means, selection.codes(EMOTIONS), selection.codes(TOPICS), none)
    assert found == chosen.accuracy[chosen.block, 0]
