"""Representational similarity: do two sets of directions, of two blocks or two models, lie to each other in the same way?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import EmokitError, check_kinds, check_whole
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
PERMUTATIONS = 2000
BOOTSTRAP = 2000
MAP_PERMUTATIONS = 100
LEAST = 5  # shared emotions: four have six cosines and 24 permutations, too few for a test


@dataclass(frozen=True, eq=False, repr=False)
class Similarity:
    """How alike two sets of directions lie: Spearman's `rho` between the cosines of all pairs of their shared emotions.

    `one` and `other` [emotions, emotions] are the cosines, `blocks` where they were taken; `p` is the share of permuted
    emotions of one side that reach rho (Mantel test); `interval` a 95 % bootstrap interval over emotions.
    """

    emotions: tuple[str, ...]
    blocks: tuple[int, int]
    one: Array
    other: Array
    rho: float
    p: float
    interval: tuple[float, float]

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Similarity(block {self.blocks[0]} and block {self.blocks[1]}: rho {self.rho:+.2f} [{low:+.2f}, {high:+.2f}], "
            f"p {self.p:.4f}, {len(self.emotions)} emotions)"
        )

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per pair of emotions: the cosine on either side, those that differ most first."""
        import pandas as pd

        i, j = np.triu_indices(len(self.emotions), 1)
        names = np.array(self.emotions, dtype=object)
        frame = pd.DataFrame({"first": names[i], "second": names[j], "one": self.one[i, j], "other": self.other[i, j]})
        order = np.argsort(-np.abs(frame["one"] - frame["other"]), kind="stable")
        return frame.iloc[order].reset_index(drop=True)

    def plot(self) -> Figure:
        """Each pair of emotions as a point, its cosine on one side against that on the other."""
        from . import plots

        pairs = np.triu_indices(len(self.emotions), 1)
        low, high = self.interval
        return plots.pairs(
            self.one[pairs], self.other[pairs],
            xlabel=f"cosine in the one, block {self.blocks[0]}", ylabel=f"cosine in the other, block {self.blocks[1]}",
            title=f"Pairs of emotions lie alike: rho {self.rho:+.2f} [{low:+.2f}, {high:+.2f}], p {self.p:.4f}"
            if self.p <= 0.05 else f"No likeness beyond chance: rho {self.rho:+.2f}, p {self.p:.4f}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def similarity(
    one: EmotionVectors, other: EmotionVectors | None = None, block: int | None = None, other_block: int | None = None, *, seed: int = 0
) -> Similarity:  # fmt: skip
    """Whether two sets of directions lie alike, of two models or, with `other=None`, of two blocks of one.

    Best blocks are taken unless given. Emotions that both have are compared. Directions made from the same stories share
    those stories' chance, so some likeness is theirs. Source: Kriegeskorte, Mur and Bandettini 2008, Frontiers in Systems
    Neuroscience 2:4; Mantel 1967 for the permutation test. Raises EmokitError with fewer than five shared emotions, and
    where both sides are the same block of the same vectors.

    >>> emokit.geometry.similarity(vectors, other_block=29)
    """
    other = _checked(one, other, seed)
    places = one.block(block), other.block(other_block)
    if other is one and places[0] == places[1]:
        raise EmokitError(
            "the same directions on both sides, at block", places[0], "Name another block: other_block=3."
        )
    emotions, rows, columns = _shared(one, other)
    a, b = one.at(places[0])[rows], other.at(places[1])[columns]
    a, b = (a @ a.T).astype(float), (b @ b.T).astype(float)
    rng = np.random.default_rng(seed)
    x, y = _ranked(a[None])[0], _ranked(b[None])[0]
    rho = float((x * y).sum())
    orders = [rng.permutation(len(x)) for _ in range(PERMUTATIONS)]
    null = np.array([(x * y[order][:, order]).sum() for order in orders])
    p = (1 + (null >= rho - 1e-9).sum()) / (1 + PERMUTATIONS)
    drawn = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=BOOTSTRAP).astype(float)
    low, high = np.nanquantile(_resampled(x, y, drawn), [0.025, 0.975])
    return Similarity(emotions, places, a, b, rho, float(p), (float(low), float(high)))


@dataclass(frozen=True, eq=False, repr=False)
class SimilarityMap:
    """Spearman's rho of `similarity` for every pair of blocks: `values` [blocks of one, blocks of the other].

    `level` is what the largest of all pairs stays below for 95 % of permuted emotions; `best` both best blocks; `same`
    whether both sides are the same vectors.
    """

    emotions: tuple[str, ...]
    values: Array
    level: float
    best: tuple[int, int]
    same: bool

    def __repr__(self) -> str:
        where = np.unravel_index(int(self.values.argmax()), self.values.shape)
        most = "" if self.same else f"; most alike: blocks {where[0]} and {where[1]}, {self.values.max():.2f}"
        return (
            f"SimilarityMap({self.values.shape[0]} x {self.values.shape[1]} blocks; best blocks {self.best[0]} and {self.best[1]}: "
            f"{self.values[self.best]:.2f}{most}; chance reaches {self.level:.2f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """The table of rho, a row per block of the one and a column per block of the other."""
        import pandas as pd

        return pd.DataFrame(self.values).rename_axis(index="block", columns="other block")

    def plot(self) -> Figure:
        """The map, pairs of blocks beyond chance outlined, the best blocks marked."""
        from . import plots

        beyond = (self.values > self.level).mean()
        return plots.block_map(
            self.values, level=self.level, best=self.best, names=("block", "block" if self.same else "block of the other model"),
            title=f"{beyond:.0%} of pairs of blocks lay the emotions out more alike than chance",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def similarity_map(one: EmotionVectors, other: EmotionVectors | None = None, *, seed: int = 0) -> SimilarityMap:
    """`similarity` for every block of one against every block of another, or, with `other=None`, of itself.

    Raises EmokitError with fewer than five shared emotions.

    >>> emokit.geometry.similarity_map(vectors).plot()
    """
    other = _checked(one, other, seed)
    emotions, rows, columns = _shared(one, other)
    a, b = one.directions[:, rows].astype(float), other.directions[:, columns].astype(float)
    x, y = _ranked(a @ a.transpose(0, 2, 1)), _ranked(b @ b.transpose(0, 2, 1))
    flat = x.reshape(len(x), -1)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(emotions)) for _ in range(MAP_PERMUTATIONS)]
    null = [(flat @ y[:, order][:, :, order].reshape(len(y), -1).T).max() for order in orders]
    values = flat @ y.reshape(len(y), -1).T
    best = one.best_block, other.best_block
    return SimilarityMap(emotions, values, float(np.quantile(null, 0.95)), best, other is one)


def _checked(one: EmotionVectors, other: EmotionVectors | None, seed: int) -> EmotionVectors:
    check_kinds((one, EmotionVectors), (one if other is None else other, EmotionVectors))
    check_whole(seed, "a seed")
    return one if other is None else other


def _shared(one: EmotionVectors, other: EmotionVectors) -> tuple[tuple[str, ...], list[int], list[int]]:
    emotions = tuple(e for e in one.emotions if e in other.emotions)
    if len(emotions) < LEAST:
        raise EmokitError(
            "too few emotions that both have", emotions, f"Extract at least {LEAST} of the same names on both sides."
        )
    return emotions, [one.index(e) for e in emotions], [other.index(e) for e in emotions]


def _ranked(cosines: Array) -> Array:
    """Ranks of the cosines above the diagonal [..., emotions, emotions], so that a product's sum is Spearman's rho."""
    from scipy.stats import rankdata

    count = cosines.shape[-1]
    i, j = np.triu_indices(count, 1)
    ranks = rankdata(cosines[:, i, j], axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    ranks /= np.maximum(1e-12, np.linalg.norm(ranks, axis=1, keepdims=True)) * np.sqrt(2)  # each pair stands twice
    out = np.zeros_like(cosines)
    out[:, i, j] = out[:, j, i] = ranks
    return out


def _resampled(x: Array, y: Array, drawn: Array) -> Array:
    """Correlation of ranks over emotions `drawn` so often [draws, emotions]: [draws]; pairs of an emotion with itself are left out.

    A pair counts as often as its two emotions were drawn together; the ranks are those among all pairs.
    """

    def total(values: Array) -> Array:
        return ((drawn @ values) * drawn).sum(1)

    pairs = total(1 - np.eye(len(x)))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = total(x) / pairs, total(y) / pairs
        spread = (total(x * x) / pairs - mean_x**2) * (total(y * y) / pairs - mean_y**2)
        return (total(x * y) / pairs - mean_x * mean_y) / np.sqrt(spread)
