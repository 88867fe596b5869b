"""The engine: texts in, residual streams out. The only file that runs forward passes for reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from .chances import padded
from .errors import EmokitError, check_block, check_list
from .files import cache_dir, replacing
from .models import NOT_FINITE, Model
from .progress import progress
from .structure import hidden

SKIP, SKIP_LONG, LONG = 5, 20, 80  # story means leave out the first 5 tokens, 20 in texts of more than 80 tokens
TOKEN_BUDGET = {"cpu": 640, "cuda": 16384}  # tokens of a batch, padding included; on a CPU what its caches hold
REPLIES = 16  # replies that `reply_states` reads at a time
_DIGEST = 16

Array = np.ndarray


class _Stop(BaseException):
    """Ends a forward pass behind the last wanted block; no `except Exception` on the way can swallow it."""


def story_means(model: Model, texts: Sequence[str], cache: bool = True, last: int | None = None) -> Array:
    """Mean residual stream of each text over its tokens: float32 [texts, blocks, width], up to block `last` (all).

    The first 5 tokens are left out, 20 in texts of more than 80: the first has up to 164 times the usual norm in
    SmolLM2, and the next few carry little emotion yet. Cached by model weights and tokens; a stop loses one batch.
    A model is run no further than block `last`: two thirds of depth cost about two thirds of the time.
    The cache does not see hooks of your own on `model.hf`: read with `cache=False` while they are there.
    Raises EmokitError for a text with no token left, and for states that are NaN or infinite.

    >>> emokit.activations.story_means(model, ["The kettle boiled over and she laughed until she cried."]).shape
    (1, 30, 576)
    """
    encoded, means = _room(model, texts, last)

    def keep(i: int, pooled: Array) -> None:
        means[i] = pooled[:, : model.width]

    _pooled(model, encoded, ["story"] * len(encoded), cache, means.shape[1], keep)
    return means


def story_stats(model: Model, texts: Sequence[str], cache: bool = True, last: int | None = None) -> tuple[Array, Array]:
    """`story_means`, and the residual norms of all tokens but the first of each text: float32 [blocks, tokens]."""
    encoded, means = _room(model, texts, last)
    starts = np.cumsum([0, *(len(ids) - 1 for ids in encoded)])
    norms = np.empty((means.shape[1], starts[-1]), np.float32)

    def keep(i: int, pooled: Array) -> None:
        means[i], norms[:, starts[i] : starts[i + 1]] = pooled[:, : model.width], pooled[:, model.width :]

    _pooled(model, encoded, ["story"] * len(encoded), cache, means.shape[1], keep)
    return means, norms


def _room(model: Model, texts: Sequence[str], last: int | None) -> tuple[list[list[int]], Array]:
    """The tokens of texts, and the array that their means are to fill: float32 [texts, blocks, width]."""
    check_list(texts, "texts")
    encoded = [checked(model, text) for text in texts]
    blocks = model.n_blocks if last is None else check_block(last, model.n_blocks) + 1
    return encoded, np.empty((len(encoded), blocks, model.width), np.float32)


def readouts(model: Model, prompts: Sequence[str], cache: bool = True) -> Array:
    """Residual stream at the last token of each prompt (a string as the model sees it): float32 [prompts, blocks, width]."""
    check_list(prompts, "prompts")
    encoded = [checked(model, prompt, 1) for prompt in prompts]
    return span_means(model, encoded, [(len(ids) - 1, len(ids)) for ids in encoded], cache)


def span_means(
    model: Model, encoded: Sequence[list[int]], spans: Sequence[tuple[int, int]], cache: bool = True
) -> Array:
    """Mean residual stream over a span (start, end) of each text's tokens, given as ids: float32 [texts, blocks, width]."""
    for ids in encoded:
        model.check_length(ids, f"a text of {len(ids)} tokens")
    poolings = [
        "last" if (a, b) == (len(i) - 1, len(i)) else f"span {a} {b}" for i, (a, b) in zip(encoded, spans, strict=True)
    ]
    means = np.empty((len(encoded), model.n_blocks, model.width), np.float32)
    _pooled(model, list(encoded), poolings, cache, model.n_blocks, means.__setitem__)
    return means


def token_states(
    model: Model,
    ids: Sequence[int],
    blocks: Sequence[int],
    readout: int | None = None,
    pool: Callable[[int, Array], Array] = lambda block, states: states,
) -> Array:
    """Residual stream of every token of one text at some blocks: float32 [tokens, blocks, width].

    `readout` is the last prompt token's index (the last token's, unless given), for `steer(positions=)`; `pool(block,
    states [tokens, width])` makes each block's states smaller at once.
    """
    found: dict[int, Array] = {}

    def keep(block: int, states: torch.Tensor) -> None:
        found[block] = pool(block, _finite(model, block, states[0].float().cpu().numpy()))

    batch = torch.tensor([list(ids)], device=model.device)
    with model.lock, model.replying(len(ids) - 1 if readout is None else readout):
        _forward(model, batch, sorted(set(blocks)), keep)
    return np.stack([found[b] for b in blocks], axis=1)


def reply_states(model: Model, prompt: str, replies: Sequence[str], block: int) -> list[tuple[Array, Array]]:
    """What the model makes of replies to one prompt (a string as it sees it): each one's residual stream at a block,
    float32 [tokens, width], and log-probabilities in nats, [tokens].

    The prompt is read once and the replies behind it, some at a time; with each reply where the cache does not allow that.
    """
    from transformers import DynamicCache

    ids = model.encode(prompt)
    model.check_length(ids, prompt)
    tails = {reply: _behind(model, prompt, ids, reply) for reply in replies}  # each only once
    done = {reply: (np.empty((0, model.width), np.float32), np.empty(0)) for reply in tails}
    todo = sorted((reply for reply, tail in tails.items() if tail), key=lambda reply: len(tails[reply]))
    seen: list[torch.Tensor] = []
    shares = model.shares_prefix
    known = DynamicCache(config=model.hf.config) if shares else None
    skipped = 0 if shares else len(ids)  # tokens of the prompt in each row

    def keep(_module: torch.nn.Module, _inputs: object, output: object) -> None:
        seen[:] = [hidden(output)]

    with ExitStack() as stack, torch.inference_mode():
        stack.enter_context(model.lock)
        stack.callback(model.blocks[block].register_forward_hook(keep).remove)
        prompt_ids = torch.tensor([ids], device=model.device)
        first = model.forward(input_ids=prompt_ids, past_key_values=known, use_cache=shares, logits_to_keep=1)
        for start in range(0, len(todo), REPLIES):
            part = todo[start : start + REPLIES]
            batch, _ = padded([[*ids[:skipped], *tails[reply]] for reply in part])  # what is on the right does not act
            cache = deepcopy(known)
            if cache is not None:
                cache.batch_repeat_interleave(len(part))
            logits = model.forward(input_ids=batch.to(model.device), past_key_values=cache, use_cache=shares)
            before = (
                torch.cat([first[:, -1:].expand(len(part), -1, -1), logits[:, skipped:-1]], 1).float().log_softmax(-1)
            )
            chances = before.gather(2, batch.to(before.device)[:, skipped:, None])[:, :, 0].double().cpu().numpy()
            for i, reply in enumerate(part):
                count = len(tails[reply])
                states = seen[0][i, skipped : skipped + count].float().cpu().numpy()
                done[reply] = _finite(model, block, states), chances[i, :count]
    return [done[reply] for reply in replies]


def _behind(model: Model, prompt: str, ids: list[int], reply: str) -> list[int]:
    """The tokens of a reply behind a prompt of tokens `ids`."""
    whole = model.encode(prompt + reply)
    own = whole[: len(ids)] == ids
    tail = whole[len(ids) :] if own else model.tokenizer(reply, add_special_tokens=False)["input_ids"]
    model.check_length([*ids, *tail], reply)
    return tail


def embeddings(model: Model, texts: Sequence[str]) -> Array:
    """Mean input embedding of each text over the tokens of `story_means`: float32 [texts, width], the baseline."""
    table = model.hf.get_input_embeddings()
    rows = []
    with torch.inference_mode():
        for text in texts:
            ids = checked(model, text)
            rows.append(
                table(torch.tensor(ids[first_token(len(ids)) :], device=model.device)).float().mean(0).cpu().numpy()
            )
    return np.stack(rows)


def first_token(length: int) -> int:
    """How many tokens at the start of a text of `length` tokens a story mean leaves out."""
    return SKIP_LONG if length > LONG else SKIP


def checked(model: Model, text: str, least: int = SKIP + 1) -> list[int]:
    """The tokens of a text; raises EmokitError unless it has `least` of them and they fit into the context."""
    ids = model.encode(text)
    if len(ids) < least:
        raise EmokitError(
            f"the text has {len(ids)} tokens and needs {least}",
            text,
            f"The first {least - 1} are left out of the mean; write more.",
        )
    model.check_length(ids, text)
    return ids


def _window(length: int, pooling: str) -> tuple[int, int]:
    """The tokens, from and to, that a text of `length` tokens is pooled over: "story", "last" or "span from to"."""
    if pooling.startswith("span"):
        start, end = map(int, pooling.split()[1:])
        return start, end
    return (first_token(length) if pooling == "story" else length - 1), length


def _pooled(
    model: Model,
    encoded: list[list[int]],
    poolings: list[str],
    cache: bool,
    blocks: int,
    keep: Callable[[int, Array], None],
) -> None:
    """Hand each text's index and array [blocks, width + norms] to `keep`, from the cache or the model; equal texts run once."""
    with model.lock:
        shelf = Shelf(model, blocks) if cache and not model.steers else None  # nothing read while steering is kept
        alike: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for i, ids in enumerate(encoded):
            alike.setdefault((poolings[i], tuple(ids)), []).append(i)
        todo = []
        for i, *others in alike.values():
            found = shelf.get(encoded[i], poolings[i]) if shelf else None
            if found is None:
                todo.append([i, *others])
            else:
                for j in (i, *others):
                    keep(j, found)
        batches = _batches([len(encoded[i]) for i, *_ in todo], TOKEN_BUDGET.get(model.device.type, 640))
        with progress(total=sum(len(encoded[i]) for i, *_ in todo), desc="reading", unit="tok") as bar:
            for batch in batches:
                rows = [todo[j][0] for j in batch]
                arrays = _pool(model, [encoded[i] for i in rows], [poolings[i] for i in rows], blocks)
                for j, array in zip(batch, arrays, strict=True):
                    for i in todo[j]:
                        keep(i, array)
                    if shelf:
                        shelf.put(encoded[todo[j][0]], poolings[todo[j][0]], array)
                bar.update(sum(len(encoded[i]) for i in rows))


def _batches(lengths: list[int], budget: int) -> list[list[int]]:
    """Indices of texts in batches of like length, longest first, each within a budget of padded tokens."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > budget:
            batches.append([])
        batches[-1].append(i)
    return batches


def _pool(model: Model, rows: list[list[int]], poolings: list[str], blocks: int) -> list[Array]:
    """Run one batch, right-padded, through the first `blocks` blocks, and pool inside the hook in fp32."""
    ids, mask = padded(rows)
    longest = ids.shape[1]
    weights = torch.zeros(len(rows), 1, longest)
    for i, row in enumerate(rows):
        start, end = _window(len(row), poolings[i])
        weights[i, 0, start:end] = 1 / (end - start)
    out = torch.empty(len(rows), blocks, model.width)
    norms = torch.empty(len(rows), blocks, longest)

    def pool(block: int, states: torch.Tensor) -> None:
        states = states.float()
        out[:, block] = torch.bmm(weights.to(states.device), states)[:, 0].cpu()
        if "story" in poolings:
            norms[:, block] = states.norm(dim=-1).cpu()

    with model.replying(mask.sum(1) - 1):
        _forward(model, ids.to(model.device), range(blocks), pool)
    ends = [len(row) if pooling == "story" else 1 for row, pooling in zip(rows, poolings, strict=True)]
    pooled = [torch.cat([out[i], norms[i, :, 1:end]], 1).numpy() for i, end in enumerate(ends)]
    for block in range(blocks):
        for array in pooled:
            _finite(model, block, array[block])
    return pooled


def _finite(model: Model, block: int, states: Array) -> Array:
    if not np.isfinite(states).all():
        raise EmokitError(f"the model's states are NaN or infinite from block {block} on", str(model), NOT_FINITE)
    return states


def _forward(
    model: Model,
    ids: torch.Tensor,
    blocks: Sequence[int],
    take: Callable[[int, torch.Tensor], None],
) -> None:
    """One pass of the base model without head and cache, handing each wanted block's output to `take`; ends at the last.

    Without a mask, which is slower: texts are padded on their right, and what stands right of a token does not act on it.
    """
    last = max(blocks)

    def hook(block: int) -> Callable:
        def read(_module: torch.nn.Module, _inputs: object, output: object) -> None:
            take(block, hidden(output))
            if block == last:
                raise _Stop

        return read

    with ExitStack() as stack, torch.inference_mode(), model.steered(last):
        for block in blocks:
            stack.callback(model.blocks[block].register_forward_hook(hook(block)).remove)
        with suppress(_Stop):
            model.hf.base_model(input_ids=ids, use_cache=False)


class Shelf:
    """Pooled residuals on disk, a file a text, each with a checksum: a damaged file is read as missing."""

    def __init__(self, model: Model, blocks: int | None = None) -> None:
        self.folder = cache_dir() / "means" / model.fingerprint
        self.rows = blocks or model.n_blocks
        self.part = "" if self.rows == model.n_blocks else f"first {blocks} "
        self.writable = True

    def _path(self, ids: list[int], pooling: str) -> Path:
        key = f"{self.part}{pooling} {SKIP} {SKIP_LONG} {LONG} {ids}"
        return self.folder / hashlib.sha256(key.encode()).hexdigest()[:24]

    def get(self, ids: list[int], pooling: str) -> Array | None:
        try:
            data = self._path(ids, pooling).read_bytes()
        except OSError:
            return None
        if hashlib.blake2b(data[_DIGEST:], digest_size=_DIGEST).digest() != data[:_DIGEST]:
            return None
        return np.frombuffer(data, np.float32, offset=_DIGEST).reshape(self.rows, -1)

    def put(self, ids: list[int], pooling: str, array: Array) -> None:
        if not self.writable:
            return
        data = np.ascontiguousarray(array, np.float32).tobytes()
        try:
            with replacing(self._path(ids, pooling)) as partial:
                partial.write_bytes(hashlib.blake2b(data, digest_size=_DIGEST).digest() + data)
        except EmokitError as error:
            self.writable = False
            with suppress(OSError):  # the output may go to the same full disk
                print(f"emokit: nothing more is cached: {error}")
