"""Control vectors in llama.cpp's GGUF form: a tensor a block, that is added to the block's output."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from .errors import EmokitError
from .files import path_of, replacing

Array = np.ndarray
KIND = "controlvector"
FINGERPRINT = "emokit.model_fingerprint"
NAME = re.compile(r"direction\.(\d+)")


def write(path: str | PathLike[str], rows: Mapping[int, Array], hint: str, name: str, fingerprint: str | None) -> None:
    """Write one tensor `direction.N` a block, float32 [width]: N counts blocks from 0, and llama.cpp adds it behind block N.

    `hint` is the model's type, as llama.cpp names it. Raises EmokitError for block 0: llama.cpp refuses the whole file.
    """
    import gguf

    if 0 in rows:
        raise EmokitError("a control vector for block 0", list(rows), "llama.cpp's files begin with block 1.")
    if not all(np.isfinite(row).all() for row in rows.values()):
        raise EmokitError("a control vector with NaN or infinite values", name, "Use a smaller strength.")
    with replacing(path_of(path)) as partial:
        writer = gguf.GGUFWriter(partial, KIND)
        try:
            writer.add_string(f"{KIND}.model_hint", hint)
            writer.add_uint32(f"{KIND}.layer_count", len(rows))
            writer.add_name(name)
            if fingerprint:
                writer.add_string(FINGERPRINT, fingerprint)
            for block, row in rows.items():
                writer.add_tensor(f"direction.{block}", np.ascontiguousarray(row, np.float32))
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def read(path: str | PathLike[str], n_blocks: int, width: int) -> tuple[dict[int, Array], str | None]:
    """The rows of a control vector by block, float32 [width] each, and the fingerprint of the model if emokit wrote it.

    Raises EmokitError for a missing, truncated or other file, and rows that a model of this shape can't take.
    """
    import gguf

    shown = str(path)
    if not os.path.isfile(path_of(path)):
        raise EmokitError("no such control vector", shown, "Check the path.")
    try:
        reader = gguf.GGUFReader(path_of(path))
        kind, made_for = _text(reader, "general.architecture"), _text(reader, FINGERPRINT)
        tensors = [(t.name, t.tensor_type.name, np.array(t.data)) for t in reader.tensors]
    except Exception as error:  # the reader trusts its file, and fails in many ways
        raise EmokitError(
            f"truncated or no GGUF file ({type(error).__name__}: {error})", shown, "Write it again."
        ) from error
    if kind != KIND:
        raise EmokitError(
            f"a GGUF file, but of {kind or 'nothing known'}", shown, "Name a control vector; models go to load_model."
        )
    rows: dict[int, Array] = {}
    for name, dtype, row in tensors:
        number = NAME.fullmatch(name)
        if number is None:
            continue
        block = int(number[1])
        if not 0 < block < n_blocks or dtype != "F32" or row.shape != (width,) or not np.isfinite(row).all():
            raise EmokitError(
                f"the tensor {name} is {dtype} {list(row.shape)}, or not finite", shown,
                f"This model takes finite F32 [{width}] at blocks 1 to {n_blocks - 1}.",
            )  # fmt: skip
        rows[block] = row
    if not rows:
        raise EmokitError("a control vector without a direction", shown, "Write it again.")
    return rows, made_for


def _text(reader: Any, key: str) -> str | None:
    found = reader.get_field(key)
    return None if found is None else str(found.contents())
