"""Validation: do directions tell the emotion of stories of a topic they have not seen, and what would do as well?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import activations, selection
from .errors import check_kinds, check_whole
from .models import Model
from .progress import progress
from .stories import StorySet, check_enough

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
SHUFFLES = 100


@dataclass(frozen=True, eq=False, repr=False)
class Validation:
    """Held-out-topic accuracy per block, `accuracy` [blocks], with what it has to beat.

    `embeddings` is the same test on mean input embeddings (bag of embeddings), with the number of neutral components
    that suits it best; `null` [shuffles] the same test at the best block with labels shuffled within each topic, `chance` one in the number of emotions, `interval` a 95 %
    bootstrap interval over topics of the best block's accuracy.
    """

    accuracy: Array
    best_block: int
    components: int
    embeddings: float
    null: Array
    chance: float
    interval: tuple[float, float]

    @property
    def p(self) -> float:
        """Share of shufflings, the real labels included, that reach the best block's accuracy; 1/101 is the least there is."""
        return float((1 + (self.null >= self.accuracy[self.best_block]).sum()) / (1 + len(self.null)))

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Validation(block {self.best_block}: {self.accuracy[self.best_block]:.2f} [{low:.2f}, {high:.2f}] of held-out topics' "
            f"stories; bag of embeddings {self.embeddings:.2f}, shuffled labels {self.null.mean():.2f}, chance {self.chance:.2f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per block and the columns accuracy, embeddings, shuffled, chance."""
        import pandas as pd

        frame = pd.DataFrame({"accuracy": self.accuracy}).rename_axis("block")
        return frame.assign(embeddings=self.embeddings, shuffled=self.null.mean(), chance=self.chance)

    def plot(self) -> Figure:
        """Accuracy by block beside bag of embeddings, the range under shuffled labels, and chance."""
        from . import plots

        low, high = np.quantile(self.null, [0.025, 0.975])
        return plots.accuracy_by_block(
            self.accuracy, chance=self.chance, best=self.best_block, baseline=self.embeddings, null=(low, high),
            title=f"{self.accuracy[self.best_block]:.0%} of stories of an unseen topic are told right at block {self.best_block}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def validate(model: Model, stories: StorySet, *, seed: int = 0) -> Validation:
    """Held-out-topic accuracy at every block, beside bag of embeddings and shuffled labels.

    Each topic is left out in turn; directions are made from the others, and each of its stories goes to the nearest one.
    The number of neutral components is the one `extract` chooses; neutral stories carry no labels and are used of all
    topics. Interval and null are those of the chosen block. Runs no pass where `extract` has run.

    >>> emokit.validate(model, stories)
    """
    check_kinds((model, Model))
    check_enough(stories)
    check_whole(seed, "a seed")
    emotions, topics = [s.emotion for s in stories], [s.topic for s in stories]
    texts, flat = [s.text for s in stories], [s.text for s in stories.neutral]
    means = activations.story_means(model, texts)
    neutral = activations.story_means(model, flat)
    chosen = selection.select(means, neutral, emotions, topics)
    labels, folds = selection.codes(emotions), selection.codes(topics)
    column = chosen.candidates.index(chosen.components)
    flat_components = selection.components(neutral[:, chosen.block], chosen.components)
    at_best = means[:, chosen.block]
    rng = np.random.default_rng(seed)
    null = [
        selection.heldout(at_best, _shuffled(labels, folds, rng), folds, flat_components)
        for _ in progress(range(SHUFFLES), desc="shuffled labels")
    ]
    bag = activations.embeddings(model, texts)
    bag_flat = activations.embeddings(model, flat) if flat else bag[:0]
    hits = selection.heldout_hits(at_best, labels, folds, flat_components)
    by_topic = np.array([hits[folds == f].mean() for f in range(folds.max() + 1)])
    resampled = rng.choice(by_topic, (2000, len(by_topic))).mean(1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Validation(
        accuracy=chosen.accuracy[:, column],
        best_block=chosen.block,
        components=chosen.components,
        embeddings=max(
            selection.heldout(bag, labels, folds, selection.components(bag_flat, k)) for k in chosen.candidates
        ),
        null=np.array(null),
        chance=1 / len(stories.emotions),
        interval=(float(low), float(high)),
    )


def _shuffled(labels: Array, folds: Array, rng: np.random.Generator) -> Array:
    """Labels permuted within each topic, so that every topic keeps one story of each emotion."""
    out = labels.copy()
    for fold in range(folds.max() + 1):
        out[folds == fold] = rng.permutation(labels[folds == fold])
    return out
