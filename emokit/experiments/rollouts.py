"""Rollouts: scripted conversations with a model under steering or an instruction, many at once, kept on disk as they end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EmokitError, check_kinds, check_list, check_number, check_whole
from ..files import Log, cache_dir
from ..models import Message, Model
from ..progress import progress
from ..ranks import rank, spread
from ..vectors import EmotionVectors
from .conditions import Condition, Rate, conditions, instructed, wilson
from .player import Player, Run, Script, turn_seed

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
ROWS = 16  # rollouts that run as one batch


def runs(scripts: Sequence[Script], under: Sequence[Condition], seeds: Sequence[int]) -> list[Run]:
    """Every script under every condition with every seed; seeds outermost, so that a stop leaves an even share of each."""
    return [Run(script, condition, int(seed)) for seed in seeds for script in scripts for condition in under]


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
    player = Player(model, vectors, max_new_tokens, temperature, tuple(read))
    path = log if isinstance(log, Path) else cache_dir() / "rollouts" / f"{log}-{model.fingerprint}.jsonl"
    kept = Log(path, "key")
    keys = [player.key(run) for run in wanted]
    by_key = dict(zip(keys, wanted, strict=True))

    def work(missing: list[str], share: Log) -> None:
        _play_missing(player, [(key, by_key[key]) for key in missing], share, rows, budget_minutes, quiet or rank() > 0)

    spread(kept, list(by_key), work)
    return [_rollout(kept.rows[key]) for key in keys if key in kept.rows]


def _play_missing(
    player: Player, missing: list[tuple[str, Run]], kept: Log, rows: int, budget: float | None, quiet: bool
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


def _rollout(row: dict[str, Any]) -> Rollout:
    return Rollout(**{name: row[name] for name in Rollout.__dataclass_fields__})
