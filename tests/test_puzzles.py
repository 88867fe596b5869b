"""No puzzle of the frustration experiment has a solution; the searches that say so find those of puzzles that have one."""

import itertools
from fractions import Fraction as F

import pytest

from emokit.experiments.puzzles import PUZZLES, Buttons, Coins, Consecutive, Countdown

SOLVABLE = {
    "countdown": (Countdown("", "", (4, 6, 25, 100), 150), "(25 x 6)"),
    "countdown, a product": (Countdown("", "", (2, 3, 7), 42), "(7 x (3 x 2))"),
    "countdown, a quotient": (Countdown("", "", (3, 12), 4), "(12 / 3)"),
    "buttons": (Buttons("", "", F(16), F(69), (("+", F(15)), ("x", F(2)), ("+", F(7)))), "+15 x2 +7"),
    "the coin puzzle that is told to have none": (Coins("", "", 57, 6, (1, 5, 10, 25), (25, 10)), "25 + 10 + 10 + 10 + 1 + 1"),
    "consecutive": (Consecutive("", "", 3, 1, 99), "32 + 33 + 34"),
    "odd": (Consecutive("", "", 3, 2, 117, every=2), "37 + 39 + 41"),
}  # fmt: skip


@pytest.mark.parametrize("puzzle", PUZZLES, ids=lambda p: p.name)
def test_no_puzzle_has_a_solution(puzzle):
    assert puzzle.solutions() == []


@pytest.mark.parametrize("case", SOLVABLE)
def test_the_searches_find_the_solutions_of_solvable_puzzles(case):
    puzzle, solution = SOLVABLE[case]
    found = puzzle.solutions()
    assert found
    assert solution in found


def test_the_coin_puzzle_with_a_solution_is_not_among_them():
    assert not any(isinstance(p, Coins) and (p.amount, p.count) == (57, 6) for p in PUZZLES)


@pytest.mark.parametrize("puzzle", [p for p in PUZZLES if isinstance(p, Countdown)], ids=lambda p: p.name)
def test_another_search_says_the_same_of_the_countdowns(puzzle):
    """By splitting every order of the numbers, an independent way; whole positive steps only, as the puzzle asks."""

    def whole(numbers):
        if len(numbers) == 1:
            yield numbers[0]
        for cut in range(1, len(numbers)):
            for a, b in itertools.product(set(whole(numbers[:cut])), set(whole(numbers[cut:]))):
                yield from (v for v in (a + b, a - b, a * b, F(a) / b) if v > 0 and v == int(v))

    values = set()
    for size in range(1, len(puzzle.numbers) + 1):
        for order in itertools.permutations(puzzle.numbers, size):
            values |= set(whole(order))
    assert puzzle.target not in values
    other = next(int(v) for v in sorted(values, reverse=True) if 100 < v < 200)
    assert Countdown("", "", puzzle.numbers, other).solutions()


def test_the_numbers_of_each_search_are_those_of_its_text():
    for puzzle in PUZZLES:
        if isinstance(puzzle, Countdown):
            wanted = [*puzzle.numbers, puzzle.target]
        elif isinstance(puzzle, Buttons):
            wanted = [puzzle.start, puzzle.goal, *(by for sign, by in puzzle.steps if sign == "+")]
        elif isinstance(puzzle, Coins):
            wanted = [puzzle.amount, puzzle.count, *puzzle.kinds]
        else:
            wanted = [puzzle.total]
        assert all(str(number) in puzzle.text for number in wanted), puzzle.name
    assert len({p.name for p in PUZZLES}) == len(PUZZLES) >= 5
