"""The exercises of the notebooks: `check` says whether one is solved, and `compare` what is wrong with numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .errors import EmokitError, check_number, check_text


def check(number: str, test: Callable[[], Any]) -> None:
    """Print whether an exercise is solved, or raise EmokitError that says what is wrong with it.

    `test` tries the student's function. It returns True or None if that is right, else a sentence that says what is
    not. An exercise not begun (its stub raises NotImplementedError) is no error, so that a notebook runs to its end.
    Another exception of the student's code comes through as it is, with a note that names the exercise.

    >>> check("0.1", lambda: 1 + 1 == 2)
    ✓ Exercise 0.1
    >>> check("0.1", lambda: "the sign is reversed")
    Traceback (most recent call last):
    emokit.errors.EmokitError: Exercise 0.1: the sign is reversed. Change it, run its cell, then this one again.
    """
    check_text(number, "number of an exercise")
    if not re.fullmatch(r"\d+\.\d+", number):
        raise EmokitError("an exercise's number has two parts", number, 'Write for example "2.1".')
    if not callable(test):
        raise EmokitError("not a function", test, f'Write check("{number}", lambda: ...).')
    try:
        found = test()
    except NotImplementedError as error:
        if str(error) and not str(error).startswith("Exercise "):  # another library's, not a stub's
            error.add_note(f"This happened in Exercise {number}.")
            raise
        print(f"⏳ Exercise {number}: not done yet")
        return
    except Exception as error:
        error.add_note(f"This happened in Exercise {number}.")
        raise
    if found is None or (isinstance(found, (bool, np.bool_)) and found):
        print(f"✓ Exercise {number}")
        return
    what = found.rstrip(". ") if isinstance(found, str) else "not right yet"
    raise EmokitError(f"Exercise {number}: {what}", do="Change it, run its cell, then this one again.")


def compare(found: Any, wanted: Any, mistakes: Mapping[str, Any] | None = None, tolerance: float = 1e-4) -> bool | str:
    """True if numbers are as wanted, within a tolerance; else a sentence that says how they differ.

    `mistakes` maps the sentence about a usual mistake to the numbers that one gets by it.

    >>> compare(-0.5, 0.5, {"the sign is reversed": -0.5})
    'the sign is reversed'
    """
    check_number(tolerance, "tolerance", 0)
    right = np.asarray(wanted, float)
    if found is None:
        return "it returned nothing; does it end in `return`?"
    try:
        numbers = np.asarray(found, float)
    except (TypeError, ValueError, RuntimeError):  # the last by torch, for a tensor with gradients
        return f"it returned a {type(found).__name__}, not numbers"
    if numbers.shape != right.shape:
        return f"the shape is {_shape(numbers)}, it should be {_shape(right)}"
    if not np.isfinite(numbers).all():
        return "there are numbers that are not finite (nan or inf); was something divided by 0?"
    if np.allclose(numbers, right, rtol=0, atol=tolerance):
        return True
    for sentence, wrong in (mistakes or {}).items():
        other = np.asarray(wrong, float)
        if other.shape == numbers.shape and np.allclose(numbers, other, rtol=0, atol=tolerance):
            return sentence
    return f"the numbers are off by up to {np.abs(numbers - right).max():.2g}"


def _shape(numbers: np.ndarray) -> str:
    return str(list(numbers.shape)) if numbers.ndim else "that of a single number"
