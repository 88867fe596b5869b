"""Held-out-topic accuracy on story means: chooses the block and the number of neutral components, on stories alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import EmokitError
from .progress import progress

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
COMPONENTS = (0, 10, 20, 40)
FOLDS = 16  # topics whose directions are made at a time: what `units` copies stays small with many topics


@dataclass(frozen=True)
class Selection:
    """The chosen block and number of neutral components, and the accuracies they were chosen by.

    `accuracy` is [blocks, candidates]: the share of stories of a topic left out whose emotion is the nearest direction.
    `neutral` are the components themselves, at every block: [blocks, components, width].
    """

    block: int
    components: int
    candidates: tuple[int, ...]
    accuracy: Array
    neutral: Array

    def to_frame(self) -> pd.DataFrame:
        """A table of accuracies: a row per block, a column per number of components."""
        import pandas as pd

        return pd.DataFrame(self.accuracy, columns=pd.Index(self.candidates, name="components")).rename_axis("block")


def select(means: Array, neutral: Array, emotions: Sequence[str], topics: Sequence[str]) -> Selection:
    """Choose block and neutral components by held-out-topic accuracy: the middle of the plateau, simply denoised.

    `means` is [stories, blocks, width], `neutral` [neutral stories, blocks, width]; `emotions` and `topics` label the
    stories. Accuracies are averaged over each block and its two neighbours. By the one-standard-error rule what comes within
    one standard error of the best counts as good: of the run of blocks around the best that do, with any number of
    components, the middle one is taken (the later of two), and of the numbers that do there the smallest.
    Source of the rule: Breiman et al. 1984, Classification and Regression Trees, section 3.4.3.
    Raises EmokitError when leaving a topic out leaves an emotion without stories.
    """
    limit = max(0, len(neutral) - 1)
    candidates = tuple(k for k in COMPONENTS if k <= limit)
    labels, folds = codes(emotions), codes(topics)
    accuracy, parts = np.empty((means.shape[1], len(candidates))), []
    for block in progress(range(len(accuracy)), desc="held-out topics", unit="block"):
        parts.append(components(neutral[:, block], candidates[-1]))
        accuracy[block] = _hits(means[:, block], labels, folds, [parts[-1][:k] for k in candidates]).mean(1)
    block, near = _middle(accuracy, len(labels))
    count = candidates[int(near[block].argmax())]
    return Selection(block, count, candidates, accuracy, np.stack(parts)[:, :count])


def _middle(accuracy: Array, stories: int) -> tuple[int, Array]:
    """The middle of the plateau of accuracies [blocks, candidates], and which of them count as good: boolean, alike."""
    padded = np.pad(accuracy, ((1, 1), (0, 0)), mode="edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    best = smooth.max()
    near = smooth >= best - np.sqrt(best * (1 - best) / stories) - 1e-9
    first = last = int(smooth.max(1).argmax())
    while first > 0 and near[first - 1].any():
        first -= 1
    while last < len(near) - 1 and near[last + 1].any():
        last += 1
    return (first + last + 1) // 2, near


def chosen_accuracy(means: Array, labels: Array, folds: Array, neutral: Array) -> float:
    """`heldout` at the block that `select` would choose, with neutral components [blocks, components, width] as they are.

    For shuffled labels: a null that does not choose its block, as the real labels did, would be too easily beaten.
    """
    accuracy = np.array([heldout(means[:, b], labels, folds, parts) for b, parts in enumerate(neutral)])
    return float(accuracy[_middle(accuracy[:, None], len(labels))[0]])


def shuffled(labels: Array, topics: Array, rng: np.random.Generator) -> Array:
    """Labels permuted within each topic, so that every topic keeps its emotions; over all stories where each has but one."""
    if all(len(set(labels[topics == topic])) == 1 for topic in range(topics.max() + 1)):
        return rng.permutation(labels)
    out = labels.copy()
    for topic in range(topics.max() + 1):
        out[topics == topic] = rng.permutation(labels[topics == topic])
    return out


def codes(labels: Sequence[str]) -> Array:
    """Integer codes of labels, in the order of their first appearance."""
    order = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([order[label] for label in labels])


def components(neutral: Array, count: int) -> Array:
    """The first principal components of neutral means [stories, width]: orthonormal rows [count, width].

    By the eigenvectors of the stories' products, since there are fewer stories than the width: 4 times as fast as an SVD.
    """
    if not count:
        return np.empty((0, neutral.shape[1]), np.float32)
    centred = (neutral - neutral.mean(0)).astype(np.float64)
    mixtures = np.linalg.eigh(centred @ centred.T)[1][:, ::-1][:, :count]
    return np.linalg.qr(centred.T @ mixtures)[0].T.astype(neutral.dtype)


def directions(means: Array, labels: Array, neutral_components: Array) -> tuple[Array, Array]:
    """Unit directions [emotions, width] and the mean [width] they start from, of story means [stories, width].

    An emotion's direction is its mean minus the mean over emotions, without the neutral components.
    """
    by_emotion = np.stack([means[labels == e].mean(0) for e in range(labels.max() + 1)])
    return units(by_emotion, neutral_components), by_emotion.mean(0)


def units(by_emotion: Array, neutral_components: Array) -> Array:
    """`directions` from the means of each emotion [..., emotions, width]; a row of zeros where nothing is left."""
    raw = by_emotion - by_emotion.mean(-2, keepdims=True)
    raw = raw - raw @ neutral_components.T @ neutral_components
    norms = np.linalg.norm(raw, axis=-1, keepdims=True)
    return np.divide(raw, norms, out=np.zeros_like(raw), where=norms > 0)


def heldout(means: Array, labels: Array, folds: Array, neutral_components: Array) -> float:
    """Share of stories whose own emotion's direction is the nearest by cosine, each topic left out in turn."""
    return float(heldout_hits(means, labels, folds, neutral_components).mean())


def heldout_hits(means: Array, labels: Array, folds: Array, neutral_components: Array) -> Array:
    """`heldout` story by story: boolean [stories]; raises EmokitError where leaving a topic out leaves an emotion none."""
    return _hits(means, labels, folds, [neutral_components])[0]


def _without_each_topic(means: Array, labels: Array, folds: Array) -> Array:
    """Each emotion's mean over the stories of all topics but one: float32 [topics, emotions, width]."""
    sums, counts = sums_by_topic(means, labels, folds)
    left = counts.sum(0) - counts
    if not left.all():
        raise EmokitError(
            "an emotion has stories of one topic only", do="Give every emotion stories of at least two topics."
        )
    return ((sums.sum(0) - sums) / left[..., None]).astype(np.float32)


def _hits(means: Array, labels: Array, folds: Array, candidates: Sequence[Array]) -> Array:
    """`heldout_hits` with each of several sets of neutral components: boolean [candidates, stories]."""
    others = _without_each_topic(means, labels, folds)
    hits = np.zeros((len(candidates), len(labels)), bool)
    for start in range(0, len(others), FOLDS):
        part = others[start : start + FOLDS]
        tests = [folds == fold for fold in range(start, start + len(part))]
        left = [means[test] - by_emotion.mean(0) for test, by_emotion in zip(tests, part, strict=True)]
        for hit, parts in zip(hits, candidates, strict=True):
            for test, rows, unit in zip(tests, left, units(part, parts), strict=True):
                hit[test] = (rows @ unit.T).argmax(1) == labels[test]
    return hits


def sums_by_topic(means: Array, labels: Array, folds: Array) -> tuple[Array, Array]:
    """Sums of story means, float64 [topics, emotions, width], and how many stories each is of [topics, emotions].

    All that a resampling of topics needs: directions from other topics are those of weighted sums of these.
    """
    from scipy.sparse import csr_matrix

    shape = folds.max() + 1, labels.max() + 1
    cell = folds * shape[1] + labels
    member = csr_matrix((np.ones(len(cell)), (cell, np.arange(len(cell)))), (shape[0] * shape[1], len(cell)))
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    return (member @ means.astype(np.float64)).reshape(*shape, -1), counts
