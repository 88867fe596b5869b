"""TokenReader: a text or a chat, coloured token by token by any emotion, at any block."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..errors import EmokitError, check_kinds
from ..models import Message, Model, checked_messages
from ..reading import Reading, readings
from ..vectors import EmotionVectors
from .board import Board, front

if TYPE_CHECKING:
    from ..plots import Figure


class TokenReader(Board):
    """Type a text, or a chat, and see the score of any emotion at every token, or the three highest at each.

    A chat is written with a line "User:", "Assistant:" or "System:" before each message. All blocks are read in one
    pass, so the block slider answers at once. Works from Python too:

    >>> board = emokit.widgets.TokenReader(model, vectors, "The phone rang at 3 a.m.")
    >>> board.wait()
    >>> board.reading.to_frame()
    """

    _esm = front("token_reader")
    text = traitlets.Unicode().tag(sync=True, runs=True)
    chat = traitlets.Bool().tag(sync=True, runs=True)
    block = traitlets.Int().tag(sync=True, runs=True)
    emotion = traitlets.Unicode().tag(sync=True)  # "" for the three highest at each token

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        content: str | Sequence[Message] = "The phone rang at 3 a.m., and nobody spoke.",
        *,
        emotion: str | None = None,
        block: int | None = None,
    ) -> None:
        check_kinds((model, Model), (vectors, EmotionVectors))
        vectors.check(model)
        self._model: Model = model
        self._vectors = vectors
        self._read: tuple[Any, list[Reading]] = (None, [])
        self._now: Reading | None = None
        super().__init__(
            model,
            vectors,
            text=content if isinstance(content, str) else transcript(content),
            chat=not isinstance(content, str),
            block=vectors.block(block),
            emotion=vectors.emotions[vectors.index(emotion)] if emotion else "",
        )
        self.run()

    def __repr__(self) -> str:
        return f"TokenReader({repr(self._now)[8:-1] if self._now else 'nothing read yet'})"

    @property
    def reading(self) -> Reading:
        """The `Reading` that is shown, once the board has read its text."""
        self.wait()
        if self._now is None:
            raise EmokitError("nothing was read yet", do="Let the board's run end.")
        return self._now

    def _run(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        block = self._vectors.block(settings.block)
        content = settings.text, settings.chat
        if content != self._read[0]:
            self.status = "reading ..."
            chat_or_text = messages(settings.text) if settings.chat else settings.text
            self._read = content, readings(self._model, self._vectors, chat_or_text)
        if stop.is_set():
            return
        self._now = now = self._read[1][block]
        self._show(tokens=list(now.tokens), scores=packed(now.scores), readout=now.readout, block=block)
        self.status = f"{len(now.tokens)} tokens at block {block}"

    def _figure(self) -> Figure | None:
        if self._now is None:
            return None
        return self._now.plot([self.emotion] if self.emotion else None)


def packed(scores: np.ndarray) -> bytes:
    """Scores as the front end takes them: hundredths, an int8 each, a row after the other."""
    return np.rint(100 * np.asarray(scores, np.float64)).clip(-100, 100).astype(np.int8).tobytes()


def messages(text: str) -> list[Message]:
    """A chat written with a line "User:", "Assistant:" or "System:" before each message; one of the user without them.

    >>> messages("User: My dog is missing.\\nAssistant: Oh no.")[1]
    {'role': 'assistant', 'content': 'Oh no.'}
    """
    parts = re.split(r"^(system|user|assistant):[ \t]*\n?", text, flags=re.M | re.I)
    found = [{"role": "user", "content": parts[0].strip()}] if parts[0].strip() or len(parts) == 1 else []
    for role, said in zip(parts[1::2], parts[2::2], strict=True):
        found.append({"role": role.lower(), "content": said.strip()})
    return found


def transcript(content: Sequence[Message]) -> str:
    """The messages as `messages` reads them; raises EmokitError for those that it would read otherwise."""
    given = checked_messages(content)
    text = "\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in given)
    if messages(text) != [{**m, "content": m["content"].strip()} for m in given]:
        raise EmokitError(
            "a chat that the board can't show as text", content,
            'Leave out other roles, and lines that begin with "User:", "Assistant:" or "System:"; or use `emokit.read`.',
        )  # fmt: skip
    return text
