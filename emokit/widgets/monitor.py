"""LiveMonitor: meters of the highest emotions while the model writes, whoever asked it to."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
import traitlets

from ..errors import check_kinds
from ..models import Model
from ..reading import Reading, Spelling, Watch
from ..vectors import EmotionVectors
from .board import Board, front
from .reader import packed

if TYPE_CHECKING:
    from ..plots import Figure

PAUSE = 0.05  # seconds between messages to the front end


class LiveMonitor(Board):
    """Follows any reply that the model generates, in a cell, on another board or from its own prompt field.

    Text coloured by an emotion, and meters of the highest over the last tokens, from a reply's second token on. What is not
    the writing of one reply is left out: reading, log-probabilities, and batches as in a sweep. It watches until it is closed. From Python:

    >>> board = emokit.widgets.LiveMonitor(model, vectors)
    >>> model.generate("My dog is missing.")
    >>> board.reading.top(3)
    """

    _esm = front("live_monitor")
    prompt = traitlets.Unicode().tag(sync=True, runs=True)
    max_new_tokens = traitlets.Int(min=1, max=1000).tag(sync=True, runs=True)
    temperature = traitlets.Float(min=0, max=10).tag(sync=True, runs=True)
    seed = traitlets.Int(min=0).tag(sync=True, runs=True)
    emotion = traitlets.Unicode().tag(sync=True)  # "" for the highest at each token

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        prompt: str = "Tell me about your day.",
        *,
        emotion: str | None = None,
        block: int | None = None,
        max_new_tokens: int = 60,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        check_kinds((model, Model), (vectors, EmotionVectors))
        vectors.check(model)
        self._model: Model = model
        self._follower = Follower(model, vectors, vectors.block(block), self._soon)
        self._pending, self._flushing = False, threading.Lock()
        chosen = vectors.emotions[vectors.index(emotion)] if emotion else ""
        super().__init__(
            model,
            vectors,
            about={"block": self._follower.block},
            prompt=prompt,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            emotion=chosen,
            status="Waiting for the model to write: here, or from a cell.",
        )
        self._follower.attach()

    def __repr__(self) -> str:
        seen = self._follower.seen()
        return f"LiveMonitor({repr(seen)[8:-1] if seen else 'nothing written yet'})"

    @property
    def reading(self) -> Reading:
        """The `Reading` of the newest reply so far; raises EmokitError before there is one."""
        return self._follower.reading

    def close(self) -> None:
        """Stop, watch no longer, and remove the board."""
        if hasattr(self, "_follower"):
            self._follower.detach()
        super().close()

    def _run(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        self.status = "generating ..."
        reply = self._model.stream(settings.prompt, settings.max_new_tokens, settings.temperature, settings.seed)
        with closing(reply):  # type: ignore[type-var]  # a generator, told as an iterator
            for _ in reply:
                if stop.is_set():
                    break
        self._follower.ended()
        self._flush()
        self.status = "stopped" if stop.is_set() else "done"

    def _soon(self) -> None:
        """Show what was seen in a moment, so that fast models don't flood the front end."""
        with self._mutex:
            if self._pending:
                return
            self._pending = True
        timer = threading.Timer(PAUSE, self._flush)
        timer.daemon = True
        timer.start()

    def _flush(self) -> None:
        with self._flushing:  # else an older reading, on its way in another thread, could come after the newest
            self._pending = False
            if seen := self._follower.seen():
                self._show(tokens=list(seen.tokens), scores=packed(seen.scores))

    def _figure(self) -> Figure | None:
        seen = self._follower.seen()
        return seen.plot([self.emotion] if self.emotion else None) if seen else None


class Follower(Watch):
    """A `Watch` of whatever reply a model writes, on any thread, until it is detached.

    A reply is a pass of one text that fills an empty cache, and the passes that go on with that very cache: what is only
    measured goes on with copies of it, or not at all.
    """

    def __init__(self, model: Model, vectors: EmotionVectors, block: int, told: Any) -> None:
        super().__init__(model, vectors, block)
        self._told, self._handles = told, list[Any]()
        self._writing: int | None = None  # the thread whose pass may be one of a reply
        self._cache: Any = None  # of that pass
        self._first: SimpleNamespace | None = None  # the last pass that filled a cache: a reply's, if another follows
        self._followed: Callable[[], Any] = lambda: None  # the cache of the reply that is followed, while there is one
        self._lock = threading.RLock()

    def attach(self) -> None:
        """Begin to watch."""
        hf = self._model.hf
        self._handles = [
            hf.register_forward_pre_hook(self.pass_begins, with_kwargs=True),
            hf.register_forward_hook(self.pass_ends, always_call=True),
            hf.get_input_embeddings().register_forward_hook(self.tokens_in),
            self._model.blocks[self.block].register_forward_hook(self.states_out),
        ]

    def detach(self) -> None:
        """End it; no hook remains."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def reading(self) -> Reading:
        """As that of `Watch`, while no other thread adds to it."""
        with self._lock:
            return super().reading

    def seen(self) -> Reading | None:
        """The reading so far, or None."""
        with self._lock:
            return self.reading if self._scores else None

    def pass_begins(self, _module: torch.nn.Module, _inputs: Any, settings: dict[str, Any]) -> None:
        """Only a pass with a cache writes a reply; reading has none, and ends before the head."""
        self._cache = None if self._model.trying else settings.get("past_key_values")
        self._writing = threading.get_ident() if self._cache is not None else None

    def pass_ends(self, *_: Any) -> None:
        """The hook of the whole model."""
        self._writing = self._cache = None

    def tokens_in(self, _module: torch.nn.Module, inputs: Any, _output: Any) -> None:
        """The hook of the input embeddings: note a first pass, and follow the reply once another goes on from it."""
        thread, ids = threading.get_ident(), inputs[0]
        if self._writing != thread:
            return
        with self._lock:
            if len(ids) != 1:  # a batch, or what one row has become behind a block
                self._writing = None
            elif self._cache.get_seq_length() == 0:
                cache = weakref.ref(self._cache)
                self._first = SimpleNamespace(thread=thread, cache=cache, token=int(ids[0, -1]), scores=[])
            else:
                if self._first and self._first.cache() is self._cache:
                    self._begin(self._first)
                if self._followed() is self._cache:
                    super().tokens_in(_module, inputs, _output)
                else:
                    self._writing = None  # another reply than the newest, or none

    def _begin(self, first: SimpleNamespace) -> None:
        """Follow the reply that a first pass belongs to."""
        self._thread, self._followed, self._first = first.thread, first.cache, None
        self._ids, self._scores, self._spelling = [first.token], first.scores, Spelling(self._model)

    def ended(self) -> None:
        """A reply of this thread has ended, even if it had but one pass."""
        with self._lock:
            if self._first and self._first.scores and self._first.thread == threading.get_ident():
                self._begin(self._first)

    def states_out(self, _module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        """The hook of the block."""
        if self._writing != threading.get_ident():
            return
        with self._lock:
            if self._first and self._first.cache() is self._cache:
                self._first.scores.append(self.scored(output))
                return
            super().states_out(_module, _inputs, output)
        self._told()
