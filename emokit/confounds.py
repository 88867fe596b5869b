"""Confounds: how much of an axis is not the emotion but how long a story is, who tells it, and in which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import activations, lint, selection
from .errors import check_kinds, check_whole
from .models import Model
from .stories import Story, StorySet, check_enough, load_stories
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
COMPONENTS = 5
RANDOM = 1000
BOOTSTRAP = 500
MODES = ("scene", "dialogue", "planning", "action", "background", "possessions")
SHOWN = 24  # directions in the figure; of more, those with the largest confound


@dataclass(frozen=True, eq=False, repr=False)
class Confounds:
    """How much each of several things tells about the stories' scores along each axis.

    `axes` are the first components and the emotions' directions, `share` [axes, factors] the part of the variance of the
    scores between the groups of a factor (adjusted for their number, so about 0 where a factor tells nothing, and a
    little below by chance); `low` and `high` their 95 % bootstrap interval over topics. `random` [random axes, factors]
    is the same for random axes in the span of the directions, the null; `p` [axes, factors] the part of those that reach an axis.
    """

    axes: tuple[str, ...]
    factors: tuple[str, ...]
    block: int
    share: Array
    low: Array
    high: Array
    random: Array

    @property
    def p(self) -> Array:
        """For each axis and factor the part of random axes, the axis itself included, with as large a share."""
        return (1 + (self.random[None] >= self.share[:, None]).sum(1)) / (1 + len(self.random))

    @property
    def level(self) -> Array:
        """What 95 % of random axes stay below, [factors]."""
        return np.quantile(self.random, 0.95, axis=0)

    def __repr__(self) -> str:
        shares = ", ".join(
            f"{f} {s:.0%} (random axes up to {v:.0%})"
            for f, s, v in zip(self.factors, self.share[0], self.level, strict=True)
        )
        return f"Confounds(block {self.block}, {self.axes[0]}: {shares})"

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per axis and factor: share, low, high, p, and what 95 % of random axes stay below."""
        import pandas as pd

        index = pd.MultiIndex.from_product([self.axes, self.factors], names=["axis", "factor"])
        level = np.tile(self.level, len(self.axes))
        columns = {"share": self.share, "low": self.low, "high": self.high, "p": self.p}
        frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=index)
        return frame.assign(random=level).reset_index()

    def plot(self) -> Figure:
        """A table of shares, axes by factors; shares beyond 95 % of random axes framed, those in the last row."""
        from . import plots

        components = sum(a.startswith("PC") and a[2:].isdigit() for a in self.axes)
        others = [i for i, f in enumerate(self.factors) if f not in ("emotion", "topic")]
        rows = list(range(components, len(self.axes)))
        if len(rows) > SHOWN:
            rows = sorted(sorted(rows, key=lambda i: -self.share[i, others].max())[:SHOWN])
        rows = [*range(components), *rows]
        most = others[int(self.share[0, others].argmax())]
        beyond = self.share > self.level
        beyond[:, [i for i in range(len(self.factors)) if i not in others]] = False
        count, of = int(beyond.sum()), len(self.axes) * len(others)
        return plots.share_table(
            np.vstack([self.share[rows], self.level]), [*(self.axes[i] for i in rows), "95 % of random axes"], self.factors,
            framed=np.vstack([beyond[rows], np.zeros((1, len(self.factors)), bool)]), lines=(components, len(rows)),
            title=f"{self.axes[0]} at block {self.block}: the emotion tells {self.share[0, 0]:.0%} of the variance, {self.factors[most]}, the largest confound, "
            f"{self.share[0, most]:.0%}. Of {of} shares of confounds {count} are beyond 95 % of random axes; chance gives {0.05 * of:.0f}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def confounds(
    model: Model, stories: StorySet, vectors: EmotionVectors, block: int | None = None, *, seed: int = 0
) -> Confounds:
    """How much of the first components and of each direction goes with story length, person, speech and narrative mode.

    Each story's score along an axis is held against: its emotion and its topic, for comparison; its length in words (four
    groups), whether it is told in the first person, and its share of words in quotation marks (four groups). Where the neutral stories are the
    kit's own, their scores are held against their narrative mode, which is the same for all emotions. In the kit's stories
    the person goes by topic, so its share is a part of the topic's. The emotion's share is flattered, also along random
    axes, since the directions were made from these stories. Raises EmokitError for another model's vectors.

    >>> emokit.geometry.confounds(model, stories, vectors)
    """
    check_kinds((model, Model))
    check_enough(stories)
    check_kinds((vectors, EmotionVectors))
    vectors.check(model)
    check_whole(seed, "a seed")
    block = vectors.block(block)
    rows = vectors.at(block)
    first = selection.components(rows, min(COMPONENTS, len(rows) - 1))
    rng = np.random.default_rng(seed)
    mixtures = rng.standard_normal((RANDOM, len(rows))).astype(np.float32)
    random = (mixtures - mixtures.mean(1, keepdims=True)) @ rows
    axes = np.concatenate([first, rows, random / np.linalg.norm(random, axis=1, keepdims=True)])
    parts = [(stories.stories, factors(stories.stories))]
    told = modes(stories.neutral)
    if told is not None:
        parts.append((stories.neutral, {"mode": told}))
    count = len(first) + len(rows)
    names: list[str] = []
    columns: list[tuple[Array, Array, Array]] = []
    for texts, groups in parts:
        states = activations.story_means(model, [s.text for s in texts])[:, block] - vectors.mean[block]
        lengths = np.linalg.norm(states, axis=1, keepdims=True)
        scores = np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0) @ axes.T
        folds = selection.codes([s.topic for s in texts])
        weights = rng.multinomial(folds.max() + 1, np.full(folds.max() + 1, 1 / (folds.max() + 1)), size=BOOTSTRAP)
        for name, group in groups.items():
            names.append(name)
            share = shares(scores, group, folds, np.ones((1, folds.max() + 1)))[0]
            low, high = np.nanquantile(shares(scores[:, :count], group, folds, weights), [0.025, 0.975], axis=0)
            columns.append((share, low, high))
    share, low, high = (np.stack(values, axis=1) for values in zip(*columns, strict=True))
    return Confounds(
        (*(f"PC{i + 1}" for i in range(len(first))), *vectors.emotions), tuple(names), block,
        share[:count], low, high, share[count:],
    )  # fmt: skip


def factors(stories: Sequence[Story]) -> dict[str, Array]:
    """What may tell stories apart, as group numbers [stories]: emotion, topic, length, person, speech (length and speech in quarters)."""

    def quarters(values: list[float]) -> Array:
        return np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values)

    return {
        "emotion": selection.codes([s.emotion for s in stories]),
        "topic": selection.codes([s.topic for s in stories]),
        "length": quarters([float(len(lint.words(s.text))) for s in stories]),
        "person": np.array([int(lint.first_person(s.text)) for s in stories]),
        "speech": quarters([lint.quoted(s.text) for s in stories]),
    }


def modes(neutral: Sequence[Story]) -> Array | None:
    """The narrative mode of each neutral story, as its place in MODES; None unless all are the kit's own.

    The kit has six stories of each topic in the order of MODES; then three more, of the first, third and fifth mode in
    topics of an even place, of the others in those of an odd one.
    """
    known: dict[str, int] = {}
    by_topic: dict[str, list[str]] = {}
    for story in load_stories().neutral:
        by_topic.setdefault(story.topic, []).append(story.text)
    for place, texts in enumerate(by_topic.values()):
        order = [*range(len(MODES)), *range(place % 2, len(MODES), 2)]
        known.update(zip(texts, order, strict=False))
    found = [known.get(s.text, -1) for s in neutral]
    return np.array(found) if found and min(found) >= 0 else None


def shares(scores: Array, group: Array, folds: Array, weights: Array) -> Array:
    """Adjusted share of the variance of scores [stories, axes] between groups, topics weighted: [draws, axes].

    `weights` [draws, topics] says how often each topic counts. 0 where there is one group only.
    """
    scores = scores - scores.mean(0)
    sums, counts = selection.sums_by_topic(scores, group, folds)  # [topics, groups, axes], [topics, groups]
    squares = selection.sums_by_topic(scores**2, np.zeros_like(group), folds)[0][:, 0]
    weights = weights.astype(float)
    size = weights @ counts  # [draws, groups]
    whole = size.sum(1, keepdims=True)
    total = np.tensordot(weights, sums, 1)  # [draws, groups, axes]
    grand = total.sum(1) ** 2 / whole
    between = (total**2 / np.maximum(1, size)[:, :, None]).sum(1) - grand
    within = weights @ squares - grand - between
    groups = (size > 0).sum(1, keepdims=True)
    spread = between + within
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 - within / (whole - groups) / (spread / (whole - 1))
    return np.where((groups > 1) & (whole > groups) & (spread > 1e-12), share, 0.0)
