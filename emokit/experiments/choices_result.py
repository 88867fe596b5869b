"""What forced choices gave: how much likelier the first option is than the second, with intervals over choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import effects
from ..errors import check_known, check_whole

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Figure

Array = np.ndarray
DRAWS = 10_000


@dataclass(frozen=True, eq=False, repr=False)
class Choices:
    """How much likelier the first option is than the second, in nats.

    `orders` [conditions, choices, 2] sums over tokens, with the first option shown first and second (the same twice without
    letters); `tokens` likewise has the difference of means over tokens. `gap` and `per_token` [conditions, choices] are
    their means over both orders. The first condition is what the others are held against.
    """

    conditions: tuple[str, ...]
    names: tuple[str, ...]
    orders: Array
    tokens: Array
    seed: int = field(default=0)

    @property
    def gap(self) -> Array:
        """The difference of summed log-probabilities, mean of both orders: [conditions, choices]."""
        return self.orders.mean(2)

    @property
    def per_token(self) -> Array:
        """The difference of mean log-probabilities a token, which a longer option does not lose by: [conditions, choices]."""
        return self.tokens.mean(2)

    @property
    def place(self) -> Array:
        """How much likelier an option is for being shown first, in nats: [conditions], mean over choices with letters; 0 without."""
        moved = self.orders[..., 0] - self.orders[..., 1]
        lettered = moved.any(0)
        return moved[:, lettered].mean(1) / 2 if lettered.any() else np.zeros(len(self.conditions))

    @property
    def share(self) -> Array:
        """Probability of the first option among the two, from `gap`: [conditions, choices]."""
        return 1 / (1 + np.exp(-np.clip(self.gap, -500, 500)))

    def index(self, condition: str) -> int:
        """The row of a condition; raises EmokitError for an unknown one."""
        check_known(condition, self.conditions, "condition")
        return self.conditions.index(condition)

    def mean(
        self, condition: str, against: str | None = None, values: Array | None = None
    ) -> tuple[float, float, float]:
        """Mean over choices and its 95 % bootstrap interval over them, of a condition or its difference to another.

        `values` [conditions, choices] is `gap` unless given: `per_token` or `share` for example.
        """
        rows = self.gap if values is None else values
        found = rows[self.index(condition)]
        if against is not None:
            found = found - rows[self.index(against)]
        return effects.mean_interval(found, DRAWS, self.seed)

    def to_frame(self) -> pd.DataFrame:
        """A row per condition: mean `gap`, `per_token` and `share` with 95 % intervals over choices (`_low`, `_high`), their
        change against the first condition, `place` (what being shown first adds, nats) and the number of choices."""
        import pandas as pd

        rows = []
        for i, condition in enumerate(self.conditions):
            row: dict[str, Any] = {"condition": condition, "choices": len(self.names)}
            for name in ("gap", "per_token", "share"):
                for suffix, against in (("", None), ("_change", self.conditions[0])):
                    value, low, high = self.mean(condition, against, getattr(self, name))
                    row |= {name + suffix: value, f"{name}{suffix}_low": low, f"{name}{suffix}_high": high}
            rows.append(row | {"place": float(self.place[i])})
        return pd.DataFrame(rows).set_index("condition")

    def __repr__(self) -> str:
        first = self.conditions[0]
        told = []
        for condition in self.conditions[:6]:
            told.append(f"{condition} {effects.shown(self.mean(condition, None if condition == first else first))}")
        more = f" and {len(self.conditions) - 6} more" if len(self.conditions) > 6 else ""
        return f"Choices({len(self.names)} choices, nats, changes against {first}: {'; '.join(told)}{more})"

    def plot(self) -> Figure:
        """The change of each condition against the first, with its interval."""
        from .. import plots

        rows = [self.mean(c, self.conditions[0]) for c in self.conditions[1:]]
        return plots.changes(
            self.conditions[1:],
            {f"change against {self.conditions[0]}, nats": rows},
            title=f"{len(self.names)} forced choices: first option against second",
        )

    def _repr_png_(self) -> bytes:
        from .. import plots

        return plots.png(self.plot())


def record(result: Choices) -> dict[str, Any]:
    """Choices as plain data, to be kept with others."""
    return {"conditions": result.conditions, "names": result.names, "orders": result.orders, "tokens": result.tokens}


def recalled(kept: Mapping[str, Any]) -> Choices:
    """Choices that `record` made plain data of."""
    check_whole(len(kept["conditions"]), "a number of conditions", least=1)
    return Choices(
        tuple(kept["conditions"]),
        tuple(kept["names"]),
        np.array(kept["orders"], float),
        np.array(kept["tokens"], float),
    )
