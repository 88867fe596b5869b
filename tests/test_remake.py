import numpy as np
import pytest

import emokit
from emokit import EmokitError, selection
from emokit.remake import Remade
from emokit.stories import Story, StorySet


@pytest.fixture
def remade(model, vectors, stories):
    return Remade(model, vectors, stories, 2)


def test_the_real_labels_give_the_real_directions(remade, vectors):
    directions, mean = remade.directions()
    np.testing.assert_allclose(directions, vectors.at(2), atol=1e-5)
    np.testing.assert_allclose(mean, vectors.mean[2], atol=1e-5)


def test_a_draw_of_topics_is_an_extraction_from_the_stories_drawn(remade):
    rng = np.random.default_rng(5)
    for directions, mean in remade.resampled(4, seed=5):
        drawn = rng.choice(np.arange(4), 4)
        rows = np.concatenate([np.flatnonzero(remade.topics == topic) for topic in drawn])
        want, start = selection.directions(remade.means[rows], remade.labels[rows], remade.neutral)
        np.testing.assert_allclose(directions, want, atol=1e-6)
        np.testing.assert_allclose(mean, start, atol=1e-6)


def test_emotions_of_unlike_topics_draw_from_their_own(model):
    rows = tuple(
        Story(e, f"{topic}{e if e == 'sad' else ''}", f"{topic}: {word} again, {word} at the {topic}.")
        for e, word in (("happy", "sun"), ("sad", "rain"), ("angry", "slam"))
        for topic in ("garden", "office", "school")
    )
    stories = StorySet(rows, emokit.load_stories().neutral[:3])
    remade = Remade(model, emokit.extract(model, stories), stories, 1)
    for directions, mean in remade.resampled(50, seed=0):
        assert np.isfinite(directions).all()
        assert np.isfinite(mean).all()


def test_shuffled_labels_stay_within_their_topic_and_make_other_directions(remade, monkeypatch):
    seen = []
    monkeypatch.setattr(remade, "directions", lambda labels=None: seen.append(labels))
    for seed in (1, 1, 2):
        remade.shuffled(seed)
    for labels in seen:
        for topic in range(4):
            assert sorted(labels[remade.topics == topic]) == [0, 1, 2]
    assert seen[0].tolist() == seen[1].tolist() != remade.labels.tolist()
    assert seen[2].tolist() != seen[0].tolist()


def test_nothing_is_read_again(model, vectors, stories):
    model.blocks[0].register_forward_hook(lambda *_: pytest.fail("a forward pass"))
    list(Remade(model, vectors, stories, 2).resampled(3, 0))


def test_other_stories_are_refused(model, vectors, stories):
    with pytest.raises(EmokitError, match="not made from these stories"):
        Remade(model, vectors, StorySet(stories.stories[:-1], stories.neutral), 2)
