"""Directions made again from the same stories: topics drawn anew, or labels that mean nothing. No forward pass of their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import activations, selection
from .errors import EmokitError, check_kinds
from .models import Model
from .stories import StorySet
from .vectors import EmotionVectors

Array = np.ndarray


class Remade:
    """The cached story means behind `vectors` at one block, ready to make directions of other draws of them.

    Block and neutral components stay what they were. Raises EmokitError for stories that the vectors weren't made from.
    """

    def __init__(self, model: Model, vectors: EmotionVectors, stories: StorySet, block: int) -> None:
        check_kinds((model, Model), (vectors, EmotionVectors), (stories, StorySet))
        vectors.check(model)
        made, self.block = vectors.provenance, block
        if made.get("stories", {}).get("fingerprint") != stories.fingerprint:
            raise EmokitError(
                "the vectors were not made from these stories", stories, "Give the stories that `extract` was given."
            )
        self.means = activations.story_means(model, [s.text for s in stories])[:, block].astype(float)
        neutral = activations.story_means(model, [s.text for s in stories.neutral])[:, block]
        self.neutral = selection.components(neutral, int(made["selection"]["components"]))
        self.labels = np.array([vectors.index(s.emotion) for s in stories])
        self.topics = selection.codes([s.topic for s in stories])
        self.emotions = vectors.emotions

    def directions(self, labels: Array | None = None) -> tuple[Array, Array]:
        """Unit directions [emotions, width] and the mean [width] they start from, by the given labels or the real ones."""
        return selection.directions(self.means, self.labels if labels is None else labels, self.neutral)

    def shuffled_labels(self, seed: int) -> Array:
        """The labels permuted within each topic."""
        return selection.shuffled(self.labels, self.topics, np.random.default_rng(seed))

    def shuffled(self, seed: int) -> tuple[Array, Array]:
        """Directions of labels permuted within each topic, which mean nothing."""
        return self.directions(self.shuffled_labels(seed))

    def resampled(self, draws: int, seed: int) -> Iterator[tuple[Array, Array]]:
        """Directions of bootstrap draws of the topics, each with all its stories, `draws` times.

        Where every emotion has stories of every topic, all share a draw; else each emotion's own topics are drawn.
        """
        shape = self.topics.max() + 1, len(self.emotions)
        sums, counts = np.zeros((*shape, self.means.shape[1])), np.zeros(shape)
        np.add.at(sums, (self.topics, self.labels), self.means)
        np.add.at(counts, (self.topics, self.labels), 1)
        rng, every = np.random.default_rng(seed), np.arange(len(self.emotions))
        for _ in range(draws):
            if counts.all():
                weights = np.repeat(_times(rng, np.arange(shape[0]), shape[0])[:, None], shape[1], axis=1)
            else:
                weights = np.stack([_times(rng, np.flatnonzero(c), shape[0]) for c in counts.T], axis=1)
            means = np.einsum("te,tew->ew", weights, sums) / (weights * counts).sum(0)[:, None]
            yield selection.directions(means, every, self.neutral)


def _times(rng: np.random.Generator, topics: Array, count: int) -> Array:
    """How often each of `count` topics comes up when as many as `topics` are drawn from them: float [count]."""
    return np.bincount(rng.choice(topics, len(topics)), minlength=count).astype(float)
