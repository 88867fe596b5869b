import doctest

import numpy as np
import pytest
import torch

from emokit import EmokitError, exercises
from emokit.exercises import check, compare


def raises(error):
    def test():
        raise error

    return test


def test_the_examples_are_right():
    done = doctest.testmod(exercises)
    assert done.attempted >= 3
    assert not done.failed


@pytest.mark.parametrize("found", [True, np.True_, None])
def test_a_right_exercise_is_ticked(capsys, found):
    assert check("2.1", lambda: found) is None
    assert capsys.readouterr().out == "✓ Exercise 2.1\n"


@pytest.mark.parametrize("text", ["", "Exercise 2.1"])
def test_an_exercise_not_begun_is_no_error(capsys, text):
    check("2.1", raises(NotImplementedError(text)))
    assert capsys.readouterr().out == "⏳ Exercise 2.1: not done yet\n"


@pytest.mark.parametrize("found", [False, np.False_, "", 0, 1, 0.5, [], [True], np.ones(3)])
def test_what_is_neither_true_nor_nothing_is_not_right(capsys, found):
    with pytest.raises(EmokitError, match=r"Exercise 2\.1"):
        check("2.1", lambda: found)
    assert capsys.readouterr().out == ""


def test_the_sentence_says_what_is_wrong_and_what_to_do():
    with pytest.raises(EmokitError) as caught:
        check("10.2", lambda: "the sign is reversed.")
    assert str(caught.value) == "Exercise 10.2: the sign is reversed. Change it, run its cell, then this one again."


@pytest.mark.parametrize(
    "error", [TypeError("no"), EmokitError("unknown emotion", "hapy"), NotImplementedError("no kernel for half")]
)
def test_another_error_of_the_code_comes_through_with_the_exercise_named(error):
    with pytest.raises(type(error)) as caught:
        check("2.1", raises(error))
    assert caught.value is error
    assert error.__notes__ == ["This happened in Exercise 2.1."]


def test_an_interrupt_comes_through():
    with pytest.raises(KeyboardInterrupt):
        check("2.1", raises(KeyboardInterrupt()))


@pytest.mark.parametrize("number", ["", "2", "two", "2.1.1", "Exercise 2.1", 2.1, None])
def test_a_bad_number_is_told(number):
    with pytest.raises(EmokitError, match="number"):
        check(number, lambda: True)


def test_a_value_in_place_of_a_function_is_told():
    with pytest.raises(EmokitError, match="not a function"):
        check("2.1", True)


# compare


def test_numbers_within_the_tolerance_are_right_in_every_form():
    for found in ([1, 2], (1.0, 2.0), np.array([1, 2 + 5e-5]), torch.tensor([1.0, 2.0]), np.float32([1, 2])):
        assert compare(found, [1, 2]) is True
    assert compare(np.float32(0.25), 0.25) is True
    assert compare(1.05, 1, tolerance=0.1) is True


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "returned nothing"),
        ("calm", "a str, not numbers"),
        ([[1], [2, 3]], "a list, not numbers"),
        (1.0, r"the shape is that of a single number, it should be \[2\]"),
        ([[1, 2]], r"the shape is \[1, 2\], it should be \[2\]"),
        ([1, np.nan], "not finite"),
        ([1, 2.5], "off by up to 0.5"),
        ([-1, -2], "the sign is reversed"),
        ([0.5, 1], "twice too small"),
    ],
)
def test_what_is_wrong_is_said(found, says):
    mistakes = {"a shape apart": [[1, 2]], "the sign is reversed": [-1, -2], "twice too small": [0.5, 1]}
    said = compare(found, [1, 2], mistakes)
    assert isinstance(said, str)
    with pytest.raises(EmokitError, match=says):
        check("2.1", lambda: said)


def test_a_mistake_that_is_right_within_the_tolerance_is_right():
    assert compare([1, 2], [1, 2], {"wrong": [1, 2]}) is True
