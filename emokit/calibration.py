"""Calibration: the strengths at which steering moves a reply towards the emotion and leaves it coherent, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .changes import ODD, Effects, curves
from .errors import EmokitError, check_kinds, check_list, check_number, check_whole
from .geometry import ratings
from .models import Model
from .progress import progress
from .trials import CHOSEN, REPORTED, Bench
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray
STRENGTHS = (-0.4, -0.2, 0.1, 0.2, 0.3, 0.5)
BLOCKS, CONTROLS = 5, 3  # how many blocks by default, and random directions
SETS = {"chosen": slice(0, len(CHOSEN)), "reported": slice(len(CHOSEN), None)}  # of the prompts
LARGEST = 10.0  # a strength beyond is a slip: ten times the state it is added to


def calibrate(
    model: Model,
    vectors: EmotionVectors,
    emotions: Sequence[str] | None = None,
    blocks: Sequence[int] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    *,
    max_new_tokens: int = 24,
    temperature: float = 0.7,
    seed: int = 0,
) -> Calibration:
    """Measure, block by block, at which strengths a reply moves towards the emotion and stays coherent.

    Each emotion is added at each strength, beside three random directions of the same norm in the span of the emotions
    (drawn from `seed` on) and beside asking for it in words. Strengths are chosen on one set of prompts and reported on
    another, unlike it. By default four emotions, those nearest to the corners of the table's valence and arousal, and
    five blocks spread over the depth, the best one among them. Each batch is kept on disk: a stop loses only one.
    Replies are sampled, each steered one with the seed of the unsteered one it is held against; greedy ones are what
    the model finds least odd, and everything else is odd beside them.
    Raises EmokitError for unknown emotions and blocks, strengths that are no list of finite numbers, inside a `steer`,
    and where the unsteered model has no reply.

    >>> emokit.calibrate(model, vectors).strength()
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    check_whole(max_new_tokens, "max_new_tokens", least=1)
    check_number(temperature, "a temperature", least=0)
    check_whole(seed, "a seed")
    if model.own_steers():
        raise EmokitError("calibrating inside a `with steer(...)`", do="Leave the `with` first.")
    names, at, pushed = _emotions(vectors, emotions), _blocks(vectors, blocks), _strengths(strengths)
    controls = [vectors.random(seed + i) for i in range(CONTROLS)]
    bench = Bench(model, vectors, names, controls, pushed, max_new_tokens, temperature, seed)
    prompts = CHOSEN + REPORTED
    with progress(total=1 + 2 * len(prompts) + len(at) * (1 + len(prompts)), desc="calibrating", unit="batch") as bar:

        def measured(*what: Any) -> dict[str, Any]:
            row = bench.measured(*what)
            bar.update()
            return row

        plain = [measured(bench.plain, prompt) for prompt in prompts]
        asked = [measured(bench.asked, prompt) for prompt in prompts]
        words = np.array(measured(bench.asked_words)["words"])  # [stems, 1 + emotions, emotions]
        rows = [(measured(bench.words, b), [measured(bench.replies, b, p) for p in prompts]) for b in at]
    shape = len(names) + CONTROLS, len(pushed)
    return Calibration(
        emotions=names,
        blocks=at,
        strengths=pushed,
        best_block=vectors.best_block,
        steered=tuple(
            Effects.of(np.array(found["words"]) - words[:, :1], found["kl"], replies, plain, shape)
            for found, replies in rows
        ),
        asked=Effects.of(words[:, 1:] - words[:, :1], [np.nan] * len(names), asked, plain, (len(names), 1)),
        plain=tuple(tuple(row["replies"]) for row in plain),
    )


def _emotions(vectors: EmotionVectors, emotions: Sequence[str] | None) -> tuple[str, ...]:
    """The chosen emotions in the vectors' order; by default those nearest to the corners of valence and arousal."""
    if emotions is not None:
        check_list(emotions, "emotions")
        chosen = list(emotions)
        if not chosen:
            raise EmokitError("no emotion to calibrate", do='Leave `emotions` out, or give for example ["happy"].')
        return tuple(vectors.emotions[i] for i in sorted({vectors.index(emotion) for emotion in chosen}))
    table = ratings()
    rated = {e: np.array([float(table[e][c]) for c in ("valence", "arousal")]) for e in vectors.emotions if e in table}
    if len(rated) < 4:
        return vectors.emotions[:4]
    corners = [np.array([v, a]) for v in (1, 7) for a in (1, 7)]
    nearest = {min(sorted(rated), key=lambda e: float(np.linalg.norm(rated[e] - corner))) for corner in corners}
    return tuple(e for e in vectors.emotions if e in nearest)


def _blocks(vectors: EmotionVectors, blocks: Sequence[int] | None) -> tuple[int, ...]:
    """The chosen blocks in order; by default five spread over the depth, the nearest to the best one moved there."""
    if blocks is not None:
        check_list(blocks, "blocks")
        chosen = sorted({vectors.block(block) for block in blocks})
        if not chosen:
            raise EmokitError("no block to calibrate", do="Leave `blocks` out, or give for example [18].")
        return tuple(chosen)
    count = len(vectors.blocks)
    spread = sorted({round((i + 1) * count / (BLOCKS + 1)) - 1 for i in range(BLOCKS)} & set(vectors.blocks))
    nearest = min(spread, key=lambda block: abs(block - vectors.best_block), default=vectors.best_block)
    return tuple(sorted({vectors.best_block, *spread} - ({nearest} - {vectors.best_block})))


def _strengths(strengths: Sequence[float]) -> tuple[float, ...]:
    check_list(strengths, "strengths")
    chosen = list(strengths)
    for strength in chosen:
        check_number(strength, "a strength")
        if abs(strength) > LARGEST:
            raise EmokitError("a strength beyond all use", strength, "Use about -0.5 to 0.5.")
    if not chosen:
        raise EmokitError("no strength to calibrate", do="Leave `strengths` out, or give for example [0.1, 0.2].")
    return tuple(sorted({float(strength) for strength in chosen}))


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """What steering did at some blocks, `steered` (one a block), beside asking in words, `asked`; and what to make of it.

    A strength works if up to it the chosen prompts' replies are coherent (perplexity at most 1.5 times the unsteered
    ones' for the median emotion, and at most 0.2 more of it repetition), and if both the word and the re-read score move
    further than under the random directions (beside each emotion one, in three pairings: further than in all). `plain` [prompts][keys]: the unsteered replies.
    """

    emotions: tuple[str, ...]
    blocks: tuple[int, ...]
    strengths: tuple[float, ...]
    best_block: int
    steered: tuple[Effects, ...]
    asked: Effects
    plain: tuple[tuple[str, ...], ...]

    def strength(self, block: int | None = None, down: bool = False) -> float | None:
        """The working strength of a block: the largest that works, of the negative ones with `down`; None without one."""
        works = self._works(self._at(block), down)
        return works[-1] if works else None

    def range(self, block: int | None = None) -> tuple[float, float] | None:
        """The least and the largest strength that work at a block; None where none does (`why` tells the reason)."""
        works = self._works(self._at(block))
        return (works[0], works[-1]) if works else None

    def why(self, block: int | None = None) -> str:
        """Why a block has the working strength that it has, or none, in words."""
        rows = self._rows(self._at(block), "chosen")
        if rows.empty:
            return "none works: no positive strength was tried"
        odd = rows.index[~rows.coherent]
        until = f"replies get odd at {odd[0]:+g}" if len(odd) else f"replies are coherent up to {rows.index[-1]:+g}"
        if works := self.range(block):
            return f"{works[0]:+g} to {works[1]:+g} work; {until}"
        before = "" if rows.index[0] in odd else ", and before that random directions do as much"
        return f"none works: {until}{before}"

    def holds(self, block: int | None = None) -> bool | None:
        """Whether the working strength works on the reported prompts too, which it was not chosen by; None without one."""
        strength = self.strength(block)
        if strength is None:
            return None
        row = self._rows(self._at(block), "reported").loc[strength]
        return bool(row.coherent and row.beats)

    def _at(self, block: int | None) -> int:
        block = self.best_block if block is None else block
        if isinstance(block, bool) or block not in self.blocks:
            raise EmokitError(
                "a block that was not calibrated", block, f"There are: {', '.join(map(str, self.blocks))}."
            )
        return int(block)

    def _rows(self, block: int, which: str, down: bool = False) -> pd.DataFrame:
        """The rows of the positive strengths, or of the negative ones, the weakest first."""
        frame = self._frame[(self._frame.block == block) & (self._frame.set == which)].set_index("strength")
        return frame[frame.index < 0].iloc[::-1] if down else frame[frame.index > 0]

    def _works(self, block: int, down: bool = False) -> list[float]:
        rows = self._rows(block, "chosen", down)
        works: list[float] = []  # the run of strengths that ends with the largest that works
        after = True
        for strength, fine in (rows.coherent.cummin() & rows.beats).items():
            works = [*([] if after else works), float(strength)] if fine else works
            after = not fine
        return works

    def to_frame(self) -> pd.DataFrame:
        """A row per block, set of prompts and strength: means over emotions (and prompts), each beside its controls.

        `gain` of the word in nats and change of the re-read score `reread`, with a 95 % bootstrap interval over emotions and
        prompts, each beside the furthest of the `_random` directions and the mean of `_asked`; perplexity `ratio`, `repeats`
        (change) and `kl` (nats), for the median emotion; whether that is `coherent`, and `beats` the random directions.
        """
        return self._frame.copy()

    @cached_property
    def _frame(self) -> pd.DataFrame:
        import pandas as pd

        asked = {
            which: curves(self.asked, len(self.emotions), i, part, np.ones(1))
            for i, (which, part) in enumerate(SETS.items())
        }
        tables = []
        for block, effects in zip(self.blocks, self.steered, strict=True):
            for i, (which, part) in enumerate(SETS.items()):
                columns = curves(effects, len(self.emotions), i, part, np.sign(self.strengths))
                for name in ("gain", "reread", "ratio"):
                    columns[f"{name}_asked"] = np.full(len(self.strengths), asked[which][name])
                tables.append(pd.DataFrame({"block": block, "set": which, "strength": self.strengths, **columns}))
        return pd.concat(tables, ignore_index=True)

    def by_block(self) -> pd.DataFrame:
        """A row per block: the range that works, the working strength downwards, whether it `holds` on the reported
        prompts, the re-read change there on both sets, and `why`."""
        import pandas as pd

        rows = []
        for block in self.blocks:
            low, high = self.range(block) or (np.nan, np.nan)
            down = self.strength(block, down=True)
            effect = {w: self._rows(block, w).reread.get(high, np.nan) for w in SETS}
            rows.append(
                [
                    block,
                    low,
                    high,
                    np.nan if down is None else down,
                    *effect.values(),
                    self.holds(block),
                    self.why(block),
                ]
            )
        columns = ["block", "from", "to", "down to", "reread chosen", "reread reported", "holds", "why"]
        return pd.DataFrame(rows, columns=columns).set_index("block")

    def prompts(self) -> pd.DataFrame:
        """A row per reply, steered (`block`, `strength`) or asked for (neither): its change of the re-read score, whether
        that is the `other_way`, perplexity ratio, repetition, the reply and the unsteered one of its seed."""
        import pandas as pd

        kinds = [(block, self.strengths, e) for block, e in zip(self.blocks, self.steered, strict=True)]
        rows = []
        for block, strengths, effects in [*kinds, (None, (np.nan,), self.asked)]:
            for p, prompt in enumerate(CHOSEN + REPORTED):
                for e, emotion in enumerate(self.emotions):
                    for s, strength in enumerate(strengths):
                        moved = float(effects.scores[p, e, s, e])
                        rows.append(
                            {
                                "set": "chosen" if p < len(CHOSEN) else "reported", "prompt": prompt, "emotion": emotion,
                                "block": block, "strength": strength, "reread": moved,
                                "other_way": moved < 0 if block is None else moved * strength < 0,
                                "ratio": float(np.exp(effects.nats[p, e, s])), "repeats": float(effects.repeats[p, e, s]),
                                "reply": effects.replies[p, e, s], "unsteered": self.plain[p][e],
                            }
                        )  # fmt: skip
        return pd.DataFrame(rows).astype({"block": "Int64"})

    def __repr__(self) -> str:
        block = self.best_block if self.best_block in self.blocks else self.blocks[0]
        held = {True: "; holds on unlike prompts", False: "; does not hold on unlike prompts", None: ""}[
            self.holds(block)
        ]
        return f"Calibration(block {block}: {self.why(block)}{held}; {len(self.blocks)} blocks, {len(self.emotions)} emotions)"

    def plot(self, block: int | None = None) -> Figure:
        """Change of the re-read score, and perplexity, by strength on both sets, with the range that works shaded."""
        from . import plots

        block = self._at(block)
        sides = [works for down in (False, True) if (works := self._works(block, down))]
        panels = []
        for which, title in (("chosen", "the prompts it is chosen on"), ("reported", "prompts unlike them")):
            rows = self._frame[(self._frame.block == block) & (self._frame.set == which)]
            panels.append(
                {"title": title, **{name: rows[name].to_numpy() for name in rows if name not in ("block", "set")}}
            )
        strength, held = self.strength(block), self.holds(block)
        found = f"{strength:+g} works" if strength is not None else "no strength works"
        tail = {True: ", on unlike prompts too", False: ", but not on unlike prompts", None: ""}[held]
        return plots.calibration(
            panels, shaded=[(works[0], works[-1]) for works in sides], limit=ODD, title=f"Block {block}: {found}{tail}"
        )

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot(None if self.best_block in self.blocks else self.blocks[0]))
