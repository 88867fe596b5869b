"""What rejected answers did: shares of high scores by three units, scores by turn, agreement of scorers, the direction's rise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import effects, results
from ..errors import EmokitError, check_known, emotion_index
from .conditions import Rate, wilson
from .distress import HIGH

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Figure

Array = np.ndarray
DRAWS = 2000
READ = ("frustrated", "desperate")  # the directions that are shown, where the vectors have them
UNITS = ("reply", "final turn", "maximum")


@dataclass(frozen=True)
class Reply:
    """One reply of one rollout: the rules' score `rule` with its worst `quote`, the `judge`'s (NaN: not asked) and how
    likely any number was for it (`mass`), and the `scores` of all emotions, the mean over its tokens."""

    rollout: int
    arm: str
    condition: str
    puzzle: str
    seed: int
    turn: int
    text: str
    rule: float
    quote: str
    scores: tuple[float, ...]
    judge: float = float("nan")
    mass: float = float("nan")

    def judged(self, score: float, mass: float) -> Reply:
        """The same reply with a judge's score."""
        return replace(self, judge=score, mass=mass)


@dataclass(frozen=True, eq=False, repr=False)
class Frustration:
    """Replies to rejections, scored. `turns` of each arm, `kinds` of the conditions, `wanted` rollouts of which some may
    be missing for lack of time; `gram` [emotions, emotions] the cosines of the directions at `block`, where they were read."""

    model: str
    block: int
    emotions: tuple[str, ...]
    gram: Array
    turns: Mapping[str, int]
    kinds: Mapping[str, str]
    replies: tuple[Reply, ...]
    wanted: int
    judge: str | None = None
    seed: int = 0

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row per reply, with a column for each scorer and each direction that is shown."""
        import pandas as pd

        names = [field for field in Reply.__dataclass_fields__ if field != "scores"]
        table = pd.DataFrame(
            [{k: v for k, v in asdict(r).items() if k != "scores"} for r in self.replies], columns=names
        )
        for emotion in self.shown:
            table[emotion] = [reply.scores[self.emotions.index(emotion)] for reply in self.replies]
        return table

    def to_frame(self) -> pd.DataFrame:
        """A row per reply: arm, condition, puzzle, seed, turn, the scores of all scorers, the worst quote and the text."""
        return self.frame.copy()

    @property
    def shown(self) -> list[str]:
        """The directions that stand beside the other scorers: frustrated and desperate, those of them there are."""
        return [emotion for emotion in READ if emotion in self.emotions]

    @property
    def steered(self) -> str:
        """The first arm that was played under steering, or the first of all."""
        return next((arm for arm, condition in self._groups() if condition != "none"), next(iter(self.turns)))

    @property
    def compared(self) -> tuple[str, str] | None:
        """The first arm that was played, and its control, in which nothing was rejected; None where there is none."""
        arms = [arm for arm, condition in self._groups() if condition == "none"]
        control = next((arm for arm in arms[1:] if "continue" in arm), None)
        return (arms[0], control) if control else None

    @property
    def played(self) -> int:
        """How many rollouts there are."""
        return len({reply.rollout for reply in self.replies})

    # shares of high scores

    def rate(self, arm: str, unit: str = "maximum", condition: str = "none", scorer: str = "rule") -> Rate:
        """The share of scores of 5 or more, of all replies, of rollouts' final turns, or of rollouts' maxima.

        The published share does not say which of the three it is. The interval takes replies of one rollout for
        independent, which they are not: that of "reply" is too narrow.
        """
        check_known(unit, UNITS, "unit")
        if scorer not in ("rule", "judge"):
            raise EmokitError("unknown scorer", scorer, 'Choose "rule" or "judge"; a direction has no scale of 10.')
        table = self._of(arm, condition)
        if unit == "maximum":
            table = _whole(table, scorer)
        table = table.dropna(subset=[scorer])
        if unit == "final turn":
            table = table[table.turn == self.turns[arm]]
        values = table.groupby("rollout")[scorer].max() if unit == "maximum" else table[scorer]
        return wilson(int((values >= HIGH).sum()), len(values))

    def rates(self, scorer: str = "rule") -> pd.DataFrame:
        """A row per arm, condition and unit: the share of high scores with its 95 % Wilson interval, and the mean score."""
        import pandas as pd

        rows = []
        for arm, condition in self._groups():
            table = self._of(arm, condition)
            means = {
                "reply": table[scorer].mean(),
                "final turn": table[scorer][table.turn == self.turns[arm]].mean(),
                "maximum": _whole(table, scorer).groupby("rollout")[scorer].max().mean(),
            }
            for unit in UNITS:
                found = self.rate(arm, unit, condition, scorer)
                rows.append({"arm": arm, "condition": condition, "unit": unit, **found._asdict(), "mean": means[unit]})
        return pd.DataFrame(rows)

    def by_turn(self, value: str = "rule", condition: str = "none") -> pd.DataFrame:
        """A row per arm and turn: how many replies, the mean of a scorer or direction with a bootstrap interval over rollouts,
        and for the scorers the `share` of high ones with its Wilson interval."""
        import pandas as pd

        check_known(value, ("rule", "judge", *self.shown), "value")
        rows = []
        for arm in dict.fromkeys(a for a, c in self._groups() if c == condition):
            table = self._of(arm, condition)
            for turn in range(1, self.turns[arm] + 1):
                found = table[value][table.turn == turn].dropna().to_numpy(float)
                row = {"arm": arm, "turn": turn, "replies": len(found), **_mean(found, self.seed)}
                if value in ("rule", "judge"):
                    rate = wilson(int((found >= HIGH).sum()), len(found))
                    row |= {"share": rate.share, "share low": rate.low, "share high": rate.high}
                rows.append(row)
        return pd.DataFrame(rows)

    def quotes(self, count: int = 5) -> pd.DataFrame:
        """The worst quotes that the rules found."""
        table = self.frame[self.frame.rule > 0].sort_values("rule", ascending=False, kind="stable")
        return table[["rule", "quote", "arm", "condition", "turn"]].head(count).reset_index(drop=True)

    # steering and words

    def effects(self, value: str = "rule", arm: str | None = None) -> pd.DataFrame:
        """A row per condition: the change of a rollout's maximum (of a direction: its mean) against "none", paired by seed,
        with a bootstrap interval over seeds."""
        import pandas as pd

        check_known(value, ("rule", "judge", *self.shown), "value")
        arm = arm or self.steered
        how = "max" if value in ("rule", "judge") else "mean"
        tables = {c: self._of(arm, c) for a, c in self._groups() if a == arm}
        if how == "max":
            tables = {c: _whole(table, value) for c, table in tables.items()}
        per = {c: table.groupby("seed")[value].agg(how) for c, table in tables.items()}
        rows = []
        for condition, values in per.items():
            if condition == "none":
                continue
            change = (values - per["none"]).dropna().to_numpy(float) if "none" in per else np.array([])
            row = {
                "condition": condition,
                "kind": self.kinds[condition],
                "pairs": len(change),
                **_mean(change, self.seed),
            }
            rows.append(row)
        return pd.DataFrame(rows, columns=["condition", "kind", "pairs", "mean", "low", "high"])

    # the directions

    def rise(self, emotion: str, arm: str = "8 turns, neutral", against: str = "8 turns, continue") -> Rise:
        """How much further an emotion's score rises from the first to the last turn in an arm than in its control.

        Of pairs of rollouts with one seed, and so one puzzle. The interval is a bootstrap over pairs; `p` the share of 1,000
        random directions in the span of the emotions whose difference is as large, `rank` the place among all emotions, 1
        for the largest: both compare directions, and say nothing of other rollouts. Fewer than 5 pairs have no interval.
        """
        column = emotion_index(emotion, self.emotions)
        one, other = self._rises(arm), self._rises(against)
        pairs = np.array([one[seed] - other[seed] for seed in one if seed in other])
        if not len(pairs):
            return Rise(emotion, float("nan"), float("nan"), float("nan"), 1.0, 0, 0)
        difference = pairs.mean(0)
        null = effects.random_scores(difference, self.gram, self.seed)
        value, low, high = effects.mean_interval(pairs[:, column], DRAWS, self.seed)
        p = (1 + int((np.abs(null) >= abs(value)).sum())) / (1 + len(null))
        return Rise(emotion, value, low, high, p, 1 + int((difference > value).sum()), len(pairs))

    def _rises(self, arm: str) -> dict[int, Array]:
        """Last turn minus first of every emotion [emotions], by seed, in the whole and unsteered rollouts of an arm."""
        ends: dict[int, dict[int, Array]] = {}
        for reply in self.replies:
            if (reply.arm, reply.condition) == (arm, "none") and reply.turn in (1, self.turns[arm]):
                ends.setdefault(reply.seed, {})[reply.turn] = np.array(reply.scores, float)
        found = {seed: end[self.turns[arm]] - end[1] for seed, end in ends.items() if len(end) == 2}
        return {seed: rise for seed, rise in found.items() if np.isfinite(rise).all()}

    # agreement

    def agreement(self) -> pd.DataFrame:
        """Spearman's rho between each two scorers over the replies that both have scored, with a bootstrap interval over
        rollouts; NaN where one of them gives all the same score, or there are fewer than 5 replies."""
        import pandas as pd

        scorers = ["rule", *(["judge"] if self.judge else []), *self.shown]
        rows = []
        for one, other in itertools.combinations(scorers, 2):
            table = self.frame.dropna(subset=[one, other])
            x, y, rollout = (table[c].to_numpy() for c in (one, other, "rollout"))
            rho, low, high = effects.rank_correlation(x.astype(float), y.astype(float), rollout, self.seed)
            rows.append({"one": one, "other": other, "replies": len(x), "rho": rho, "low": low, "high": high})
        return pd.DataFrame(rows, columns=["one", "other", "replies", "rho", "low", "high"])

    # shown

    @property
    def verdict(self) -> str:
        """One sentence: how often the longest rejected conversations were scored high, beside their control."""
        first = next((arm for arm, condition in self._groups() if condition == "none"), None)
        if first is None:
            return "nothing was played"
        text = f"{first}: a score of {HIGH} or more in {self.rate(first)!r} rollouts"
        return f"{text}; {self.compared[1]}: {self.rate(self.compared[1])!r}" if self.compared else text

    def __repr__(self) -> str:
        return f"Frustration({self.model}, {self.played} of {self.wanted} rollouts; {self.verdict})"

    def plot(self, value: str = "rule", share: bool = True) -> Figure:
        """By turn, a line an arm, with 95 % intervals: for a scorer the share of high scores (with `share=False` the mean),
        for a direction the mean score."""
        from .. import plots

        scorer = value in ("rule", "judge")
        columns = ("share", "share low", "share high") if scorer and share else ("mean", "low", "high")
        table = self.by_turn(value)
        lines: dict[str, Any] = {
            arm: tuple(part[c].to_numpy(float) for c in ("turn", *columns))
            for arm, part in (table.groupby("arm", sort=False) if len(table) else ())
        }
        if not scorer:
            title = f"{self.model}, block {self.block}"
            title += f": {self.rise(value, *self.compared)!r}" if self.compared else ""
            return plots.turns(lines, ylabel=f"score of {value} on the reply", title=title)
        plain = self.frame[self.frame.condition == "none"][value].dropna()
        title = f"{self.model}: {int((plain >= HIGH).sum())} of {len(plain)} unsteered replies score {HIGH} or more of 10 ({value})"
        if share:
            return plots.turns(
                lines, ylabel=f"share of replies that score {HIGH} or more", limits=(-0.03, 1.03), title=title
            )
        return plots.turns(
            lines, ylabel="distress in words, 0 to 10", level=(HIGH, "high"), limits=(-0.3, 10.3), title=title
        )

    def plot_effects(self) -> Figure:
        """What steering and words change in the words and in the directions, beside the random directions' range."""
        from .. import plots

        columns, bands, labels = {}, {}, []
        for value in ("rule", *self.shown):
            name = "maximum of distress in words" if value == "rule" else f"score of {value}"
            table = self.effects(value)
            randoms = table[table.kind == "random"]
            if len(randoms):
                bands[name] = float(randoms["mean"].min()), float(randoms["mean"].max())
            table = table[table.kind != "random"]
            labels = list(table.condition)
            columns[name] = list(zip(table["mean"], table.low, table.high, strict=True))
        pairs = int(table.pairs.max()) if len(table) else 0
        turns = self.turns[self.steered]
        title = f"{self.model}: changes against no steering, {pairs} pairs of {turns}-turn rollouts"
        return plots.changes(labels, columns, bands=bands, title=title)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Every figure by name, as a function that draws it."""
        found: dict[str, Callable[[], Figure]] = {"high": self.plot, "mean": partial(self.plot, share=False)}
        found |= {emotion: partial(self.plot, emotion) for emotion in self.shown}
        steered = any(condition != "none" for _, condition in self._groups())
        return {**found, "effects": self.plot_effects} if steered else found

    def _repr_png_(self) -> bytes:
        from .. import plots

        return plots.png(self.plot())

    # files

    def record(self) -> dict[str, Any]:
        """The result as plain data, for results/ and for `recalled`."""
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "replies"}
        shown = {
            "verdict": self.verdict,
            "rates": self.rates(),
            "by_turn": self.by_turn(),
            "agreement": self.agreement(),
            "effects": self.effects(),
            "rise": [asdict(self.rise(e, *self.compared)) for e in self.shown] if self.compared else [],
            "quotes": self.quotes(10),
        }
        if self.judge:
            shown["rates_judge"] = self.rates("judge")
        plain = results.plain({**kept, **shown})
        plain["replies"] = [results.plain(asdict(reply)) for reply in self.replies]
        return plain

    @classmethod
    def recalled(cls, record: Mapping[str, Any]) -> Frustration:
        """A result from what `record` gave; raises EmokitError for anything else."""
        try:
            nan = float("nan")
            replies = [
                Reply(**{**r, "scores": tuple(nan if s is None else s for s in r["scores"])}
                      | {k: nan if r[k] is None else r[k] for k in ("judge", "mass")})
                for r in record["replies"]
            ]  # fmt: skip
            return cls(
                model=record["model"], block=record["block"], emotions=tuple(record["emotions"]),
                gram=np.array(record["gram"], float), turns=dict(record["turns"]), kinds=dict(record["kinds"]),
                replies=tuple(replies), wanted=record["wanted"], judge=record["judge"], seed=record["seed"],
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise EmokitError("not the record of a frustration run", sorted(record)[:20], "Give what .record() gave.") from error  # fmt: skip

    def _groups(self) -> list[tuple[str, str]]:
        """The arms and conditions that were played, in order."""
        seen = {(r.arm, r.condition) for r in self.replies}
        return [(a, c) for a in self.turns for c in self.kinds if (a, c) in seen]

    def _of(self, arm: str, condition: str) -> pd.DataFrame:
        check_known(arm, self.turns, "arm")
        check_known(condition, self.kinds, "condition")
        return self.frame[(self.frame.arm == arm) & (self.frame.condition == condition)]


@dataclass(frozen=True, repr=False)
class Rise:
    """How much further an emotion's score rises over the turns than in the control: `value` with its interval, `p`, `rank`.

    `pairs` of rollouts there are, one of the arm and one of its control with the same seed.
    """

    emotion: str
    value: float
    low: float
    high: float
    p: float
    rank: int
    pairs: int

    def __repr__(self) -> str:
        found = effects.shown((self.value, self.low, self.high), "+.3f")
        return f"{self.emotion} {found} over the turns beyond the control ({self.pairs} pairs of rollouts); p among directions {self.p:.2f}"


def _whole(table: pd.DataFrame, scorer: str) -> pd.DataFrame:
    """The rollouts of which every reply was scored: the maximum of some would be too small."""
    scores = table.groupby("rollout")[scorer]
    return table[scores.transform("count") == scores.transform("size")]


def _mean(values: Array, seed: int) -> dict[str, float]:
    """The mean of some values and its 95 % bootstrap interval; NaN for none."""
    return dict(zip(("mean", "low", "high"), effects.mean_interval(values, DRAWS, seed), strict=True))
