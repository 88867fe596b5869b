"""Chances: log-probabilities of continuations, the prefix that they share read once where that pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .errors import EmokitError, check_list, check_text
from .structure import widener

if TYPE_CHECKING:
    from .models import Model

Array = np.ndarray
ROWS = 64  # rows that run as one batch
POSITIONS = 16_384  # rows times tokens that a pass and its cache may hold: for 1.5B parameters about a gigabyte
LOGITS = 50_000_000  # logits that a pass may make, 200 MB
SHARED = 16  # tokens from which on a prefix is read once: reading it again costs more than a second pass


def tails(model: Model, text: str, continuations: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    """Token ids of a text as it is, and of each continuation behind it; raises EmokitError for what has none, or too many."""
    ids = model.encode(text)
    model.check_length(ids, text)
    check_list(continuations, "continuations")
    found = []
    for continuation in continuations:
        check_text(continuation, "continuation")
        whole = model.encode(text + continuation)
        own = whole[: len(ids)] == ids
        tail = whole[len(ids) :] if own else model.tokenizer(continuation, add_special_tokens=False)["input_ids"]
        if not tail:
            raise EmokitError("the continuation has no token", continuation, "Give it some text.")
        model.check_length([*ids, *tail], text + continuation)
        found.append(tail)
    return ids, found


def pays(model: Model, ids: Sequence[int], behind: Sequence[Sequence[int]]) -> bool:
    """Whether to read a prefix once for all that stands behind it: it is long enough, and the model's cache allows it."""
    return len(behind) > 1 and len(ids) >= SHARED and model.shares_prefix


def whole(model: Model, ids: Sequence[int], behind: Sequence[Sequence[int]]) -> list[float]:
    """Log-probability in nats of each of the tails behind `ids`: one row of a batch each, the prefix read in every one."""
    longest = max(map(len, behind))
    batch, mask = padded([[*ids, *tail] for tail in behind])
    with model.lock, torch.inference_mode(), model.replying(len(ids) - 1):
        logits = model.forward(
            input_ids=batch.to(model.device),
            attention_mask=mask.to(model.device),
            use_cache=False,
            logits_to_keep=longest + 1,
        )[:, -longest - 1 : -1]
        return [_sum(logits[i], tail) for i, tail in enumerate(behind)]


@dataclass(frozen=True, eq=False)
class Prefix:
    """A prefix that was read once in each of some rows: the cache, and the logits [rows, vocabulary] of what comes next."""

    length: int
    cache: Any
    logits: torch.Tensor


def read(model: Model, ids: Sequence[int], rows: int = 1) -> Prefix:
    """Read a prefix in a batch of so many equal rows, which steers may make differ."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.hf.config)
    batch = torch.tensor([list(ids)] * rows, device=model.device)
    with model.lock, torch.inference_mode(), model.replying(len(ids) - 1):
        logits = model.forward(input_ids=batch, past_key_values=cache, use_cache=True, logits_to_keep=1)[:, -1]
    return Prefix(len(ids), cache, logits)


def behind(model: Model, prefix: Prefix, tails: Sequence[Sequence[int]]) -> Array:
    """Log-probability in nats of each tail behind each row of a prefix: [rows, tails].

    Runs a batch of rows x tails, all tails of the first row first, but none where all tails are single tokens. The prefix
    is left as it is.
    """
    rows, longest = len(prefix.logits), max(map(len, tails))
    later = None
    if longest > 1:
        cache = deepcopy(prefix.cache)
        cache.batch_repeat_interleave(len(tails))
        batch, _ = padded([tail[:-1] or tail for tail in tails])  # what stands right of a token does not act on it
        with model.lock, torch.inference_mode(), model.replying(-1):
            later = model.forward(
                input_ids=batch.repeat(rows, 1).to(model.device), past_key_values=cache, use_cache=True
            )
    found = np.zeros((rows, len(tails)))
    for row in range(rows):
        for i, tail in enumerate(tails):
            found[row, i] = _sum(prefix.logits[row : row + 1], tail[:1])
            if later is not None and len(tail) > 1:
                found[row, i] += _sum(later[row * len(tails) + i], tail[1:])
    return found


@contextmanager
def widened(model: Model, block: int, rows: int) -> Iterator[None]:
    """Within the `with`, a batch of one row becomes so many equal rows behind a block, before steers act there.

    So the blocks before it read once what all steerings at it share. For models that can (`model.widens`).
    """
    handle = model.blocks[block].register_forward_hook(widener(rows), prepend=True)
    try:
        yield
    finally:
        handle.remove()


def behind_each(model: Model, prefix: Prefix, tails: Sequence[Sequence[int]]) -> Array:
    """As `behind`, but within `widened`, where one row stands for all rows of the prefix: a batch for each tail."""
    found = np.zeros((len(prefix.logits), len(tails)))
    for i, tail in enumerate(tails):
        later = None
        if len(tail) > 1:
            with model.lock, torch.inference_mode(), model.replying(-1):
                later = model.forward(
                    input_ids=torch.tensor([list(tail[:-1])], device=model.device),
                    past_key_values=deepcopy(prefix.cache),
                    use_cache=True,
                )
        for row in range(len(found)):
            found[row, i] = _sum(prefix.logits[row : row + 1], tail[:1])
            if later is not None:
                found[row, i] += _sum(later[row], tail[1:])
    return found


def room(model: Model, length: int, tails: Sequence[Sequence[int]]) -> int:
    """How many rows one batch may have, each of a prefix of so many tokens and one of the tails: 1 to 64."""
    longest = max(map(len, tails))
    vocabulary = len(model.hf.get_output_embeddings().weight)
    return max(1, min(ROWS, POSITIONS // (length + longest), LOGITS // (longest * vocabulary)))


def _sum(logits: torch.Tensor, tail: Sequence[int]) -> float:
    """Log-probability of tokens from the logits [tokens or more, vocabulary] that stand before each."""
    chances = logits[: len(tail)].float().log_softmax(-1)
    return float(chances[range(len(tail)), list(tail)].sum())


def padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of several texts, padded on the right, and their attention mask: int64 [rows, longest] each."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids, mask
