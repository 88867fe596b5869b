"""Prediction: from the directions of the other emotions, how pleasant do people find a word that was left out?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import norms
from .errors import EmokitError, check_kinds, check_whole
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
PENALTY = 1.0  # of the ridge regression, fixed beforehand; the rows have length 1
RATINGS = {"valence": norms.valence, "arousal": norms.arousal}


@dataclass(frozen=True, eq=False, repr=False)
class LeftOut:
    """A rating of each word, predicted from the directions of all other words at one block.

    `predicted` and `rated` [emotions] are of the rated `emotions` alone; `r` their correlation; `p` the share of permuted
    ratings that are predicted as well; `interval` a 95 % bootstrap interval over emotions. `by_block` and `p_by_block`
    [blocks] are the same everywhere, `level` [blocks] what 95 % of permuted ratings stay below.
    """

    name: str
    emotions: tuple[str, ...]
    block: int
    predicted: Array
    rated: Array
    r: float
    p: float
    interval: tuple[float, float]
    by_block: Array
    p_by_block: Array
    level: Array

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"LeftOut({self.name} of left-out words at block {self.block}: r {self.r:+.2f} [{low:+.2f}, {high:+.2f}], "
            f"p {self.p:.4f}, {len(self.emotions)} words)"
        )

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per word: rated, predicted; the worst predicted first."""
        import pandas as pd

        columns = {"rated": self.rated, "predicted": self.predicted}
        frame = pd.DataFrame(columns, index=pd.Index(self.emotions, name="emotion"))
        return frame.iloc[np.argsort(-np.abs(self.rated - self.predicted), kind="stable")]

    def plot(self) -> Figure:
        """Predicted against rated at the block, and r at every block beside what permuted ratings reach."""
        from . import plots

        low, high = self.interval
        told = f"r {self.r:+.2f} [{low:+.2f}, {high:+.2f}], p {self.p:.4f}"
        can = "can be" if self.p <= 0.05 else "cannot be"
        return plots.prediction(
            self.rated, self.predicted, self.emotions, by_block=self.by_block, level=self.level, chosen=self.block,
            name=self.name, title=f"{self.name.capitalize()} of a left-out word {can} predicted from the other directions: {told}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def left_out(vectors: EmotionVectors, block: int | None = None, *, rating: str = "valence", seed: int = 0) -> LeftOut:
    """Predict the `rating` of each emotion's word, "valence" (VADER, by people) or "arousal", from the other directions.

    Ridge regression on the directions of all other rated words, each word left out in turn, at every block. The interval
    takes the predictions as they are. Words of much the same meaning help each other. Raises EmokitError with fewer than
    five rated emotions.

    >>> emokit.geometry.left_out(vectors)
    """
    check_kinds((vectors, EmotionVectors))
    check_whole(seed, "a seed")
    block = vectors.block(block)
    if not isinstance(rating, str) or rating not in RATINGS:
        raise EmokitError("unknown rating", rating, 'Use "valence" or "arousal".')
    values = RATINGS[rating](vectors.emotions)
    known = np.isfinite(values)
    y = values[known]
    if len(y) < 5:
        raise EmokitError("too few rated emotions", vectors.emotions, "Extract at least five that the ratings have.")
    rng = np.random.default_rng(seed)
    permuted = rng.permuted(np.tile(y, (norms.PERMUTATIONS, 1)), axis=1)
    by_block, p, level = [], [], []
    for rows in vectors.directions[:, known]:
        operator = leave_one_out(rows)
        by_block.append(norms.rowwise((operator @ y)[None], y[None])[0])
        null = norms.rowwise(permuted @ operator.T, permuted)
        p.append((1 + (null >= by_block[-1] - 1e-12).sum()) / (1 + len(null)))
        level.append(np.quantile(null, 0.95))
    predicted = leave_one_out(vectors.at(block)[known]) @ y
    draws = rng.integers(len(y), size=(norms.DRAWS, len(y)))
    low, high = np.nanquantile(norms.rowwise(predicted[draws], y[draws]), [0.025, 0.975])
    return LeftOut(
        rating, tuple(e for e, there in zip(vectors.emotions, known, strict=True) if there), block, predicted, y,
        float(by_block[block]), float(p[block]), (float(low), float(high)), np.array(by_block), np.array(p), np.array(level),
    )  # fmt: skip


def leave_one_out(rows: Array, penalty: float = PENALTY) -> Array:
    """The matrix [words, words] that turns ratings into each word's prediction from all others, by ridge regression.

    Linear, so any number of permuted ratings costs one product. Source: the leave-one-out identity, Hastie, Tibshirani and
    Friedman 2009, The Elements of Statistical Learning, section 7.10.
    """
    centred = rows.astype(float) - rows.mean(0, dtype=float)
    gram = centred @ centred.T
    hat = np.full_like(gram, 1 / len(gram)) + np.linalg.solve(gram + penalty * np.eye(len(gram)), gram)
    own = np.diag(hat)
    return (hat - np.diag(own)) / (1 - own)[:, None]
