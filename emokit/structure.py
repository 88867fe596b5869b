"""What a Hugging Face model is made of: its decoder layers, the norm behind them, and a fingerprint of its weights."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from .errors import EmokitError

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def find_blocks(hf: nn.Module, count: int, name: str | None = None) -> nn.ModuleList:
    """The decoder layers: the one ModuleList as long as `config.num_hidden_layers`, or the one called `name`."""
    lists = {n: m for n, m in hf.named_modules() if isinstance(m, nn.ModuleList)}
    found = [name] if name is not None else [n for n, m in lists.items() if len(m) == count]
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

    handles = [blocks[-1].register_forward_hook(last)]
    handles += [m.register_forward_hook(after) for m in parent.children() if m is not blocks]
    try:
        with torch.inference_mode():
            size = min(8, hf.config.get_text_config().vocab_size)
            ids = torch.arange(size, device=hf.get_input_embeddings().weight.device)[None]
            logits = hf(input_ids=ids, use_cache=False).logits.float()
            norm = seen.get("norm", nn.Identity())
            again = hf.get_output_embeddings()(norm(seen["last"]))
    finally:
        for handle in handles:
            handle.remove()
    top = logits.amax(-1)
    chosen = logits.gather(-1, again.argmax(-1)[..., None].to(logits.device))[..., 0]
    if not (top - chosen <= 0.01 * top.abs() + 1e-4).all():
        raise EmokitError(
            "head(norm(last block)) is not the model's own output",
            name,
            "Name the decoder layers with load_model(blocks=).",
        )
    return norm


def fingerprint(hf: Any) -> str:
    """Twelve digits of the config and all weights, by exact sums of the bits of every 1,024 values."""
    digest = hashlib.sha256(hf.config.to_json_string().encode())
    for name, parameter in hf.named_parameters():
        bits = _bits(parameter)
        whole = bits.numel() // 1024 * 1024
        sums = bits[:whole].view(-1, 1024).sum(1, dtype=torch.int64).cpu().numpy().tobytes()
        digest.update(f"{name}{tuple(parameter.shape)}{parameter.dtype}{bits[whole:].tolist()}".encode() + sums)
    return digest.hexdigest()[:12]


def glance(hf: Any) -> str:
    """A quick look that tells most changes of the weights since the last one: versions, places and a few values."""
    parts = []
    for parameter in hf.parameters():
        bits = _bits(parameter)
        parts.append((parameter._version, parameter.data_ptr(), bits[:: max(1, bits.numel() // 8)].tolist()))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _bits(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.detach().contiguous().view(_INTEGERS[parameter.element_size()]).flatten()
