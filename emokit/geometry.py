"""Geometry: how the emotion directions lie to each other, and which of their axes people would call valence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import selection
from .components import PCA, enough, pca, pcas
from .confounds import Confounds, confounds
from .errors import EmokitError, check_kinds, check_whole
from .norms import Agreement, agreement, agreements, arousal, ratings, valence
from .prediction import LeftOut, left_out
from .similarity import Similarity, SimilarityMap, similarity, similarity_map
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
PERMUTATIONS = 1000

__all__ = [
    "PCA", "Agreement", "AgreementByBlock", "Confounds", "Cosines", "LeftOut", "Similarity", "SimilarityMap", "agreement", "agreements", "arousal",
    "by_block", "confounds", "cosines", "left_out", "pca", "pcas", "ratings", "similarity", "similarity_map", "valence",
]  # fmt: skip


# every block


@dataclass(frozen=True, eq=False, repr=False)
class AgreementByBlock:
    """`Agreement` of the components with valence and arousal at every block, [blocks] each; empty without enough ratings.

    Only at `best_block`, chosen on stories beforehand, may a component bear a rating's name: among all blocks some would
    pass by chance.
    """

    valence: tuple[Agreement, ...]
    arousal: tuple[Agreement, ...]
    best_block: int

    def __repr__(self) -> str:
        found = [str(a[self.best_block]) for a in (self.valence, self.arousal) if a]
        return f"AgreementByBlock(at block {self.best_block}, chosen on stories: {'; '.join(found)})"

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per block, `chosen` marking the best one: for each rating the component, r, interval, p."""
        import pandas as pd

        count = max(len(self.valence), len(self.arousal))
        frame = pd.DataFrame({"chosen": [b == self.best_block for b in range(count)]}).rename_axis("block")
        for name, found in (("valence", self.valence), ("arousal", self.arousal)):
            if found:
                frame[name] = [f"PC{a.component + 1}" for a in found]
                frame[f"{name}_r"] = [abs(a.r[a.component]) for a in found]
                frame[f"{name}_low"], frame[f"{name}_high"] = zip(*map(_upright, found), strict=True)
                frame[f"{name}_p"] = [a.p for a in found]
        return frame

    def plot(self) -> Figure:
        """|r| of the best component at every block with its interval, beside what permuted ratings reach."""
        from . import plots

        shown = {name: found for name, found in (("valence", self.valence), ("arousal", self.arousal)) if found}
        names = [a[self.best_block].verdict + ")" for a in shown.values()]
        return plots.agreement_by_block(
            {
                name: {
                    "r": [abs(a.r[a.component]) for a in found],
                    "interval": [_upright(a) for a in found],
                    "level": [a.level for a in found],
                    "component": [a.component for a in found],
                }
                for name, found in shown.items()
            },
            chosen=self.best_block, title=f"At block {self.best_block}, chosen beforehand: {'; '.join(names)}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def _upright(found: Agreement) -> tuple[float, float]:
    """The interval of |r|: that of r, turned so that r is positive."""
    low, high = sorted(float(np.sign(found.r[found.component]) or 1) * bound for bound in found.interval)
    return low, high


def by_block(vectors: EmotionVectors, *, seed: int = 0) -> AgreementByBlock:
    """How well the components follow valence and arousal at every block, all under the same permuted ratings.

    The p of each block counts the choice among its components, not among blocks. Raises EmokitError with fewer than three
    emotions, or fewer than five that are rated.

    >>> emokit.geometry.by_block(vectors).to_frame()
    """
    check_kinds((vectors, EmotionVectors))
    check_whole(seed, "a seed")
    count = enough(vectors)
    centred = vectors.directions - vectors.directions.mean(1, keepdims=True)
    coordinates = np.stack([rows @ selection.components(rows, count).T for rows in centred])
    pleasant = tuple(agreements("valence", coordinates, valence(vectors.emotions), seed))
    stirred = tuple(agreements("arousal", coordinates, arousal(vectors.emotions), seed))
    if not pleasant and not stirred:
        raise EmokitError("too few rated emotions", vectors.emotions, "Extract at least five that the ratings have.")
    return AgreementByBlock(pleasant, stirred, vectors.best_block)


# cosines


@dataclass(frozen=True, eq=False, repr=False)
class Cosines:
    """Cosines between the directions of one block, `values` [emotions, emotions], the emotions ordered by cluster.

    `contrast` is the mean cosine within clusters minus that between them; `p` the share of permuted cluster labels that
    reach it.
    """

    emotions: tuple[str, ...]
    clusters: tuple[str, ...]
    block: int
    values: Array
    contrast: float
    p: float

    def __repr__(self) -> str:
        return f"Cosines(block {self.block}: within clusters {self.contrast:+.2f} over between, p {self.p:.4f})"

    def to_frame(self) -> pd.DataFrame:
        """The table of cosines, a row and a column per emotion."""
        import pandas as pd

        return pd.DataFrame(self.values, index=list(self.emotions), columns=list(self.emotions))

    def plot(self) -> Figure:
        """The cosines as a map, clusters framed."""
        from . import plots

        title = f"Cosines at block {self.block}: within clusters {self.contrast:+.2f} over between (p {self.p:.4f})"
        return plots.cosine_map(self.values, self.emotions, self.clusters, title=title)

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def cosines(vectors: EmotionVectors, block: int | None = None, *, seed: int = 0) -> Cosines:
    """How alike the directions are at a block, ordered by the paper's ten clusters of emotion words.

    The clusters are those that the paper found in Claude, so agreement with them is a comparison, not a fit to this model.
    Emotions outside the table of words form a cluster of their own.

    >>> emokit.geometry.cosines(vectors).plot()
    """
    check_kinds((vectors, EmotionVectors))
    check_whole(seed, "a seed")
    table = ratings()
    names = list(dict.fromkeys(row["cluster"] for row in table.values()))
    names.sort(key=lambda c: -np.mean([float(row["valence"]) for row in table.values() if row["cluster"] == c]))
    own = [table[e]["cluster"] if e in table else "others" for e in vectors.emotions]
    order = sorted(range(len(own)), key=lambda i: [*names, "others"].index(own[i]))
    rows = vectors.at(block)[order]
    values = rows @ rows.T
    labels = np.array([own[i] for i in order])
    pairs = np.triu_indices(len(labels), 1)

    def contrast(labels: Array) -> float:
        same = (labels[:, None] == labels)[pairs]
        return float(values[pairs][same].mean() - values[pairs][~same].mean()) if 0 < same.sum() < len(same) else 0.0

    observed = contrast(labels)
    rng = np.random.default_rng(seed)
    null = np.array([contrast(rng.permutation(labels)) for _ in range(PERMUTATIONS)])
    p = (1 + (null >= observed - 1e-12).sum()) / (1 + len(null))
    return Cosines(
        tuple(vectors.emotions[i] for i in order),
        tuple(labels.tolist()),
        vectors.block(block),
        values,
        observed,
        float(p),
    )
