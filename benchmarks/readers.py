"""Those who read: every contender turns texts into means of the residual stream over a text's tokens, on the same model.

Each returns float32 [texts, blocks, width] up to a last block, over the same tokens, so that their results can be compared.
What each computes besides is told in its docstring. A peer is imported only when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from emokit import Model, activations
from emokit.chances import padded

Array = np.ndarray
Reader = Callable[[Model, Sequence[str], int], Array]
BATCH = 8  # of the loops that do not sort


def emokit(model: Model, texts: Sequence[str], last: int) -> Array:
    """emokit: hooks that pool, sorted batches of a token budget, no head, stops behind the last block."""
    return activations.story_means(model, texts, cache=False, last=last)


def bare(model: Model, texts: Sequence[str], last: int) -> Array:
    """The same sorted batches through the base model, and nothing is read: what reading is held against."""
    encoded = [model.encode(text) for text in texts]
    with torch.inference_mode():
        for rows in activations._batches([len(ids) for ids in encoded], activations.TOKEN_BUDGET["cpu"]):
            ids, _ = padded([encoded[i] for i in rows])
            model.hf.base_model(input_ids=ids, use_cache=False)
    return np.empty(0)


def loop(model: Model, texts: Sequence[str], last: int, batch: int = BATCH) -> Array:
    """The loop of most replications: unsorted batches of 8, `output_hidden_states`, all logits."""
    found = []
    for ids, mask in _batches(model, texts, batch):
        with torch.no_grad():
            out = model.hf(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        found += _pooled(list(out.hidden_states[1 : last + 2]), mask)
    return np.stack(found)


def loop_of_one(model: Model, texts: Sequence[str], last: int) -> Array:
    """The same, text by text."""
    return loop(model, texts, last, batch=1)


def steering_vectors(model: Model, texts: Sequence[str], last: int) -> Array:
    """steering-vectors: `record_activations`, which keeps every token's state of all wanted blocks; unsorted batches of 8."""
    from steering_vectors import record_activations

    found = []
    for ids, mask in _batches(model, texts, BATCH):
        with (
            torch.no_grad(),
            record_activations(model.hf, layer_type="decoder_block", layer_nums=range(last + 1)) as kept,
        ):
            model.hf(input_ids=ids, attention_mask=mask)
        found += _pooled([kept[block][0].to(ids.device) for block in range(last + 1)], mask)
    return np.stack(found)


def repeng(model: Model, texts: Sequence[str], last: int) -> Array:
    """repeng: its `batched_get_hiddens`, which returns the last token of every block; batches of 32, all logits."""
    setattr(np, "float" + "_", np.float64)  # repeng 0.4.0 names a type that numpy 2 has no more
    from repeng.extract import batched_get_hiddens

    tokenizer = model.tokenizer
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    batched_get_hiddens(model.hf, tokenizer, list(texts), list(range(last + 1)), 32)
    return np.empty(0)


def nnsight(model: Model, texts: Sequence[str], last: int) -> Array:
    """nnsight: a trace that saves the pooled output of every wanted block; unsorted batches of 8, stops behind the last."""
    from nnsight import LanguageModel

    traced = _once(model, "nnsight", lambda: LanguageModel(deepcopy(model.hf), tokenizer=model.tokenizer))
    path = next(name for name, module in model.hf.named_modules() if module is model.blocks)
    blocks = traced
    for part in path.split("."):
        blocks = getattr(blocks, part)
    found = []
    for ids, mask in _batches(model, texts, BATCH):
        weights = _weights(mask)
        kept = []
        with torch.no_grad(), traced.trace({"input_ids": ids, "attention_mask": mask}) as tracer:
            for block in range(last + 1):
                output = blocks[block].output
                states = output[0] if isinstance(output, tuple) else output
                kept.append(torch.bmm(weights, states.float())[:, 0].save())
            tracer.stop()
        found += list(torch.stack([torch.as_tensor(k) for k in kept], 1).numpy())
    return np.stack(found)


def transformer_lens(model: Model, texts: Sequence[str], last: int) -> Array:
    """transformer-lens: `run_with_cache` of the wanted `resid_post`, through its bridge to the same weights; unsorted eights."""
    names = [f"blocks.{block}.hook_out" for block in range(last + 1)]

    def made() -> Any:
        from transformer_lens.model_bridge import TransformerBridge

        return TransformerBridge.boot_transformers(
            str(model.name), hf_model=deepcopy(model.hf), tokenizer=model.tokenizer
        )

    bridge = _once(model, "transformer_lens", made)
    found = []
    for ids, mask in _batches(model, texts, BATCH):
        with torch.no_grad():
            _, kept = bridge.run_with_cache(
                ids, attention_mask=mask, names_filter=lambda name: name in names, stop_at_layer=last + 1
            )
        found += _pooled([kept[name] for name in names], mask)
    return np.stack(found)


READERS: dict[str, Reader] = {
    "emokit": emokit,
    "bare sorted pass": bare,
    "plain loop, batch 8": loop,
    "plain loop, batch 1": loop_of_one,
    "steering-vectors": steering_vectors,
    "repeng": repeng,
    "nnsight": nnsight,
    "transformer-lens": transformer_lens,
}

_MADE: dict[tuple[int, str], Any] = {}


def _once(model: Model, name: str, make: Callable[[], Any]) -> Any:
    """A peer's own wrapper round a copy of the model, made once: neither making it nor what it leaves behind is timed."""
    key = id(model), name
    if key not in _MADE:
        _MADE[key] = make()
    return _MADE[key]


def _batches(model: Model, texts: Sequence[str], size: int) -> Any:
    encoded = [model.encode(text) for text in texts]
    for start in range(0, len(encoded), size):
        yield padded(encoded[start : start + size])


def _weights(mask: torch.Tensor) -> torch.Tensor:
    """Weights [texts, 1, tokens] of the mean over a text's tokens, the first few left out as emokit does."""
    weights = torch.zeros(len(mask), 1, mask.shape[1])
    for i, length in enumerate(mask.sum(1).tolist()):
        start = activations.first_token(length)
        weights[i, 0, start:length] = 1 / (length - start)
    return weights


def _pooled(states: Sequence[torch.Tensor], mask: torch.Tensor) -> list[Array]:
    weights = _weights(mask)
    return list(torch.stack([torch.bmm(weights, h.float())[:, 0] for h in states], 1).numpy())
