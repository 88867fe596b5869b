"""The one error type: what went wrong, the value, what to do; and the checks of arguments that many functions share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
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


# checks that many functions share

MANY = 40  # names that an error lists
LARGEST = 1e30  # numbers beyond are a slip, and would overflow float32
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair
_MAKERS = {"Model": "load_model()", "StorySet": "load_stories()", "EmotionVectors": "extract(model, stories)"}


def check_kinds(*arguments: tuple[Any, type]) -> None:
    """Raise EmokitError for the first value that is not of its class, as when two arguments are swapped."""
    for value, kind in arguments:
        if not isinstance(value, kind):
            name = kind.__name__
            article = "an" if name.startswith("E") else "a"
            raise EmokitError(
                f"not {article} {name}", value, f"Give what {_MAKERS[name]} returns, in the order of the call."
            )


def check_text(value: Any, what: str = "text") -> None:
    """Raise EmokitError unless a value is a string that can be written as UTF-8: without half a surrogate pair."""
    if not isinstance(value, str):
        raise EmokitError(f"a {what} must be a string", value, 'Write it in quotation marks: "...".')
    if _HALF.search(value):
        raise EmokitError(f"a {what} holds half a character (a lone surrogate)", value, "Leave that character out.")


def check_list(value: Any, what: str, kind: type = Iterable) -> None:
    """Raise EmokitError unless a value is a list or the like; a string, which is a list of its characters, is none."""
    if isinstance(value, (str, bytes)) or not isinstance(value, kind):
        raise EmokitError(f"{what} must be a list", value, "Write [ ] around it, even around a single one.")


def check_number(value: Any, what: str, least: float = -LARGEST) -> None:
    """Raise EmokitError unless a value is a finite number from `least` to 1e30."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not least <= value <= LARGEST:
        bound = "" if least == -LARGEST else f", {least:g} or more"
        raise EmokitError(f"{what} must be a finite number{bound}", value, "Use for example 0.5.")


def check_whole(value: Any, what: str, least: int = 0) -> None:
    """Raise EmokitError unless a value is a whole number from `least` on that 63 bits hold."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= value < 2**63:
        raise EmokitError(f"{what} must be a whole number, {least} or more", value, "Use for example 1.")


def check_known(value: Any, known: Iterable[str], what: str) -> None:
    """Raise EmokitError that names all known ones unless a value is among them."""
    names = list(known)
    if value not in names:
        raise EmokitError(f"unknown {what}", value, f"Choose among: {', '.join(names)}.")


def check_block(block: Any, count: int) -> int:
    """A block's number; raises EmokitError unless it is one of `count` blocks, 0-based."""
    if isinstance(block, bool) or not isinstance(block, Integral) or block not in range(count):
        raise EmokitError("unknown block", block, f"Blocks are 0 to {count - 1}.")
    return int(block)


def emotion_index(emotion: Any, known: Sequence[str]) -> int:
    """The place of an emotion in a list; raises EmokitError that names those spelt much the same, or else all."""
    if emotion in known:
        return known.index(emotion)
    near = get_close_matches(emotion.lower(), known, cutoff=0.7) if isinstance(emotion, str) else []
    some = ", ".join(known[:MANY]) + (f" and {len(known) - MANY} more" if len(known) > MANY else "")
    way = f"Did you mean {' or '.join(near)}?" if near else f"Choose among: {some}."
    raise EmokitError("unknown emotion", emotion, way)
