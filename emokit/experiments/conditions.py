"""Conditions: what a run is made under, by steering, at random or in words; and shares with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .. import trials
from ..errors import EmokitError, check_list, check_number
from ..models import Message, Model
from ..vectors import Direction, EmotionVectors

STRENGTH = 0.1


@dataclass(frozen=True, eq=False)
class Condition:
    """What a run is made under: `strengths` of emotions or Directions at `block` (the best), or an instruction in words.

    `kind` says what it is for: "none", "steering", "random" (the control) or "words".

    >>> Condition("+desperate", {"desperate": 0.1}, kind="steering")
    Condition(+desperate)
    """

    name: str
    strengths: Mapping[str | Direction, float] = field(default_factory=dict)
    system: str | None = None
    block: int | None = None
    kind: str = "none"

    def __repr__(self) -> str:
        return f"Condition({self.name})"

    def added(self, vectors: EmotionVectors) -> np.ndarray:
        """What it adds to the residual stream at its block: float32 [width]."""
        block = vectors.block(self.block)
        rows = [np.float32(s) * vectors.direction(key).rows[block] for key, s in self.strengths.items()]
        return np.sum(rows or [np.zeros(vectors.width)], axis=0, dtype=np.float32) * vectors.norms[block]


def conditions(
    vectors: EmotionVectors,
    emotions: Sequence[str] = ("desperate", "calm"),
    strength: float | Mapping[str, float] = STRENGTH,
    *,
    randoms: int = 1,
    words: Mapping[str, str] | None = None,
    block: int | None = None,
    seed: int = 0,
) -> tuple[Condition, ...]:
    """The standard ones: none, each emotion minus and plus, random directions of the same norm, instructions in `words`.

    `strength` is one for all or one for each emotion; the random ones have the largest.

    >>> conditions(vectors, ["calm"], words={"told it may give up": "You may say that it can't be done."})
    (Condition(none), Condition(-calm), Condition(+calm), Condition(random 0), Condition(told it may give up))
    """
    check_list(emotions, "emotions")
    if isinstance(strength, Mapping) and (lacking := [e for e in emotions if e not in strength]):
        raise EmokitError("no strength for", lacking, f"Give one for each of: {', '.join(emotions)}.")
    strengths = {e: strength[e] if isinstance(strength, Mapping) else strength for e in emotions}
    found = [Condition("none", block=block)]
    for emotion, size in strengths.items():
        vectors.index(emotion)
        check_number(size, "a strength", least=0)
        for sign, factor in (("-", -1), ("+", 1)):
            found.append(Condition(f"{sign}{emotion}", {emotion: factor * size}, None, block, "steering"))
    largest = max(strengths.values(), default=STRENGTH if isinstance(strength, Mapping) else strength)
    for i in range(randoms):
        direction = vectors.random(seed + i)
        found.append(Condition(direction.name, {direction: largest}, None, block, "random"))
    found += [Condition(name, {}, system, block, "words") for name, system in (words or {}).items()]
    return tuple(found)


def instructed(model: Model, instruction: str | None, messages: Sequence[Message]) -> list[Message]:
    """Messages with an instruction: as system message, or at the head of the first one where the template has none."""
    return list(messages) if instruction is None else trials.instructed(model, instruction, messages, "\n\n")


def row_of(result: Any, row: int, condition: str, measures: Iterable[str]) -> dict[str, float]:
    """Of a result with `values(measure)` [conditions, items] and `change(condition, measure)`, a condition's mean of each
    measure over the items that have one, its change and the interval of that (`_change`, `_low`, `_high`)."""
    found = {}
    for measure in measures:
        values = result.values(measure)[row]
        values = values[np.isfinite(values)]
        found[measure] = float(values.mean()) if len(values) else float("nan")
        ends = zip(("change", "low", "high"), result.change(condition, measure), strict=True)
        found |= {f"{measure}_{name}": value for name, value in ends}
    return found


class Rate(NamedTuple):
    """A share of `total` with its 95 % Wilson interval; NaN for none."""

    share: float
    low: float
    high: float
    hits: int
    total: int

    def __repr__(self) -> str:
        return f"{self.share:.0%} [{self.low:.0%}, {self.high:.0%}], {self.hits} of {self.total}"


def wilson(hits: int, total: int) -> Rate:
    """How often something happened, with its 95 % Wilson interval.

    >>> wilson(3, 10)
    30% [11%, 60%], 3 of 10
    """
    from scipy.stats import binomtest

    if not total:
        return Rate(float("nan"), float("nan"), float("nan"), 0, 0)
    low, high = binomtest(int(hits), int(total)).proportion_ci(method="wilson")
    return Rate(hits / total, float(low), float(high), int(hits), int(total))
