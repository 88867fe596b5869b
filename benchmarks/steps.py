"""What a step of decoding is made of: time in matrix products, attention, the other operations, and outside of any."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
from torch.profiler import ProfilerActivity, profile

from emokit import Model

PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm"}
ATTENTION = "scaled_dot_product"
OUTSIDE, WHOLE = "outside of operations", "a step"
ROUNDS = 5


def shares(model: Model, prompt: str, tokens: int) -> list[dict[str, Any]]:
    """Milliseconds of a step and what they go to, of greedy replies to a prompt; the prompt's own pass is taken out.

    Operations are those of the calling thread, which waits for the others within each. A step's time is one without the
    profiler; its shares are those under it, an estimate, as it slows small operations and the gaps between them most.
    """

    def reply(count: int) -> Counter[str]:
        found: Counter[str] = Counter()
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            found[WHOLE] = seconds(count) * 1e3
        for event in seen.key_averages():
            kind = (
                "matrix products"
                if event.key in PRODUCTS
                else "attention"
                if ATTENTION in event.key
                else "other operations"
            )
            found[kind] += event.self_cpu_time_total / 1e3
        found[OUTSIDE] = 2 * found[WHOLE] - sum(found.values())
        return found

    def seconds(count: int) -> float:
        begun = time.perf_counter()
        model.generate(prompt, count)
        return time.perf_counter() - begun

    model.generate(prompt, 2)
    steps = tokens - 1
    wall = float(np.median([(seconds(tokens) - seconds(1)) * 1e3 / steps for _ in range(ROUNDS)]))
    first, whole = reply(1), reply(tokens)
    share = {kind: (whole[kind] - first[kind]) / (whole[WHOLE] - first[WHOLE]) for kind in whole}
    return [{"what": kind, "ms": round(value * wall, 1), "share": round(value, 2)} for kind, value in share.items()]
