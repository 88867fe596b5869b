"""Sharing: story means read by several processes, gathered in the cache of rank 0; and the same vectors in all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import ranks, vectors
from .activations import Shelf, checked, story_means
from .errors import check_kinds, check_list
from .models import Model
from .stories import StorySet
from .vectors import EmotionVectors

CHUNK = 64  # texts whose means travel at a time


def extract(model: Model, stories: StorySet) -> EmotionVectors:
    """`emokit.extract` by all ranks within `ranks.together()`: each reads its share, and all return rank 0's vectors.

    They are the same to the last bit, as the keys of what is kept of experiments have to be.

    >>> with emokit.ranks.together() as rank:
    ...     vectors = emokit.sharing.extract(model, stories)
    """
    fill(model, [story.text for story in (*stories, *stories.neutral)])
    if ranks.world() == 1:
        return vectors.extract(model, stories)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.safetensors"
        if ranks.rank() == 0:
            vectors.extract(model, stories).save(path)
        data = ranks.tell(path.read_bytes() if ranks.rank() == 0 else b"")
        path.write_bytes(data)
        return EmotionVectors.load(path, model)


def fill(model: Model, texts: Sequence[str]) -> None:
    """Have the story means of all texts in rank 0's cache, each read by one rank, so that `extract` there reads none.

    All ranks call it within `ranks.together()`, with the same model and texts. What any rank's cache already holds is
    not read again. With one process it does nothing.
    Raises EmokitError, in all of them, where models or texts differ.

    >>> with ranks.together() as rank:
    ...     sharing.fill(model, [story.text for story in (*stories, *stories.neutral)])
    >>> vectors = emokit.extract(model, stories) if rank == 0 else None
    """
    check_kinds((model, Model))
    check_list(texts, "texts")
    if ranks.world() == 1:
        return
    encoded = {text: checked(model, text) for text in texts}
    ordered = sorted(encoded, key=lambda text: -len(encoded[text]))  # so that all shares have long and short ones
    rows = [encoded[text] for text in ordered]
    ranks.agree("\0".join([model.fingerprint, *ordered]), "models or stories")
    shelf = Shelf(model)
    owner = _owners([shelf.get(ids, "story") is not None for ids in rows])
    todo = [i for i, of in enumerate(owner) if of < 0]
    for n, i in enumerate(todo):
        owner[i] = n % ranks.world()
    story_means(model, [ordered[i] for i in ranks.share(todo)])
    ranks.gather(b"")  # all have read their share
    lacking = [i for i, ids in enumerate(rows) if shelf.get(ids, "story") is None]
    lacking = json.loads(ranks.tell(json.dumps(lacking).encode()))  # what rank 0 does not see in its folder
    for start in range(0, len(lacking), CHUNK):
        part = lacking[start : start + CHUNK]
        for of, data in enumerate(ranks.gather(_pack(shelf, [rows[i] for i in part if owner[i] == ranks.rank()]))):
            if of:
                _unpack(shelf, [rows[i] for i in part if owner[i] == of], data, model.width)


def _owners(have: list[bool]) -> list[int]:
    """For each text the first rank whose cache holds it, -1 where none does."""
    masks = [np.frombuffer(data, np.uint8) for data in ranks.gather(bytes(have))]
    owner = [int(column.argmax()) if column.any() else -1 for column in np.stack(masks, 1)] if masks else []
    return json.loads(ranks.tell(json.dumps(owner).encode()))


def _pack(shelf: Shelf, rows: list[list[int]]) -> bytes:
    """The arrays of texts behind a byte for each that says whether it is there: a full disk keeps none."""
    arrays = [shelf.get(ids, "story") for ids in rows]
    return bytes(array is not None for array in arrays) + b"".join(a.tobytes() for a in arrays if a is not None)


def _unpack(shelf: Shelf, rows: list[list[int]], data: bytes, width: int) -> None:
    """Put what `_pack` packed on this rank's shelf."""
    at = len(rows)
    for ids, there in zip(rows, data[:at], strict=True):
        if there:
            count = shelf.rows * (width + len(ids) - 1)  # the mean, and the norms of all tokens but the first
            shelf.put(ids, "story", np.frombuffer(data, np.float32, count, at).reshape(shelf.rows, -1))
            at += 4 * count
