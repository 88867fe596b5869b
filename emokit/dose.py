"""The dose lab: does a score follow the numbers in a sentence? Panels, ladders in words, harmless twins, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from . import activations
from .errors import EmokitError
from .models import Model
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
Value = int | float | str
PERMUTATIONS = 2000
ALPHA = 0.05


@dataclass(frozen=True)
class Panel:
    """A sentence template with `{X}`, the values put into it, and the emotions expected to go "up" or "down".

    `ladder` is the positive control: the sentence with severities in words, mildest first, and the same expectations.
    `twin` is the negative control: a template for the same values in a harmless sentence.

    >>> Panel("I just ran {X} km.", [1, 5, 10, 42], expect={"proud": "up"})
    """

    template: str
    values: Sequence[Value]
    expect: Mapping[str, str] = field(default_factory=dict)
    twin: str | None = None
    ladder: Sequence[str] | None = None
    name: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for template in (self.template, self.twin):
            if template is not None and "{X}" not in template:
                raise EmokitError("a template without {X}", template, "Write {X} where the value goes.")
        if len(self.values) < 2:
            raise EmokitError("a panel with fewer than two values", list(self.values), "Give at least two.")
        if self.ladder is not None and len(self.ladder) < 2:
            raise EmokitError("a ladder with fewer than two rungs", list(self.ladder), "Give at least two sentences.")
        for emotion, way in self.expect.items():
            if way not in ("up", "down"):
                raise EmokitError("an expectation that is neither up nor down", {emotion: way}, 'Use "up" or "down".')

    def sentences(self) -> list[str]:
        """The template with each value."""
        return [self.template.replace("{X}", str(v)) for v in self.values]

    def twins(self) -> list[str]:
        """The twin with each value; none without a twin."""
        return [self.twin.replace("{X}", str(v)) for v in self.values] if self.twin else []

    @property
    def title(self) -> str:
        """The name, or the template."""
        return self.name or self.template


# The six panels, their values and expected directions: "Emotion Concepts and their Function in a Large Language Model",
# Figure 3. The ladders and twins are emokit's own. "runway" leaves "sad" out: it is flat in the paper's own figure.
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


def two_thirds(n_blocks: int) -> int:
    """The block of the paper, two thirds of depth: 0-based `round(2 * n_blocks / 3) - 1`."""
    return max(0, round(2 * n_blocks / 3) - 1)


def run(
    model: Model,
    vectors: EmotionVectors,
    panels: Sequence[Panel] | None = None,
    block: int | None = None,
    *,
    seed: int = 0,
) -> DoseResult:
    """Score every sentence of the panels at the readout, with ladders, twins, permuted emotion labels and the verdict.

    `block` is two thirds of depth unless given; all blocks are kept beside it. Raises EmokitError for an emotion the
    vectors don't have.

    >>> emokit.dose.run(model, vectors).verdict
    """
    vectors.check(model)
    chosen = tuple(PANELS if panels is None else panels)
    if not chosen:
        raise EmokitError("there is no panel", do="Leave `panels` out, or give at least one Panel.")
    for panel in chosen:
        for emotion in panel.expect:
            vectors.index(emotion)
    block = two_thirds(len(vectors.blocks)) if block is None else vectors.block(block)
    groups = [(p, kind, texts) for p in chosen for kind, texts in _kinds(p) if texts]
    prompts = [model.prompt(text) for _, _, texts in groups for text in texts]
    states = activations.readouts(model, prompts) - vectors.mean
    states /= np.linalg.norm(states, axis=2, keepdims=True)
    scores = np.einsum("pbw,bew->pbe", states, vectors.directions)
    ends = np.cumsum([len(texts) for _, _, texts in groups])
    curves = {(p.title, kind): s for (p, kind, _), s in zip(groups, np.split(scores, ends[:-1]), strict=True)}
    return DoseResult(chosen, vectors.emotions, block, curves, seed)


def _kinds(panel: Panel) -> list[tuple[str, list[str]]]:
    return [("panel", panel.sentences()), ("ladder", list(panel.ladder or ())), ("twin", panel.twins())]


@dataclass(frozen=True)
class Signs:
    """How many expected signs came out, of how many, and the share `p` of permuted emotion labels with as many."""

    right: int
    total: int
    p: float
    null: Array = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.right} of {self.total} signs, p = {self.p:.3f}" if self.total else "no signs to test"


@dataclass(frozen=True, eq=False, repr=False)
class DoseResult:
    """Scores of all panels, and what may be said of them.

    `curves` holds, for (panel title, "panel" | "ladder" | "twin"), the scores [values, blocks, emotions].
    """

    panels: tuple[Panel, ...]
    emotions: tuple[str, ...]
    block: int
    curves: dict[tuple[str, str], Array]
    seed: int = 0

    def curve(self, panel: Panel, kind: str, emotion: str, block: int | None = None) -> Array:
        """Scores of one emotion over a panel's values (or its ladder's or twin's)."""
        return self.curves[panel.title, kind][:, self.block if block is None else block, self.emotions.index(emotion)]

    def signs(self, kind: str = "panel", block: int | None = None) -> Signs:
        """The sign statistic of the panels or ladders: score(last) - score(first) against the expectation.

        p is the share of 2,000 permutations of the emotion labels with as many signs right, the real labelling included.
        """
        at = self.block if block is None else block
        tests, changes = [], []
        for panel in self.panels:
            curve = self.curves.get((panel.title, kind))
            if curve is not None:
                changes.append(curve[-1, at] - curve[0, at])
                tests += [
                    (len(changes) - 1, self.emotions.index(e), 1 if way == "up" else -1)
                    for e, way in panel.expect.items()
                ]
        if not tests:
            return Signs(0, 0, 1.0, np.zeros(0, int))
        rows, columns, ways = np.array(tests).T
        signs = np.sign(np.array(changes))
        right = int((signs[rows, columns] == ways).sum())
        rng = np.random.default_rng(self.seed)
        order = rng.permuted(np.tile(np.arange(len(self.emotions)), (PERMUTATIONS, 1)), axis=1)
        null = (signs[rows, order[:, columns]] == ways).sum(1)
        return Signs(right, len(tests), float((1 + (null >= right).sum()) / (1 + PERMUTATIONS)), null)

    @property
    def verdict(self) -> str:
        """`replicates`, `does not replicate` or `inconclusive`, by the fixed rule; `why` gives the reasons."""
        return self._judge()[0]

    @property
    def why(self) -> str:
        """The verdict's reasons in a sentence."""
        return self._judge()[1]

    def _judge(self) -> tuple[str, str]:
        """Rule, written after a pilot on two models: `replicates` if the signs have p <= 0.05, the first panel's own
        signs are right and its first emotion changes more than on the twin; `does not replicate` if that fails though
        the ladders' signs have p <= 0.05 (the directions work, the numbers do not); else `inconclusive`."""
        signs, ladders = self.signs("panel"), self.signs("ladder")
        first = self.panels[0]
        own = all(self._change(first, "panel", e) * (1 if way == "up" else -1) > 0 for e, way in first.expect.items())
        beyond = bool(first.expect) and first.twin is not None
        if beyond:
            emotion, way = next(iter(first.expect.items()))
            sign = 1 if way == "up" else -1
            beyond = sign * self._change(first, "panel", emotion) > sign * self._change(first, "twin", emotion)
        reasons = (
            f"panels: {signs}; ladders in words: {ladders}; {first.title}: signs {'right' if own else 'wrong'}, "
            f"{'more' if beyond else 'not more'} than on its twin"
        )
        if signs.total and signs.p <= ALPHA and own and beyond:
            return "replicates", reasons
        if ladders.total and ladders.p <= ALPHA:
            return "does not replicate", reasons
        return "inconclusive", reasons

    def _change(self, panel: Panel, kind: str, emotion: str) -> float:
        curve = self.curve(panel, kind, emotion)
        return float(curve[-1] - curve[0])

    def __repr__(self) -> str:
        return f"DoseResult({self.verdict} at block {self.block}; {self.why})"

    def to_frame(self) -> pd.DataFrame:
        """A row per panel, kind and expected emotion: first and last score, change, Spearman's rho, sign as expected."""
        import pandas as pd

        rows = []
        for panel in self.panels:
            for kind, _ in _kinds(panel):
                if (panel.title, kind) not in self.curves:
                    continue
                for emotion, way in panel.expect.items():
                    curve = self.curve(panel, kind, emotion)
                    change = float(curve[-1] - curve[0])
                    rows.append(
                        {
                            "panel": panel.title, "kind": kind, "emotion": emotion, "expected": "flat" if kind == "twin" else way,
                            "first": float(curve[0]), "last": float(curve[-1]), "change": change,
                            "rho": float(spearmanr(range(len(curve)), curve).statistic),
                            "as expected": None if kind == "twin" else (change > 0) == (way == "up"),
                        }
                    )  # fmt: skip
        return pd.DataFrame(rows)

    def by_block(self) -> pd.DataFrame:
        """The signs and their p of panels and ladders at every block: the choice of block is not hidden."""
        import pandas as pd

        blocks = range(next(iter(self.curves.values())).shape[1])
        rows = [(b, self.signs("panel", b), self.signs("ladder", b)) for b in blocks]
        return pd.DataFrame(
            [
                {"block": b, "panel signs": s.right, "panel p": s.p, "ladder signs": r.right, "ladder p": r.p}
                for b, s, r in rows
            ]
        ).set_index("block")

    def plot(self, kind: str = "panel", emotions: Sequence[str] = ("afraid", "calm", "sad", "happy")) -> Figure:
        """Change of the scores over the values, a small plot per panel, of "panel", "ladder" or "twin".

        The emotions expected to change are bold and have an arrow; all kinds are drawn to one scale.
        """
        from . import plots

        shown = [self._shown(p, kind, p.title, emotions) for p in self.panels if (p.title, kind) in self.curves]
        if not shown:
            raise EmokitError(f"no panel has a {kind}", [p.title for p in self.panels], "Give the panels one.")
        heading = {"panel": "numbers", "ladder": "ladders in words, mildest first", "twin": "harmless twins"}[kind]
        title = f"{heading}: change of the scores at block {self.block}"
        return plots.dose_panels(shown, limit=self._limit(emotions), title=title)

    def compare(self, panel: Panel | None = None, emotions: Sequence[str] = ()) -> Figure:
        """One panel (the first) beside its ladder and its twin, to one scale: the effect and its two controls."""
        from . import plots

        panel = panel or self.panels[0]
        names = {
            "panel": "the numbers",
            "ladder": "ladder in words, mildest first",
            "twin": "the numbers in a harmless sentence",
        }
        shown = [self._shown(panel, k, name, emotions) for k, name in names.items() if (panel.title, k) in self.curves]
        return plots.dose_panels(shown, title=f"{panel.title}: change of the scores at block {self.block}")

    def _shown(self, panel: Panel, kind: str, title: str, emotions: Sequence[str]) -> dict[str, Any]:
        names = dict.fromkeys([*panel.expect, *(e for e in emotions if e in self.emotions)])
        return {
            "title": title,
            "labels": list(range(1, len(panel.ladder or ()) + 1) if kind == "ladder" else panel.values),
            "scores": {emotion: self.curve(panel, kind, emotion) for emotion in names},
            "expect": {} if kind == "twin" else panel.expect,
        }

    def _limit(self, emotions: Sequence[str]) -> float:
        names = {*emotions, *(e for p in self.panels for e in p.expect)} & set(self.emotions)
        columns = [self.emotions.index(e) for e in names]
        return 1.15 * max(
            float(np.abs(c[:, self.block] - c[0, self.block])[:, columns].max()) for c in self.curves.values()
        )
