"""Timing side by side: rounds in which every contender runs once, in turn, so that what slows the machine slows them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

REST = 0.3  # seconds before each: the threads of the one before spin for a while


def rounds(
    contenders: Mapping[str, Callable[[], Any]], count: int, warm: Mapping[str, Callable[[], Any]] | None = None
) -> dict[str, np.ndarray]:
    """Seconds of each contender in each round, {name: [rounds]}; each runs once before, or what `warm` has in its place.

    The order is another one in each round. One that raises is left out, and the error printed.
    """
    going, rng = dict(contenders), np.random.default_rng(0)
    first = contenders if warm is None else warm
    seconds: dict[str, list[float]] = {name: [] for name in going}
    for turn in range(-1, count):
        for name in rng.permutation(list(going)).tolist():
            time.sleep(REST)
            begun = time.perf_counter()
            try:
                (going if turn >= 0 else first)[name]()
            except Exception as error:  # a peer that does not run here is told, and the others go on
                print(f"  {name} does not run: {type(error).__name__}: {str(error)[:200]}", flush=True)
                del going[name], seconds[name]
                continue
            if turn >= 0:
                seconds[name].append(time.perf_counter() - begun)
    return {name: np.array(values) for name, values in seconds.items()}


def ratios(seconds: Mapping[str, np.ndarray], of: str) -> dict[str, tuple[float, float, float]]:
    """How many times as fast `of` is as each contender: median, least and largest of the rounds."""
    found = {}
    for name, values in seconds.items():
        each = values / seconds[of]
        found[name] = float(np.median(each)), float(each.min()), float(each.max())
    return found
