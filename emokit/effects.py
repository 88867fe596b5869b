"""Statistics on arrays: rank correlation, slope, random directions, permuted doses, bootstraps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from numbers import Real
from typing import Any

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student

Array = np.ndarray
DIRECTIONS = 1000  # random directions of the null
ORDERS = 10_000  # orders of the values drawn where there are more than 8 of them, and all 40,320 would be slow
CORRELATIONS = 1000  # bootstrap draws of a rank correlation
FEWEST = 5  # values from which on their mean has an interval
SPREAD = 8  # slopes are per doubling where the values cover more than a factor of this


@cache
def orders(count: int) -> Array:
    """All orders of `count` values, or 10,000 drawn ones where there are more than 8: int [orders, count], as they are first."""
    if count <= 8:
        return np.array(list(itertools.permutations(range(count))))
    rng = np.random.default_rng(0)
    drawn = rng.permuted(np.tile(np.arange(count), (ORDERS - 1, 1)), axis=1)
    return np.concatenate([np.arange(count)[None], drawn])


def spearman(curve: Array) -> tuple[float, float]:
    """Spearman's rho of a curve [values] with the order of its values, and p: the share of orders with |rho| as large.

    Exact for up to 8 values. A flat curve has rho 0 and p 1.
    """
    ranks = rankdata(curve)
    ranks -= ranks.mean()
    length = np.linalg.norm(ranks)
    if not length:
        return 0.0, 1.0
    steps = orders(len(curve)) - (len(curve) - 1) / 2
    rhos = steps @ ranks / (length * np.linalg.norm(steps[0]))
    return float(rhos[0]), float((np.abs(rhos) >= abs(rhos[0]) - 1e-9).mean())


def rank_correlation(x: Array, y: Array, groups: Array, seed: int) -> tuple[float, float, float]:
    """Spearman's rho of pairs, and its 95 % bootstrap interval over `groups`, whose pairs belong together.

    NaN for fewer than 5 pairs, and where either side is always the same.
    """
    if len(x) < FEWEST or not np.ptp(x) or not np.ptp(y):
        return (math.nan,) * 3

    def rho(rows: Array) -> float:
        a, b = rankdata(x[rows]), rankdata(y[rows])
        a, b = a - a.mean(), b - b.mean()
        length = np.sqrt((a @ a) * (b @ b))
        return float(a @ b / length) if length else math.nan

    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    draws = np.array([
        rho(np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]))
        for _ in range(CORRELATIONS)
    ])  # fmt: skip
    return (rho(np.arange(len(x))), *interval(draws[np.isfinite(draws)]))


def doublings(values: Sequence[Any]) -> Array | None:
    """log2 of the values where they are positive numbers that rise by more than a factor of 8 in all; else None."""
    numbers = [float(v) for v in values if isinstance(v, Real)]
    numbers = [v for v in numbers if math.isfinite(v) and v > 0]
    rising = len(numbers) == len(values) and all(a < b for a, b in itertools.pairwise(numbers))
    if not rising or not numbers[-1] / numbers[0] > SPREAD:
        return None
    return np.log2(np.array(numbers, float))


def slope(curve: Array, at: Array | None = None) -> float:
    """Least-squares slope of a curve over `at` (doublings), or from each value to the next where that is None."""
    x = np.arange(len(curve), dtype=float) if at is None else at
    x = x - x.mean()
    return float(x @ np.asarray(curve, float) / (x @ x))


@cache
def mixtures(count: int, seed: int) -> Array:
    """Weights of random directions in the span of the emotions: [draws, emotions], drawn as `vectors.random` does."""
    drawn = np.random.default_rng(seed).standard_normal((DIRECTIONS, count))
    return drawn - drawn.mean(1, keepdims=True)


def random_scores(scores: Array, gram: Array, seed: int) -> Array:
    """Scores along random unit directions in the span of the emotions, from the emotions' own [..., emotions]: [..., draws].

    `gram` [emotions, emotions] holds the cosines of the emotions' directions. A mixture of directions has the same mixture
    of scores, over its own length.
    """
    drawn = mixtures(len(gram), seed)
    lengths = np.sqrt(np.maximum(((drawn @ gram) * drawn).sum(1), 1e-24))
    return np.asarray(scores, float) @ (drawn / lengths[:, None]).T


def interval(draws: Array) -> tuple[float, float]:
    """The 95 % interval of bootstrap draws; NaN where there are none."""
    if not len(draws):
        return math.nan, math.nan
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def mean_interval(values: Array, draws: int, seed: int) -> tuple[float, float, float]:
    """The mean of values and its 95 % bootstrap interval over them; NaN for none, and as an interval of fewer than 5."""
    if not len(values):
        return (math.nan,) * 3
    if len(values) < FEWEST:  # drawn from so few, it would be far too narrow
        return float(values.mean()), math.nan, math.nan
    return float(values.mean()), *interval(resampled_mean(values[:, None], draws, seed))


def enough(count: int, share: float) -> bool:
    """Whether so many values could leave 0 with an error of `share`: of 5, chance gives all the same sign in 2 of 32 cases."""
    return count > 0 and 2.0 ** (1 - count) <= share


def sign(values: Array, share: float) -> int:
    """Which way the mean of values leaves 0, by a t interval with an error of `share`; 0 for neither, and for too few.

    A bootstrap of a few values would claim far too often.
    """
    if not enough(len(values), share):
        return 0
    half = student.ppf(1 - share / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return 1 if values.mean() > half else -1 if values.mean() < -half else 0


def against_random(values: Array | float, null: Array) -> Array:
    """p of effects [...] held against those of random directions [count], taken as a t distribution about 0 with as many
    degrees of freedom as there are of them; NaN without any."""
    if not len(null):
        return np.full(np.shape(values), math.nan)
    scale = max(float(np.sqrt(np.mean(null**2))), np.finfo(float).tiny)
    return 2 * student.sf(np.abs(values) / scale, len(null))


def shown(found: tuple[float, float, float], form: str = "+.2f") -> str:
    """A value with its interval as text; without it where there is none."""
    value, low, high = found
    return f"{value:{form}} [{low:{form}}, {high:{form}}]" if math.isfinite(low) else f"{value:{form}}"


def resampled_mean(changes: Array, draws: int, seed: int) -> Array:
    """Bootstrap means over wordings: `changes` [wordings, draws or 1], each draw of as many wordings anew: [draws]."""
    count, given = changes.shape
    picked = np.random.default_rng(seed).integers(0, count, (count, draws))
    return changes[picked, np.arange(draws) % given].mean(0)
