"""What a run of dilemmas found: curves over strength, whether they turn, and what agents did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from .. import effects, results
from ..errors import EmokitError
from .choices import DRAWS, Choices, recalled, record
from .conditions import Rate, wilson

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Figure

Array = np.ndarray
ALPHA = 0.05  # shared out among the emotions


class Turn(NamedTuple):
    """A short agent turn: what it does ("asks", "acts", "neither"), the words that say so, and the whole reply."""

    dilemma: str
    condition: str
    seed: int
    does: str
    quote: str
    reply: str


@dataclass(frozen=True, eq=False, repr=False)
class CautionResult:
    """Dilemmas under steering: how much likelier a careful reply is than a hasty one, and what short turns do.

    `choices` has a column per dilemma, the mean of its forms, `forms` one per form, the mean over dilemmas; `levels` are the
    strengths, without 0; conditions are called "calm +0.1", the first is "none". `turns` are sampled agent turns.
    """

    model: str
    block: int
    emotions: tuple[str, ...]
    wanted: tuple[str, ...]
    levels: tuple[float, ...]
    randoms: tuple[str, ...]
    words: tuple[str, ...]
    choices: Choices
    forms: Choices
    turn_strength: float
    turns: tuple[Turn, ...]

    def curve(self, direction: str) -> Array:
        """How much likelier the careful reply is, in nats: [strengths, dilemmas], strengths in order with 0 among them."""
        if direction not in (*self.emotions, *self.randoms):
            raise EmokitError("unknown direction", direction, f"Choose among: {', '.join(self.emotions)}.")
        return np.stack([self.choices.gap[self.choices.index(self._name(direction, s))] for s in self.strengths])

    @property
    def strengths(self) -> tuple[float, ...]:
        """All strengths in order, with 0."""
        return tuple(sorted((*self.levels, 0.0)))

    @staticmethod
    def _name(direction: str, strength: float) -> str:
        return f"{direction} {strength:+g}" if strength else "none"

    def share(self, condition: str) -> tuple[float, float, float]:
        """Probability of the careful one of two replies, mean over dilemmas, with its 95 % interval over them."""
        return self.choices.mean(condition, None, self.choices.share)

    def bends(self) -> pd.DataFrame:
        """Does mild differ from strong? A row per direction and sign of the push.

        `mild` is the change in nats from none to the weakest strength, `further` that from there to the strongest, each
        with a 95 % interval by a bootstrap over dilemmas. `differs`: `further` differs from 0; `turns`: both do, with
        different signs; both decided with an error of 5 % shared out among all curves of the emotions. `random` is whether
        the direction is a random one.
        """
        import pandas as pd

        rows, share = [], ALPHA / (2 * len(self.emotions))
        for direction in (*self.emotions, *self.randoms):
            for sign in (-1, 1):
                sizes = sorted(abs(level) for level in self.levels if level * sign > 0)
                none, mild, strong = (
                    self.choices.gap[self.choices.index(self._name(direction, sign * size))]
                    for size in (0.0, sizes[0], sizes[-1])
                )
                row: dict[str, Any] = {"direction": direction, "sign": "+" if sign > 0 else "-"}
                bounds = {}
                for name, found in (("mild", mild - none), ("further", strong - mild)):
                    draws = effects.resampled_mean(found[:, None], DRAWS, 0)
                    low, high = effects.interval(draws)
                    row |= {name: float(found.mean()), f"{name}_low": low, f"{name}_high": high}
                    low, high = np.quantile(draws, [share / 2, 1 - share / 2])
                    bounds[name] = 1 if low > 0 else -1 if high < 0 else 0
                if len(sizes) < 2:
                    row |= dict.fromkeys(("further", "further_low", "further_high"), float("nan"))
                    bounds["further"] = 0
                rows.append(
                    row
                    | {"differs": bounds["further"] != 0, "turns": bounds["mild"] * bounds["further"] < 0}
                    | {"random": direction in self.randoms}
                )
        return pd.DataFrame(rows)

    def slopes(self) -> pd.DataFrame:
        """A row per direction: nats per 0.1 of strength (least squares) with its 95 % interval over dilemmas, and `p`.

        `p` holds an emotion's slope against those of the random directions, taken as a t distribution about 0 with as
        many degrees of freedom as there are of them: five random directions alone could never show p <= 0.05 by rank.
        """
        import pandas as pd

        rows, x = [], np.array(self.strengths) - np.mean(self.strengths)
        for direction in (*self.emotions, *self.randoms):
            each = 0.1 * x @ self.curve(direction) / (x @ x)
            low, high = effects.interval(effects.resampled_mean(each[:, None], DRAWS, 0))
            rows.append((direction, float(each.mean()), low, high, direction in self.randoms))
        frame = pd.DataFrame(rows, columns=["direction", "slope", "low", "high", "random"])
        null = frame.slope[frame.random].to_numpy()
        scale = np.sqrt(np.mean(null**2)) or np.finfo(float).tiny
        p = 2 * student.sf(np.abs(frame.slope) / scale, len(null))
        frame["p"] = np.where(frame.random, np.nan, p)
        return frame.set_index("direction")

    def asking(self) -> pd.DataFrame:
        """A row per condition of the turns: how many asked or checked first, acted, did neither; `asks` with its 95 %
        Wilson interval."""
        import pandas as pd

        rows = []
        for condition in dict.fromkeys(turn.condition for turn in self.turns):
            did = [turn.does for turn in self.turns if turn.condition == condition]
            rate: Rate = wilson(did.count("asks"), len(did))
            rows.append((condition, len(did), rate.share, rate.low, rate.high, did.count("acts"), did.count("neither")))
        return pd.DataFrame(rows, columns=["condition", "turns", "asks", "low", "high", "acts", "neither"]).set_index(
            "condition"
        )

    def transcripts(self) -> pd.DataFrame:
        """A row per turn: dilemma, condition, seed, what it does, the words that say so, the reply."""
        import pandas as pd

        return pd.DataFrame(self.turns, columns=Turn._fields)

    def to_frame(self) -> pd.DataFrame:
        """The forced choices, a row per condition: see `Choices.to_frame`."""
        return self.choices.to_frame()

    @property
    def said(self) -> str:
        """What came out, in a sentence."""
        slopes, bends = self.slopes(), self.bends()
        moved = [
            f"{e} {slopes.slope[e]:+.2f}" for e in self.emotions
            if (slopes.low[e] > 0 or slopes.high[e] < 0) and slopes.p[e] <= ALPHA / len(self.emotions)
        ]  # fmt: skip
        turned = [f"{row.sign}{row.direction}" for row in bends.itertuples() if row.turns and not row.random]
        count = int(bends.turns[bends.random].sum())
        told = (
            f"beyond random directions, in nats per 0.1: {', '.join(moved)}"
            if moved
            else "no emotion moves it beyond random directions"
        )
        turn = (
            f"{', '.join(turned)} turn round between mild and strong"
            if turned
            else "no curve turns round between mild and strong"
        )
        return f"{told}; {turn} ({count} of {int(bends.random.sum())} random ones do)"

    def __repr__(self) -> str:
        value, low, high = self.share("none")
        return (
            f"CautionResult({self.model}, {len(self.choices.names)} dilemmas, careful {value:.0%} [{low:.0%}, {high:.0%}] unsteered; "
            f"{self.said}; {len(self.turns)} agent turns)"
        )

    def plot(self) -> Figure:
        """The curves over strength with their intervals, above the range of random directions."""
        from .. import plots

        curves = {}
        for emotion in self.emotions:
            rows = [self.choices.mean(self._name(emotion, s), "none") for s in self.strengths]
            curves[emotion] = rows
        null = np.stack([self.curve(r).mean(1) for r in self.randoms])
        null = null - null[:, [self.strengths.index(0.0)]]
        return plots.strength_curves(
            self.strengths, curves, null=null, ylabel="careful reply likelier by, nats (against unsteered)",
            title=f"{self.model}, {len(self.choices.names)} dilemmas: {self.said}",
        )  # fmt: skip

    def _repr_png_(self) -> bytes:
        from .. import plots

        return plots.png(self.plot())

    def record(self) -> dict[str, Any]:
        """All that was measured as plain data, from which `recalled` makes the result again; and the derived tables."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found |= {"choices": record(self.choices), "forms": record(self.forms)}
        tables = {
            "bends": self.bends(),
            "slopes": self.slopes(),
            "asking": self.asking(),
            "forms_table": self.forms.gap,
        }
        return results.plain(found | tables | {"said": self.said})

    @classmethod
    def recalled(cls, kept: Mapping[str, Any]) -> CautionResult:
        """The result whose `record` this is."""
        given: dict[str, Any] = {f.name: kept[f.name] for f in fields(cls)}
        given |= {"choices": recalled(kept["choices"]), "forms": recalled(kept["forms"])}
        given["turns"] = tuple(Turn(*turn) for turn in kept["turns"])
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return cls(**given)
