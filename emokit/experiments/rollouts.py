"""Rollouts: scripted conversations with a model under steering or an instruction, many at once, kept on disk as they end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .. import generation
from ..batches import Memory, padding
from ..errors import EmokitError, check_kinds, check_list, check_number, check_whole
from ..files import Log, cache_dir
from ..models import Message, Model
from ..progress import progress
from ..ranks import rank, spread
from ..reading import token_scores
from ..steering import steer
from ..structure import hidden
from ..vectors import Direction, EmotionVectors
from .conditions import Condition, Rate, conditions, instructed, wilson

__all__ = [
    "Condition",
    "Rate",
    "Rollout",
    "Run",
    "Script",
    "conditions",
    "instructed",
    "play",
    "runs",
    "turn_seed",
    "wilson",
]
METHOD = 1  # of what is kept on disk; who changes how a rollout is made takes another
ROWS = 16  # rollouts that run as one batch
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


def runs(scripts: Sequence[Script], under: Sequence[Condition], seeds: Sequence[int]) -> list[Run]:
    """Every script under every condition with every seed; seeds outermost, so that a stop leaves an even share of each."""
    return [Run(script, condition, seed) for seed in seeds for script in scripts for condition in under]


@dataclass(frozen=True, eq=False)
class Rollout:
    """A conversation that has ended: its `messages`, the script's `state`, and why it `ended`: "script" or "context".

    `tokens` counts each reply's; `scores` has for each emotion read the mean over each reply's tokens, and `readouts`
    the score at the last token before each reply: at the best block, without the push itself. NaN: steered below it.
    """

    script: str
    condition: str
    seed: int
    messages: list[Message]
    state: dict[str, Any]
    ended: str
    tokens: list[int]
    scores: dict[str, list[float]]
    readouts: dict[str, list[float]]

    @property
    def replies(self) -> list[str]:
        """What the model wrote, turn by turn."""
        return [m["content"] for m in self.messages if m["role"] == "assistant"]

    def __repr__(self) -> str:
        return f"Rollout({self.script}, {self.condition}, seed {self.seed}, {len(self.replies)} replies)"


def play(
    model: Model,
    vectors: EmotionVectors,
    wanted: Sequence[Run],
    *,
    max_new_tokens: int = 80,
    temperature: float = 1.0,
    read: Sequence[str] = (),
    rows: int = ROWS,
    budget_minutes: float | None = None,
    log: str | Path = "rollouts",
    quiet: bool = False,
) -> list[Rollout]:
    """Play rollouts, `rows` at a time as one batch, and return those that are there, in the order wanted.

    Each is kept on disk as it ends: in the file `log`, or in the cache under that name; the same call again generates
    nothing. A rollout draws by its own seed alone. Before the start a line says how long it will take; with a budget no
    batch starts that would probably end after it, and the first is made small enough. `read` names the emotions whose
    scores are kept. Within `ranks.together()` each process plays its share, and all return all.
    Raises EmokitError inside a `steer`, for unknown emotions and first messages beyond the context.
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    check_list(wanted, "runs")
    check_whole(max_new_tokens, "max_new_tokens", least=1)
    check_whole(rows, "rows", least=1)
    check_number(temperature, "a temperature", least=0)
    if budget_minutes is not None:
        check_number(budget_minutes, "budget_minutes", least=0)
    if model.own_steers():
        raise EmokitError("rollouts inside a `with steer(...)`", do="Leave the `with` first; conditions steer.")
    for emotion in read:
        vectors.index(emotion)
    player = _Player(model, vectors, max_new_tokens, temperature, tuple(read))
    path = log if isinstance(log, Path) else cache_dir() / "rollouts" / f"{log}-{model.fingerprint}.jsonl"
    kept = Log(path, "key")
    keys = [player.key(run) for run in wanted]
    by_key = dict(zip(keys, wanted, strict=True))

    def work(missing: list[str], share: Log) -> None:
        _play_missing(player, [(key, by_key[key]) for key in missing], share, rows, budget_minutes, quiet or rank() > 0)

    spread(kept, list(by_key), work)
    return [_rollout(kept.rows[key]) for key in keys if key in kept.rows]


def _play_missing(
    player: _Player, missing: list[tuple[str, Run]], kept: Log, rows: int, budget: float | None, quiet: bool
) -> None:
    begun = time.monotonic()
    first = [run for _, run in missing[:rows]]
    whole = player.probe(first)  # seconds of a whole batch's turn
    one = whole if budget is None else player.probe(first[:1])  # and of one row's, where a batch may have to be smaller
    limit = float("inf") if budget is None else 60 * budget
    turns = [_turns(run.script) for _, run in missing]
    if not quiet:
        held = "" if budget is None else f"; stops after about {budget:g} min"
        print(
            f"emokit: {len(missing)} rollouts, about {_minutes(whole * sum(turns) / max(1, len(first)))} at most{held}"
        )
    size = fitting(len(first), whole, one, (limit - time.monotonic() + begun) / max(turns[:rows], default=1))
    done = 0
    with progress(total=len(missing), desc="rollouts", unit="rollout") as bar:
        while done < len(missing):
            wave = missing[done : done + size]
            spent = time.monotonic() - begun
            if done and spent * (1 + sum(turns[done : done + size]) / max(1, sum(turns[:done]))) > limit:
                break
            for key, row in player.wave(wave):
                kept.add([{"key": key, **row}])
                bar.update()
            done += len(wave)


def fitting(rows: int, whole: float, one: float, limit: float) -> int:
    """How many rows, 1 to `rows`, a batch may have to end within a limit, if `rows` take `whole` seconds and 1 takes `one`.

    Between these it is taken to be linear: much of a step is the same for one row and for many.
    """
    if whole <= limit or rows == 1:
        return rows
    more = max(whole - one, 1e-9) / (rows - 1)
    return max(1, min(rows, 1 + int((limit - one) / more)))


def _turns(script: Script) -> int:
    """How many turns a script may take, where its `about` says so."""
    return int(script.about.get("turns", 1)) if isinstance(script.about, Mapping) else 1


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class _Live:
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


class _Player:
    """Plays batches of rollouts with one model under one set of limits."""

    def __init__(
        self, model: Model, vectors: EmotionVectors, limit: int, temperature: float, read: tuple[str, ...]
    ) -> None:
        self.model, self.vectors, self.limit, self.temperature, self.read = model, vectors, limit, temperature, read
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
            self.read and [self.vectors.digest, *self.read],
        ]  # fmt: skip
        try:
            return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:24]
        except (TypeError, ValueError) as error:
            raise EmokitError("a script's `about` is not plain data", run.script.about, "Use lists and dicts.") from error  # fmt: skip

    def probe(self, wave: Sequence[Run]) -> float:
        """Seconds that a batch's first turn takes at most, by a few steps that are thrown away."""
        prompts = [live.prompt for live in (_Live("", run) for run in wave) if self._asks(live)]
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
        going = [_Live(key, run) for key, run in runs]
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

    def _asks(self, live: _Live) -> bool:
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

    def _reply(self, group: list[_Live], memory: Memory | None) -> None:
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

    def _scored(self, states: list[torch.Tensor], live: _Live) -> list[float]:
        condition = live.run.condition
        if not states or (condition.strengths and self.vectors.block(condition.block) < self.block):
            return [float("nan")] * len(self.columns)
        scores = token_scores(torch.stack(states).numpy(), self.vectors, self.block)[:, self.columns].mean(0)
        return [round(float(s), 5) for s in scores]

    def _kept(self, live: _Live) -> dict[str, Any]:
        return {
            "script": live.run.script.name, "condition": live.run.condition.name, "seed": live.run.seed,
            "messages": live.messages, "state": live.state, "ended": live.ended, "tokens": live.tokens,
            "scores": {e: [row[i] for row in live.scores] for i, e in enumerate(self.read)},
            "readouts": {e: [row[i] for row in live.readouts] for i, e in enumerate(self.read)},
        }  # fmt: skip


def _rollout(row: dict[str, Any]) -> Rollout:
    return Rollout(**{name: row[name] for name in Rollout.__dataclass_fields__})


def turn_seed(seed: int, turn: int) -> int:
    """The seed that a rollout's turn draws by."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{turn}".encode()).digest()[:7], "big")
