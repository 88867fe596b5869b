"""What a Hugging Face model is made of: its decoder layers, the norm behind them, and a fingerprint of its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from .errors import EmokitError

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
MISFITS = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)  # of models unlike what is tried


def check_kind(config: Any, name: str) -> None:
    """Raise EmokitError for an encoder-decoder, whose replies come out of another stack than its prompts go into."""
    if getattr(config, "is_encoder_decoder", False):
        raise EmokitError(
            f"an encoder-decoder ({config.model_type}), which has no single residual stream", name,
            "Use a decoder-only language model.",
        )  # fmt: skip


def find_blocks(hf: nn.Module, count: int, name: str | None = None) -> nn.ModuleList:
    """The decoder layers: the one ModuleList as long as `config.num_hidden_layers`, or the one called `name`.

    Lists within the text model go before others, so that a vision tower of as many layers does not matter.
    """
    lists = {n: m for n, m in hf.named_modules() if isinstance(m, nn.ModuleList)}
    text = set(getattr(hf, "get_decoder", lambda: hf)().modules())
    fitting = [n for n, m in lists.items() if len(m) == count]
    found = [name] if name is not None else [n for n in fitting if lists[n] in text] or fitting
    if len(found) != 1 or found[0] not in lists or len(lists[found[0]]) != count:
        known = ", ".join(f"{n} ({len(m)})" for n, m in lists.items()) or "none"
        raise EmokitError(
            f"cannot tell which modules are the {count} decoder layers", name or found,
            f"Name them with load_model(blocks=); the model's lists: {known}.",
        )  # fmt: skip
    return lists[found[0]]


def hidden(output: Any) -> torch.Tensor:
    """The hidden states of a block's output, which is a tensor or a tuple that begins with it."""
    return output if isinstance(output, torch.Tensor) else output[0]


def find_norm(hf: Any, blocks: nn.ModuleList, name: str) -> nn.Module:
    """The norm behind the last block: what the block's parent calls next with its output.

    Raises EmokitError unless head(norm(last block)) has the model's own most likely tokens, to within rounding.
    """
    parent = next(m for m in hf.modules() if any(child is blocks for child in m.children()))
    seen: dict[str, Any] = {}

    def last(_m: nn.Module, _i: Any, output: Any) -> None:
        seen["last"] = hidden(output)

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        if "last" in seen and "norm" not in seen and inputs and inputs[0] is seen["last"]:
            seen["norm"] = module

    reason = "its tokens differ"
    handles = [blocks[-1].register_forward_hook(last)]
    handles += [m.register_forward_hook(after) for m in parent.children() if m is not blocks]
    try:
        with torch.inference_mode():
            logits = hf(input_ids=few_tokens(hf), use_cache=False).logits.float()
            norm = seen.get("norm", nn.Identity())
            again = hf.get_output_embeddings()(norm(seen["last"]))
        top = logits.amax(-1)
        chosen = logits.gather(-1, again.argmax(-1)[..., None].to(logits.device))[..., 0]
        same = bool((top - chosen <= 0.01 * top.abs() + 1e-4).all())
    except MISFITS as error:  # no head, a head of another width, a pass that needs more than tokens
        same, reason = False, str(error)
    finally:
        for handle in handles:
            handle.remove()
    if not same:
        raise EmokitError(
            f"head(norm(last block)) is not the model's own output ({reason})",
            name,
            "Name the decoder layers with load_model(blocks=).",
        )
    return norm


def check_cache(hf: Any, name: str) -> None:
    """Raise EmokitError unless a token after the cache of those before it has the logits of one whole pass, as has the
    one before it, which must not see what stands right of it.

    Models that keep their state elsewhere (Mamba, RWKV) would write every token as if it were the first.
    """
    from transformers import DynamicCache

    ids = few_tokens(hf)
    reason = "its logits differ"
    try:
        with torch.inference_mode():
            before, whole = hf(input_ids=ids, use_cache=False).logits[0, -2:].float()
            cache = DynamicCache(config=hf.config)
            first = hf(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits[0, -1].float()
            step = hf(input_ids=ids[:, -1:], past_key_values=cache, use_cache=True).logits[0, -1].float()
        # 0.02 by rounding, 1 without state
        same = all((a - b).norm() <= 0.1 * (a - a.mean()).norm() for a, b in ((whole, step), (before, first)))
    except MISFITS as error:
        same, reason = False, str(error)
    if not same:
        raise EmokitError(
            f"cannot decode with a key-value cache ({reason})", name,
            "Use a model that keeps all its state in its past_key_values; Mamba and RWKV, for example, don't.",
        )  # fmt: skip


def takes_several(hf: Any) -> bool:
    """Whether several tokens at once, after the cache of those before them in two rows, have the logits of one whole pass.

    Models with a recurrent state may keep to one token at a time.
    """
    from transformers import DynamicCache

    ids = few_tokens(hf)
    try:
        with torch.inference_mode():
            whole = hf(input_ids=ids, use_cache=False).logits[:, -1].float()
            cache = DynamicCache(config=hf.config)
            hf(input_ids=ids[:, :3], past_key_values=cache, use_cache=True)
            cache.batch_repeat_interleave(2)
            rest = ids[:, 3:].repeat(2, 1)
            found = hf(input_ids=rest, past_key_values=cache, use_cache=True).logits[:, -1].float()
        return bool((found - whole).norm() <= 0.1 * (whole - whole.mean()).norm())
    except MISFITS:
        return False


def widener(rows: int) -> Any:
    """A forward hook by which a block hands on its one row so many times."""

    def widen(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        wide = hidden(output).repeat(rows, 1, 1)
        return wide if isinstance(output, torch.Tensor) else (wide, *output[1:])

    return widen


def takes_wider(hf: Any, blocks: nn.ModuleList) -> bool:
    """Whether one row may become several equal ones between two blocks, with a cache too, and have the same logits.

    Some models make masks or positions for the number of rows that they began with.
    """
    from transformers import DynamicCache

    ids = few_tokens(hf)
    handle = None
    try:
        with torch.inference_mode():
            whole = hf(input_ids=ids, use_cache=False).logits.float()
            handle = blocks[(len(blocks) - 1) // 2].register_forward_hook(widener(3), prepend=True)
            cache = DynamicCache(config=hf.config)
            first = hf(input_ids=ids[:, :3], past_key_values=cache, use_cache=True).logits.float()
            rest = hf(input_ids=ids[:, 3:], past_key_values=cache, use_cache=True).logits.float()
        found = torch.cat([first, rest], 1)
        return found.shape[0] == 3 and bool((found - whole).norm() <= 0.1 * (whole - whole.mean()).norm())
    except MISFITS:
        return False
    finally:
        if handle:
            handle.remove()


def few_tokens(hf: Any) -> torch.Tensor:
    """A text of eight tokens for trying something: int64 [1, 8]."""
    size = min(8, hf.config.get_text_config().vocab_size)
    return torch.arange(size, device=place(hf.get_input_embeddings()))[None]


# weights, wherever they are


def place(module: nn.Module) -> torch.device:
    """The device that a module with a `weight` computes on: the weight's, unless accelerate fetches that when needed."""
    found = torch.device("meta")
    for hook in _hooks(module):
        where = getattr(hook, "execution_device", None)
        found = found if where is None else torch.device(where)
    return found if module.weight.device.type == "meta" else module.weight.device  # type: ignore[return-value]


def _hooks(module: nn.Module) -> list[Any]:
    """What accelerate does before and after a module's own forward."""
    hook = getattr(module, "_hf_hook", None)
    return list(getattr(hook, "hooks", [] if hook is None else [hook]))


def weights(hf: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """All weights by name; those that accelerate keeps in memory or on a disk are read from there, one at a time."""
    tied = getattr(hf, "all_tied_weights_keys", None) or {}
    for name, parameter in hf.named_parameters():
        if parameter.device.type != "meta":
            yield name, parameter
        elif name not in tied:  # a tied one that lies elsewhere counts as a parameter of its own
            yield name, _elsewhere(hf, name)


def _elsewhere(hf: nn.Module, name: str) -> torch.Tensor:
    path = name.split(".")
    for cut in range(len(path) - 1, -1, -1):
        for hook in _hooks(hf.get_submodule(".".join(path[:cut]))):
            kept = getattr(hook, "weights_map", None)
            if kept is not None:
                return kept[".".join(path[cut:])]
    raise EmokitError("a weight that is nowhere", name, "Load the model with load_model(device_map=).")


def fingerprint(hf: Any) -> str:
    """Twelve digits of the config, but for the version that wrote it, and all weights: exact sums of every 1,024 values' bits."""
    config = json.loads(hf.config.to_json_string())
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        part.pop("transformers_version", None)  # that of the library installed now, whatever wrote the checkpoint
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, parameter in weights(hf):
        bits = _bits(parameter)
        whole = bits.numel() // 1024 * 1024
        rows = bits[:whole].view(-1, 1024)
        # numpy's sum is six times as fast as torch's on a CPU
        sums = rows.numpy().sum(1, dtype=np.int64) if rows.is_cpu else rows.sum(1, dtype=torch.int64).cpu().numpy()
        digest.update(
            f"{name}{tuple(parameter.shape)}{parameter.dtype}{bits[whole:].tolist()}".encode() + sums.tobytes()
        )
    return digest.hexdigest()[:12]


def glance(hf: Any) -> str:
    """A quick look that tells most changes of the weights since the last one: versions, places and a few values.

    What accelerate keeps elsewhere is not looked at: nobody writes there.
    """
    parts = []
    for parameter in hf.parameters():
        if parameter.device.type == "meta":
            continue
        bits = _bits(parameter)
        parts.append((parameter._version, parameter.data_ptr(), bits[:: max(1, bits.numel() // 8)].tolist()))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _bits(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.detach().contiguous().view(_INTEGERS[parameter.element_size()]).flatten()
