"""Steering: add emotion directions to the residual stream. The only file that writes into a forward pass."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from . import generation
from .directions import Direction, Strengths, checked, deltas
from .errors import EmokitError, check_kinds, check_list
from .models import Message, Model
from .structure import hidden
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Positions = Literal["all", "prompt", "reply"]


@contextmanager
def steer(
    model: Model,
    vectors: EmotionVectors,
    strengths: Strengths,
    *,
    positions: Positions = "all",
    blocks: Sequence[int] | int | None = None,
) -> Iterator[Steer]:
    """Within the `with`, add strength x `vectors.norms` x direction at `blocks` (the best block) in every forward pass.

    Keys are emotions or `Direction`s; a strength is a number, or a list of them, one for each row of a batch. `positions`
    is "all", "prompt", or "reply": the last prompt token, which brings forth the reply's first token, and all after it.
    Steers nest and add up. The model's lock is held; on leaving, by an error or the stop button too, no hook remains.
    Raises EmokitError for unknown emotions, blocks or positions, strengths that are not finite, another model's vectors.

    >>> with emokit.steer(model, vectors, {"desperate": 0.2, "calm": -0.1}):
    ...     print(model.generate("Tell me about your day."))
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    with model.lock:
        vectors.check(model)
        active = Steer(model, vectors, strengths, positions, blocks)
        handles = []
        try:
            for block in active.blocks:
                handles.append(model.blocks[block].register_forward_hook(active.hook(block), prepend=True))
            model.steers.append(active)
            yield active
        finally:
            for handle in handles:
                handle.remove()
            if active in model.steers:
                model.steers.remove(active)


class Steer:
    """What one `steer` adds at which blocks and positions, and how often it did (`fired`)."""

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        strengths: Strengths,
        positions: str,
        blocks: Sequence[int] | int | None,
    ) -> None:
        if positions not in ("all", "prompt", "reply"):
            raise EmokitError("unknown positions", positions, 'Use "all", "prompt" or "reply".')
        self.model, self.positions, self.fired = model, positions, 0
        self.paused = False  # within `model.unsteered()`
        self.thread = threading.get_ident()
        added = deltas(vectors, strengths, blocks)
        self.blocks = list(added)
        self.deltas = {block: torch.from_numpy(rows)[:, None] for block, rows in added.items()}

    @property
    def rows(self) -> int:
        """The rows of a batch that have strengths of their own; 1 where all have the same."""
        return len(next(iter(self.deltas.values())))

    def hook(self, block: int) -> Any:
        """The forward hook of a block: returns a new tensor with the delta added, float32 [rows or 1, 1, width]."""
        delta = self.deltas[block]
        changes = bool(delta.any())

        def add(_module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
            if self.paused:
                return None
            states = hidden(output)
            if len(delta) not in (1, len(states)):
                raise EmokitError(
                    f"strengths for {len(delta)} rows, but the batch has {len(states)}",
                    do="Give one strength, or one per row.",
                )
            self.fired += 1
            if not changes:
                return None
            here = delta.to(states.device)
            here = here if self.positions == "all" else here * self._mask(states)
            steered = (states + here).to(states.dtype)  # added in fp32: a delta may be beyond fp16 where the sum is not
            return steered if isinstance(output, torch.Tensor) else (steered, *output[1:])

        return add

    def _mask(self, states: torch.Tensor) -> torch.Tensor:
        length = states.shape[1]
        start = self.model.reply_from
        if start is None:  # a raw call of model.hf: one token is a decoding step, more are a prompt
            start = length - 1 if length > 1 else -1
        at = torch.arange(length, device=states.device)[None]
        starts = torch.as_tensor(start, device=states.device).reshape(-1, 1)  # one for all rows, or one a row
        chosen = at >= starts if self.positions == "reply" else at <= starts
        return chosen[:, :, None]


@dataclass(frozen=True, repr=False)
class Sweep:
    """Replies to one prompt at several strengths of one emotion; the unsteered one has strength 0."""

    prompt: str
    emotion: str
    block: int
    strengths: tuple[float, ...]
    replies: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per strength and the columns strength, reply."""
        import pandas as pd

        return pd.DataFrame({"strength": self.strengths, "reply": self.replies})

    def __repr__(self) -> str:
        return f"Sweep({self.emotion} at block {self.block}: {', '.join(f'{s:+.2f}' for s in self.strengths)})"

    def plot(self) -> Figure:
        """The replies side by side."""
        from . import plots

        columns = {f"{self.emotion} {s:+.2f}": reply for s, reply in zip(self.strengths, self.replies, strict=True)}
        return plots.text_columns(columns)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f'<tr><td>{s:+.2f}</td><td style="text-align:left">{escape(r)}</td></tr>'
            for s, r in zip(self.strengths, self.replies, strict=True)
        )
        return f'<table><tr><th>{escape(self.emotion)}</th><th style="text-align:left">reply</th></tr>{rows}</table>'


def sweep(
    model: Model,
    vectors: EmotionVectors,
    content: str | Sequence[Message],
    emotion: str | Direction,
    strengths: Sequence[float],
    *,
    block: int | None = None,
    positions: Positions = "all",
    max_new_tokens: int = 60,
    temperature: float = 0.0,
    seed: int | None = 0,
) -> Sweep:
    """Replies at several strengths, generated as one batch, with the unsteered one (strength 0) always among them.

    All rows draw the same random numbers, so that only the strength differs; with `seed=None` others each time.

    >>> emokit.sweep(model, vectors, "Tell me about your day.", "happy", [-0.2, 0, 0.2])
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    check_list(strengths, "strengths")
    strengths = list(strengths)
    checked(strengths)
    values = sorted({float(s) for s in strengths} | {0.0})
    prompt = model.prompt(content)
    rows = [model.encode(prompt)] * len(values)
    seed = secrets.randbits(31) if seed is None else seed
    with steer(model, vectors, {emotion: values}, positions=positions, blocks=block) as active:
        replies = generation.replies(model, rows, max_new_tokens, temperature, [seed] * len(rows))
    name = emotion if isinstance(emotion, str) else emotion.name
    return Sweep(prompt, name, active.blocks[0], tuple(values), tuple(replies))
