"""Problems: short tasks with one right answer, made by a seeded generator, and the rule that says whether a reply has it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import EmokitError, check_list, check_text, check_whole

# short facts that do not change: question, answer, three others of its kind
FACTS = (
    ("What is the capital of France?", "Paris", "Rome", "Madrid", "Berlin"),
    ("What is the capital of Japan?", "Tokyo", "Beijing", "Seoul", "Bangkok"),
    ("What is the capital of Egypt?", "Cairo", "Tunis", "Nairobi", "Athens"),
    ("What is the capital of Norway?", "Oslo", "Stockholm", "Helsinki", "Copenhagen"),
    ("On which continent does Brazil lie?", "South America", "Africa", "Asia", "Europe"),
    ("Which metal is liquid at room temperature?", "Mercury", "Iron", "Copper", "Silver"),
    ("Which planet is closest to the sun?", "Mercury", "Venus", "Mars", "Jupiter"),
    ("Which planet is known for its large rings?", "Saturn", "Mars", "Venus", "Earth"),
    ("Which animal barks?", "Dog", "Cat", "Horse", "Sheep"),
    ("Which bird can't fly?", "Penguin", "Eagle", "Swallow", "Gull"),
    ("Which colour do blue and yellow paint make together?", "Green", "Purple", "Orange", "Brown"),
    ("Which season comes before summer?", "Spring", "Autumn", "Winter", "Harvest"),
    ("Which day comes after Tuesday?", "Wednesday", "Thursday", "Monday", "Sunday"),
    ("Which month comes before May?", "April", "June", "March", "August"),
    ("How many days does a week have?", "7", "5", "6", "10"),
    ("How many months does a year have?", "12", "10", "11", "14"),
    ("How many legs does a spider have?", "8", "6", "4", "10"),
    ("How many sides does a triangle have?", "3", "4", "5", "6"),
    ("Which gas do people need to breathe?", "Oxygen", "Helium", "Neon", "Methane"),
    ("What is frozen water called?", "Ice", "Steam", "Sand", "Glass"),
    ("Who wrote the play Hamlet?", "Shakespeare", "Dickens", "Goethe", "Tolstoy"),
    ("Which language is spoken in Portugal?", "Portuguese", "Spanish", "Italian", "French"),
    ("Which ocean lies between Europe and America?", "Atlantic", "Pacific", "Indian", "Arctic"),
    ("What do bees make?", "Honey", "Milk", "Silk", "Bread"),
)
WORDS = (
    "garden", "window", "basket", "pencil", "winter", "market", "bridge", "candle", "silver", "button", "forest", "dinner",
    "planet", "rabbit", "summer", "yellow", "letter", "castle", "orange", "kitchen", "morning", "blanket", "lantern",
)  # fmt: skip
KINDS = ("arithmetic", "string", "fact")
BRIEF = "Answer with the answer alone."


@dataclass(frozen=True)
class Problem:
    """A question with one right `answer` and `others` of its kind that are wrong; `kind` is one of `KINDS`."""

    kind: str
    question: str
    answer: str
    others: tuple[str, ...]

    @property
    def text(self) -> str:
        """The question as it is asked."""
        return f"{self.question} {BRIEF}"

    def right(self, reply: str) -> bool:
        """Whether a reply gives the answer: its first line that gives any is looked at, and no more.

        A number is right if it is the last number of that line; a letter if it stands alone there, and a word if it is
        there, before any of the `others`.

        >>> Problem("arithmetic", "What is 2 + 3?", "5", ("6",)).right("2 + 3 = 5.")
        True
        """
        if self.answer.lstrip("-").isdigit():
            for line in reply.splitlines():
                numbers = re.findall(r"(?<![\w.])-?\d+(?:,\d{3})*(?!\w)(?!\.\d)", line.replace("−", "-"))
                if numbers:
                    return numbers[-1].replace(",", "") == self.answer
            return False
        known = (self.answer, *self.others)
        for line in reply.splitlines():
            at = {option: place for option in known if (place := _place(option, line)) >= 0}
            if at:
                return min(at, key=lambda option: at[option]) == self.answer
        return False


def _place(option: str, line: str) -> int:
    """Where a word, or a letter that stands alone, is in a line; -1 if nowhere. "a" and "I" may be words: see the quotes."""
    alone = rf"(?<!\w)(?<!\w['’]){re.escape(option)}(?!\w)(?!['’]\w)"  # not the s of "it's"
    if option in "ai" and len(option) == 1:  # an article or a pronoun, unless nothing else is there or it is in quotes
        alone = rf"^\W*{option}\W*$|[\"'“‘(*]{option}[\"'”’)*]"
    found = re.search(alone, line, re.I)
    return found.start() if found else -1


def problems(count: int = 48, seed: int = 0) -> tuple[Problem, ...]:
    """So many problems, no two alike, the kinds by turns: the same for the same seed. There are facts for up to 72.

    >>> problems(3)[0].question
    'What is 53 + 17?'
    """
    check_whole(count, "a number of problems", least=1)
    check_whole(seed, "a seed")
    if count > len(KINDS) * len(FACTS):
        raise EmokitError("too many problems", count, f"Ask for at most {len(KINDS) * len(FACTS)}.")
    rng = random.Random(seed)  # draws the same on every machine
    facts = rng.sample(FACTS, len(FACTS))
    made: dict[str, Problem] = {}
    makers: tuple[Callable[[random.Random], Problem], ...] = (_arithmetic, _string, lambda _rng: _fact(facts.pop()))
    while len(made) < count:
        problem = makers[len(made) % len(KINDS)](rng)
        made.setdefault(problem.question, problem)
    return tuple(made.values())


def checked(given: Sequence[Problem] | None) -> tuple[Problem, ...]:
    """Problems that were given, or the usual ones; raises EmokitError for none, two alike, and what is no problem."""
    if given is None:
        return problems()
    check_list(given, "problems", Sequence)
    for problem in given:
        if not isinstance(problem, Problem):
            raise EmokitError("not a Problem", problem, "Use problems.problems(), or Problems of your own.")
        for text in (problem.question, problem.answer, *problem.others):
            check_text(text)
        if not problem.others or problem.answer in problem.others:
            raise EmokitError("a problem needs other answers, all wrong", problem, "Give at least one that differs.")
    if len({problem.question for problem in given}) < max(1, len(given)):
        raise EmokitError("no problems, or two with one question", len(given), "Give each its own question.")
    return tuple(given)


def _arithmetic(rng: random.Random) -> Problem:
    sign = rng.choice("+-x")
    a, b = rng.randint(12, 89), rng.randint(12, 89)
    if sign == "x":
        a, b = rng.randint(3, 19), rng.randint(3, 9)
    if sign == "-":
        a, b = max(a, b), min(a, b)
    answer = a + b if sign == "+" else a - b if sign == "-" else a * b
    near = [n for n in (answer + 1, answer - 1, answer + 10, answer - 10, answer + 2) if n >= 0]
    return Problem("arithmetic", f"What is {a} {sign} {b}?", str(answer), tuple(str(n) for n in rng.sample(near, 3)))


def _string(rng: random.Random) -> Problem:
    word = rng.choice(WORDS)
    what = rng.choice(("first", "last", "count", "item"))
    if what == "count":
        others = tuple(str(len(word) + d) for d in (-1, 1, 2))
        return Problem("string", f'How many letters does the word "{word}" have?', str(len(word)), others)
    if what == "item":
        listed = rng.sample(WORDS, 4)
        place = rng.randrange(4)
        name = ("first", "second", "third", "last")[place]
        others = tuple(w for i, w in enumerate(listed) if i != place)
        return Problem("string", f"Which is the {name} word of this list: {', '.join(listed)}?", listed[place], others)
    answer = word[0] if what == "first" else word[-1]
    others = tuple(rng.sample(sorted(set(word) - {answer}), 3))
    return Problem("string", f'What is the {what} letter of the word "{word}"?', answer, others)


def _fact(fact: tuple[str, ...]) -> Problem:
    question, answer, *others = fact
    return Problem("fact", question, answer, tuple(others))
