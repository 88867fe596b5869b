"""The dose lab: does a score follow the numbers in a sentence? Panels, ladders in words, harmless twins, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from . import activations
from .errors import EmokitError, check_kinds, check_list, check_whole, emotion_index
from .models import Model
from .panels import PANELS, Panel
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
PERMUTATIONS = 2000
ALPHA = 0.05


def two_thirds(n_blocks: int) -> int:
    """The block of the paper, two thirds of depth: 0-based `round(2 * n_blocks / 3) - 1`."""
    return max(0, round(2 * n_blocks / 3) - 1)


def run(
    model: Model,
    vectors: EmotionVectors,
    panels: Sequence[Panel] | None = None,
    block: int | None = None,
    *,
    seed: int = 0,
) -> DoseResult:
    """Score every sentence of the panels at the readout, with ladders, twins, permuted emotion labels and the verdict.

    `block` is two thirds of depth unless given; all blocks are kept beside it. Raises EmokitError for an emotion the
    vectors don't have.

    >>> emokit.dose.run(model, vectors).verdict
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    check_whole(seed, "a seed")
    chosen = _chosen(panels)
    if len({panel.title for panel in chosen}) < len(chosen):
        raise EmokitError("two panels have one title", [p.title for p in chosen], "Give each its own name=.")
    if not chosen:
        raise EmokitError("there is no panel", do="Leave `panels` out, or give at least one Panel.")
    for panel in chosen:
        for emotion in panel.expect:
            vectors.index(emotion)
    block = two_thirds(len(vectors.blocks)) if block is None else vectors.block(block)
    groups = [(p, kind, texts) for p in chosen for kind, texts in _kinds(p) if texts]
    prompts = [model.prompt(text) for _, _, texts in groups for text in texts]
    states = activations.readouts(model, prompts) - vectors.mean
    states /= np.linalg.norm(states, axis=2, keepdims=True)
    scores = np.einsum("pbw,bew->pbe", states, vectors.directions)
    ends = np.cumsum([len(texts) for _, _, texts in groups])
    curves = {(p.title, kind): s for (p, kind, _), s in zip(groups, np.split(scores, ends[:-1]), strict=True)}
    return DoseResult(chosen, vectors.emotions, block, curves, seed)


def _chosen(panels: Sequence[Panel] | Panel | None) -> tuple[Panel, ...]:
    if panels is None:
        return PANELS
    if isinstance(panels, Panel):
        return (panels,)
    check_list(panels, "panels")
    chosen = tuple(panels)
    for panel in chosen:
        if not isinstance(panel, Panel):
            raise EmokitError("not a Panel", panel, 'Give for example dose.Panel("I ran {X} km.", [1, 5, 42]).')
    return chosen


def _kinds(panel: Panel) -> list[tuple[str, list[str]]]:
    return [("panel", panel.sentences()), ("ladder", panel.rungs()), ("twin", panel.twins())]


@dataclass(frozen=True)
class Signs:
    """How many expected signs came out, of how many, and the share `p` of permuted emotion labels with as many."""

    right: int
    total: int
    p: float
    null: Array = field(repr=False, compare=False)

    @property
    def decidable(self) -> bool:
        """Whether all signs right would have p <= 0.05."""
        return bool(self.total) and (1 + (self.null >= self.total).sum()) / (1 + len(self.null)) <= ALPHA

    def __str__(self) -> str:
        return f"{self.right} of {self.total} signs, p = {self.p:.3f}" if self.total else "no signs to test"


@dataclass(frozen=True, eq=False, repr=False)
class DoseResult:
    """Scores of all panels, and what may be said of them.

    `curves` holds, for (panel title, "panel" | "ladder" | "twin"), the scores [values, blocks, emotions].
    """

    panels: tuple[Panel, ...]
    emotions: tuple[str, ...]
    block: int
    curves: dict[tuple[str, str], Array]
    seed: int = 0

    def curve(self, panel: Panel, kind: str, emotion: str, block: int | None = None) -> Array:
        """Scores of one emotion over a panel's values (or its ladder's or twin's)."""
        return self.curves[panel.title, kind][
            :, self.block if block is None else block, emotion_index(emotion, self.emotions)
        ]

    def _known(self, block: int) -> int:
        count = next(iter(self.curves.values())).shape[1]
        if block not in range(count):
            raise EmokitError("unknown block", block, f"Blocks are 0 to {count - 1}.")
        return block

    def signs(self, kind: str = "panel", block: int | None = None) -> Signs:
        """The sign statistic of the panels or ladders: score(last) - score(first) against the expectation.

        p is the share of 2,000 permutations of the emotion labels with as many signs right, the real labelling included.
        """
        at = self.block if block is None else self._known(block)
        tests, changes = [], []
        for panel in self.panels:
            curve = self.curves.get((panel.title, kind))
            if curve is not None:
                changes.append(curve[-1, at] - curve[0, at])
                tests += [(len(changes) - 1, self.emotions.index(e), way) for e, way in panel.ways.items()]
        if not tests:
            return Signs(0, 0, 1.0, np.zeros(0, int))
        rows, columns, ways = np.array(tests).T
        signs = np.sign(np.array(changes))
        right = int((signs[rows, columns] == ways).sum())
        rng = np.random.default_rng(self.seed)
        order = rng.permuted(np.tile(np.arange(len(self.emotions)), (PERMUTATIONS, 1)), axis=1)
        null = (signs[rows, order[:, columns]] == ways).sum(1)
        return Signs(right, len(tests), float((1 + (null >= right).sum()) / (1 + PERMUTATIONS)), null)

    @property
    def verdict(self) -> str:
        """`replicates`, `does not replicate` or `inconclusive`, by the fixed rule; `why` gives the reasons."""
        return self.judge()[0]

    @property
    def why(self) -> str:
        """The verdict's reasons in a sentence."""
        return self.judge()[1]

    def judge(self, block: int | None = None) -> tuple[str, str]:
        """Verdict and reasons at a block, by a rule written after a pilot on two models and left alone since.

        `replicates` if the panels' signs have p <= 0.05, the first panel's own signs are right and its first emotion
        changes more than on the twin; `does not replicate` if that fails though the ladders' signs have p <= 0.05 (the
        directions work, the numbers do not); else `inconclusive`.
        """
        at = self.block if block is None else self._known(block)
        signs, ladders, first = self.signs("panel", at), self.signs("ladder", at), self.panels[0]
        own = bool(first.ways) and all(self._change(first, "panel", e, at) * way > 0 for e, way in first.ways.items())
        beyond, against = False, "no twin to hold it against"
        if first.ways and first.twin is not None:
            emotion, way = next(iter(first.ways.items()))
            here, there = self._change(first, "panel", emotion, at), self._change(first, "twin", emotion, at)
            beyond, against = way * here > way * there, f"{emotion} {here:+.3f} against {there:+.3f} on its twin"
        right = "right" if own else "wrong"
        reasons = f"panels: {signs}; ladders in words: {ladders}; {first.title}: signs {right}, {against}"
        if not signs.decidable:
            reasons += "; so few signs can't reach p <= 0.05: give more panels and emotions, with ladders"
        if signs.total and signs.p <= ALPHA and own and beyond:
            return "replicates", reasons
        if ladders.total and ladders.p <= ALPHA:
            return "does not replicate", reasons
        return "inconclusive", reasons

    def _change(self, panel: Panel, kind: str, emotion: str, block: int | None = None) -> float:
        curve = self.curve(panel, kind, emotion, block)
        return float(curve[-1] - curve[0])

    def __repr__(self) -> str:
        verdict, why = self.judge()
        return f"DoseResult({verdict} at block {self.block}; {why})"

    def to_frame(self) -> pd.DataFrame:
        """A row per panel, kind and expected emotion: first and last score, change, Spearman's rho, sign as expected."""
        import pandas as pd

        rows = []
        for panel in self.panels:
            for kind, _ in _kinds(panel):
                if (panel.title, kind) not in self.curves:
                    continue
                for emotion, way in panel.expect.items():
                    curve = self.curve(panel, kind, emotion)
                    change = float(curve[-1] - curve[0])
                    rows.append(
                        {
                            "panel": panel.title, "kind": kind, "emotion": emotion, "expected": "flat" if kind == "twin" else way,
                            "first": float(curve[0]), "last": float(curve[-1]), "change": change,
                            "rho": float(spearmanr(range(len(curve)), curve).statistic) if np.ptp(curve) else 0.0,
                            "as expected": None if kind == "twin" else change * panel.ways[emotion] > 0,
                        }
                    )  # fmt: skip
        return pd.DataFrame(rows)

    def by_block(self) -> pd.DataFrame:
        """Signs, their p and the verdict at every block, so that the choice of block hides nothing."""
        import pandas as pd

        blocks = range(next(iter(self.curves.values())).shape[1])
        rows = []
        for block in blocks:
            panels, ladders = self.signs("panel", block), self.signs("ladder", block)
            rows.append([block, panels.right, panels.p, ladders.right, ladders.p, self.judge(block)[0]])
        columns = ["block", "panel signs", "panel p", "ladder signs", "ladder p", "verdict"]
        return pd.DataFrame(rows, columns=columns).set_index("block")

    def plot(self, kind: str = "panel", emotions: Sequence[str] = ("afraid", "calm", "sad", "happy")) -> Figure:
        """Change of the scores over the values, a small plot per panel, of "panel", "ladder" or "twin".

        The emotions expected to change are bold and have an arrow; all kinds are drawn to one scale.
        """
        from . import plots

        shown = [self._shown(p, kind, p.title, emotions) for p in self.panels if (p.title, kind) in self.curves]
        if not shown:
            raise EmokitError(f"no panel has a {kind}", [p.title for p in self.panels], "Give the panels one.")
        heading = {"panel": "numbers", "ladder": "ladders in words", "twin": "harmless twins"}[kind]
        title = f"{heading}: change of the scores at block {self.block}"
        return plots.dose_panels(shown, limit=self._limit(emotions), title=title)

    def compare(self, panel: Panel | None = None, emotions: Sequence[str] = ()) -> Figure:
        """One panel (the first) beside its ladder and its twin, to one scale: the effect and its two controls."""
        from . import plots

        panel = panel or self.panels[0]
        names = {
            "panel": "the numbers",
            "ladder": "ladder in words",
            "twin": "the numbers in a harmless sentence",
        }
        shown = [self._shown(panel, k, name, emotions) for k, name in names.items() if (panel.title, k) in self.curves]
        return plots.dose_panels(shown, title=f"{panel.title}: change of the scores at block {self.block}")

    def _shown(self, panel: Panel, kind: str, title: str, emotions: Sequence[str]) -> dict[str, Any]:
        names = dict.fromkeys([*panel.expect, *(e for e in emotions if e in self.emotions)])
        return {
            "title": title,
            "labels": list(range(1, len(panel.ladder or ()) + 1) if kind == "ladder" else panel.values),
            "scores": {emotion: self.curve(panel, kind, emotion) for emotion in names},
            "expect": {} if kind == "twin" else panel.expect,
        }

    def _limit(self, emotions: Sequence[str]) -> float:
        names = {*emotions, *(e for p in self.panels for e in p.expect)} & set(self.emotions)
        columns = [self.emotions.index(e) for e in names]
        return 1.15 * max(
            float(np.abs(c[:, self.block] - c[0, self.block])[:, columns].max()) for c in self.curves.values()
        )

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())
