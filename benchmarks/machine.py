"""What the machine allows: the rate of its matrix products and of reading its memory, and what a model needs of both."""

from __future__ import annotations

import time
from functools import cache

import torch

from emokit import Model


def products(size: int = 2048, count: int = 8) -> float:
    """Measured rate of float32 matrix products, in FLOP/s: the best of a few."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    return 2 * size**3 / _least(lambda: a @ b, count)


@cache
def reading(megabytes: int = 512, count: int = 8) -> float:
    """Measured rate of reading memory, in bytes/s: summing a large array, the best of a few."""
    array = torch.ones(megabytes * 2**18)
    return array.numel() * 4 / _least(array.sum, count)


def flops_a_token(model: Model, blocks: int | None = None) -> float:
    """FLOPs that a token needs in the linear maps of the first `blocks` blocks (all): two a weight; attention is left out."""
    chosen = model.blocks[: model.n_blocks if blocks is None else blocks]
    return 2.0 * sum(
        module.weight.numel() for block in chosen for module in block.modules() if isinstance(module, torch.nn.Linear)
    )


def bytes_a_token(model: Model) -> float:
    """Bytes of weights that one decoding step has to read: the linear maps, the head among them."""
    return float(
        sum(
            module.weight.numel() * module.weight.element_size()
            for module in model.hf.modules()
            if isinstance(module, torch.nn.Linear)
        )
    )


def _least(work, count: int) -> float:
    best = float("inf")
    with torch.inference_mode():
        for _ in range(count):
            begun = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - begun)
    return best
