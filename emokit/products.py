"""Products: a few rows times a large matrix, in the order of the factors that a CPU's library computes fastest."""

from __future__ import annotations

import torch
from torch import nn

LARGE = 250_000  # weights from which on a matrix is large; smaller ones gain nothing
MOST = 128  # rows; more are as fast either way


class FewRows(nn.Linear):
    """`nn.Linear`, 1.2 to 4 times faster for a few rows in float32 on a CPU: as weight times rows, not rows times weight.

    Equal but for the order in which sums are rounded. Measured by `benchmarks/run.py --only decoding`; used by `load_model`.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # the name that torch gives it
        """As `nn.Linear.forward`."""
        weight, shape = self.weight, input.shape[:-1]
        rows = shape.numel()
        tall = weight.shape[0] >= weight.shape[1]  # one row alone is slow only then
        few = (1 if tall else 2) <= rows <= MOST and weight.numel() >= LARGE
        if not few or weight.device.type != "cpu" or weight.dtype != torch.float32 or input.dtype != torch.float32:
            return super().forward(input)
        flat = input.reshape(rows, -1)
        if rows in (1, 3):  # two and four are faster
            flat = nn.functional.pad(flat, (0, 0, 0, 1))
        found = torch.mm(weight, flat.t())[:, :rows].t()
        found = found if self.bias is None else found + self.bias
        return found.contiguous().reshape(*shape, len(weight))


def quicken(module: nn.Module) -> None:
    """Let every plain `nn.Linear` of a module be a `FewRows`; its weights stay as they are."""
    for part in module.modules():
        if type(part) is nn.Linear:
            part.__class__ = FewRows
