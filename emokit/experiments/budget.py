"""Budgets: what is measured item by item, within so many minutes, and shared among processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import check_number
from ..files import Log
from ..progress import progress
from ..ranks import rank, spread

LONG = 60  # seconds from which on a line says how long it will take


def within(items: Sequence[Any], minutes: float | None, what: str, quiet: bool = False) -> Iterator[Any]:
    """The items, with a bar, until the next one would probably end after so many minutes; the first comes in any case.

    A line tells after the first item how long all will take, where that is long.
    """
    if minutes is not None:
        check_number(minutes, "budget_minutes", least=0)
    begun = time.monotonic()
    for done, item in enumerate(progress(items, desc=what)):
        spent = time.monotonic() - begun
        if done and minutes is not None and spent * (1 + 1 / done) > 60 * minutes:
            break
        if done == 1 and not quiet and spent * len(items) > LONG:
            held = "" if minutes is None else f"; stops after about {minutes:g} min"
            print(f"emokit: {len(items)} {what}, about {spent * len(items) / 60:.0f} min{held}")
        yield item


def shared_within(
    items: Mapping[str, Any],
    work: Callable[[Any], np.ndarray],
    minutes: float | None,
    what: str,
    quiet: bool = False,
) -> dict[str, np.ndarray]:
    """The array that `work` makes of each item, in the order of the items, without those that the minutes did not suffice for.

    Within `ranks.together()` each process does its share, and all return all; what was done is the same in all of them.
    """

    def share(names: list[str], log: Log) -> None:
        for name in within(names, minutes, what, quiet or rank() > 0):
            log.add([{"name": name, "found": work(items[name]).tolist()}])

    log = Log(None, "name")
    spread(log, list(items), share)
    return {name: np.array(log.rows[name]["found"], float) for name in items if name in log.rows}
