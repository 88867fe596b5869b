"""emokit: find emotion directions inside an open language model, watch them, steer them, judge honestly what that shows."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> the module that defines it; loaded on first use, so that `import emokit` costs next to nothing
_NAMES = {
    "EmokitError": "errors",
    "Model": "models",
    "load_model": "models",
    "Story": "stories",
    "StorySet": "stories",
    "load_stories": "stories",
    "load_messages": "stories",
    "EmotionVectors": "vectors",
    "Direction": "vectors",
    "extract": "vectors",
    "Reading": "reading",
    "read": "reading",
    "watch": "reading",
    "Lens": "lens",
    "logit_lens": "lens",
    "steer": "steering",
    "sweep": "steering",
    "validate": "validation",
    "calibrate": "calibration",
}
_MODULES = (
    "activations", "calibration", "dose", "errors", "exercises", "experiments", "fetch", "geometry", "lens", "lint", "models", "plots", "ranks", "reading", "selection", "sharing", "steering",
    "stories", "validation", "vectors", "widgets",
)  # fmt: skip
__all__ = [*_NAMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'emokit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
