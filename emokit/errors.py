"""The one error type: what went wrong, the value, what to do."""

from __future__ import annotations

from typing import Any

_NOTHING = object()


class EmokitError(ValueError):
    """Something the user can put right: what went wrong, the value it went wrong with, and what to do.

    >>> raise EmokitError("unknown emotion", "hapy", "Choose one of: happy, sad.")
    Traceback (most recent call last):
    emokit.errors.EmokitError: unknown emotion: 'hapy'. Choose one of: happy, sad.
    """

    def __init__(self, what: str, value: Any = _NOTHING, do: str = "") -> None:
        self.what, self.do = what, do
        self.value = None if value is _NOTHING else value
        shown = "" if value is _NOTHING else f": {_short(value)}"
        super().__init__(f"{what}{shown}." + (f" {do}" if do else ""))


def _short(value: Any, limit: int = 300) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."
