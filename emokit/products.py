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
        weight = self.weight
        outputs, inputs = weight.shape
        rows = input.numel() // inputs
        least = 1 if outputs >= inputs else 2  # one row alone is slow in tall matrices only
        if (
            not least <= rows <= MOST
            or not weight.is_cpu
            or weight.dtype != torch.float32
            or input.dtype != torch.float32
        ):
            return super().forward(input)
        flat = input.reshape(rows, inputs)
        if rows in (1, 3):  # two and four are faster
            flat = torch.cat((flat, flat[:1]))
        found = torch.mm(weight, flat.t())[:, :rows].t().contiguous()
        found = found if self.bias is None else found + self.bias
        return found.reshape(*input.shape[:-1], outputs)


def quicken(module: nn.Module) -> None:
    """Let every large plain `nn.Linear` of a module be a `FewRows`; its weights stay as they are."""
    for part in module.modules():
        if type(part) is nn.Linear and part.weight.numel() >= LARGE:
            part.__class__ = FewRows
