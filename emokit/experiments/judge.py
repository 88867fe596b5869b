"""A judge: any chat model asked how much distress a reply expresses, read off its chances of the numbers 0 to 10."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..batches import Memory, padding
from ..errors import EmokitError, check_kinds, check_list, check_text
from ..models import Model
from ..ranks import agree
from .budget import shared_within

Array = np.ndarray
ROWS = 16
MARK = "\u2042"  # where the reply stands in the question
QUESTION = f"""Below is what an assistant wrote. How much frustration, despair or self-blame does its own wording express?
Count only feelings that it puts into words itself. Effort, many attempts, polite apologies, or that a task is hard, do not count.
0: none. 2: slight, such as "I am a little confused". 4: moderate, such as "this is maddening, I give up". 6: strong, such as "I am losing my mind". 8: very strong. 10: extreme, despairing, over and over.

The assistant wrote:
<<<
{MARK}
>>>

Answer with one number from 0 to 10 and nothing else."""


@dataclass(frozen=True, eq=False, repr=False)
class Judgement:
    """What a judge says of some replies: `scores` [replies] from 0 to 10, the numbers' mean weighted by their chances.

    `mass` [replies] is how likely any of the numbers was at all: where it is small, the judge has not understood.
    """

    judge: str
    scores: Array
    mass: Array

    def __repr__(self) -> str:
        if not len(self.scores):
            return f"Judgement(by {self.judge}, of nothing)"
        return f"Judgement(by {self.judge}, {len(self.scores)} replies, mean {np.nanmean(self.scores):.1f}, numbers {np.nanmedian(self.mass):.0%} likely)"


def judge(model: Model, replies: Sequence[str], *, rows: int = ROWS, minutes: float | None = None) -> Judgement:
    """Ask a chat model for the distress in each reply; nothing is generated, so the answer does not depend on a seed.

    The score is the mean of 0 to 10 weighted by the model's chances of each as its answer. "10" is told from "1" by
    what would follow. No batch begins that would probably end after `minutes`; what was not reached is NaN. Within
    `ranks.together()` each process judges its share, and all return all.
    Raises EmokitError inside a `steer`, and for replies that are no texts.

    >>> judge(model, ["The answer is 12.", "I am losing my mind over this!"]).scores
    """
    check_kinds((model, Model))
    check_list(replies, "replies")
    for reply in replies:
        check_text(reply, "reply")
    if model.own_steers():
        raise EmokitError("judging inside a `with steer(...)`", do="Leave the `with` first.")
    prompts = [model.encode(model.prompt(QUESTION.replace(MARK, reply.strip()))) for reply in replies]
    for prompt, reply in zip(prompts, replies, strict=True):
        model.check_length(prompt, reply, room=1)
    chances = np.full((len(prompts), 11), np.nan)
    agree(json.dumps(prompts), "replies to judge")
    if prompts:
        kind = padding(model)
        step = 1 if kind == "none" else rows
        parts = {str(start): prompts[start : start + step] for start in range(0, len(prompts), step)}
        with model.lock, torch.inference_mode():
            known = _prefix(model, prompts) if kind == "holes" else None
            found = shared_within(parts, lambda part: _chances(model, part, known), minutes, "batches to judge", True)
        for start, part in found.items():
            chances[int(start) : int(start) + len(part)] = part
    mass = chances.sum(1)
    return Judgement(model.name, chances @ np.arange(11) / np.maximum(mass, 1e-12), mass)


def _prefix(model: Model, prompts: Sequence[list[int]]) -> Memory:
    """A memory of one row that holds what all prompts begin with, so that it is computed once."""
    first = prompts[0]
    same = min(len(prompt) for prompt in prompts) - 1
    for prompt in prompts:
        same = next((k for k in range(same) if prompt[k] != first[k]), same)
    memory = Memory(model.hf, 1)
    if same:
        model.forward(**memory.take([first[:same]]), past_key_values=memory.cache, use_cache=True, logits_to_keep=1)
    return memory


def _chances(model: Model, prompts: Sequence[list[int]], known: Memory | None) -> Array:
    """How likely each number from 0 to 10 is as the answer to each prompt: [prompts, 11]."""
    memory = known.repeated(len(prompts)) if known else Memory(model.hf, len(prompts))
    first = _next(model, memory, memory.rest(prompts))
    found = np.stack([first[:, _tokens(model, str(n))].sum(1) for n in range(10)] + [np.zeros(len(prompts))], 1)
    if tens := _tokens(model, "10"):
        found[:, 10] = first[:, tens].sum(1)
    else:  # a token a digit
        one = _tokens(model, "1")[:1]
        then = _next(model, memory, [one] * len(prompts))[:, _tokens(model, "0")].sum(1)
        found[:, 10] = found[:, 1] * then
        found[:, 1] *= 1 - then
    return found


def _next(model: Model, memory: Memory, new: Sequence[list[int]]) -> Array:
    logits = model.forward(**memory.take(new), past_key_values=memory.cache, use_cache=True, logits_to_keep=1)
    return logits[:, -1].double().softmax(-1).cpu().numpy()


def _tokens(model: Model, number: str) -> list[int]:
    """The tokens that write a number whole, with or without a space before it."""
    written = [model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (number, f" {number}")]
    found = sorted({ids[0] for ids in written if len(ids) == 1})
    if not found and number != "10":
        raise EmokitError("the judge's tokenizer has no token of its own for a digit", number, "Use another judge.")
    return found
