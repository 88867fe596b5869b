"""What a step of decoding is made of: time in matrix products, attention, the other operations, and outside of any."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from torch.profiler import ProfilerActivity, profile

from emokit import Model

PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm"}
ATTENTION = "scaled_dot_product"
ROUNDS = 5


def shares(model: Model, prompt: str, tokens: int) -> list[dict[str, Any]]:
    """Milliseconds of a step and what they go to, of greedy replies to a prompt; the prompt's own pass is taken out.

    Operations are those of the calling thread, which waits for the others within each; the profiler's own cost
    is left out by giving its shares of the time that the same reply took without it (the median of a few).
    """

    def reply(count: int) -> Counter[str]:
        found: Counter[str] = Counter()
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            model.generate(prompt, count)
        for event in seen.key_averages():
            kind = (
                "matrix products"
                if event.key in PRODUCTS
                else "attention"
                if ATTENTION in event.key
                else "other operations"
            )
            found[kind] += event.self_cpu_time_total / 1e3
        return found

    def seconds(count: int) -> float:
        begun = time.perf_counter()
        model.generate(prompt, count)
        return time.perf_counter() - begun

    model.generate(prompt, 2)
    walls = sorted((seconds(tokens) - seconds(1)) * 1e3 / (tokens - 1) for _ in range(ROUNDS))
    wall = walls[ROUNDS // 2]
    first, whole = reply(1), reply(tokens)
    parts = {kind: (whole[kind] - first[kind]) / (tokens - 1) for kind in whole}
    parts["outside of operations"] = max(0.0, wall - sum(parts.values()))
    return [{"what": "a step", "ms": round(wall, 1), "share": 1.0}] + [
        {"what": kind, "ms": round(value, 1), "share": round(value / wall, 2)} for kind, value in parts.items()
    ]
