"""The player of rollouts: scripts and a model take turns, batches of rows under steerings of their own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from .. import generation
from ..batches import Memory, padding
from ..errors import EmokitError
from ..models import Message, Model
from ..reading import token_scores
from ..steering import steer
from ..structure import hidden
from ..vectors import Direction, EmotionVectors
from .conditions import Condition, instructed

METHOD = 1  # of what is kept on disk; who changes how a rollout is made takes another
PROBE = 4  # steps that are timed before the start
View = Callable[[list[Message]], list[Message]]


@dataclass(frozen=True, eq=False)
class Script:
    """The other side of a conversation: `turn(messages, state)` gives the next user message, or None to end.

    It is called first with no messages. `state` is a dictionary of its own for each rollout, with the rollout's "seed";
    what it notes there is kept, so it has to be plain data. `about` is plain data that everything the script does
    follows from: the texts, settings, a number of its method. `view` is what the model is shown of the messages.
    """

    name: str
    turn: Callable[[list[Message], dict[str, Any]], str | None]
    about: Any
    view: View | None = None

    def __repr__(self) -> str:
        return f"Script({self.name})"


class Run(NamedTuple):
    """One rollout that is wanted."""

    script: Script
    condition: Condition
    seed: int


class Live:
    """A rollout in the making."""

    def __init__(self, key: str, run: Run) -> None:
        self.key, self.run = key, run
        self.messages: list[Message] = []
        self.state: dict[str, Any] = {"seed": run.seed}
        self.tokens: list[int] = []
        self.scores: list[list[float]] = []
        self.readouts: list[list[float]] = []
        self.prompt: list[int] = []
        self.ended = ""


class Player:
    """Plays batches of rollouts with one model under one set of limits."""

    def __init__(
        self, model: Model, vectors: EmotionVectors, limit: int, temperature: float, read: tuple[str, ...]
    ) -> None:
        self.model, self.vectors, self.read = model, vectors, read
        self.limit, self.temperature = int(limit), float(temperature)  # numpy's too: they are part of a key
        self.columns = [vectors.index(emotion) for emotion in read]
        self.block = vectors.best_block

    def key(self, run: Run) -> str:
        """What finds a rollout on disk: a hash of everything that determines it."""
        condition = run.condition
        block = self.vectors.block(condition.block)
        added = condition.added(self.vectors)
        whole = [
            METHOD, self.model.fingerprint, run.script.name, run.script.about, condition.name, condition.system, block,
            hashlib.sha256(added.tobytes()).hexdigest(), run.seed, self.limit, self.temperature,
            self.read and [self.vectors.digest, *self.read], str(self.model.tokenizer.chat_template),
        ]  # fmt: skip
        try:
            return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:24]
        except (TypeError, ValueError) as error:
            raise EmokitError("a script's `about` is not plain data", run.script.about, "Use lists and dicts.") from error  # fmt: skip

    def probe(self, wave: Sequence[Run]) -> float:
        """Seconds that a batch's first turn takes at most, by a few steps that are thrown away."""
        prompts = [live.prompt for live in (Live("", run) for run in wave) if self._asks(live)]
        if not prompts:
            return 0.0
        group = generation.groups(self.model, prompts, self.limit)[0]
        steps = generation.decode(self.model, [prompts[i] for i in group], PROBE + 1)
        stamps = [time.monotonic()]
        stamps += [time.monotonic() for _ in steps]
        if len(stamps) < 3:
            return 0.0
        step = (stamps[-1] - stamps[1]) / (len(stamps) - 2)
        return (stamps[1] - stamps[0] + step * self.limit) * len(prompts) / len(group)

    def wave(self, runs: Sequence[tuple[str, Run]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Play some rollouts together; yields each one's key and what is kept of it, as soon as it ends."""
        going = [Live(key, run) for key, run in runs]
        memory = Memory(self.model.hf, len(going)) if padding(self.model) == "holes" else None
        while going:
            asked = [self._asks(live) for live in going]
            for live in (live for live, more in zip(going, asked, strict=True) if not more):
                yield live.key, self._kept(live)
            if memory and any(asked):
                memory.select([i for i, more in enumerate(asked) if more])
            going = [live for live, more in zip(going, asked, strict=True) if more]
            for group in generation.groups(self.model, [live.prompt for live in going], self.limit):
                self._reply([going[i] for i in group], memory if len(group) == len(going) else None)

    def _asks(self, live: Live) -> bool:
        """Let the script take its turn; False when the rollout has ended."""
        said = live.run.script.turn(live.messages, live.state)
        if said is None:
            live.ended = "script"
            return False
        live.messages.append({"role": "user", "content": said})
        view = live.run.script.view
        shown = [dict(m) for m in live.messages]
        shown = view(shown) if view else shown
        live.prompt = self.model.encode(self.model.prompt(instructed(self.model, live.run.condition.system, shown)))
        if self.model.context and len(live.prompt) + self.limit > self.model.context:
            if len(live.messages) == 1:
                self.model.check_length(live.prompt, said, room=self.limit)
            live.messages.pop()
            live.ended = "context"
            return False
        return True

    def _reply(self, group: list[Live], memory: Memory | None) -> None:
        prompts = [live.prompt for live in group]
        seeds = [turn_seed(live.run.seed, len(live.tokens)) for live in group]
        with self._steered([live.run.condition for live in group]), self._capturing() as states:
            replies = generation.reply_tokens(
                self.model, prompts, self.limit, self.temperature, seeds, bar=False, memory=memory
            )
        for i, (live, reply) in enumerate(zip(group, replies, strict=True)):
            live.messages.append({"role": "assistant", "content": self.model.text(reply).strip()})
            live.tokens.append(len(reply))
            if self.read:
                live.readouts.append(self._scored([s[i] for s in states[:1]], live))
                live.scores.append(self._scored([s[i] for s in states[1 : len(reply) + 1]], live))

    @contextmanager
    def _steered(self, under: Sequence[Condition]) -> Iterator[None]:
        """Each row of the coming batch under its condition."""
        keys: dict[tuple[int, str | Direction], None] = {}
        for condition in under:
            keys |= {(self.vectors.block(condition.block), key): None for key in condition.strengths}
        with ExitStack() as stack:
            for block in sorted({block for block, _ in keys}):
                rows: dict[str | Direction, list[float]] = {
                    key: [float(c.strengths.get(key, 0.0)) if self.vectors.block(c.block) == block else 0.0 for c in under]
                    for at, key in keys
                    if at == block
                }  # fmt: skip
                stack.enter_context(steer(self.model, self.vectors, rows, blocks=block))
            yield

    @contextmanager
    def _capturing(self) -> Iterator[list[torch.Tensor]]:
        """The last token's residuals [rows, width] of every pass at the best block, before steering acts there."""
        states: list[torch.Tensor] = []
        if not self.read:
            yield states
            return

        def see(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
            states.append(hidden(output)[:, -1].float().cpu())

        handle = self.model.blocks[self.block].register_forward_hook(see, prepend=True)
        try:
            yield states
        finally:
            handle.remove()

    def _scored(self, states: list[torch.Tensor], live: Live) -> list[float]:
        condition = live.run.condition
        if not states or (condition.strengths and self.vectors.block(condition.block) < self.block):
            return [float("nan")] * len(self.columns)
        scores = token_scores(torch.stack(states).numpy(), self.vectors, self.block)[:, self.columns].mean(0)
        return [round(float(s), 5) for s in scores]

    def _kept(self, live: Live) -> dict[str, Any]:
        return {
            "script": live.run.script.name, "condition": live.run.condition.name, "seed": live.run.seed,
            "messages": live.messages, "state": live.state, "ended": live.ended, "tokens": live.tokens,
            "scores": {e: [row[i] for row in live.scores] for i, e in enumerate(self.read)},
            "readouts": {e: [row[i] for row in live.readouts] for i, e in enumerate(self.read)},
        }  # fmt: skip


def turn_seed(seed: int, turn: int) -> int:
    """The seed that a rollout's turn draws by."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{turn}".encode()).digest()[:7], "big")
