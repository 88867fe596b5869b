"""DoseLab: a sentence with a number in it, its controls beside it, and what may be concluded."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from .. import dose
from ..dose import PANELS, DoseResult, Panel
from ..errors import EmokitError, check_kinds
from ..models import Model
from ..remake import Remade
from ..stories import StorySet
from ..vectors import EmotionVectors
from .board import Board, front
from .conclusion import Conclusion, conclude, table

if TYPE_CHECKING:
    from ..plots import Figure

OWN = "a panel of your own"
MOST = 40  # values that a chart has room for
NAMES = {"panel": "the numbers", "twin": "the numbers in a harmless sentence", "ladder": "the ladder in words"}


class DoseLab(Board):
    """A panel to edit: its sentence, values, expected emotions, twin and ladder; curves, the verdict and why.

    It begins with a `panel`, or one of the six by name. `stories`, those the vectors were made from, give intervals.
    The block is the lab's, two thirds of depth, unless given; moving it runs no forward pass. From Python:

    >>> board = emokit.widgets.DoseLab(model, vectors, "tylenol")
    >>> board.set(values=[1, 2, 3], expect={"afraid": "up"})
    >>> board.result.to_frame(), board.conclusion.cannot
    """

    _esm = front("dose_lab")
    start = traitlets.Unicode().tag(sync=True)  # whose fields were filled in last
    template = traitlets.Unicode().tag(sync=True, runs=True)
    values: Any = traitlets.List().tag(sync=True, runs=True)
    expect = traitlets.Dict().tag(sync=True, runs=True)  # emotion: "up" or "down"
    twin = traitlets.Unicode().tag(sync=True, runs=True)  # "" for none
    ladder = traitlets.List(traitlets.Unicode()).tag(sync=True, runs=True)
    paraphrases = traitlets.List(traitlets.Unicode()).tag(sync=True, runs=True)
    block = traitlets.Int().tag(sync=True, runs=True)
    note = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        panel: Panel | str | None = None,
        *,
        stories: StorySet | None = None,
        block: int | None = None,
    ) -> None:
        check_kinds((model, Model), (vectors, EmotionVectors), *([] if stories is None else [(stories, StorySet)]))
        vectors.check(model)
        self._model: Model = model
        self._vectors, self._stories, self._usual = vectors, stories, dose.two_thirds(len(vectors.blocks))
        self._remade: Remade | None = None
        known = {p.title: p for p in PANELS if set(p.expect) <= set(vectors.emotions)}
        self._starts = known | {OWN: _own(vectors)}
        self._read: tuple[Any, DoseResult | None] = (None, None)
        self._six: DoseResult | None = None  # emokit's own panels, where the vectors have their emotions
        self._tried: set[Any] = set()
        self._now: tuple[DoseResult, Conclusion] | None = None
        panel = next(iter(self._starts)) if panel is None else panel
        if not isinstance(panel, (Panel, str)):
            raise EmokitError(
                "not a Panel", panel, 'Give for example "tylenol", or dose.Panel("I ran {X} km.", [1, 5, 42]).'
            )
        if isinstance(panel, str):
            start, panel = panel, self._start(panel)
        else:
            start = panel.title if known.get(panel.title) is panel else OWN
            self._starts[start] = panel  # where `reset` goes back to
        super().__init__(
            model,
            vectors,
            about={"starts": list(self._starts), "usual": self._usual},
            start=start,
            block=self._usual if block is None else vectors.block(block),
            note=panel.note,
            **_fields(panel),
        )
        self.actions["reset"] = self.reset
        self.run()

    def __repr__(self) -> str:
        expected = ", ".join(f"{emotion} {way}" for emotion, way in self.expect.items()) or "nothing"
        return f"DoseLab({self.template!r}, {len(self.values)} values, expected: {expected})"

    @property
    def result(self) -> DoseResult:
        """The `DoseResult` of the panel that is shown, once the board has run it."""
        return self._shown()[0]

    @property
    def conclusion(self) -> Conclusion:
        """Its verdict, the reason, and what can and can't be said."""
        return self._shown()[1]

    @property
    def six(self) -> DoseResult | None:
        """The `DoseResult` of emokit's own six panels; None for vectors that lack their emotions."""
        self.wait()
        return self._six

    def reset(self) -> None:
        """Fill in the fields from the panel called `start`, and run it."""
        panel = self._starts[self.start]
        self.note = panel.note
        self.set(**_fields(panel))

    # the settings

    @traitlets.validate("start")
    def _one_of(self, proposal: Any) -> str:
        try:
            self._start(proposal["value"])
        except EmokitError as error:  # a TraitError brings the former name back
            raise traitlets.TraitError(str(error)) from None
        return str(proposal["value"])

    def _start(self, name: str) -> Panel:
        if name not in self._starts:
            raise EmokitError("no panel of this name", name, f"There are: {', '.join(self._starts)}.")
        return self._starts[name]

    @traitlets.validate("values")
    def _numbers(self, proposal: Any) -> list[Any]:
        """Plain numbers and texts, as messages carry them."""
        return [v.item() if isinstance(v, np.generic) else v for v in proposal["value"]]

    @traitlets.observe("start")
    def _started(self, change: Any) -> None:
        if change["old"]:
            self.reset()

    def _panel(self, settings: SimpleNamespace) -> Panel:
        """The panel of the fields: one of the six where nothing was changed."""
        if len(settings.values) > MOST:
            raise EmokitError("more values than a chart has room for", len(settings.values), f"Use {MOST} or fewer.")
        if not settings.expect:
            raise EmokitError(
                "nothing is expected",
                do="Say which emotion should go up or down before you look: else nothing can come out wrong.",
            )
        panel = Panel(
            settings.template, settings.values, settings.expect, twin=settings.twin if settings.twin.strip() else None,
            ladder=settings.ladder or None, paraphrases=settings.paraphrases,
        )  # fmt: skip
        return next((p for p in PANELS if _key(p) == _key(panel)), panel)

    # the runs

    def _run(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        block, panel = self._vectors.block(settings.block), self._panel(settings)
        key, read = self._read
        if read is None or key != _key(panel):
            self.status = f"reading {sum(map(len, panel.kinds().values()))} sentences ..."
            read = dose.run(self._model, self._vectors, panel, block)
            self._read = _key(panel), read
            if panel not in PANELS:
                self._tried.add(_key(panel))
        if read.block != block:
            read = replace(read, block=block, boot={})
        self._tell(read)
        if not stop.is_set() and set(self._starts) >= {p.title for p in PANELS}:
            self._tell_six(block)
        if not stop.is_set() and self._stories is not None and not read.boot:
            read = self._draw(stop, read, self._stories)
        if not stop.is_set():
            self._read = _key(panel), read
        self.status = "stopped" if stop.is_set() else f"{len(panel.values)} values at block {block}"

    def _draw(self, stop: threading.Event, read: DoseResult, stories: StorySet) -> DoseResult:
        """Intervals, which take a while."""
        self.status = "intervals: making the directions again from 1,000 draws of topics ..."
        if self._remade is None or self._remade.block != read.block:
            self._remade = Remade(self._model, self._vectors, stories, read.block)
        drawn = dose.with_intervals(self._model, read, self._remade, stop.is_set)
        if drawn.boot:
            self._tell(drawn)
        return drawn

    def _tell(self, result: DoseResult) -> None:
        said = conclude(result, model=self._model.name, usual=self._usual, tried=len(self._tried))
        self._now = result, said
        self._show(charts=_charts(result), table=table(result), block=result.block, **said._asdict())

    def _tell_six(self, block: int) -> None:
        """The verdict on emokit's own panels, to hold one's own against: they were written before anybody looked."""
        if self._six is None:
            self.status = "emokit's own six panels, to compare ..."
            self._six = dose.run(self._model, self._vectors)
        self._six = replace(self._six, block=block)
        self._show(six=f"{self._six.verdict} ({self._six.why})")

    def _shown(self) -> tuple[DoseResult, Conclusion]:
        self.wait()
        if self._now is None:
            raise EmokitError("nothing was run yet", do="Let the board's run end.")
        return self._now

    def _figure(self) -> Figure | None:
        return self._now[0].compare() if self._now else None


def _own(vectors: EmotionVectors) -> Panel:
    """What a panel of one's own begins with."""
    emotion = next((e for e in ("proud", "happy") if e in vectors.emotions), vectors.emotions[0])
    return Panel("I just ran {X} km.", [1, 5, 10, 42], expect={emotion: "up"})


def _fields(panel: Panel) -> dict[str, Any]:
    """A panel as the board's fields."""
    return {
        "template": panel.template, "values": list(panel.values), "expect": dict(panel.expect), "twin": panel.twin or "",
        "ladder": list(panel.ladder or ()), "paraphrases": list(panel.paraphrases),
    }  # fmt: skip


def _key(panel: Panel) -> str:
    """All that makes a panel what it is, but its name and note."""
    return repr(_fields(panel))


def _charts(result: DoseResult) -> list[dict[str, Any]]:
    """What the front end draws: for each kind the changes since the first value, and the band of random directions."""
    panel, kinds, charts = result.panels[0], result.panels[0].kinds(), []
    for kind, name in NAMES.items():
        if kind in kinds:
            low, high = result.band(panel, kind)
            curves = {e: result.curve(panel, kind, e) for e in panel.expect}
            labels = range(1, len(kinds[kind]) + 1) if kind == "ladder" else panel.values
            charts.append({
                "name": name, "labels": [str(v) for v in labels], "sentences": kinds[kind],
                "low": _rounded(low), "high": _rounded(high),
                "curves": {e: _rounded(curve - curve[0]) for e, curve in curves.items()},
            })  # fmt: skip
    return charts


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(v), 5) for v in values]
