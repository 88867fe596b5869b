"""Robustness: how firmly stories fix their directions, how many stories that takes, and how alike all states are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import selection

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
DRAWS = 200  # resamplings of the topics at the best block; at the others a fourth of it
SUBSETS = 30  # random choices of topics for each size
CHUNK = 2**24  # numbers that a resampling holds at once


@dataclass(frozen=True, eq=False, repr=False)
class Stability:
    """Cosine of each direction with itself remade from resampled topics: `cosine` [emotions], `low` and `high` 95 %.

    `by_block` [blocks] is the mean over emotions at every block. `noise` is the same at the best block with labels shuffled
    within topics: a direction made of chance keeps about 0.7, since a resample shares stories with the whole.
    """

    emotions: tuple[str, ...]
    cosine: Array
    low: Array
    high: Array
    by_block: Array
    noise: float

    def __repr__(self) -> str:
        least = int(self.cosine.argmin())
        return (
            f"Stability({self.cosine.mean():.2f} on average, least {self.emotions[least]} {self.cosine[least]:.2f} "
            f"[{self.low[least]:.2f}, {self.high[least]:.2f}]; shuffled labels {self.noise:.2f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per emotion, the least stable first: cosine, low, high."""
        import pandas as pd

        columns = {"cosine": self.cosine, "low": self.low, "high": self.high}
        return pd.DataFrame(columns, index=pd.Index(self.emotions, name="emotion")).sort_values("cosine", kind="stable")


@dataclass(frozen=True, eq=False, repr=False)
class Needed:
    """Held-out accuracy of directions made from few topics: `accuracy` [sizes, draws], for `topics` [sizes] drawn at random."""

    topics: tuple[int, ...]
    accuracy: Array

    def __repr__(self) -> str:
        return f"Needed({', '.join(f'{n} topics {a:.2f}' for n, a in zip(self.topics, self.accuracy.mean(1), strict=True))})"

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per number of topics: the mean accuracy over draws, and the range of 95 % of them."""
        import pandas as pd

        low, high = np.quantile(self.accuracy, [0.025, 0.975], axis=1)
        columns = {"accuracy": self.accuracy.mean(1), "low": low, "high": high}
        return pd.DataFrame(columns, index=pd.Index(self.topics, name="topics"))


def resampled_cosines(sums: Array, counts: Array, neutral_components: Array, weights: Array) -> Array:
    """Cosine of each emotion's direction from weighted topics with that from all: [draws, emotions], NaN without stories.

    `sums` [topics, emotions, width] and `counts` [topics, emotions] are those of `selection.sums_by_topic`, `weights`
    [draws, topics] how often each topic was drawn.
    """
    topics, emotions, width = sums.shape
    whole = selection.units((sums.sum(0) / counts.sum(0)[:, None]).astype(np.float32), neutral_components)
    flat = sums.reshape(topics, -1).astype(np.float32)
    found = []
    step = max(1, CHUNK // (emotions * width))
    for start in range(0, len(weights), step):
        part = weights[start : start + step].astype(np.float32)
        size = part @ counts.astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            by_emotion = (part @ flat).reshape(-1, emotions, width) / size[:, :, None]
        empty = size == 0
        by_emotion[empty] = 0
        # an emotion that a draw left out is left out of the mean over emotions, too
        centre = by_emotion.sum(1) / np.maximum(1, (~empty).sum(1))[:, None]
        rows = by_emotion - centre[:, None]
        rows = rows - rows @ neutral_components.T @ neutral_components
        cosine = (rows * whole).sum(2) / np.maximum(1e-12, np.linalg.norm(rows, axis=2))
        found.append(np.where(empty, np.nan, cosine))
    return np.concatenate(found)


def drawn(topics: int, draws: int, rng: np.random.Generator) -> Array:
    """How often each topic is drawn, with replacement and as many as there are: [draws, topics]."""
    return rng.multinomial(topics, np.full(topics, 1 / topics), size=draws)


def anisotropy(means: Array, labels: Array, folds: Array) -> Array:
    """Mean cosine between stories of different emotions and topics at each block [blocks]; raw, before any centring.

    Near 1, all states point much the same way, and only centred ones tell stories apart. NaN without such a pair.
    """
    cell = folds * (labels.max() + 1) + labels
    found = []
    for block in range(means.shape[1]):
        rows = means[:, block].astype(np.float64)
        rows /= np.maximum(1e-12, np.linalg.norm(rows, axis=1, keepdims=True))
        # all pairs, less those of one emotion, less those of one topic, plus those of both, which were taken twice
        parts = [_pairs(rows, group) for group in (np.zeros_like(labels), labels, folds, cell)]
        total, count = (parts[0][i] - parts[1][i] - parts[2][i] + parts[3][i] for i in (0, 1))
        found.append(total / count if count > 0 else np.nan)
    return np.array(found)


def _pairs(rows: Array, group: Array) -> tuple[float, float]:
    """The sum of cosines over ordered pairs of rows of one group, each with itself too, and the number of pairs."""
    sums, counts = selection.sums_by_topic(rows, group, np.zeros_like(group))
    return float((sums**2).sum()), float((counts.astype(float) ** 2).sum())


def needed(means: Array, labels: Array, folds: Array, neutral_components: Array, rng: np.random.Generator) -> Needed:
    """Accuracy at one block on the other topics' stories, with directions from 1, 2, 4, ... topics and all but one.

    `means` is [stories, width]. An emotion without a story in a draw has no direction, so its stories count as missed.
    """
    sums, counts = selection.sums_by_topic(means, labels, folds)
    topics = len(sums)
    sizes = sorted({n for n in (1, 2, 4, 8, 16, 32, 64) if n < topics - 1} | {topics - 1})
    accuracy = np.empty((len(sizes), SUBSETS))
    for row, size in enumerate(sizes):
        for column in range(SUBSETS):
            chosen = rng.permutation(topics)[:size]
            count = counts[chosen].sum(0)
            there = count > 0
            by_emotion = (sums[chosen].sum(0)[there] / count[there, None]).astype(np.float32)
            test = ~np.isin(folds, chosen)
            scores = np.full((int(test.sum()), len(count)), -np.inf)
            rows = selection.units(by_emotion, neutral_components)
            scores[:, there] = (means[test] - by_emotion.mean(0)) @ rows.T
            accuracy[row, column] = (scores.argmax(1) == labels[test]).mean()
    return Needed(tuple(sizes), accuracy)


def stability(
    means: Array, parts: Array, block: int, labels: Array, shuffled: Array, folds: Array,
    emotions: tuple[str, ...], rng: np.random.Generator,
) -> Stability:  # fmt: skip
    """Bootstrap over topics at `block`, and fewer draws at every block; `shuffled` are labels shuffled within topics.

    `parts` are the neutral components taken out at every block, [blocks, components, width].
    """
    topics = int(folds.max()) + 1
    weights = drawn(topics, DRAWS, rng)
    at_best = resampled_cosines(*selection.sums_by_topic(means[:, block], labels, folds), parts[block], weights)
    chance = resampled_cosines(*selection.sums_by_topic(means[:, block], shuffled, folds), parts[block], weights)
    few = weights[: DRAWS // 4]
    by_block = [
        np.nanmean(resampled_cosines(*selection.sums_by_topic(means[:, b], labels, folds), parts[b], few))
        for b in range(means.shape[1])
    ]
    low, high = np.nanquantile(at_best, [0.025, 0.975], axis=0)
    return Stability(emotions, np.nanmean(at_best, 0), low, high, np.array(by_block), float(np.nanmean(chance)))
