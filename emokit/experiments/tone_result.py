"""What a run of tones found: changes against the neutral tone with their intervals, and how far the directions explain them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import effects, results
from ..errors import check_known
from .conditions import row_of

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Figure

Array = np.ndarray
DRAWS = 10_000
ALPHA = 0.05
MEASURES = {
    "accuracy": "accuracy, change",
    "confidence": "confidence in the right answer, change in nats",
    "length": "length of the reply, change in tokens",
}


@dataclass(frozen=True, eq=False, repr=False)
class ToneResult:
    """Problems asked in each tone and, in the neutral one, under steering.

    `confidence` [conditions, problems] is the log-odds in nats of the right answer against all distractors; `right` (1, 0)
    and `length` (tokens) are of greedy replies, NaN where there is none; the first condition is the neutral tone. `shift`
    [problems, other tones, emotions] is by how much a tone changes the scores at the readout, `shift_null` [other tones]
    what 95 % of random directions stay below; `pushes` [other tones, emotions] the strengths of the "as" conditions.
    """

    model: str
    block: int
    strength: float
    emotions: tuple[str, ...]
    wanted: tuple[str, ...]
    tones: tuple[str, ...]
    problems: tuple[str, ...]
    kinds: tuple[str, ...]
    conditions: tuple[str, ...]
    confidence: Array
    right: Array
    length: Array
    shift: Array
    shift_null: Array
    pushes: Array
    seed: int = 0
    replies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def values(self, measure: str) -> Array:
        """The numbers of "accuracy", "confidence" or "length": [conditions, problems]."""
        check_known(measure, MEASURES, "measure")
        return {"accuracy": self.right, "confidence": self.confidence, "length": self.length}[measure]

    def change(
        self, condition: str, measure: str = "confidence", against: str = "neutral"
    ) -> tuple[float, float, float]:
        """Mean change against another condition, and its 95 % interval by a paired bootstrap over problems; NaN for none."""
        return effects.mean_interval(self._paired(condition, measure, against), DRAWS, self.seed)

    def _paired(self, condition: str, measure: str, against: str) -> Array:
        for name in (condition, against):
            check_known(name, self.conditions, "condition")
        values = self.values(measure)
        found = values[self.conditions.index(condition)] - values[self.conditions.index(against)]
        return found[np.isfinite(found)]

    def randoms(self, tone: str | None = None) -> list[str]:
        """The random conditions: those of the given strength, or those of a tone's."""
        ending = f" as {tone}"
        named = [c for c in self.conditions if c.startswith("random")]
        return [c for c in named if (c.endswith(ending) if tone else " as " not in c)]

    def band(self, measure: str = "confidence", tone: str | None = None) -> tuple[float, float]:
        """The range of the mean changes under random directions, both ways: a push may be along or against one."""
        reach = [abs(self.change(c, measure)[0]) for c in self.randoms(tone)]
        reach = [r for r in reach if np.isfinite(r)]
        return (-max(reach), max(reach)) if reach else (float("nan"),) * 2

    def shifts(self) -> pd.DataFrame:
        """How a tone changes the scores at the readout: a row per tone and emotion with a 95 % interval over problems and
        `random`, what 95 % of random directions stay below."""
        import pandas as pd

        rows = []
        for t, tone in enumerate(self.tones[1:]):
            for e, emotion in enumerate(self.emotions):
                found = effects.mean_interval(self.shift[:, t, e], DRAWS, self.seed)
                rows.append((tone, emotion, *found, float(self.shift_null[t]), float(self.pushes[t, e])))
        return pd.DataFrame(rows, columns=["tone", "emotion", "shift", "low", "high", "random", "push"])

    def explained(self, measure: str = "confidence") -> pd.DataFrame:
        """A row per tone: its effect, that of steering by the push it gives to the directions, the size of what random
        directions of the same length do (root of the mean square) and `p` of the push against them, the share of the
        first that the second is, and in words how far that goes.

        `p` takes effects of random directions as a t distribution about 0 with as many degrees of freedom as there are
        of them. The share stands only where both effects differ from 0 and `p` is at most 5 % shared out among the tones.
        """
        import pandas as pd

        rows = []
        for tone in self.tones[1:]:
            effect, pushed = self.change(tone, measure), self.change(f"as {tone}", measure)
            found = np.array([self.change(c, measure)[0] for c in self.randoms(tone)])
            found = found[np.isfinite(found)]
            random = float(np.sqrt(np.mean(found**2))) if len(found) else float("nan")
            p = float(effects.against_random(pushed[0], found))
            share, says = self._share(tone, measure, effect, pushed, p)
            rows.append((tone, *effect, *pushed, random, p, *share, says))
        names = ["tone", "effect", "low", "high", "pushed", "pushed_low", "pushed_high", "random", "p", "share", "share_low", "share_high", "says"]  # fmt: skip
        return pd.DataFrame(rows, columns=names).set_index("tone")

    def _share(
        self, tone: str, measure: str, effect: Sequence[float], pushed: Sequence[float], p: float
    ) -> tuple[tuple[float, float, float], str]:
        none = (float("nan"),) * 3
        if not np.isfinite(effect[0]):
            return none, "nothing measured"
        if not np.isfinite(effect[1]):
            return none, "too few problems to say"
        if effect[1] <= 0 <= effect[2]:
            return none, "no effect of the tone to explain"
        if not np.isfinite(pushed[1]):
            return none, "an effect; the push along the directions was not measured"
        if pushed[1] <= 0 <= pushed[2]:
            return none, "an effect, none of it shown to go with the directions"
        if not np.isfinite(p):
            return none, "an effect; random pushes were not measured beside that along the directions"
        if p > ALPHA / (len(self.tones) - 1):
            return none, f"an effect; the push along the directions does no more than random ones might (p {p:.2f})"
        if effect[0] * pushed[0] < 0:
            return none, "an effect; the push along the directions goes the other way"
        one, other = self._both(tone, measure)
        drawn = np.random.default_rng(self.seed).integers(0, len(one), (DRAWS, len(one)))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = other[drawn].mean(1) / one[drawn].mean(1)
        found = float(other.mean() / one.mean()), *effects.interval(ratios[np.isfinite(ratios)])
        return found, "{:.0%} [{:.0%}, {:.0%}] of the effect comes with the push along the directions alone".format(
            *found
        )

    def _both(self, tone: str, measure: str) -> tuple[Array, Array]:
        """A tone's and its push's changes over the problems that have both."""
        values = self.values(measure)
        rows = [values[self.conditions.index(name)] for name in (tone, f"as {tone}", "neutral")]
        there = np.isfinite(rows).all(0)
        return (rows[0] - rows[2])[there], (rows[1] - rows[2])[there]

    def to_frame(self) -> pd.DataFrame:
        """A row per condition: accuracy, confidence and length, their changes against the neutral tone with 95 % intervals
        (`_low`, `_high`), and how many problems have a reply."""
        import pandas as pd

        rows = []
        for i, condition in enumerate(self.conditions):
            row: dict[str, Any] = {"condition": condition, "problems": len(self.problems)}
            row["replied"] = int(np.isfinite(self.right[i]).sum())
            rows.append(row | row_of(self, i, condition, MEASURES))
        return pd.DataFrame(rows).set_index("condition")

    @property
    def said(self) -> str:
        """Which tones changed what, in a sentence; 5 % of error are shared out among all tones and measures."""
        told, share = [], ALPHA / (len(MEASURES) * (len(self.tones) - 1))
        for tone in self.tones[1:]:
            for measure in MEASURES:
                found = self._paired(tone, measure, "neutral")
                if effects.sign(found, share):
                    told.append(f"{tone} changes {measure} by {found.mean():+.2f}")
        return "; ".join(told) or "no tone changes accuracy, confidence or length beyond chance"

    def __repr__(self) -> str:
        replied = int(np.isfinite(self.right[0]).sum())
        return f"ToneResult({self.model}, {len(self.problems)} problems, {replied} with replies; {self.said})"

    def plot(self) -> Figure:
        """The changes by tone, by steering and by pushes as the tones give them, beside random directions."""
        from .. import plots

        groups = [
            list(self.tones[1:]),
            [f"as {t}" for t in self.tones[1:]],
            [f"{s}{e}" for e in self.emotions for s in "-+"],
        ]
        shown = [c for group in groups for c in group if c in self.conditions]
        ends = np.cumsum([len([c for c in group if c in self.conditions]) for group in groups])
        measured = [m for m in MEASURES if np.isfinite(self.values(m)[0]).any()]
        names = {"as": "steered as by ", "-": "less ", "+": "more "}
        labels = [
            f"tone: {c}" if c in self.tones else names["as"] + c[3:] if c.startswith("as ") else names[c[0]] + c[1:]
            for c in shown
        ]
        changes = {m: np.array([self.change(c, m) for c in shown]) for m in measured}
        for rows in changes.values():
            if np.isfinite(rows[:, 1]).any():  # what rests on under five replies would stand out by its size
                rows[~np.isfinite(rows[:, 1])] = np.nan
        columns = {MEASURES[m]: [tuple(row) for row in rows.tolist()] for m, rows in changes.items()}
        none = (float("nan"),) * 2
        bands = {
            MEASURES[m]: [none if c in self.tones else self.band(m, c[3:] if c[:3] == "as " else None) for c in shown]
            for m in measured
        }
        return plots.changes(
            labels, columns, bands=bands, lines=[int(e) for e in ends[:-1]],
            title=f"{self.model}, {len(self.problems)} problems, against the neutral tone: {self.said}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from .. import plots

        return plots.png(self.plot())

    def record(self) -> dict[str, Any]:
        """All that was measured as plain data, from which `recalled` makes the result again; and the derived tables."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "replies"}
        tables = {
            "shifts": self.shifts(),
            "explained": self.explained(),
            "explained_accuracy": self.explained("accuracy"),
        }
        return results.plain(found | tables | {"said": self.said})

    @classmethod
    def recalled(cls, kept: Mapping[str, Any]) -> ToneResult:
        """The result whose `record` this is."""
        given: dict[str, Any] = {}
        for f in fields(cls):
            if f.name in kept:
                value = kept[f.name]
                numbers = isinstance(value, list) and f.type == "Array"
                given[f.name] = (
                    np.array(value, float) if numbers else tuple(value) if isinstance(value, list) else value
                )
        return cls(**given)
