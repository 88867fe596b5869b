"""Replay: what the blocks made of a prompt, so that under another steering those before it need not compute it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch

from .structure import MISFITS, few_tokens, hidden

if TYPE_CHECKING:
    from .models import Model

MOST = 64_000_000  # numbers that a recording may hold, 256 MB; longer prompts are read anew


class Recording:
    """The output of every block and the key-value cache after one pass over a prompt, unsteered.

    Made by the first pass within `recorded`, used by the first one within `replayed`. For models that can (`Model.replays`).
    """

    def __init__(self) -> None:
        self.outputs: list[Any] = []
        self.cache: Any = None

    def __bool__(self) -> bool:
        return self.cache is not None

    @contextmanager
    def recorded(self, model: Model) -> Iterator[None]:
        """Within the `with`, a pass is recorded as its first row went, which no steer should change."""
        outputs: list[Any] = []

        def block_out(_module: Any, _inputs: Any, output: Any) -> None:
            first = hidden(output)[:1].clone()
            outputs.append(first if isinstance(output, torch.Tensor) else (first, *output[1:]))

        def pass_out(_module: Any, _inputs: Any, settings: dict[str, Any], _output: Any) -> None:
            if self or sum(hidden(output).numel() for output in outputs) > MOST:
                return
            self.outputs, cache = list(outputs), deepcopy(settings["past_key_values"])
            cache.batch_select_indices(torch.tensor([0]))
            self.cache = cache

        handles = [block.register_forward_hook(block_out) for block in model.blocks]
        handles.append(model.hf.register_forward_hook(pass_out, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def replayed(self, model: Model, block: int, rows: int) -> Iterator[None]:
        """Within the `with`, blocks up to `block` give `rows` times what they gave, into the cache too; their hooks run."""
        from transformers import Cache

        def forward(at: int) -> Any:
            def replay(*given: Any, **named: Any) -> Any:
                cache = next(value for value in (*given, *named.values()) if isinstance(value, Cache))
                layer = deepcopy(self.cache.layers[at])
                layer.batch_repeat_interleave(rows)
                cache.layers[at : at + 1] = [layer]
                output = self.outputs[at]
                states = hidden(output).expand(rows, -1, -1)
                return states if isinstance(output, torch.Tensor) else (states, *output[1:])

            return replay

        before = [block.__dict__.get("forward") for block in model.blocks[: block + 1]]
        try:
            for i in range(len(before)):
                model.blocks[i].forward = forward(i)
            yield
        finally:
            for module, own in zip(model.blocks, before, strict=False):
                module.__dict__.pop("forward", None)
                if own is not None:  # accelerate's, of a model on several devices
                    module.forward = own


def works(model: Model) -> bool:
    """Whether a replayed pass and the step after it have the logits of computed ones, found by trying in two rows."""
    from transformers import DynamicCache

    ids = few_tokens(model.hf).repeat(2, 1)

    def logits(within: Any) -> torch.Tensor:
        cache = DynamicCache(config=model.hf.config)
        with within:
            first = model.hf(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits[:, -1]
        step = model.hf(input_ids=ids[:, -1:], past_key_values=cache, use_cache=True).logits[:, -1]
        return torch.cat([first, step]).float()

    recording = Recording()
    try:
        with model.unsteered(), torch.inference_mode():
            computed = logits(recording.recorded(model))
            found = logits(recording.replayed(model, (model.n_blocks - 1) // 2, 2))
        return bool((found - computed).norm() <= 0.01 * (computed - computed.mean()).norm())
    except MISFITS:
        return False
