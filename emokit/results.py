"""Measured results as JSON files: what was run, with which versions, when, on which model, and what came out."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .files import replacing
from .models import Model
from .stories import StorySet

SCHEMA = 1
PACKAGES = ("torch", "transformers", "numpy", "scipy")
DIGITS = 6  # significant digits of every number written


def record(
    result: Any, names: tuple[str, ...], *, command: str, model: Model, stories: StorySet, seconds: float
) -> dict[str, Any]:
    """A result as plain data: where it comes from, the attributes and tables called `names`, and its own table.

    The schema is in results/README.md. Numbers keep six digits; NaN and infinities become null.
    """
    return {
        **about(result, command=command, model=model, stories=stories, seconds=seconds),
        "values": {name: plain(_value(result, name)) for name in names},
        "table": plain(result.to_frame().reset_index().drop(columns="index", errors="ignore").to_dict("records")),
    }


def about(result: Any, *, command: str, model: Model, stories: StorySet, seconds: float) -> dict[str, Any]:
    """Where a result comes from: what was run, when, with which versions, on which model and stories."""
    from . import __version__

    return {
        "schema": SCHEMA,
        "kind": type(result).__name__,
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "versions": {
            "emokit": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "model": {
            "name": model.name,
            "fingerprint": model.fingerprint,
            "type": model.hf.config.model_type,
            "n_blocks": model.n_blocks,
            "width": model.width,
            "dtype": str(model.dtype).removeprefix("torch."),
        },
        "stories": {
            "fingerprint": stories.fingerprint,
            "count": len(stories),
            "emotions": len(stories.emotions),
            "topics": len(stories.topics),
            "neutral": len(stories.neutral),
        },
    }


def _value(result: Any, name: str) -> Any:
    value = getattr(result, name)
    return value() if callable(value) else value


def write(content: dict[str, Any], path: Path) -> None:
    """Write plain data as indented JSON, to a temporary name first."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """A value as JSON has it: arrays and tuples become lists, tables lists of rows, numbers six digits, NaN null."""
    if hasattr(value, "to_dict"):
        return plain(value.reset_index().to_dict("records"))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, range, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)
