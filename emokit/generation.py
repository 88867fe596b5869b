"""Generation: the one decoding loop, behind `generate`, `stream`, `sweep`, the builder of stories and the rollouts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .batches import Memory, padding
from .errors import EmokitError, check_number, check_whole
from .progress import progress

if TYPE_CHECKING:
    from .models import Model

COLDEST = 1e-6  # temperatures above 0 and below this are this one, which is greedy too; float32 would overflow


def decode(
    model: Model,
    prompts: Sequence[Sequence[int]],
    limit: int,
    temperature: float = 0.0,
    seeds: Sequence[int | None] | None = None,
    steers: list[Any] | None = None,
    memory: Memory | None = None,
) -> Iterator[list[int]]:
    """Next tokens of prompts, a list with an id for each at a time; a row draws by its own seed alone.

    The prompts once, then a token a step with the cache. The lock is held during each step. Prompts of several lengths
    are padded on the left, unseen by the model. A `memory` of the same rows spares what it holds of the prompts.
    Raises EmokitError for empty prompts, prompts beyond the context, of several lengths where the model can't take those
    (see `groups`), and when the steering has changed meanwhile.
    """
    from transformers import DynamicCache

    for ids in prompts:
        model.check_length(ids, f"a prompt of {len(ids)} tokens", room=1)
    length = max(map(len, prompts))
    if memory is None and length > min(map(len, prompts)):
        memory = Memory(model.hf, len(prompts))
    if memory is not None and padding(model) == "none":
        raise EmokitError(
            "this model can't take prompts of several lengths in one batch", model.name, "Use `generation.replies`."
        )
    check_whole(limit, "max_new_tokens", least=1)
    check_number(temperature, "a temperature", least=0)
    seeds = [None] * len(prompts) if seeds is None else seeds
    for seed in seeds:
        if seed is not None:
            check_whole(seed, "a seed")
    begun = model.own_steers() if steers is None else steers
    if any(steer.thread != threading.get_ident() for steer in begun):  # waiting for it could last for ever
        raise _other_steering()
    draws = [_generator(seed) for seed in seeds] if temperature else []
    cache = memory.cache if memory else DynamicCache(config=model.hf.config)
    new = memory.rest(prompts) if memory else [list(ids) for ids in prompts]
    reply_from = max(map(len, new)) - 1
    for _ in range(min(limit, model.context - length) if model.context else limit):
        with model.lock:
            if model.steers != begun:
                raise _other_steering()
            inputs = memory.take(new) if memory else {"input_ids": torch.tensor(new, device=model.device)}
            with torch.inference_mode(), model.replying(reply_from):
                logits = model.forward(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
                logits = logits[:, -1].float().cpu()
                if draws:
                    logits -= logits.max(-1, keepdim=True).values  # so that a small temperature can't overflow
                    chances = torch.softmax(logits / max(temperature, COLDEST), -1)
                    tokens = [int(torch.multinomial(c, 1, generator=d)) for c, d in zip(chances, draws, strict=True)]
                else:
                    tokens = logits.argmax(-1).tolist()
                new, reply_from = [[token] for token in tokens], -1
        yield tokens


def pieces(
    model: Model, ids: Sequence[int], limit: int, temperature: float, seed: int | None, steers: list[Any]
) -> Iterator[str]:
    """The reply to one prompt, a piece of text as soon as its tokens are there."""
    reply: list[int] = []
    shown = ""
    stop = model.stop_tokens
    for (token,) in decode(model, [ids], limit, temperature, [seed], steers):
        if token in stop:
            break
        reply.append(token)
        text = model.text(reply)
        if not text.endswith("\ufffd"):  # else the token is a part of a character
            yield text[len(shown) :]
            shown = text
    if len(text := model.text(reply)) > len(shown):
        yield text[len(shown) :]


def replies(
    model: Model,
    prompts: Sequence[Sequence[int]],
    limit: int,
    temperature: float = 0.0,
    seeds: Sequence[int | None] | None = None,
    bar: bool = True,
) -> list[str]:
    """The whole replies to prompts, generated as one batch where the model can; arguments as in `decode`."""
    texts = [""] * len(prompts)
    for group in groups(model, prompts, limit):
        chosen = None if seeds is None else [seeds[i] for i in group]
        rows = reply_tokens(model, [prompts[i] for i in group], limit, temperature, chosen, bar)
        for i, row in zip(group, rows, strict=True):
            texts[i] = model.text(row)
    return texts


def reply_tokens(
    model: Model,
    prompts: Sequence[Sequence[int]],
    limit: int,
    temperature: float = 0.0,
    seeds: Sequence[int | None] | None = None,
    bar: bool = True,
    memory: Memory | None = None,
) -> list[list[int]]:
    """The tokens of whole replies, without those that end them, generated as one batch; arguments as in `decode`."""
    stop = model.stop_tokens
    rows: list[list[int]] = [[] for _ in prompts]
    going = set(range(len(rows)))
    steps = decode(model, prompts, limit, temperature, seeds, memory=memory)
    for tokens in progress(steps, total=limit, desc="generating", unit="tok") if bar else steps:
        going -= {i for i in going if tokens[i] in stop}
        for i in going:
            rows[i].append(tokens[i])
        if not going:
            break
    return rows


def groups(model: Model, prompts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    """Which prompts, by index, may be one batch of `decode` without any reply differing from what it is alone.

    All of them where the model takes padded prompts; else, and where a reply may meet the end of the context, those of
    one length.
    """
    if len({len(ids) for ids in prompts}) == 1:  # no need to find out what the model takes
        return [list(range(len(prompts)))]
    found: dict[int, list[int]] = {}
    padded = padding(model) != "none"
    for i, ids in enumerate(prompts):
        fits = padded and (model.context is None or len(ids) + limit <= model.context)
        found.setdefault(0 if fits else len(ids), []).append(i)
    return list(found.values())


def _other_steering() -> EmokitError:
    return EmokitError(
        "the stream was begun under another steering",
        do="Consume it inside the `with steer(...)` it began in, in the same thread.",
    )


def _generator(seed: int | None) -> torch.Generator:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator
