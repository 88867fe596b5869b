"""What there is to say of one emotion's direction at a block: its neighbours, its tokens, and how firm it is."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import robustness, selection
from ..lens import Lens, logit_lens
from ..models import Model
from ..remake import Remade
from ..stories import StorySet
from ..vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
RANDOM = 2000  # random directions
SHUFFLES = 20  # sets of directions from shuffled labels, each with as many emotions


@dataclass(frozen=True, eq=False, repr=False)
class Firmness:
    """How firmly stories fix the directions at a block, beside directions of labels shuffled within topics.

    `cosine` [emotions] of each direction with itself remade from resampled topics, `low` and `high` 95 %, `noise` the mean
    with shuffled labels. `shuffled`: with these, 95 % of the emotions have their farthest above the first number and
    their nearest below the second.
    """

    block: int
    cosine: Array
    low: Array
    high: Array
    noise: float
    shuffled: tuple[float, float]


def firmness(
    model: Model, vectors: EmotionVectors, stories: StorySet, block: int, stop: threading.Event
) -> Firmness | None:
    """`Firmness` at a block from the cached story means, without a forward pass; None once `stop` is set."""
    remade = Remade(model, vectors, stories, block)
    found = []
    for seed in range(SHUFFLES):
        if stop.is_set():
            return None
        rows = remade.shuffled(seed)[0]
        cosines = rows @ rows.T
        apart = cosines[~np.eye(len(rows), dtype=bool)].reshape(len(rows), -1)
        found.append([apart.min(1), apart.max(1)])
    far, near = np.array(found).transpose(1, 0, 2)
    weights = robustness.drawn(int(remade.topics.max()) + 1, robustness.DRAWS, np.random.default_rng(0))

    def resampled(labels: Array) -> Array:
        sums, counts = selection.sums_by_topic(remade.means, labels, remade.topics)
        return robustness.resampled_cosines(sums, counts, remade.neutral, weights)

    own, noise = resampled(remade.labels), resampled(remade.shuffled_labels(0))
    low, high = np.nanquantile(own, [0.025, 0.975], axis=0)
    return Firmness(
        block, np.nanmean(own, 0), low, high, float(np.nanmean(noise)),
        (float(np.quantile(far, 0.05)), float(np.quantile(near, 0.95))),
    )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Portrait:
    """An emotion's direction at a block: `others`, the nearest first, and their `cosines`; its logit lens.

    Beside the cosines stand those of random directions in the span of the other emotions, 90 % of which lie within
    `random`; beside the lens a random direction's, `control`; `firmness` is None where no stories are given.
    """

    emotion: str
    block: int
    others: tuple[str, ...]
    cosines: Array
    random: tuple[float, float]
    lens: Lens
    control: Lens
    firmness: Firmness | None = None

    def __repr__(self) -> str:
        near = ", ".join(f"{e} {c:+.2f}" for e, c in zip(self.others[:3], self.cosines, strict=False))
        low, high = self.random
        return (
            f"Portrait({self.emotion} at block {self.block}: near {near}; random directions {low:+.2f} to {high:+.2f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per other emotion, the nearest first: its cosine, and whether that is beyond each null."""
        import pandas as pd

        frame = pd.DataFrame({"cosine": self.cosines}, index=pd.Index(self.others, name="emotion"))
        frame["beyond random"] = _outside(self.cosines, self.random)
        if self.firmness:
            frame["beyond shuffled"] = _outside(self.cosines, self.firmness.shuffled)
        return frame

    def ranks(self) -> tuple[int, int] | None:
        """How many tokens the direction raises more than the emotion's own word, and how many a random one does.

        None where the word is not one token.
        """
        word = f" {self.emotion}"
        return (self.lens.rank(word), self.control.rank(word)) if word in self.lens.tokens else None


def _outside(cosines: Array, bounds: tuple[float, float]) -> Array:
    return (cosines < bounds[0]) | (cosines > bounds[1])


def portrait(model: Model, vectors: EmotionVectors, emotion: str, block: int, seed: int = 0) -> Portrait:
    """All of an emotion's `Portrait` that needs no stories; raises EmokitError for an unknown emotion."""
    own, rows = vectors.index(emotion), vectors.at(block)
    rest = np.delete(np.arange(len(rows)), own)
    cosines = rows[rest] @ rows[own]
    order = np.argsort(-cosines, kind="stable")
    mixtures = np.random.default_rng(seed).standard_normal((RANDOM, len(rest))).astype(np.float32)
    drawn = (mixtures - mixtures.mean(1, keepdims=True)) @ rows[rest]
    length = np.maximum(1e-12, np.linalg.norm(drawn, axis=1))
    low, high = np.quantile((drawn @ rows[own]) / length, [0.05, 0.95])
    return Portrait(
        emotion, block, tuple(vectors.emotions[rest[i]] for i in order), cosines[order], (float(low), float(high)),
        logit_lens(model, vectors, emotion, block=block), logit_lens(model, vectors, vectors.random(seed), block=block),
    )  # fmt: skip
