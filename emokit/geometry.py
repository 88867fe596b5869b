"""Geometry: how the emotion directions lie to each other, and which of their axes people would call valence."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .errors import EmokitError
from .files import corpus
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
COMPONENTS = 5  # principal components that are kept and tested; the p counts the choice among them
PERMUTATIONS = 10_000


@dataclass(frozen=True, eq=False, repr=False)
class Agreement:
    """How well principal components follow a rating of the emotions.

    `r` [components] are correlations over the `count` rated emotions; `component` has the largest; `p` is the share of
    permuted ratings whose largest |r| among all components is as large; `interval` a 95 % bootstrap interval over emotions
    of the chosen component's r.
    """

    name: str
    count: int
    r: Array
    component: int
    p: float
    interval: tuple[float, float]

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


@dataclass(frozen=True, eq=False, repr=False)
class PCA:
    """Principal components of the emotion directions at one block.

    `coordinates` float32 [emotions, components]; `variance` [components] their shares of the whole; `axes` [components, width]
    unit rows; `valence` (VADER's ratings by people) and `arousal` (rated for this project, not by people) tell which
    component follows them. Where a component is found to be valence, more of it is more pleasant; likewise arousal.
    """

    emotions: tuple[str, ...]
    block: int
    coordinates: Array
    variance: Array
    axes: Array
    valence: Agreement | None
    arousal: Agreement | None

    def __repr__(self) -> str:
        shares = ", ".join(f"PC{i + 1} {share:.0%}" for i, share in enumerate(self.variance[:3]))
        found = [str(agreement) for agreement in (self.valence, self.arousal) if agreement]
        return f"PCA(block {self.block}: {'; '.join([shares, *found])})"

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per emotion: its coordinates, cluster, and ratings."""
        import pandas as pd

        columns = [f"PC{i + 1}" for i in range(len(self.variance))]
        frame = pd.DataFrame(self.coordinates, columns=columns, index=pd.Index(self.emotions, name="emotion"))
        table = ratings()
        frame["cluster"] = [table[e]["cluster"] if e in table else "" for e in self.emotions]
        frame["valence"] = valence(self.emotions)
        frame["arousal"] = arousal(self.emotions)
        return frame

    def plot(self, axes: tuple[int, int] = (0, 1)) -> Figure:
        """The emotions on two components (0-based), coloured by how pleasant people rate the word."""
        from . import plots

        found = {a.component: a.name for a in (self.arousal, self.valence) if a and a.found}
        names = [
            f"PC{i + 1}{f' = {found[i]}' if i in found else ''} ({self.variance[i]:.0%} of variance)" for i in axes
        ]
        return plots.scatter(
            self.coordinates[:, list(axes)], self.emotions, colour=valence(self.emotions), xlabel=names[0], ylabel=names[1],
            colour_label="how pleasant the word is (VADER)", title=f"Block {self.block}" + (f": {self.valence.verdict}, p {self.valence.p:.4f})" if self.valence else ""),
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def pca(vectors: EmotionVectors, block: int | None = None, *, seed: int = 0) -> PCA:
    """Principal components of the directions at a block, and whether one of them is valence or arousal.

    A component is called valence only if its correlation with VADER's ratings is beyond what the best of all components
    reaches with permuted ratings (p <= 0.05). The paper's Claude has valence on PC1 (r 0.81) and arousal on PC2 (0.66).
    Raises EmokitError with fewer than three emotions.

    >>> emokit.geometry.pca(vectors).valence
    """
    if len(vectors.emotions) < 3:
        raise EmokitError("too few emotions for components", vectors.emotions, "Extract at least three.")
    rows = vectors.at(block)
    centred = rows - rows.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    count = min(COMPONENTS, len(rows) - 1)
    axes = axes[:count]
    coordinates = centred @ axes.T
    agreements = {
        name: agreement(name, coordinates, values, seed)
        for name, values in (("valence", valence(vectors.emotions)), ("arousal", arousal(vectors.emotions)))
    }
    signs = np.where(np.abs(coordinates).max(0) == coordinates.max(0), 1, -1)  # the farthest emotion lies on the right
    for name in ("arousal", "valence"):  # where one component is both, it is turned by valence
        found = agreements[name]
        if found and found.found:
            signs[found.component] = np.sign(found.r[found.component])
    turned = {name: _turned(found, signs) for name, found in agreements.items()}
    return PCA(
        vectors.emotions, vectors.block(block), (coordinates * signs).astype(np.float32),
        (sizes**2 / (sizes**2).sum())[:count], axes * signs[:, None], turned["valence"], turned["arousal"],
    )  # fmt: skip


def agreement(name: str, coordinates: Array, values: Array, seed: int = 0) -> Agreement | None:
    """Which column of coordinates [emotions, components] follows ratings [emotions] (NaN: not rated) best, and is it chance?

    None with fewer than five rated emotions.
    """
    rated = np.isfinite(values)
    count = int(rated.sum())
    if count < 5:
        return None
    x, y = coordinates[rated], values[rated]
    r = _correlations(x, y[None])[0]
    best = int(np.abs(r).argmax())
    rng = np.random.default_rng(seed)
    permuted = rng.permuted(np.tile(y, (PERMUTATIONS, 1)), axis=1)
    null = np.abs(_correlations(x, permuted)).max(1)
    p = (1 + (null >= abs(r[best]) - 1e-12).sum()) / (1 + PERMUTATIONS)
    draws = rng.integers(count, size=(2000, count))
    spread = [_correlations(x[d, best : best + 1], y[d][None])[0, 0] for d in draws]
    low, high = np.nanquantile(spread, [0.025, 0.975])
    return Agreement(name, count, r, best, float(p), (float(low), float(high)))


def _correlations(x: Array, y: Array) -> Array:
    """Pearson correlations of each row of y [draws, emotions] with each column of x [emotions, components]."""
    x, y = x - x.mean(0), y - y.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (y @ x) / (np.linalg.norm(y, axis=1)[:, None] * np.linalg.norm(x, axis=0))


def _turned(found: Agreement | None, signs: Array) -> Agreement | None:
    if found is None:
        return None
    low, high = sorted(signs[found.component] * bound for bound in found.interval)
    return replace(found, r=found.r * signs, interval=(low, high))


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
    null = np.array([contrast(rng.permutation(labels)) for _ in range(PERMUTATIONS // 10)])
    p = (1 + (null >= observed - 1e-12).sum()) / (1 + len(null))
    return Cosines(
        tuple(vectors.emotions[i] for i in order),
        tuple(labels.tolist()),
        vectors.block(block),
        values,
        observed,
        float(p),
    )
