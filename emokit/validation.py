"""Validation: do directions tell the emotion of stories of a topic they have not seen, and what would do as well?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import activations, lint, robustness, selection
from .errors import check_kinds, check_whole
from .models import Model
from .progress import progress
from .robustness import Needed, Stability
from .stories import StorySet, check_enough, load_messages

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
SHUFFLES = 100
BOOTSTRAP = 2000


@dataclass(frozen=True, eq=False, repr=False)
class Messages:
    """How well the directions read the kit's own `count` messages, which made none of them: shares at every block.

    `first` [blocks] is the share whose own emotion scores highest of the story set's `emotions`, `three` [blocks] the share
    where it is among three; scores are cosines of a message's mean, centred over the messages. `interval` is a 95 %
    bootstrap interval over emotions, whose messages share a direction, of `first` at the best block, `null` the largest 2.5 % of it under shuffled labels,
    `embeddings` the share that a bag of embeddings reads right.
    """

    count: int
    emotions: int
    first: Array
    three: Array
    interval: tuple[float, float]
    null: float
    embeddings: float


@dataclass(frozen=True, eq=False, repr=False)
class Validation:
    """Held-out-topic accuracy per block, `accuracy` [blocks], with what it has to beat.

    `embeddings` is the same test on mean input embeddings (bag of embeddings), with the number of neutral components
    that suits it best, `words` on word counts (bag of words); `null` [shuffles] the same test with labels shuffled within
    each topic, at the block that is then the best, `chance` one in the number of emotions, `interval` a 95 % bootstrap interval over topics of the
    best block's accuracy. Beside them: the reading of `messages` (None without shipped ones), the `stability` of each direction,
    `anisotropy` [blocks], the mean cosine between stories of nothing in common, and `needed`, the accuracy with fewer topics.
    """

    accuracy: Array
    best_block: int
    components: int
    embeddings: float
    null: Array
    chance: float
    interval: tuple[float, float]
    words: float
    messages: Messages | None
    stability: Stability
    anisotropy: Array
    needed: Needed

    @property
    def p(self) -> float:
        """Share of shufflings, the real labels included, that reach the best block's accuracy; 1/101 is the least there is."""
        return float((1 + (self.null >= self.accuracy[self.best_block]).sum()) / (1 + len(self.null)))

    @property
    def passes(self) -> bool:
        """Whether the whole interval lies above both bags and above 97.5 % of the shufflings."""
        return not self._beaten_by

    @property
    def verdict(self) -> str:
        """`passes`, or what reaches into the accuracy's interval."""
        return f"does not pass: not clearly above {' and '.join(self._beaten_by)}" if self._beaten_by else "passes"

    @property
    def _beaten_by(self) -> list[str]:
        bars = {
            "bag of embeddings": self.embeddings,
            "bag of words": self.words,
            "shuffled labels": float(np.quantile(self.null, 0.975)),
        }
        return [name for name, bar in bars.items() if self.interval[0] <= bar]

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Validation(block {self.best_block}: {self.accuracy[self.best_block]:.2f} [{low:.2f}, {high:.2f}] of held-out topics' "
            f"stories; bag of embeddings {self.embeddings:.2f}, shuffled labels {self.null.mean():.2f}, chance {self.chance:.2f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per block: accuracy and what it has to beat, messages, stability, anisotropy."""
        import pandas as pd

        frame = pd.DataFrame({"accuracy": self.accuracy}).rename_axis("block")
        frame = frame.assign(
            embeddings=self.embeddings, words=self.words, shuffled=self.null.mean(), chance=self.chance
        )
        if self.messages:
            frame = frame.assign(messages_first=self.messages.first, messages_three=self.messages.three)
        return frame.assign(stability=self.stability.by_block, anisotropy=self.anisotropy)

    def plot(self) -> Figure:
        """Four plots: accuracy by block with what it has to beat, messages, stability and anisotropy, topics needed."""
        from . import plots

        words = {"passes": "pass"}.get(self.verdict, self.verdict.replace("does", "do"))
        at_best = f"{self.accuracy[self.best_block]:.0%} of stories of an unseen topic are told right at block {self.best_block}"
        return plots.validation(
            self.accuracy, best=self.best_block, interval=self.interval, chance=self.chance,
            bars={"bag of embeddings": self.embeddings, "bag of words": self.words},
            null=tuple(np.quantile(self.null, [0.025, 0.975])),
            messages=vars(self.messages) if self.messages else None,
            stability=self.stability.by_block, noise=self.stability.noise, anisotropy=self.anisotropy,
            topics=self.needed.topics, needed=self.needed.accuracy, title=f"The directions {words}: {at_best}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def validate(model: Model, stories: StorySet, *, seed: int = 0) -> Validation:
    """Held-out-topic accuracy at every block, beside what has to be beaten, and how firm the directions are.

    Each topic is left out in turn; directions are made from the others, and each of its stories goes to the nearest one.
    The number of neutral components is the one `extract` chooses; neutral stories carry no labels and are used of all
    topics. Interval, null and the other tests are those of the chosen block. Stories that `extract` has read are not read
    again; the kit's messages are, once, and a second run makes no pass.

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
    parts = chosen.neutral[chosen.block]
    at_best = means[:, chosen.block]
    rng = np.random.default_rng(seed)
    null = [
        selection.chosen_accuracy(means, selection.shuffled(labels, folds, rng), folds, chosen.neutral)
        for _ in progress(range(SHUFFLES), desc="shuffled labels")
    ]
    bag = activations.embeddings(model, texts)
    bag_flat = activations.embeddings(model, flat) if flat else bag[:0]
    bags = {k: selection.components(bag_flat, k) for k in chosen.candidates}
    told = {k: selection.heldout(bag, labels, folds, bags[k]) for k in chosen.candidates}
    hits = selection.heldout_hits(at_best, labels, folds, parts)
    bag_units = selection.directions(bag, labels, bags[max(told, key=lambda k: told[k])])[0]
    return Validation(
        accuracy=chosen.accuracy[:, column],
        best_block=chosen.block,
        components=chosen.components,
        embeddings=max(told.values()),
        null=np.array(null),
        chance=1 / len(stories.emotions),
        interval=_interval(hits, folds, rng),
        words=_told(stories),
        messages=_messages(model, stories, means, chosen, bag_units, rng),
        stability=robustness.stability(
            means, chosen.neutral, chosen.block, labels, selection.shuffled(labels, folds, rng), folds, tuple(stories.emotions), rng
        ),
        anisotropy=robustness.anisotropy(means, labels, folds),
        needed=robustness.needed(at_best, labels, folds, parts, rng),
    )  # fmt: skip


def _interval(hits: Array, groups: Array, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval of the share of hits, whole groups (topics, emotions) drawn, which are right or wrong together."""
    sums, counts = np.bincount(groups, hits), np.bincount(groups)
    drawn = rng.integers(0, len(counts), (BOOTSTRAP, len(counts)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


def _told(stories: StorySet) -> float:
    """The share of stories that words alone tell."""
    leaks = lint.leaks(stories).set_index("emotion").told
    return float(np.mean([leaks[story.emotion] for story in stories]))


def _messages(
    model: Model, stories: StorySet, means: Array, chosen: selection.Selection, bag_units: Array, rng: np.random.Generator
) -> Messages | None:  # fmt: skip
    """Read the shipped messages of the stories' emotions at every block; None unless two of the emotions have some."""
    names = stories.emotions
    messages = [m for m in load_messages("all") if m.emotion in names]
    if len({m.emotion for m in messages}) < 2:
        return None
    own = np.array([names.index(m.emotion) for m in messages])
    labels = selection.codes([s.emotion for s in stories])
    texts = [m.text for m in messages]
    states = activations.story_means(model, texts)
    ranks = np.empty((means.shape[1], len(own)), int)
    scores = []
    for block in range(len(ranks)):
        units, mean = selection.directions(means[:, block], labels, chosen.neutral[block])
        scores.append(_centred(states[:, block] - mean, units))
        ranks[block] = _ranks(scores[-1], own)
    bag = activations.embeddings(model, texts)
    at_best = scores[chosen.block]
    null = [(_ranks(at_best, rng.permutation(own)) == 0).mean() for _ in range(BOOTSTRAP)]
    return Messages(
        count=len(own), emotions=len(names), first=(ranks == 0).mean(1), three=(ranks < 3).mean(1),
        interval=_interval(ranks[chosen.block] == 0, own, rng), null=float(np.quantile(null, 0.975)),
        embeddings=float((_ranks(_centred(bag - bag.mean(0), bag_units), own) == 0).mean()),
    )  # fmt: skip


def _centred(states: Array, units: Array) -> Array:
    """Cosines of states [texts, width] with unit rows, centred over the texts."""
    lengths = np.linalg.norm(states, axis=1, keepdims=True)
    scores = np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0) @ units.T
    return scores - scores.mean(0)


def _ranks(scores: Array, own: Array) -> Array:
    """How many emotions score higher than a text's own, of scores [texts, emotions]."""
    return (scores > scores[np.arange(len(own)), own][:, None]).sum(1)
