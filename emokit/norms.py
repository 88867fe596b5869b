"""Norms: how pleasant and how stirred up each emotion word is rated, and whether numbers of the emotions go with that."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .files import corpus

Array = np.ndarray
PERMUTATIONS = 10_000
DRAWS = 2000


@dataclass(frozen=True, eq=False, repr=False)
class Agreement:
    """How well principal components follow a rating of the emotions.

    `r` [components] are correlations over the `count` rated emotions; `component` has the largest; `p` is the share of
    permuted ratings whose largest |r| among all components is as large, `level` the |r| that 95 % of them stay below;
    `interval` a 95 % bootstrap interval over emotions of the chosen component's r.
    """

    name: str
    count: int
    r: Array
    component: int
    p: float
    interval: tuple[float, float]
    level: float

    @property
    def found(self) -> bool:
        """Whether a component may be called by the rating's name: p is at most 0.05."""
        return self.p <= 0.05

    def __repr__(self) -> str:
        low, high = self.interval
        return f"{self.verdict} [{low:+.2f}, {high:+.2f}], p {self.p:.4f}, {self.count} rated emotions)"

    @property
    def verdict(self) -> str:
        """Which component, if any, may bear the name, and its correlation; the bracket is left open for more."""
        pc, r = f"PC{self.component + 1}", f"{self.r[self.component]:+.2f}"
        return f"{self.name} is {pc} (r {r}" if self.found else f"no component is {self.name} (the best, {pc}, r {r}"


def agreement(name: str, coordinates: Array, values: Array, seed: int = 0) -> Agreement | None:
    """Which column of coordinates [emotions, components] follows ratings [emotions] (NaN: not rated) best, and is it chance?

    None with fewer than five rated emotions.
    """
    found = agreements(name, coordinates[None], values, seed)
    return found[0] if found else None


def agreements(name: str, coordinates: Array, values: Array, seed: int = 0) -> list[Agreement]:
    """`agreement` for each of several coordinates [blocks, emotions, components], all under the same permuted ratings.

    An empty list with fewer than five rated emotions.
    """
    rated = np.isfinite(values)
    count = int(rated.sum())
    if count < 5:
        return []
    rng = np.random.default_rng(seed)
    permuted = rng.permuted(np.tile(values[rated], (PERMUTATIONS, 1)), axis=1)
    draws = rng.integers(count, size=(DRAWS, count))
    return [_agreement(name, x[rated], values[rated], permuted, draws) for x in coordinates]


def _agreement(name: str, x: Array, y: Array, permuted: Array, draws: Array) -> Agreement:
    r = correlations(x, y[None])[0]
    best = int(np.abs(r).argmax())
    null = np.abs(correlations(x, permuted)).max(1)
    p = (1 + (null >= abs(r[best]) - 1e-12).sum()) / (1 + len(null))
    low, high = np.nanquantile(rowwise(x[draws, best], y[draws]), [0.025, 0.975])
    return Agreement(name, len(y), r, best, float(p), (float(low), float(high)), float(np.quantile(null, 0.95)))


def correlations(x: Array, y: Array) -> Array:
    """Pearson correlations of each row of y [draws, emotions] with each column of x [emotions, components]."""
    x, y = x - x.mean(0), y - y.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (y @ x) / (np.linalg.norm(y, axis=1)[:, None] * np.linalg.norm(x, axis=0))


def rowwise(x: Array, y: Array) -> Array:
    """Pearson correlation of each row of x [draws, emotions] with the same row of y; NaN where a row is constant."""
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))


# ratings


@cache
def ratings() -> dict[str, dict[str, str]]:
    """The table of emotion words in `stories/emotions.csv`: cluster, valence and arousal (1-7, not by people) of each."""
    with (corpus() / "emotions.csv").open(encoding="utf-8", newline="") as file:
        return {row["emotion"]: row for row in csv.DictReader(file)}


def valence(emotions: Sequence[str]) -> Array:
    """VADER's ratings by people of how pleasant each word is, from -4 to 4: [emotions], NaN where it has none.

    Source: Hutto and Gilbert 2014, the lexicon of `vaderSentiment` (MIT).
    """
    lexicon = _vader()
    return np.array([lexicon.get(emotion, np.nan) for emotion in emotions])


@cache
def _vader() -> dict[str, float]:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer().lexicon


def arousal(emotions: Sequence[str]) -> Array:
    """Ratings from 1 to 7 of how stirred up each emotion is, made for this project and not by people: [emotions], or NaN."""
    table = ratings()
    return np.array([float(table[e]["arousal"]) if e in table else np.nan for e in emotions])
