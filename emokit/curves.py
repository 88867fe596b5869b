"""The dose lab's scores: curves over the values, and their statistics with nulls and intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import effects
from .errors import EmokitError, check_block, emotion_index
from .panels import Panel

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
DRAWS = 1000  # bootstrap draws


@dataclass(frozen=True, eq=False, repr=False)
class DoseCurves:
    """Scores of all panels with their statistics: effects, random directions, permuted doses, intervals, twins.

    `curves` holds, for (panel title, "panel" | "ladder" | "twin" | "paraphrase 1" ...), the scores [values, blocks, emotions].
    `gram` [blocks, emotions, emotions] are the cosines of the directions, for the random ones in their span (None: all
    orthogonal); `boot`, under the same keys, the changes [draws, emotions] at `block` with resampled topics; `position` where
    the scores were read.
    """

    panels: tuple[Panel, ...]
    emotions: tuple[str, ...]
    block: int
    curves: dict[tuple[str, str], Array]
    seed: int = 0
    gram: Array | None = None
    boot: dict[tuple[str, str], Array] = field(default_factory=dict)
    position: str = "readout"

    def _kinds(self, panel: Panel, kind: str) -> list[str]:
        """The kinds of a panel's curves that a name stands for: itself, or every paraphrase, where they are there."""
        kinds = [k for k in panel.kinds() if k.startswith("paraphrase ")] if kind == "paraphrases" else [kind]
        return [k for k in kinds if (panel.title, k) in self.curves]

    def scores(self, panel: Panel, kind: str = "panel") -> Array:
        """Scores [values, blocks, emotions] of one kind of a panel's sentences; of "paraphrases", their mean."""
        kinds = self._kinds(panel, kind)
        if not kinds:
            raise EmokitError(f"the panel has no {kind}", panel.title, "Give the panel one.")
        return np.mean([self.curves[panel.title, k] for k in kinds], axis=0)

    def curve(self, panel: Panel, kind: str, emotion: str, block: int | None = None) -> Array:
        """Scores of one emotion over a panel's values (or its ladder's, twin's or paraphrases')."""
        at = self.block if block is None else self._known(block)
        return self.scores(panel, kind)[:, at, emotion_index(emotion, self.emotions)]

    def _known(self, block: int) -> int:
        return check_block(block, next(iter(self.curves.values())).shape[1])

    def _change(self, panel: Panel, kind: str, emotion: str, block: int | None = None) -> float:
        curve = self.curve(panel, kind, emotion, block)
        return float(curve[-1] - curve[0])

    def line(self, panel: Panel, emotion: str) -> str:
        """What one emotion does over one panel's values, in a line."""
        row = next(r for r in self._rows(panel, [emotion]) if r["kind"] == "panel")
        change = f"{emotion} {row['change']:+.3f} ({row['effect']:+.1f} sd of random directions)"
        twin = f", beyond the twin {row['beyond twin']:+.3f}" if self._kinds(panel, "twin") else ", no twin"
        return f"{panel.title}: {change}, rho {row['rho']:+.2f} (p = {row['p doses']:.3f} of permuted doses){twin}"

    def _random(self, scores: Array, block: int) -> Array:
        """Scores [..., emotions] at a block as 1,000 random directions in the span of the emotions have them: [..., draws]."""
        gram = np.eye(len(self.emotions)) if self.gram is None else self.gram[block]
        return effects.random_scores(scores, gram, self.seed)

    def effect(self, panel: Panel, kind: str = "panel", block: int | None = None) -> Array:
        """Each emotion's change from first to last value, in sd of what random directions in their span change: [emotions]."""
        at = self.block if block is None else self._known(block)
        ends = self.scores(panel, kind)[[0, -1], at]
        spread = self._random(ends[1] - ends[0], at).std()
        return (ends[1] - ends[0]) / (spread or 1.0)

    def _draws(self, panel: Panel, kind: str, column: int) -> Array:
        """Bootstrap draws of a change: of the topics, where there are stories, and of the wordings, where there are several."""
        kinds = self._kinds(panel, kind)
        if not kinds or (not self.boot and len(kinds) < 2):
            return np.empty(0)
        if self.boot:
            changes = np.stack([self.boot[panel.title, k][:, column] for k in kinds])
        else:
            curves = [self.curves[panel.title, k][:, self.block, column] for k in kinds]
            changes = np.array([[curve[-1] - curve[0]] for curve in curves])
        return effects.resampled_mean(changes, DRAWS, self.seed) if len(kinds) > 1 else changes[0]

    def _rows(self, panel: Panel, emotions: Sequence[str]) -> Iterator[dict[str, Any]]:
        for kind in ("panel", "ladder", "twin", "paraphrases"):
            if not self._kinds(panel, kind):
                continue
            per = None if kind == "ladder" else effects.doublings(list(panel.values))
            sizes, against = self.effect(panel, kind), kind in ("panel", "paraphrases") and self._kinds(panel, "twin")
            for emotion in emotions:
                column, curve = emotion_index(emotion, self.emotions), self.curve(panel, kind, emotion)
                change, draws = float(curve[-1] - curve[0]), self._draws(panel, kind, column)
                beyond, beyond_draws = math.nan, draws[:0]
                if against:
                    twin = self._change(panel, "twin", emotion)
                    beyond = change - twin
                    beyond_draws = draws - (self.boot[panel.title, "twin"][:, column] if self.boot else twin)
                (low, high), (under, over) = effects.interval(draws), effects.interval(beyond_draws)
                rho, p = effects.spearman(curve)
                expected = "flat" if kind == "twin" else panel.expect.get(emotion, "")
                yield {
                    "panel": panel.title, "kind": kind, "emotion": emotion, "expected": expected,
                    "first": float(curve[0]), "last": float(curve[-1]), "change": change, "low": low, "high": high,
                    "rho": rho, "p doses": p, "slope": effects.slope(curve, per),
                    "slope per": "step" if per is None else "doubling", "effect": float(sizes[column]),
                    "beyond twin": beyond, "beyond low": under, "beyond high": over,
                    "as expected": None if expected in ("flat", "") else change * panel.ways[emotion] > 0,
                }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """A row per panel, kind ("panel", "ladder", "twin", mean of the "paraphrases") and expected emotion.

        `change` is score(last) - score(first), `low` and `high` its 95 % interval over resampled topics (where the run had
        stories) and wordings (where there are several); `rho` Spearman's with the order of the values, `p doses` the share of
        permuted orders with |rho| as large; `slope` is per doubling of the value, where the values are positive, rise, and
        cover more than a factor of 8, else per step; `effect` the change in sd of random directions in the emotions' span;
        `beyond twin` the change minus the twin's, with its interval.
        """
        import pandas as pd

        return pd.DataFrame([row for panel in self.panels for row in self._rows(panel, list(panel.expect))])

    def wordings(self) -> pd.DataFrame:
        """A row per wording (0: the panel's own) and expected emotion of the panels that have paraphrases."""
        import pandas as pd

        rows = []
        for panel in self.panels:
            kinds = ["panel", *self._kinds(panel, "paraphrases")]
            for number, kind in enumerate(kinds if len(kinds) > 1 else []):
                for emotion, way in panel.ways.items():
                    curve = self.curve(panel, kind, emotion)
                    change, rho = float(curve[-1] - curve[0]), effects.spearman(curve)[0]
                    effect = float(self.effect(panel, kind)[self.emotions.index(emotion)])
                    rows.append([panel.title, number, emotion, change, rho, effect, change * way > 0])
        return pd.DataFrame(rows, columns=["panel", "wording", "emotion", "change", "rho", "effect", "as expected"])

    def _mean_effect(self, kind: str, block: int) -> float:
        """Mean effect in the expected direction over the signs of one kind; NaN where there are none."""
        found = [
            way * self.effect(panel, kind, block)[self.emotions.index(emotion)]
            for panel in self.panels if self._kinds(panel, kind) for emotion, way in panel.ways.items()
        ]  # fmt: skip
        return float(np.mean(found)) if found else math.nan

    def band(self, panel: Panel, kind: str = "panel") -> tuple[Array, Array]:
        """The 5 and 95 % quantiles of the change that random directions show at each value."""
        scores = self._random(self.scores(panel, kind)[:, self.block], self.block)
        low, high = np.quantile(scores - scores[0], [0.05, 0.95], axis=1)
        return low, high
