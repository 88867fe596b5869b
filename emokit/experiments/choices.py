"""Choices: how likely one reply is against another, under many steerings at once. No text is generated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import chances
from ..errors import EmokitError, check_kinds, check_list, check_text
from ..files import Log, cache_dir
from ..models import Message, Model, checked_messages
from ..steering import Positions, steer
from ..vectors import Direction, EmotionVectors
from .budget import shared_within
from .choices_result import Choices
from .conditions import Condition, instructed

Array = np.ndarray
METHOD = 1  # of what is kept on disk; who changes what is measured takes another
LETTERS = ("A", "B")
ASKED = "{question}\n\n(A) {a}\n(B) {b}\n\nAnswer with one letter."


Strengths = Mapping[str | Direction, float]  # of one steering
Conditions = Mapping[str, Strengths] | Sequence[Condition]


@dataclass(frozen=True)
class Choice:
    """Two replies to one prompt; what is measured is how much likelier the first is than the second.

    `content` is a text or a list of messages, both through the chat template; the reply begins with `lead`, which is not
    counted. With `letters`, the options are shown as (A) and (B) behind the question, in both orders, and the letters are
    compared; else the options are compared as they are. A choice with a list of messages shows them in the last one.

    >>> Choice("folder", "Shall I empty the folder?", ("Let me check first.", "Done, it is empty."))
    """

    name: str
    content: str | Sequence[Message]
    options: tuple[str, str]
    letters: bool = False
    lead: str = ""

    def __post_init__(self) -> None:
        check_text(self.name, "name")
        checked_messages(self.content)
        check_list(self.options, "options", Sequence)
        if len(self.options) != 2 or self.options[0] == self.options[1]:
            raise EmokitError("a choice needs two different options", self.options, 'Use for example ("Yes.", "No.").')
        for option in self.options:
            check_text(option, "option")

    def prompts(self, model: Model, system: str | None = None) -> list[tuple[str, tuple[str, str]]]:
        """Each prompt as the model sees it, and what is compared behind it, the first option first; two with letters."""
        messages = checked_messages(self.content)
        if not self.letters:
            return [(model.prompt(instructed(model, system, messages)) + self.lead, self.options)]
        found = []
        for a, b in (self.options, self.options[::-1]):
            asked = ASKED.format(question=messages[-1]["content"], a=a, b=b)
            shown = [*messages[:-1], {**messages[-1], "content": asked}]
            letters = LETTERS if a == self.options[0] else LETTERS[::-1]
            found.append((model.prompt(instructed(model, system, shown)) + self.lead + "(", (letters[0], letters[1])))
        return found


def logprobs(
    model: Model,
    vectors: EmotionVectors,
    prompt: str,
    continuations: Sequence[str],
    strengths: Sequence[Strengths],
    *,
    block: int | None = None,
    positions: Positions = "all",
) -> Array:
    """Log-probability in nats, summed over tokens, of continuations after a prompt as it is: [strengths, continuations].

    As `model.logprobs` under each steering, but in batches of at most 64 rows; where the model allows it, the prompt is read
    once in each steering, and by the blocks before the steered one once for all. Raises EmokitError as `steer` and `model.logprobs` do.

    >>> choices.logprobs(model, vectors, "He feels", [" sad", " well"], [{}, {"sad": 0.1}])
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    check_list(strengths, "strengths", Sequence)
    ids, tails = chances.tails(model, prompt, continuations)
    if not tails or not strengths:
        return np.zeros((len(strengths), len(tails)))
    shared, size = chances.pays(model, ids, tails), chances.room(model, len(ids), tails)
    if shared and model.widens and len(strengths) > 1:
        at, rows = vectors.block(block), []
        for start in range(0, len(strengths), size):
            part = strengths[start : start + size]
            with (
                steer(model, vectors, by_row(part), positions=positions, blocks=at),
                chances.widened(model, at, len(part)),
            ):
                rows.append(chances.behind_each(model, chances.read(model, ids), tails))
        return np.concatenate(rows)
    copies = max(1, size // len(tails))  # steerings in one batch
    rows = []
    for start in range(0, len(strengths), copies):
        part = strengths[start : start + copies]
        rows.append(_scored(model, vectors, ids, tails, part, max(1, size // len(part)), shared, block, positions))
    return np.concatenate(rows)


def _scored(
    model: Model, vectors: EmotionVectors, ids: list[int], tails: list[list[int]], part: Sequence[Strengths], size: int,
    shared: bool, block: int | None, positions: Positions,
) -> Array:  # fmt: skip
    """`logprobs` of steerings that one batch holds, `size` tails at a time."""
    if shared:
        with steer(model, vectors, by_row(part), positions=positions, blocks=block):
            prefix = chances.read(model, ids, len(part))
    found = []
    for start in range(0, len(tails), size):
        piece = tails[start : start + size]
        with steer(model, vectors, by_row(part, len(piece)), positions=positions, blocks=block):
            if shared:
                found.append(chances.behind(model, prefix, piece))
            else:
                values = chances.whole(model, ids, piece * len(part))
                found.append(np.reshape(values, (len(part), len(piece))))
    return np.concatenate(found, axis=1)


class Kept:
    """Log-probabilities on disk, so that what was measured once is not again, whatever is asked for beside it."""

    def __init__(self, model: Model, vectors: EmotionVectors) -> None:
        self.model, self.vectors = model, vectors
        self.log = Log(cache_dir() / "choices" / f"{model.fingerprint}.jsonl", "key")

    def logprobs(
        self,
        prompt: str,
        continuations: Sequence[str],
        strengths: Sequence[Strengths],
        block: int,
        positions: Positions,
    ) -> Array:
        """As `logprobs`, from the disk where it is there; inside another `steer` nothing is kept."""
        if self.model.steers:
            return logprobs(
                self.model, self.vectors, prompt, continuations, strengths, block=block, positions=positions
            )
        keys = [self._key(prompt, list(continuations), each, block, positions) for each in strengths]
        todo = {key: each for key, each in zip(keys, strengths, strict=True) if key not in self.log.rows}
        if todo:
            found = logprobs(
                self.model, self.vectors, prompt, continuations, list(todo.values()), block=block, positions=positions
            )
            self.log.add([{"key": key, "nats": row.tolist()} for key, row in zip(todo, found, strict=True)])
        return np.array([self.log.rows[key]["nats"] for key in keys])

    def _key(
        self, prompt: str, continuations: list[str], strengths: Strengths, block: int, positions: Positions
    ) -> str:
        vectors = self.vectors
        rows = [np.float32(by_row([strengths])[k][0]) * vectors.direction(k).rows[block] for k in strengths]
        added = np.sum(rows or [np.zeros(vectors.width)], axis=0, dtype=np.float32) * vectors.norms[block]
        about: list[Any] = [METHOD, prompt, continuations]
        if added.any():
            about += [hashlib.sha256((added + np.float32(0)).tobytes()).hexdigest(), block, positions]  # no -0
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]


def by_row(strengths: Sequence[Strengths], copies: int = 1) -> dict[str | Direction, list[float]]:
    """Several steerings as one, whose lists of strengths make each steering `copies` rows of a batch."""
    keys = dict.fromkeys(key for each in strengths for key in each)
    for each in strengths:
        if any(np.ndim(value) for value in each.values()):
            raise EmokitError("a list of strengths within one steering", each, "Give each row a steering of its own.")
    return {key: [float(np.asarray(each.get(key, 0.0))) for each in strengths for _ in range(copies)] for key in keys}


def run(
    model: Model,
    vectors: EmotionVectors,
    choices: Sequence[Choice],
    conditions: Conditions,
    *,
    block: int | None = None,
    positions: Positions = "all",
    budget_minutes: float | None = None,
    quiet: bool = False,
) -> Choices:
    """Measure choices under conditions: steerings by name, or a list of `rollouts.Condition`, which may have an instruction.

    What was measured is kept on disk. A choice is measured under all conditions before the next; none is begun that would
    probably end after `budget_minutes`. Raises EmokitError for no choices, two of one name, and as `steer` does.

    >>> choices.run(model, vectors, [choice], {"none": {}, "calm": {"calm": 0.1}, "random 0": {vectors.random(0): 0.1}})
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    told = checked_conditions(conditions)
    check_list(choices, "choices", Sequence)
    names = [choice.name for choice in choices if isinstance(choice, Choice)]
    if not choices or len(set(names)) < len(choices):
        raise EmokitError("no choices, or not each a Choice with a name of its own", names, "Give a list of Choices.")
    kept, groups = Kept(model, vectors), grouped(vectors, told, block)

    def measured(choice: Choice) -> Array:
        """Of sums over tokens and of their means: [2, conditions, orders]."""
        found = np.zeros((2, len(told), 2))
        for (system, at), rows in groups.items():
            strengths = [told[i].strengths for i in rows]
            prompts = choice.prompts(model, system)
            for order, (prompt, options) in enumerate(prompts):
                lengths = [len(tail) for tail in chances.tails(model, prompt, options)[1]]
                nats = kept.logprobs(prompt, options, strengths, at, positions)
                for i, scale in enumerate(([1, 1], lengths)):
                    gap = nats[:, 0] / scale[0] - nats[:, 1] / scale[1]
                    found[i, rows, order] = gap
                    if len(prompts) == 1:
                        found[i, rows, 1] = gap
        return found

    found = shared_within(dict(zip(names, choices, strict=True)), measured, budget_minutes, "choices", quiet)
    sums, means = np.stack(list(found.values()), 2)
    return Choices(tuple(c.name for c in told), tuple(found), sums, means)


def grouped(
    vectors: EmotionVectors, told: Sequence[Condition], block: int | None
) -> dict[tuple[str | None, int], list[int]]:
    """The conditions, by index, that share an instruction and a block, and so may be one batch."""
    groups: dict[tuple[str | None, int], list[int]] = {}
    for i, condition in enumerate(told):
        at = vectors.block(block if condition.block is None else condition.block)
        groups.setdefault((condition.system, at), []).append(i)
    return groups


def checked_conditions(conditions: Conditions) -> list[Condition]:
    """Conditions as a list; raises EmokitError for none, two of one name, and what is no condition."""
    if isinstance(conditions, Mapping):
        conditions = [Condition(name, strengths) for name, strengths in conditions.items()]
    check_list(conditions, "conditions", Sequence)
    for condition in conditions:
        if not isinstance(condition, Condition):
            raise EmokitError("not a condition", condition, 'Use {"none": {}, "calm": {"calm": 0.1}}, or Conditions.')
        check_kinds((condition.strengths, Mapping))
    names = [condition.name for condition in conditions]
    if not names or len(set(names)) < len(names):
        raise EmokitError("no conditions, or two of one name", names, "Give each its own name.")
    return list(conditions)
