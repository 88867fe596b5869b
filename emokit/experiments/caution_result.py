"""What a run of dilemmas found: curves over strength, whether they turn, and what agents did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import effects, results
from ..errors import EmokitError, check_known
from .choices_result import DRAWS, Choices, recalled, record
from .conditions import Rate, row_of, wilson

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Figure

Array = np.ndarray
ALPHA = 0.05  # shared out among emotions and measures
MEASURES = {
    "letters": "careful letter likelier by, nats",
    "replies": "careful reply likelier by, nats a token",
}
FORMS = {"letters": 1, "replies": 2}  # how many choices a dilemma has of each


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

    `choices` has a column per dilemma and form: "photos, letters", "photos, reply 1". The letters are compared as one measure,
    the wordings of the reply, by their means a token, as another. `levels` are the strengths, without 0; conditions are
    called "calm +0.1", the first is "none". `turns` are sampled agent turns.
    """

    model: str
    block: int
    emotions: tuple[str, ...]
    wanted: tuple[str, ...]
    levels: tuple[float, ...]
    randoms: tuple[str, ...]
    words: tuple[str, ...]
    choices: Choices
    turn_strength: float
    turns: tuple[Turn, ...]

    @property
    def dilemmas(self) -> tuple[str, ...]:
        """The names of the dilemmas that were measured whole by "replies", or by "letters"."""
        return tuple(dict.fromkeys(name for measure in MEASURES for name in whole(self.choices, measure)))

    @property
    def measures(self) -> tuple[str, ...]:
        """What was measured in one dilemma at least, of "letters" and "replies"."""
        return tuple(measure for measure in MEASURES if whole(self.choices, measure))

    def values(self, measure: str = "replies") -> Array:
        """How much likelier the careful option is: [conditions, dilemmas], in nats by "letters", nats a token by "replies".

        Raises EmokitError for a measure that a budget left out.
        """
        return by_dilemma(self.choices, measure)

    def change(self, condition: str, measure: str = "replies") -> tuple[float, float, float]:
        """Mean change against no steering with its 95 % interval over dilemmas."""
        return self.choices.mean(condition, "none", self.values(measure))

    def curve(self, direction: str, measure: str = "replies") -> Array:
        """How much likelier the careful option is: [strengths, dilemmas], strengths in order with 0 among them."""
        if direction not in (*self.emotions, *self.randoms):
            raise EmokitError("unknown direction", direction, f"Choose among: {', '.join(self.emotions)}.")
        rows = [self.choices.index(self._name(direction, s)) for s in self.strengths]
        return self.values(measure)[rows]

    @property
    def strengths(self) -> tuple[float, ...]:
        """All strengths in order, with 0."""
        return tuple(sorted((*self.levels, 0.0)))

    @staticmethod
    def _name(direction: str, strength: float) -> str:
        return f"{direction} {strength:+g}" if strength else "none"

    def share(self, condition: str) -> tuple[float, float, float]:
        """Probability of the careful one of two letters, mean over dilemmas, with its 95 % interval over them."""
        return self.choices.mean(condition, None, 1 / (1 + np.exp(-np.clip(self.values("letters"), -500, 500))))

    def bends(self, measure: str = "replies") -> pd.DataFrame:
        """Does mild differ from strong? A row per direction and sign of the push.

        `mild` is the change in nats from none to the weakest strength, `further` that from there to the strongest, each
        with a 95 % interval by a bootstrap over dilemmas. `differs`: `further` differs from 0; `turns`: both do, with
        different signs; both decided with an error of 5 % shared out among all curves of the emotions by both measures.
        `random` is whether the direction is a random one. NaN: there is one strength on that side, or under 5 dilemmas.
        """
        import pandas as pd

        rows, share = [], ALPHA / (2 * len(MEASURES) * len(self.emotions))
        for direction in (*self.emotions, *self.randoms):
            for sign in (-1, 1):
                sizes = sorted(abs(level) for level in self.levels if level * sign > 0)
                curve = dict(zip(self.strengths, self.curve(direction, measure), strict=True))
                none, mild, strong = (curve[sign * size] for size in (0.0, sizes[0], sizes[-1]))
                row: dict[str, Any] = {"direction": direction, "sign": "+" if sign > 0 else "-"}
                bounds = {}
                for name, found in (("mild", mild - none), ("further", strong - mild)):
                    middle = effects.mean_interval(found, DRAWS, 0)
                    row |= dict(zip((name, f"{name}_low", f"{name}_high"), middle, strict=True))
                    bounds[name] = effects.sign(found, share)
                if len(sizes) < 2 or len(none) < effects.FEWEST:
                    row |= dict.fromkeys(("further", "further_low", "further_high"), float("nan"))
                    bounds["further"] = 0
                rows.append(
                    row
                    | {"differs": bounds["further"] != 0, "turns": bounds["mild"] * bounds["further"] < 0}
                    | {"random": direction in self.randoms}
                )
        return pd.DataFrame(rows)

    def slopes(self, measure: str = "replies") -> pd.DataFrame:
        """A row per direction: nats per 0.1 of strength (least squares) with its 95 % interval over dilemmas, and `p`.

        `p` holds an emotion's slope against those of the random directions, taken as a t distribution about 0 with as
        many degrees of freedom as there are of them: ten random directions alone could never show p <= 0.05 by rank.
        """
        import pandas as pd

        rows, x = [], np.array(self.strengths) - np.mean(self.strengths)
        for direction in (*self.emotions, *self.randoms):
            each = 0.1 * x @ self.curve(direction, measure) / (x @ x)
            rows.append((direction, *effects.mean_interval(each, DRAWS, 0), direction in self.randoms))
        frame = pd.DataFrame(rows, columns=["direction", "slope", "low", "high", "random"])
        p = effects.against_random(frame.slope, frame.slope[frame.random].to_numpy())
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
        """The forced choices, a row per condition: both measures, their changes against none with 95 % intervals (`_low`,
        `_high`), and `share`, the probability of the careful letter."""
        import pandas as pd

        rows = []
        for i, condition in enumerate(self.choices.conditions):
            row: dict[str, Any] = {"condition": condition}
            row |= {f"dilemmas, {m}": len(whole(self.choices, m)) for m in self.measures}
            row |= row_of(self, i, condition, self.measures)
            if "letters" in self.measures:
                row |= dict(zip(("share", "share_low", "share_high"), self.share(condition), strict=True))
            rows.append(row)
        return pd.DataFrame(rows).set_index("condition")

    @property
    def said(self) -> str:
        """What came out, in a sentence; 5 % of error are shared out among all emotions and both measures."""
        if not self.measures:
            return "no dilemma was measured"
        moved, turned, random, drawn = [], [], 0, 0
        for measure in self.measures:
            slopes, bends = self.slopes(measure), self.bends(measure)
            moved += [
                f"{e} {slopes.slope[e]:+.2f} ({measure})" for e in self.emotions
                if (slopes.low[e] > 0 or slopes.high[e] < 0) and slopes.p[e] <= ALPHA / (2 * len(self.emotions))
            ]  # fmt: skip
            turned += [
                f"{row.sign}{row.direction} ({measure})" for row in bends.itertuples() if row.turns and not row.random
            ]
            possible = bends[bends.random & bends.further.notna()]
            random, drawn = random + int(possible.turns.sum()), drawn + len(possible)
        told = "no emotion moves it beyond random directions"
        if moved:
            told = f"beyond random directions, in nats per 0.1: {', '.join(moved)}"
        turn = f"{', '.join(turned) or 'no curve'} {'turn' if len(turned) > 1 else 'turns'} round"
        if not drawn:
            return told
        return f"{told}; {turn} between mild and strong ({random} of {drawn} random ones do)"

    def __repr__(self) -> str:
        parts = [f"{len(self.dilemmas)} dilemmas"]
        if "letters" in self.measures:
            parts.append(f"careful letter {effects.shown(self.share('none'), '.0%')} unsteered")
        return f"CautionResult({self.model}, {', '.join(parts)}; {self.said}; {len(self.turns)} agent turns)"

    def plot(self, measure: str = "replies") -> Figure:
        """The curves over strength with their intervals, beside those of random directions."""
        from .. import plots

        curves = {e: [self.change(self._name(e, s), measure) for s in self.strengths] for e in self.emotions}
        null = np.stack([self.curve(r, measure).mean(1) for r in self.randoms])
        null = null - null[:, [self.strengths.index(0.0)]]
        return plots.strength_curves(
            self.strengths, curves, null=null, ylabel=f"{MEASURES[measure]}, against unsteered",
            title=f"{self.model}, {len(whole(self.choices, measure))} dilemmas: {self.said}",
        )  # fmt: skip

    def figures(self) -> dict[str, Any]:
        """Every figure by name, as a function that draws it."""
        return {measure: partial(self.plot, measure) for measure in self.measures}

    def _repr_png_(self) -> bytes | None:
        from .. import plots

        return plots.png(self.plot()) if "replies" in self.measures else None

    def record(self) -> dict[str, Any]:
        """All that was measured as plain data, from which `recalled` makes the result again; and the derived tables."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found["choices"] = record(self.choices)
        tables = {f"{name}_{m}": getattr(self, name)(m) for name in ("slopes", "bends") for m in self.measures}
        return results.plain(found | tables | {"asking": self.asking(), "said": self.said})

    @classmethod
    def recalled(cls, kept: Mapping[str, Any]) -> CautionResult:
        """The result whose `record` this is."""
        given: dict[str, Any] = {f.name: kept[f.name] for f in fields(cls)}
        given["choices"] = recalled(kept["choices"])
        given["turns"] = tuple(Turn(*turn) for turn in kept["turns"])
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return cls(**given)


def whole(measured: Choices, measure: str) -> dict[str, list[int]]:
    """The dilemmas of which all that a measure needs is there, and where: a budget may have ended before, or within one."""
    members: dict[str, list[int]] = {}
    for i, name in enumerate(measured.names):
        dilemma, form = name.rsplit(", ", 1)
        if (form == "letters") == (measure == "letters"):
            members.setdefault(dilemma, []).append(i)
    needed = FORMS[measure]
    return {name: places for name, places in members.items() if len(places) == needed}


def by_dilemma(measured: Choices, measure: str = "replies") -> Array:
    """How much likelier the careful option is in each whole dilemma, [conditions, dilemmas]: in nats between the letters,
    or in nats a token between replies, mean over their wordings."""
    check_known(measure, MEASURES, "measure")
    values = measured.gap if measure == "letters" else measured.per_token
    columns = [values[:, places].mean(1) for places in whole(measured, measure).values()]
    if not columns:
        raise EmokitError("no dilemma was measured so", measure, "Give more minutes; what was measured is kept.")
    return np.stack(columns, axis=1)
