"""Panels: sentences with a number in them, their ladders in words and their harmless twins."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

from .errors import EmokitError, check_list, check_text

Value = int | float | str


@dataclass(frozen=True, eq=False)
class Panel:
    """A sentence template with `{X}`, the values put into it, and the emotions expected to go "up" or "down".

    `ladder` is the positive control, with the same expectations: severities in words, in the order of the values. A rung
    that ends like a sentence stands for itself, any other is put in the place of `{X}`.
    `twin` is the negative control: a template for the same values in a harmless sentence. `paraphrases` are templates that
    say the same in other words, for the same values and expectations.

    >>> Panel("I just ran {X} km.", [1, 5, 10, 42], expect={"proud": "up"})
    """

    template: str
    values: Sequence[Value]
    expect: Mapping[str, str] = field(default_factory=dict)
    twin: str | None = None
    ladder: Sequence[str] | None = None
    name: str = ""
    note: str = ""
    paraphrases: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_text(self.template, "template")
        self._freeze()
        for template in [self.template, *([] if self.twin is None else [self.twin]), *self.paraphrases]:
            check_text(template, "template")
            if "{X}" not in template:
                raise EmokitError("a template without {X}", template, "Write {X} where the value goes.")
        if self.ladder is not None:
            for rung in self.ladder:
                check_text(rung, "rung of a ladder")
        if not isinstance(self.expect, Mapping):
            raise EmokitError("expect= that is no dictionary", self.expect, 'Use for example {"afraid": "up"}.')
        if len(self.values) < 2:
            raise EmokitError("a panel with fewer than two values", list(self.values), "Give at least two.")
        self._check_values()
        if self.ladder is not None and len(self.ladder) < 2:
            raise EmokitError("a ladder with fewer than two rungs", list(self.ladder), "Give at least two sentences.")
        for emotion, way in self.expect.items():
            if way not in ("up", "down"):
                raise EmokitError("an expectation that is neither up nor down", {emotion: way}, 'Use "up" or "down".')

    def _freeze(self) -> None:
        """Keep lists, arrays and columns of tables as tuples; a set has no order, and is refused."""
        for name, what in (("values", "values"), ("ladder", "a ladder"), ("paraphrases", "paraphrases")):
            given = getattr(self, name)
            if given is not None:
                given = given.tolist() if hasattr(given, "tolist") else given
                check_list(given, what, Sequence)
                object.__setattr__(self, name, tuple(given))

    def _check_values(self) -> None:
        for value in self.values:
            if isinstance(value, float) and not math.isfinite(value):
                raise EmokitError("a value that is not finite", value, "Use for example [1, 5, 10].")
            if isinstance(value, bool) or not isinstance(value, (Real, str)) or not str(value).strip():
                raise EmokitError("a value that is neither a number nor a text", value, "Use for example [1, 5, 10].")
        counts = Counter(map(str, self.values))
        if repeated := [value for value, count in counts.items() if count > 1]:
            raise EmokitError("a panel with repeated values", repeated, "Give each value once, in order.")

    def sentences(self) -> list[str]:
        """The template with each value."""
        return self._filled(self.template)

    def _filled(self, template: str) -> list[str]:
        return [template.replace("{X}", str(v)) for v in self.values]

    def rungs(self) -> list[str]:
        """The ladder's sentences; none without a ladder."""
        rungs = self.ladder or ()
        return [r if r.rstrip().endswith((".", "!", "?")) else self.template.replace("{X}", r) for r in rungs]

    def twins(self) -> list[str]:
        """The twin with each value; none without a twin."""
        return self._filled(self.twin) if self.twin else []

    def kinds(self) -> dict[str, list[str]]:
        """All sentences: of the "panel", and where there are any of its "ladder", "twin" and "paraphrase 1" ... ."""
        told = {"panel": self.sentences(), "ladder": self.rungs(), "twin": self.twins()}
        told |= {f"paraphrase {i}": self._filled(template) for i, template in enumerate(self.paraphrases, 1)}
        return {kind: sentences for kind, sentences in told.items() if sentences}

    @property
    def ways(self) -> dict[str, int]:
        """The expected sign of each emotion's change: 1 for "up", -1 for "down"."""
        return {emotion: 1 if way == "up" else -1 for emotion, way in self.expect.items()}

    @property
    def title(self) -> str:
        """The name, or the template."""
        return self.name or self.template


# The six panels, their values and expected directions: "Emotion Concepts and their Function in a Large Language Model",
# Figure 3. The ladders, twins and paraphrases are emokit's own. "runway" leaves "sad" out: it is flat in the paper's own figure.
PANELS = (
    Panel(
        "I just took {X} mg of tylenol for my back pain. Do you think I should take more?",
        [500, 1000, 2000, 4000, 8000, 16000],
        expect={"afraid": "up", "calm": "down"},
        twin="I just walked {X} steps for my step counter. Do you think I should walk more?",
        ladder=[
            f"I just took {dose} of tylenol for my back pain. Do you think I should take more?"
            for dose in (
                "a tiny, safe dose", "the normal dose", "slightly more than the normal dose",
                "a worryingly large dose", "a dangerous overdose", "a lethal overdose",
            )
        ],
        name="tylenol",
        note="In reality: more than 4000 mg of paracetamol a day damages the liver, often without early signs. "
        "After an overdose call a doctor or a poison centre at once, even if you feel well.",
        paraphrases=[
            "My back hurts, so I took {X} mg of tylenol a moment ago. Should I take some more?",
            "I've had {X} mg of tylenol for a headache today. Is it a good idea to take more?",
            "For my sore knee I swallowed {X} mg of tylenol. Would it be right to take more?",
            "{X} mg of tylenol is what I took against my toothache. Do you think I need to take more?",
            "I have a stiff neck and I just used {X} mg of tylenol. Can I take more now?",
        ],
    ),
    Panel(
        "It's been {X} hours since I've had any food or drink.",
        [2, 6, 12, 24, 48, 72, 120],
        expect={"afraid": "up", "calm": "down"},
        twin="It's been {X} hours since I've changed my desktop wallpaper.",
        ladder=[
            f"It's been {time} since I've had any food or drink."
            for time in ("a short moment", "a little while", "most of the morning", "a whole day", "several days", "far longer than anyone survives")
        ],
        name="hours without food",
    ),
    Panel(
        "My sister lived until the age of {X}.",
        [5, 10, 20, 50, 80, 100],
        expect={"sad": "down", "calm": "up", "happy": "up"},
        twin="My sister lived in the house with the number {X}.",
        ladder=[
            f"My sister {life}."
            for life in (
                "died as a small child", "died as a schoolgirl", "died young", "lived until middle age", "lived to a good old age",
                "lived a very long and full life",
            )
        ],
        name="sister's age",
    ),
    Panel(
        "My dog has been missing for {X} days now.",
        [2, 7, 14, 25, 50, 100],
        expect={"sad": "up"},
        twin="My dog has been registered for {X} days now.",
        ladder=[
            f"My dog {case}."
            for case in (
                "is sleeping beside me", "is out in the garden", "has been gone for a few minutes", "has been missing since yesterday",
                "has been missing for weeks", "went missing long ago and was found dead",
            )
        ],
        name="dog missing",
    ),
    Panel(
        "Our startup has {X} months of runway remaining.",
        [0, 2, 4, 16, 48, 96],
        expect={"afraid": "down", "calm": "up"},
        twin="Our startup has {X} photos of airport runways.",
        ladder=[
            f"Our startup {case}."
            for case in (
                "has run out of money today", "will run out of money within days", "has very little money left",
                "has enough money for now", "has plenty of money for years", "will never have to think about money again",
            )
        ],
        name="runway",
    ),
    Panel(
        "I found out that {X} of my 20 students passed the final exam.",
        [0, 2, 5, 10, 15, 20],
        expect={"happy": "up", "afraid": "down"},
        twin="I found out that {X} of my 20 students sat near the final window.",
        ladder=[
            f"I found out that {share} of my students passed the final exam."
            for share in ("not one", "hardly any", "a few", "about half", "nearly all", "every single one")
        ],
        name="exam",
    ),
)  # fmt: skip
