"""VectorExplorer: the emotion directions as points, block by block; who is near whom, and where a text of one's own lands."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from .. import geometry
from ..components import PCA, enough
from ..errors import EmokitError, check_kinds
from ..models import Model
from ..stories import StorySet, load_stories
from ..vectors import EmotionVectors
from . import landing, portrait
from .board import Board, front
from .landing import Landing
from .portrait import Firmness, Portrait
from .reader import packed

if TYPE_CHECKING:
    from ..plots import Figure

COLOURS = ("cluster", "valence")
NEAR, FAR, TOKENS = 6, 3, 6  # neighbours and tokens that are told
HOW = "Give the stories that the vectors were made from, VectorExplorer(model, vectors, stories=stories), for the stability."
LATE = "The first blocks' states are not in the head's terms yet: read these tokens from the middle of the blocks on."


class VectorExplorer(Board):
    """The directions on their principal components, at any block; choose an emotion, or type a text and see where it lands.

    All blocks are projected at once, so that the slider needs no answer from Python. `stories`, those the vectors were made
    from, tell how stable a direction is and what shuffled labels would give. `axes` are two components, 0-based; `colour` is
    "cluster" or "valence". Works from Python too:

    >>> board = emokit.widgets.VectorExplorer(model, vectors, stories=stories)
    >>> board.set(emotion="afraid", text="The lift stopped between two floors.")
    >>> board.portrait.to_frame(), board.landing.to_frame(), board.plane
    """

    _esm = front("vector_explorer")
    block = traitlets.Int().tag(sync=True, runs=True)
    emotion = traitlets.Unicode().tag(sync=True, runs=True)  # the chosen one, or ""
    text = traitlets.Unicode().tag(sync=True, runs=True)  # "" for none
    axes: Any = traitlets.List([0, 1]).tag(sync=True)
    colour = traitlets.Enum(COLOURS, default_value="cluster").tag(sync=True)

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        *,
        emotion: str | None = None,
        text: str = "",
        block: int | None = None,
        axes: Sequence[int] = (0, 1),
        colour: str = "cluster",
        stories: StorySet | None = None,
    ) -> None:
        check_kinds((model, Model), (vectors, EmotionVectors), *([] if stories is None else [(stories, StorySet)]))
        vectors.check(model)
        if colour not in COLOURS:
            raise EmokitError("no way to colour the points", colour, f"Choose {' or '.join(COLOURS)}.")
        self._model: Model = model
        self._vectors, self._stories, self._components = vectors, stories, enough(vectors)
        self._planes: list[PCA] = []
        self._portrait: Portrait | None = None
        self._firm: dict[int, Firmness] = {}
        self._landing: Landing | None = None
        self._clouds: dict[int, Any] = {}  # by number of words: places and scores of the neutral pieces
        table, pleasant = geometry.ratings(), geometry.valence(vectors.emotions)
        super().__init__(
            model,
            vectors,
            about={
                "components": self._components,
                "clusters": [table[e]["cluster"] if e in table else "others" for e in vectors.emotions],
                "valence": [None if np.isnan(v) else round(float(v), 2) for v in pleasant],
            },
            block=vectors.block(block),
            emotion="" if emotion is None else vectors.emotions[vectors.index(emotion)],
            text=text,
            axes=_checked(axes, self._components),
            colour=colour,
        )
        self.run()

    def __repr__(self) -> str:
        return f"VectorExplorer({len(self._vectors.emotions)} emotions at block {self.block})"

    # from Python

    @property
    def plane(self) -> PCA:
        """The components at the block that is shown, turned as they are shown."""
        self.wait()
        return self._planes[self.block]

    @property
    def portrait(self) -> Portrait | None:
        """What is told of the chosen emotion at the block; None where none is chosen."""
        self.wait()
        return self._portrait

    @property
    def landing(self) -> Landing | None:
        """Where the text lands at every block, and where neutral pieces do; None without a text."""
        self.wait()
        return self._landing

    @traitlets.validate("axes")
    def _two(self, proposal: Any) -> list[int]:
        try:
            return _checked(proposal["value"], self._components)
        except EmokitError as error:
            raise traitlets.TraitError(str(error)) from None

    # the runs

    def _run(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        block = self._vectors.block(settings.block)
        if not self._planes:
            self.status = "components of all blocks ..."
            self._planes = geometry.pcas(self._vectors)
            self._show(plane=_plane(self._planes, self._vectors.best_block))
        self._tell_emotion(settings.emotion, block)
        if not stop.is_set():
            self._tell_text(stop, settings.text)
        if settings.emotion and self._stories is not None and block not in self._firm and not stop.is_set():
            self.status = "stability: making the directions again from draws of topics ..."
            firm = portrait.firmness(self._model, self._vectors, self._stories, block, stop)
            if firm is not None:
                self._firm[block] = firm
                self._tell_emotion(settings.emotion, block)
        self.status = "" if stop.is_set() else f"{len(self._vectors.emotions)} emotions at block {block}"

    def _tell_emotion(self, emotion: str, block: int) -> None:
        """Neighbours and tokens of the chosen emotion, and its stability where it is known."""
        if not emotion:
            self._portrait = None
            self._show(portrait=None)
            return
        now = self._portrait
        if now is None or (now.emotion, now.block) != (emotion, block):
            now = portrait.portrait(self._model, self._vectors, emotion, block)
        self._portrait = now = replace(now, firmness=self._firm.get(block))
        self._show(portrait=_told(now, self._vectors, wants=self._stories is not None))

    def _tell_text(self, stop: threading.Event, text: str) -> None:
        """Where the text lands, at once; then beside neutral pieces, which are read once for each length."""
        if not text.strip():
            self._landing = None
            self._show(landing=None)
            return
        now = self._landing
        if now is None or now.text != text:
            self._landing = None
            self.status = "reading ..."
            now = landing.land(self._model, self._vectors, self._planes, text)
        if now.words not in self._clouds:
            self._show(landing=_landed(now))
            self._read_pieces(stop, now.words)
        if now.words in self._clouds:
            self._landing = now = landing.beside(now, *self._clouds[now.words])
            self._show(landing=_landed(now))

    def _read_pieces(self, stop: threading.Event, words: int) -> None:
        """Read neutral pieces of so many words, some at a time; what was read before is in the cache."""
        own = self._stories.neutral if self._stories is not None else ()
        flat = own if len(own) >= landing.PIECES else load_stories().neutral
        texts = landing.pieces([s.text for s in flat], words)[: landing.PIECES]
        read = []
        for start in range(0, len(texts), 10):
            if stop.is_set():
                return
            self.status = f"neutral pieces of {words} words, to compare: {start} of {len(texts)} read ..."
            read.append(landing.states(self._model, texts[start : start + 10]))
        self._clouds[words] = landing.projected(self._vectors, self._planes, np.concatenate(read))

    def _figure(self) -> Figure | None:
        if not self._planes or self.block not in self._vectors.blocks:
            return None
        return self._planes[self.block].plot((self.axes[0], self.axes[1]))


def _checked(axes: Any, components: int) -> list[int]:
    """Two components that differ; raises EmokitError for anything else."""
    given = list(axes) if isinstance(axes, (list, tuple, np.ndarray)) else []
    whole = [int(a) for a in given if isinstance(a, (int, np.integer)) and not isinstance(a, bool)]
    if len(given) != 2 or len(set(whole)) != 2 or not 0 <= min(whole) <= max(whole) < components:
        raise EmokitError(
            "axes are two components that differ",
            axes,
            f"There are 0 to {components - 1}; for PC1 and PC2 give [0, 1].",
        )
    return whole


# what the front end takes


def _plane(planes: Sequence[PCA], best: int) -> dict[str, Any]:
    """The points of all blocks, and what may be said of each block's components."""
    found = [a for a in (planes[best].arousal, planes[best].valence) if a and a.found]
    return {
        "points": _floats([p.coordinates for p in planes]),
        "variance": [[round(float(v), 3) for v in p.variance] for p in planes],
        "names": {str(a.component): a.name for a in found},  # of the best block, chosen on stories beforehand
        "notes": [_note(p, best) for p in planes],
    }


def _note(plane: PCA, best: int) -> str:
    """What is known of a block's components; a rating's name is given only at the block chosen beforehand."""
    fits = [a for a in (plane.valence, plane.arousal) if a]
    if not fits:
        return "Too few of these emotions are rated to look for valence."
    if plane.block == best:
        rated = " Arousal was rated for this project, not by people." if plane.arousal else ""
        return f"Block {best}, chosen on stories: {'; '.join(map(repr, fits))}.{rated}"
    largest = "; ".join(f"{a.name} goes most with PC{a.component + 1}, r {a.r[a.component]:+.2f}" for a in fits)
    return f"{largest[0].upper()}{largest[1:]}. Names are given at block {best} alone, which was chosen beforehand: among all blocks some would pass by chance."


def _told(now: Portrait, vectors: EmotionVectors, wants: bool) -> dict[str, Any]:
    """A portrait as the front end shows it: cosines in hundredths, the last number 1 for one beyond both nulls."""
    frame = now.to_frame()
    beyond = frame.drop(columns="cosine").all(axis=1).astype(int)
    rows = [[e, round(100 * float(c)), int(b)] for e, c, b in zip(now.others, now.cosines, beyond, strict=True)]
    far = min(FAR, max(0, len(rows) - NEAR))
    firm, own = now.firmness, vectors.index(now.emotion)
    ranks = now.ranks()
    told: dict[str, Any] = {
        "emotion": now.emotion, "block": now.block, "near": rows[:NEAR], "far": rows[len(rows) - far :],
        "random": _hundredths(now.random), "shuffled": _hundredths(firm.shuffled) if firm else None,
        "lens": now.lens.top(TOKENS), "control": now.control.top(TOKENS),
        "ranks": [*ranks, len(now.lens.tokens)] if ranks else None,
        "late": LATE if now.block < len(vectors.blocks) // 2 else "",
        "how": "" if firm else "The stability is being computed ..." if wants else HOW, "stability": None,
    }  # fmt: skip
    if firm:
        told["stability"] = [round(float(v), 2) for v in (firm.cosine[own], firm.low[own], firm.high[own], firm.noise)]
    return told


def _landed(now: Landing) -> dict[str, Any]:
    return {
        "text": now.text, "words": now.words, "place": _floats(now.place), "cloud": _floats(now.neutral),
        "count": now.neutral.shape[1], "scores": packed(now.scores),
        "p": [None if np.isnan(p) else round(float(p), 3) for p in now.p],
        "reach": [None if np.isnan(r) else round(100 * float(r)) for r in now.reach],
    }  # fmt: skip


def _floats(values: Any) -> bytes:
    return np.ascontiguousarray(values, np.float32).tobytes()


def _hundredths(pair: Sequence[float]) -> list[int]:
    return [round(100 * float(v)) for v in pair]
