"""The logit lens: which tokens a direction would raise and lower, were it read by the model's own head."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .errors import EmokitError, check_kinds
from .models import Model
from .structure import place
from .vectors import Direction, EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

STEP = 0.01  # of the block's median norm; the difference of a step to either side is linear in the direction


def logit_lens(model: Model, vectors: EmotionVectors, direction: str | Direction, *, block: int | None = None) -> Lens:
    """What a direction at a block does to the logits through the final norm and head alone, skipping the blocks between.

    The slope of the logits at `vectors.mean` along the direction, in nats per unit of strength. The first blocks' states
    are not yet in the head's terms, so read it from the middle on. Raises EmokitError for another model's vectors.

    >>> emokit.logit_lens(model, vectors, "sad").top(3)
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    block = vectors.block(block)
    chosen = vectors.direction(direction)
    norm = float(vectors.norms[block])
    step = STEP * norm * chosen.rows[block]
    states = torch.from_numpy(np.stack([vectors.mean[block] + step, vectors.mean[block] - step]))
    head = model.hf.get_output_embeddings()
    with model.lock, torch.inference_mode():
        if head.weight.dtype == torch.float32 or head.weight.is_meta:
            up, down = head(model.norm(states.to(place(head), head.weight.dtype))).float().cpu()
        else:  # in 16 bits the difference of two outputs would be mostly rounding
            near = deepcopy(model.norm).float()(states.to(place(head)))
            up, down = near @ head.weight.float().T
        slopes = (up - down).cpu() / (2 * STEP)
    return Lens(chosen.name, block, model.pieces[: len(slopes)], slopes.numpy())


@dataclass(frozen=True, eq=False, repr=False)
class Lens:
    """Slopes of all logits along one direction: `slopes` float32 [vocabulary], in nats per unit of strength."""

    direction: str
    block: int
    tokens: tuple[str, ...]
    slopes: np.ndarray

    def top(self, count: int = 8) -> list[str]:
        """The tokens that rise most."""
        return [self.tokens[i] for i in np.argsort(-self.slopes, kind="stable")[:count]]

    def bottom(self, count: int = 8) -> list[str]:
        """The tokens that fall most."""
        return [self.tokens[i] for i in np.argsort(self.slopes, kind="stable")[:count]]

    def rank(self, token: str) -> int:
        """How many tokens rise more than this one (" sad" with its space); raises EmokitError for what is not one token."""
        if token not in self.tokens:
            raise EmokitError("not a token of the model's vocabulary", token, 'Most words begin with a space: " sad".')
        return int((self.slopes > self.slopes[self.tokens.index(token)]).sum())

    def __repr__(self) -> str:
        return f"Lens({self.direction} at block {self.block}; up: {self.top(5)}; down: {self.bottom(5)})"

    def to_frame(self, count: int = 8) -> pd.DataFrame:
        """A table of the tokens that rise and fall most, with their slopes in nats per unit of strength."""
        import pandas as pd

        order = np.argsort(-self.slopes, kind="stable")
        up, down = order[:count], order[::-1][:count]
        columns = {
            "up": [self.tokens[i] for i in up], "nats up": self.slopes[up],
            "down": [self.tokens[i] for i in down], "nats down": self.slopes[down],
        }  # fmt: skip
        return pd.DataFrame(columns)
