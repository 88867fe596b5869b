"""Components: the principal axes of the emotion directions, and which of them people would call valence or arousal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import EmokitError, check_kinds, check_whole
from .norms import Agreement, agreements, arousal, ratings, valence
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
COMPONENTS = 5  # principal components that are kept and tested; the p counts the choice among them


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

        if len(axes) != 2 or not all(i in range(len(self.variance)) for i in axes):
            raise EmokitError("no such components", axes, f"Give two of 0 to {len(self.variance) - 1}.")
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
    check_kinds((vectors, EmotionVectors))
    check_whole(seed, "a seed")
    return _planes(vectors, [vectors.block(block)], seed)[0]


def pcas(vectors: EmotionVectors, *, seed: int = 0) -> list[PCA]:
    """`pca` at every block, each component turned so that the emotions lie much as they do on it at the next block.

    The best block is turned as `pca` turns it, and the others by their neighbour on its side; so that nothing flips when one
    moves from block to block.

    >>> emokit.geometry.pcas(vectors)[vectors.best_block]
    """
    check_kinds((vectors, EmotionVectors))
    check_whole(seed, "a seed")
    planes, best = _planes(vectors, vectors.blocks, seed), vectors.best_block
    for b in [*range(best - 1, -1, -1), *range(best + 1, len(planes))]:
        near = planes[b + 1 if b < best else b - 1]
        planes[b] = _turn(planes[b], np.where((planes[b].coordinates * near.coordinates).sum(0) < 0, -1, 1))
    return planes


def _planes(vectors: EmotionVectors, blocks: Sequence[int], seed: int) -> list[PCA]:
    """The principal components at some blocks, all held against the same permuted ratings."""
    count = enough(vectors)
    parts = [np.linalg.svd(r - r.mean(0), full_matrices=False)[1:] for r in map(vectors.at, blocks)]
    axes = [a[:count] for _, a in parts]
    places = [(r - r.mean(0)) @ a.T for r, a in zip(map(vectors.at, blocks), axes, strict=True)]
    rated = {"valence": valence(vectors.emotions), "arousal": arousal(vectors.emotions)}
    found = {name: agreements(name, np.stack(places), values, seed) for name, values in rated.items()}
    planes = []
    for i, block in enumerate(blocks):
        x, sizes = places[i], parts[i][0] ** 2
        fits = {name: a[i] if a else None for name, a in found.items()}
        signs = np.where(np.abs(x).max(0) == x.max(0), 1, -1)  # the farthest emotion lies on the right
        for name in ("arousal", "valence"):  # where one component is both, it is turned by valence
            fit = fits[name]
            if fit and fit.found:
                signs[fit.component] = np.sign(fit.r[fit.component])
        share = (sizes / sizes.sum())[:count]
        plane = PCA(vectors.emotions, block, x.astype(np.float32), share, axes[i], fits["valence"], fits["arousal"])
        planes.append(_turn(plane, signs))
    return planes


def _turn(plane: PCA, signs: Array) -> PCA:
    """The same components, those whose sign [components] is -1 pointing the other way."""
    return replace(
        plane, coordinates=plane.coordinates * signs.astype(np.float32), axes=plane.axes * signs[:, None],
        valence=_turned(plane.valence, signs), arousal=_turned(plane.arousal, signs),
    )  # fmt: skip


def _turned(found: Agreement | None, signs: Array) -> Agreement | None:
    if found is None:
        return None
    low, high = sorted(signs[found.component] * bound for bound in found.interval)
    return replace(found, r=found.r * signs, interval=(low, high))


def enough(vectors: EmotionVectors) -> int:
    """How many components are kept."""
    if len(vectors.emotions) < 3:
        raise EmokitError("too few emotions for components", vectors.emotions, "Extract at least three.")
    return min(COMPONENTS, len(vectors.emotions) - 1)
