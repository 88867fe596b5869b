"""The dose lab's result: signs, effects with their nulls and intervals, the verdict, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import effects
from .errors import EmokitError, emotion_index
from .panels import Panel

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
PERMUTATIONS = 2000
ALPHA = 0.05
DRAWS = 1000  # bootstrap draws
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
class DoseResult:
    """Scores of all panels, and what may be said of them.

    `curves` holds, for (panel title, "panel" | "ladder" | "twin" | "paraphrase 1" ...), the scores [values, blocks, emotions].
    `gram` [blocks, emotions, emotions] are the cosines of the directions, for the random ones in their span (None: all
    orthogonal); `boot`, under the same keys, the changes [draws, emotions] at `block` with resampled topics; `position` where
    the scores were read.
    """

    panels: tuple[Panel, ...]
    emotions: tuple[str, ...]
    block: int
    curves: dict[tuple[str, str], Array]
    seed: int = 0
    gram: Array | None = None
    boot: dict[tuple[str, str], Array] = field(default_factory=dict)
    position: str = "readout"

    def _kinds(self, panel: Panel, kind: str) -> list[str]:
        """The kinds of a panel's curves that a name stands for: itself, or every paraphrase, where they are there."""
        kinds = [k for k in panel.kinds() if k.startswith("paraphrase ")] if kind == "paraphrases" else [kind]
        return [k for k in kinds if (panel.title, k) in self.curves]

    def scores(self, panel: Panel, kind: str = "panel") -> Array:
        """Scores [values, blocks, emotions] of one kind of a panel's sentences; of "paraphrases", their mean."""
        kinds = self._kinds(panel, kind)
        if not kinds:
            raise EmokitError(f"the panel has no {kind}", panel.title, "Give the panel one.")
        return np.mean([self.curves[panel.title, k] for k in kinds], axis=0)

    def curve(self, panel: Panel, kind: str, emotion: str, block: int | None = None) -> Array:
        """Scores of one emotion over a panel's values (or its ladder's, twin's or paraphrases')."""
        at = self.block if block is None else self._known(block)
        return self.scores(panel, kind)[:, at, emotion_index(emotion, self.emotions)]

    def _known(self, block: int) -> int:
        count = next(iter(self.curves.values())).shape[1]
        if block not in range(count):
            raise EmokitError("unknown block", block, f"Blocks are 0 to {count - 1}.")
        return block

    def signs(self, kind: str = "panel", block: int | None = None) -> Signs:
        """The sign statistic of the panels, ladders or "paraphrases": score(last) - score(first) against the expectation.

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
        where = f"block {self.block}" + ("" if self.position == "readout" else f", {self.position}")
        few = [] if self.signs().decidable else [self.line(p, e) for p in self.panels for e in p.expect]
        return f"DoseResult({verdict} at {where}; {why})" + "".join(f"\n  {line}" for line in few)

    # effects

    def line(self, panel: Panel, emotion: str) -> str:
        """What one emotion does over one panel's values, in a line."""
        row = next(r for r in self._rows(panel, [emotion]) if r["kind"] == "panel")
        change = f"{emotion} {row['change']:+.3f} ({row['effect']:+.1f} sd of random directions)"
        twin = f", beyond the twin {row['beyond twin']:+.3f}" if self._kinds(panel, "twin") else ", no twin"
        return f"{panel.title}: {change}, rho {row['rho']:+.2f} (p = {row['p doses']:.3f} of permuted doses){twin}"

    def _random(self, scores: Array, block: int) -> Array:
        """Scores [..., emotions] at a block as 1,000 random directions in the span of the emotions have them: [..., draws]."""
        gram = np.eye(len(self.emotions)) if self.gram is None else self.gram[block]
        return effects.random_scores(scores, gram, self.seed)

    def effect(self, panel: Panel, kind: str = "panel", block: int | None = None) -> Array:
        """Each emotion's change from first to last value, in sd of what random directions in their span change: [emotions]."""
        at = self.block if block is None else self._known(block)
        ends = self.scores(panel, kind)[[0, -1], at]
        spread = self._random(ends[1] - ends[0], at).std()
        return (ends[1] - ends[0]) / (spread or 1.0)

    def _draws(self, panel: Panel, kind: str, column: int) -> Array:
        """Bootstrap draws of a change: of the topics, where there are stories, and of the wordings, where there are several."""
        kinds = self._kinds(panel, kind)
        if not kinds or (not self.boot and len(kinds) < 2):
            return np.empty(0)
        if self.boot:
            changes = np.stack([self.boot[panel.title, k][:, column] for k in kinds])
        else:
            curves = [self.curves[panel.title, k][:, self.block, column] for k in kinds]
            changes = np.array([[curve[-1] - curve[0]] for curve in curves])
        return effects.resampled_mean(changes, DRAWS, self.seed) if len(kinds) > 1 else changes[0]

    def _rows(self, panel: Panel, emotions: Sequence[str]) -> Iterator[dict[str, Any]]:
        for kind in ("panel", "ladder", "twin", "paraphrases"):
            if not self._kinds(panel, kind):
                continue
            per = None if kind == "ladder" else effects.doublings(list(panel.values))
            sizes, against = self.effect(panel, kind), kind in ("panel", "paraphrases") and self._kinds(panel, "twin")
            for emotion in emotions:
                column, curve = emotion_index(emotion, self.emotions), self.curve(panel, kind, emotion)
                change, draws = float(curve[-1] - curve[0]), self._draws(panel, kind, column)
                beyond, beyond_draws = math.nan, draws[:0]
                if against:
                    twin = self._change(panel, "twin", emotion)
                    beyond = change - twin
                    beyond_draws = draws - (self.boot[panel.title, "twin"][:, column] if self.boot else twin)
                (low, high), (under, over) = effects.interval(draws), effects.interval(beyond_draws)
                rho, p = effects.spearman(curve)
                expected = "flat" if kind == "twin" else panel.expect.get(emotion, "")
                yield {
                    "panel": panel.title, "kind": kind, "emotion": emotion, "expected": expected,
                    "first": float(curve[0]), "last": float(curve[-1]), "change": change, "low": low, "high": high,
                    "rho": rho, "p doses": p, "slope": effects.slope(curve, per),
                    "slope per": "step" if per is None else "doubling", "effect": float(sizes[column]),
                    "beyond twin": beyond, "beyond low": under, "beyond high": over,
                    "as expected": None if expected in ("flat", "") else change * panel.ways[emotion] > 0,
                }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """A row per panel, kind ("panel", "ladder", "twin", mean of the "paraphrases") and expected emotion.

        `change` is score(last) - score(first), `low` and `high` its 95 % interval over resampled topics (where the run had
        stories) and wordings (where there are several); `rho` Spearman's with the order of the values, `p doses` the share of
        permuted orders with |rho| as large; `slope` is per doubling of the value, where the values are positive, rise, and
        cover more than a factor of 8, else per step; `effect` the change in sd of random directions in the emotions' span;
        `beyond twin` the change minus the twin's, with its interval.
        """
        import pandas as pd

        return pd.DataFrame([row for panel in self.panels for row in self._rows(panel, list(panel.expect))])

    def wordings(self) -> pd.DataFrame:
        """A row per wording (0: the panel's own) and expected emotion of the panels that have paraphrases."""
        import pandas as pd

        rows = []
        for panel in self.panels:
            kinds = ["panel", *self._kinds(panel, "paraphrases")]
            for number, kind in enumerate(kinds if len(kinds) > 1 else []):
                for emotion, way in panel.ways.items():
                    curve = self.curve(panel, kind, emotion)
                    change, rho = float(curve[-1] - curve[0]), effects.spearman(curve)[0]
                    effect = float(self.effect(panel, kind)[self.emotions.index(emotion)])
                    rows.append([panel.title, number, emotion, change, rho, effect, change * way > 0])
        return pd.DataFrame(rows, columns=["panel", "wording", "emotion", "change", "rho", "effect", "as expected"])

    def _mean_effect(self, kind: str, block: int) -> float:
        """Mean effect in the expected direction over the signs of one kind; NaN where there are none."""
        found = [
            way * self.effect(panel, kind, block)[self.emotions.index(emotion)]
            for panel in self.panels if self._kinds(panel, kind) for emotion, way in panel.ways.items()
        ]  # fmt: skip
        return float(np.mean(found)) if found else math.nan

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

    def plot(self, kind: str = "panel", emotions: Sequence[str] = ("afraid", "calm", "sad", "happy")) -> Figure:
        """Change of the scores over the values, a small plot per panel, of "panel", "ladder" or "twin".

        The emotions expected to change are bold and have an arrow; all kinds are drawn to one scale.
        """
        from . import plots

        shown = [self._shown(p, kind, p.title, emotions) for p in self.panels if self._kinds(p, kind)]
        if not shown:
            raise EmokitError(f"no panel has a {kind}", [p.title for p in self.panels], "Give the panels one.")
        heading = {"panel": "numbers", "ladder": "ladders in words", "twin": "harmless twins"}.get(kind, kind)
        signs = f"{self.signs(kind)}; " if kind != "twin" else ""
        title = f"{heading}: {signs}change of the scores at block {self.block}{self._where()}"
        return plots.dose_panels(shown, limit=self._limit(emotions), title=title)

    def compare(self, panel: Panel | None = None, emotions: Sequence[str] = ()) -> Figure:
        """One panel (the first) beside its ladder and its twin, to one scale, with the range of random directions (5-95 %)."""
        from . import plots

        panel = panel or self.panels[0]
        kinds = [kind for kind in NAMES if self._kinds(panel, kind)]
        shown = [self._shown(panel, kind, NAMES[kind], emotions) | {"band": self._band(panel, kind)} for kind in kinds]
        leading = next(iter(panel.expect), None)
        found = [f"{self._change(panel, k, leading):+.3f} {k}" for k in kinds] if leading else []
        title = f"{panel.title}: {leading} {', '.join(found)}" if leading else panel.title
        return plots.dose_panels(shown, title=f"{title} (block {self.block}{self._where()})")

    def plot_effects(self) -> Figure:
        """Every expected sign with its effect in the expected direction: numbers, twin and ladder, with their intervals."""
        from . import plots

        labels, groups = [], {name: [] for name in ("numbers", "harmless twin", "ladder in words")}
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
            curves, chosen=self.block, ylabel="mean effect (sd)", level=(0, "none"),
            title=f"Effect in the expected direction, sd of random directions: {at}",
        )  # fmt: skip

    def _where(self) -> str:
        return "" if self.position == "readout" else f", over the {self.position}"

    def _band(self, panel: Panel, kind: str) -> tuple[Array, Array]:
        """The 5 and 95 % quantiles of the change that random directions show at each value."""
        scores = self._random(self.scores(panel, kind)[:, self.block], self.block)
        low, high = np.quantile(scores - scores[0], [0.05, 0.95], axis=1)
        return low, high

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


def _towards(row: dict[str, Any] | None, way: int) -> tuple[float, float, float]:
    """Effect and the ends of its interval, in sd, positive in the expected direction; NaN where there is none."""
    if row is None:
        return math.nan, math.nan, math.nan
    unit = way * row["effect"] / row["change"] if row["change"] else 0.0
    low, high = sorted((unit * row["low"], unit * row["high"]))
    return way * row["effect"], low, high
