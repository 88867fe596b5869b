"""Direction: one direction at every block; and what strengths of several of them add to the residual stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import EmokitError, check_number

if TYPE_CHECKING:
    from .vectors import EmotionVectors

Array = np.ndarray
LARGEST = 1e6  # a strength beyond is a slip, and would overflow the model's numbers


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction at every block, float32 [blocks, width]; `+`, `-` and `*` make new ones.

    `model` is the fingerprint of the model it belongs to. Raises EmokitError for directions of different models.

    >>> 0.5 * (vectors["afraid"] - vectors["calm"])
    Direction(0.5*(afraid - calm))
    """

    name: str
    rows: Array
    model: str | None = None

    def __add__(self, other: Direction) -> Direction:
        rows = self.rows + self._like(other).rows
        return Direction(f"({self.name} + {other.name})", rows, self.model)

    def __sub__(self, other: Direction) -> Direction:
        rows = self.rows - self._like(other).rows
        return Direction(f"({self.name} - {other.name})", rows, self.model)

    def __mul__(self, factor: float) -> Direction:
        check_number(factor, "a factor")
        return Direction(f"{factor:g}*{self.name}", self.rows * np.float32(factor), self.model)

    __rmul__ = __mul__

    def __neg__(self) -> Direction:
        return Direction(f"-{self.name}", -self.rows, self.model)

    def _like(self, other: Direction) -> Direction:
        if not isinstance(other, Direction) or (other.model, other.rows.shape) != (self.model, self.rows.shape):
            raise EmokitError(
                "not a Direction of the same model", other, 'Combine those of one model: vectors["calm"].'
            )
        return other

    @property
    def blocks(self) -> list[int]:
        """The blocks at which it is not zero: all, but for one read from a control vector."""
        return [int(block) for block in np.flatnonzero(self.rows.any(axis=1))]

    def __repr__(self) -> str:
        return f"Direction({self.name})"


Strengths = Mapping[str | Direction, float | Sequence[float]]


def deltas(vectors: EmotionVectors, strengths: Strengths, blocks: Sequence[int] | int | None) -> dict[int, Array]:
    """What steering adds at each block: strength x `vectors.norms` x direction, summed; float32 [rows, width].

    One row, unless a strength is a list. Raises EmokitError for unknown emotions or blocks, and strengths that are not
    finite or differ in length.
    """
    if not isinstance(strengths, Mapping):
        raise EmokitError("strengths that are no dictionary", strengths, 'Use for example {"calm": 0.2}.')
    chosen = list(blocks) if isinstance(blocks, Iterable) and not isinstance(blocks, str) else [blocks]
    at = sorted({vectors.block(block) for block in chosen})
    if not at:
        raise EmokitError("no block to steer", blocks, f"Blocks are 0 to {len(vectors.blocks) - 1}.")
    columns = {key: checked(strength) for key, strength in strengths.items()}
    lengths = {len(column) for column in columns.values() if column.ndim}
    if len(lengths) > 1 or 0 in lengths:
        raise EmokitError("lists of strengths differ in length", sorted(lengths), "Give one strength, or one per row.")
    total = np.zeros((1, len(vectors.blocks), vectors.width), np.float32)
    for key, column in columns.items():
        total = total + column.reshape(-1, 1, 1) * vectors.direction(key).rows
    return {block: total[:, block] * vectors.norms[block] for block in at}


def checked(strength: float | Sequence[float]) -> Array:
    """A strength, or a list of them, as float32; raises EmokitError for what is no finite number."""
    try:
        given = np.asarray(strength)
    except (TypeError, ValueError):  # lists of different lengths
        given = np.asarray(None)
    numbers = given.dtype.kind in "iuf" and given.ndim < 2
    if not numbers or not (np.abs(given) <= LARGEST).all():
        raise EmokitError("a strength that is no finite number", strength, "Use about -0.5 to 0.5; 0 is no steering.")
    return given.astype(np.float32)
