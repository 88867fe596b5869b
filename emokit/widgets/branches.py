"""Branches: several replies to one prompt that grow together as one batch, each under strengths of its own."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

import numpy as np

from .. import generation
from ..models import Model
from ..reading import Spelling, token_scores
from ..replay import Recording
from ..steering import steer
from ..structure import hidden
from ..vectors import Direction, EmotionVectors

Strengths = Mapping[str | Direction, float]


class Branch:
    """One reply: its pieces of text, whole characters each, and the scores of each; the newest token has none yet."""

    def __init__(self, model: Model) -> None:
        self.ended = False
        self.scores: list[np.ndarray] = []  # a row for each token that the model has gone on from
        self._model, self._spelling = model, Spelling(model)

    @property
    def tokens(self) -> list[str]:
        """The pieces, which join to the text."""
        return list(self._spelling.pieces)

    @property
    def text(self) -> str:
        """The reply so far, without special tokens."""
        return self._model.text(self._spelling.ids)

    def rows(self) -> np.ndarray:
        """Scores [pieces, emotions] of the first pieces, as far as all their tokens have some."""
        whole = [group for group in self._spelling.groups if group[-1] < len(self.scores)]
        return np.array([np.mean([self.scores[i] for i in group], 0) for group in whole])

    def take(self, token: int, row: np.ndarray, stop: set[int]) -> None:
        """The next token, and the scores where the model stood when it chose it."""
        if self.ended:
            return
        if self._spelling.ids:  # the prompt's last token is not a part of the reply
            self.scores.append(row)
        if token in stop:
            self.ended = True
        else:
            self._spelling.add(token)


def grow(
    model: Model,
    vectors: EmotionVectors,
    prompt: str,
    strengths: Sequence[Strengths],
    *,
    block: int | None = None,
    limit: int = 40,
    temperature: float = 0.0,
    seed: int | None = 0,
    recording: Recording | None = None,
) -> Generator[list[Branch], None, None]:
    """Replies to a prompt taken as it is, one for each of `strengths`, steered at `block`; yields after each token.

    Scores are read in the steered states of the best block. The model's lock is held until the iterator is closed. A
    `recording` of this prompt spares the blocks before `block`; an empty one is made, where the first row is unsteered.
    """
    ids, stop = model.encode(prompt), model.stop_tokens
    branches = [Branch(model) for _ in strengths]
    plan = {key: [float(s.get(key, 0.0)) for s in strengths] for key in dict.fromkeys(k for s in strengths for k in s)}
    seen: list[np.ndarray] = []

    def read(_module: Any, _inputs: Any, output: Any) -> None:
        states = hidden(output)[:, -1].float().cpu().numpy()
        seen[:] = [token_scores(states, vectors, vectors.best_block)]

    with steer(model, vectors, plan, blocks=block):
        handle = model.blocks[vectors.best_block].register_forward_hook(read)
        steps = generation.decode(model, [ids] * len(branches), limit, temperature, [seed] * len(branches))
        try:
            with _prompt_pass(model, vectors.block(block), len(branches), recording, not strengths[0]):
                first = next(steps)
            for tokens in chain([first], steps):
                for branch, token, row in zip(branches, tokens, seen[0], strict=True):
                    branch.take(token, row, stop)
                yield branches
                if all(branch.ended for branch in branches):
                    return
        finally:
            handle.remove()


def _prompt_pass(
    model: Model, block: int, rows: int, recording: Recording | None, plain: bool
) -> AbstractContextManager:
    """Within the `with`, the pass over the prompt is replayed up to a block, or recorded, or just computed."""
    if recording is None or not model.replays or not (recording or plain):
        return nullcontext()
    return recording.replayed(model, block, rows) if recording else recording.recorded(model)
