"""Batches of prompts of several lengths: which positions of the key-value cache hold which row's tokens, and which are holes."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch

from .structure import MISFITS

if TYPE_CHECKING:
    from .models import Model

_WINDOWS = ("sliding_window", "window_size", "attention_chunk_size")  # what counts columns of the cache, not positions

# per Hugging Face model, what its batches may be like: see `padding`
_KNOWN: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


class Memory:
    """What the rows of a batch have taken in: a cache whose columns may be holes, different ones in each row.

    `ids[row]` are a row's tokens in order, `columns[row]` where in the cache each lies; `mask` int64 [rows, columns] is 0
    at the holes. Kept from turn to turn, only what is new in a conversation is computed.
    """

    def __init__(self, hf: Any, rows: int) -> None:
        from transformers import DynamicCache

        self.cache = DynamicCache(config=hf.config)
        self.ids: list[list[int]] = [[] for _ in range(rows)]
        self.columns: list[list[int]] = [[] for _ in range(rows)]
        self.mask = torch.zeros(rows, 0, dtype=torch.long)
        self.device = hf.get_input_embeddings().weight.device
        self.positions = "position_ids" in inspect.signature(hf.forward).parameters

    def rest(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """What each prompt has beyond what its row holds, at least a token; what the row holds beyond is forgotten."""
        rests = []
        for i, prompt in enumerate(prompts):
            held = self.ids[i]
            most = min(len(held), len(prompt) - 1)
            same = next((k for k in range(most) if held[k] != prompt[k]), most)
            self.mask[i, self.columns[i][same:]] = 0
            del held[same:], self.columns[i][same:]
            rests.append(list(prompt[same:]))
        return rests

    def take(self, new: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """The inputs of a forward pass over each row's new tokens, padded on the left, which are noted as taken in."""
        longest, before = max(map(len, new)), self.mask.shape[1]
        ids, mask, positions = (torch.zeros(len(new), longest, dtype=torch.long) for _ in range(3))
        for i, row in enumerate(new):
            begin = longest - len(row)
            ids[i, begin:] = torch.tensor(row)
            mask[i, begin:] = 1
            positions[i, begin:] = torch.arange(len(row)) + len(self.ids[i])
            self.columns[i] += range(before + begin, before + longest)
            self.ids[i] += row
        self.mask = torch.cat([self.mask, mask], 1)
        found = {"input_ids": ids, "attention_mask": self.mask}
        if self.positions:
            found["position_ids"] = positions
        return {name: tensor.to(self.device) for name, tensor in found.items()}

    def repeated(self, rows: int) -> Memory:
        """A memory of `rows` rows that each hold what the one row of this holds, which stays as it is."""
        found = deepcopy(self)
        if found.cache.get_seq_length():
            found.cache.batch_repeat_interleave(rows)
        found.mask = found.mask.repeat(rows, 1)
        found.ids, found.columns = [[list(held[0]) for _ in range(rows)] for held in (self.ids, self.columns)]
        return found

    def select(self, rows: Sequence[int]) -> None:
        """Keep only some rows, in the order given."""
        if list(rows) != list(range(len(self.ids))):
            self.cache.batch_select_indices(torch.tensor(list(rows), device=self.device))
            self.mask = self.mask[list(rows)]
            self.ids, self.columns = [self.ids[i] for i in rows], [self.columns[i] for i in rows]


def padding(model: Model) -> str:
    """Which unequal rows a model takes in one batch as it takes each alone, found by trying once, without any steering.

    "holes": anywhere, so that a `Memory` may go on from turn to turn; "left": only before a row's first token; "none".
    """
    hf = model.hf
    with model.unsteered():
        if hf not in _KNOWN:
            config = hf.config.get_text_config()
            windowed = any(getattr(config, name, None) for name in _WINDOWS)
            _KNOWN[hf] = "none" if not _same(hf, False) else "left" if windowed or not _same(hf, True) else "holes"
        return _KNOWN[hf]


def _same(hf: Any, holes: bool) -> bool:
    """Whether a row with padding before it, or also within it, has the logits that it has alone."""
    size = min(64, hf.config.get_text_config().vocab_size)
    long, short = [i * 7 % size for i in range(16)], [i * 5 % size for i in range(6)]
    tolerance = 1e-3 if hf.get_input_embeddings().weight.dtype in (torch.float32, torch.float64) else 0.05
    try:
        with torch.inference_mode():
            memory = Memory(hf, 2)
            parts = [[long[:8], short[:2]], [long[8:], short[2:]]] if holes else [[long[:-1], short[:-1]]]
            for part in parts if holes else [*parts, [long[-1:], short[-1:]]]:
                got = hf(**memory.take(part), past_key_values=memory.cache, use_cache=True).logits[:, -1].float()
            for row, text in enumerate((long, short)):
                ids = torch.tensor([text], device=memory.device)
                alone = hf(input_ids=ids, use_cache=False).logits[0, -1].float()
                if not bool((got[row] - alone).norm() <= tolerance * (alone - alone.mean()).norm()):
                    return False
    except MISFITS:
        return False
    return True
