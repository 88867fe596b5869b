"""The dose lab's result: signs against permuted labels, the verdict, every block, and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .curves import DoseCurves
from .errors import EmokitError, check_known
from .panels import Panel

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
PERMUTATIONS = 2000
ALPHA = 0.05
SHOWN = ("afraid", "calm", "sad", "happy")  # in figures, beside what is expected to change
NAMES = {"panel": "the numbers", "ladder": "ladder in words", "twin": "the numbers in a harmless sentence"}


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
class DoseResult(DoseCurves):
    """What may be said of the scores of all panels: signs against permuted emotion labels, and the verdict."""

    def signs(self, kind: str = "panel", block: int | None = None) -> Signs:
        """The sign statistic of each "panel", "ladder", "twin", or of the "paraphrases": score(last) - score(first) against the expectation.

        p is the share of 2,000 permutations of the emotion labels with as many signs right, the real labelling included.
        """
        at = self.block if block is None else self._known(block)
        tests, changes = [], []
        for panel in self.panels:
            for k in self._kinds(panel, kind):
                curve = self.curves[panel.title, k]
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
        directions work, the numbers do not); else `inconclusive`, as also where the first panel has no twin or
        expectation, or the signs are too few, so that it could not have replicated.
        """
        at = self.block if block is None else self._known(block)
        signs, ladders, first = self.signs("panel", at), self.signs("ladder", at), self.panels[0]
        own = bool(first.ways) and all(self._change(first, "panel", e, at) * way > 0 for e, way in first.ways.items())
        beyond, against, testable = False, "no twin to hold it against", bool(first.ways) and first.twin is not None
        if testable:
            emotion, way = next(iter(first.ways.items()))
            here, there = self._change(first, "panel", emotion, at), self._change(first, "twin", emotion, at)
            beyond, against = way * here > way * there, f"{emotion} {here:+.3f} against {there:+.3f} on its twin"
        right = "right" if own else "wrong"
        reasons = f"panels: {signs}; ladders in words: {ladders}; {first.title}: signs {right}, {against}"
        if not signs.decidable:
            reasons += "; so few signs can't reach p <= 0.05: give more panels and emotions, with ladders"
        if signs.total and signs.p <= ALPHA and own and beyond:
            return "replicates", reasons
        if testable and signs.decidable and ladders.total and ladders.p <= ALPHA:
            return "does not replicate", reasons
        return "inconclusive", reasons

    def __repr__(self) -> str:
        verdict, why = self.judge()
        where = f"block {self.block}" + ("" if self.position == "readout" else f", {self.position}")
        few = [] if self.signs().decidable else [self.line(p, e) for p in self.panels for e in p.expect]
        return f"DoseResult({verdict} at {where}; {why})" + "".join(f"\n  {line}" for line in few)

    @property
    def summary(self) -> dict[str, dict[str, float]]:
        """The signs of the panels, ladders and paraphrases: how many are right, of how many, and p."""
        signs = {kind: self.signs(kind) for kind in ("panel", "ladder", "paraphrases")}
        return {kind: {"right": s.right, "total": s.total, "p": s.p} for kind, s in signs.items()}

    def by_block(self) -> pd.DataFrame:
        """Signs, their p, the verdict and the mean effect in the expected direction at every block: the choice hides nothing."""
        import pandas as pd

        rows = []
        for block in range(next(iter(self.curves.values())).shape[1]):
            panels, ladders = self.signs("panel", block), self.signs("ladder", block)
            effect = [self._mean_effect(kind, block) for kind in ("panel", "ladder", "twin")]
            rows.append([block, panels.right, panels.p, ladders.right, ladders.p, self.judge(block)[0], *effect])
        columns = ["block", "panel signs", "panel p", "ladder signs", "ladder p", "verdict"]
        columns += ["panel effect", "ladder effect", "twin effect"]
        return pd.DataFrame(rows, columns=columns).set_index("block")

    # figures

    def plot(self, kind: str = "panel", emotions: Sequence[str] | None = None) -> Figure:
        """Change of the scores over the values, a small plot per panel, of "panel", "ladder" or "twin".

        The emotions expected to change are bold and have an arrow; all kinds are drawn to one scale. `emotions` beside them
        are afraid, calm, sad and happy, those of them there are, unless given.
        """
        from . import plots

        emotions = [e for e in SHOWN if e in self.emotions] if emotions is None else emotions
        shown = [self._shown(p, kind, p.title, emotions) for p in self.panels if self._kinds(p, kind)]
        if not shown:
            raise EmokitError(f"no panel has a {kind}", [p.title for p in self.panels], "Give the panels one.")
        heading = {"panel": "numbers", "ladder": "ladders in words", "twin": "harmless twins"}.get(kind, kind)
        signs = f"{self.signs(kind)}; " if kind != "twin" else ""
        title = f"{heading}: {signs}change of the scores at block {self.block}{self._where()}"
        return plots.dose_panels(shown, limit=self._limit(emotions), title=title)

    def compare(self, panel: Panel | str | None = None, emotions: Sequence[str] = ()) -> Figure:
        """One panel (the first, or by itself or its title) beside its ladder and its twin, to one scale, with the range of
        random directions (5-95 %)."""
        from . import plots

        panel = self._panel(panel)
        kinds = [kind for kind in NAMES if self._kinds(panel, kind)]
        shown = [self._shown(panel, kind, NAMES[kind], emotions) | {"band": self.band(panel, kind)} for kind in kinds]
        leading = next(iter(panel.expect), None)
        told = {"panel": "in numbers", "ladder": "in words", "twin": "on the twin"}
        found = [f"{self._change(panel, k, leading):+.3f} {told[k]}" for k in kinds] if leading else []
        title = f"{panel.title}: {leading} {', '.join(found)}" if leading else panel.title
        return plots.dose_panels(shown, title=f"{title} (block {self.block}{self._where()})")

    def _panel(self, panel: Panel | str | None) -> Panel:
        """A panel by itself or its title, the first without one; raises EmokitError for one that was not run."""
        if panel is None:
            return self.panels[0]
        titles = [known.title for known in self.panels]
        check_known(panel.title if isinstance(panel, Panel) else panel, titles, "panel")
        return panel if isinstance(panel, Panel) else self.panels[titles.index(panel)]

    def plot_effects(self) -> Figure:
        """Every expected sign with its effect in the expected direction: numbers, twin and ladder, with their intervals."""
        from . import plots

        names = ("numbers", "harmless twin", "ladder in words")
        labels: list[str] = []
        groups: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
        for panel in self.panels:
            rows = {(row["kind"], row["emotion"]): row for row in self._rows(panel, list(panel.expect))}
            for emotion, way in panel.ways.items():
                labels.append(f"{panel.title}: {emotion} {'↑' if way > 0 else '↓'}")
                for name, kind in zip(groups, ("panel", "twin", "ladder"), strict=True):
                    groups[name].append(_towards(rows.get((kind, emotion)), way))
        if not labels:
            raise EmokitError("no panel expects anything", do='Give a panel expect={"afraid": "up"}.')
        right = f"{self.signs().right} of {len(labels)} signs as expected in numbers"
        words = self.signs("ladder")
        title = right + (f", {words.right} of {words.total} in words" if words.total else "")
        return plots.dose_effects(labels, groups, title=f"{title} (block {self.block}{self._where()})")

    def plot_blocks(self) -> Figure:
        """The mean effect over all expected signs at every block, of numbers, ladders and twins."""
        from . import plots

        table = self.by_block()
        curves = {name: table[f"{kind} effect"] for name, kind in
                  (("numbers", "panel"), ("ladders in words", "ladder"), ("harmless twins", "twin"))}  # fmt: skip
        curves = {name: values.to_numpy() for name, values in curves.items() if values.notna().all()}
        at = ", ".join(f"{values[self.block]:+.1f} {name}" for name, values in curves.items())
        return plots.by_block(
            curves, chosen=self.block, ylabel="mean effect as expected (sd)", level=(0, "no effect"),
            title=f"Mean effect at block {self.block}{self._where()}: {at}",
        )  # fmt: skip

    def _where(self) -> str:
        return "" if self.position == "readout" else f", over the {self.position}"

    def _shown(self, panel: Panel, kind: str, title: str, emotions: Sequence[str]) -> dict[str, Any]:
        names = dict.fromkeys([*panel.expect, *emotions])
        return {
            "title": title,
            "labels": list(range(1, len(panel.ladder or ()) + 1) if kind == "ladder" else panel.values),
            "scores": {emotion: self.curve(panel, kind, emotion) for emotion in names},
            "expect": {} if kind == "twin" else panel.expect,
        }

    def _limit(self, emotions: Sequence[str]) -> float:
        columns = [self.emotions.index(e) for e in {*emotions, *(e for p in self.panels for e in p.expect)}]
        changes = [np.abs(c[:, self.block] - c[0, self.block])[:, columns] for c in self.curves.values()]
        return 1.15 * max((float(change.max()) for change in changes if change.size), default=1.0)

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())


def _towards(row: dict[str, Any] | None, way: int) -> tuple[float, float, float]:
    """Effect and the ends of its interval, in sd, positive in the expected direction; NaN where there is none."""
    if row is None:
        return math.nan, math.nan, math.nan
    unit = way * row["effect"] / row["change"] if row["change"] else 0.0
    low, high = sorted((unit * row["low"], unit * row["high"]))
    return way * row["effect"], low, high
