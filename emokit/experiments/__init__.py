"""Experiments: what emotion directions do to behaviour, each beside its controls. Modules load on first use."""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = ("caution", "choices", "frustration", "impossible_task", "rollouts", "sandbox", "side_effects", "tone")
__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'emokit.experiments' has no attribute {name!r}")
    return importlib.import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return sorted(__all__)
