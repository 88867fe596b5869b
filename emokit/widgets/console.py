"""SteeringConsole: sliders for emotions, and steered and unsteered replies streaming side by side."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..errors import EmokitError, check_kinds, check_number
from ..models import Message, Model
from ..replay import Recording
from ..trials import INSTRUCTION, instructed
from ..vectors import EmotionVectors
from .board import Board, front
from .branches import Branch, Strengths, grow
from .reader import packed

if TYPE_CHECKING:
    from ..plots import Figure

COLUMNS = ("unsteered", "steered", "random direction", "just prompting")
LIMIT = 0.3  # of a slider without a calibration: the working strength of the default model that `calibrate` measured
KEPT = 50  # runs in the history


class SteeringConsole(Board):
    """Sliders for the strength of some emotions, and replies with and without them, token by token as one batch.

    Two more columns on demand: `control`, a random direction in the span of the emotions, of the same size as all sliders
    together; and `asked`, the unsteered model just told to answer so. A setting changed begins anew; "stop" ends a run at
    the next token. Sliders end at the `calibration`'s working strength of the block, where it has one. From Python:

    >>> board = emokit.widgets.SteeringConsole(model, vectors, emotions=["happy", "sad"])
    >>> board.set(happy=0.3)
    >>> board.wait()
    >>> board.replies["steered"]
    """

    _esm = front("steering_console")
    prompt = traitlets.Unicode().tag(sync=True, runs=True)
    system = traitlets.Unicode().tag(sync=True, runs=True)
    strengths = traitlets.Dict().tag(sync=True, runs=True)  # emotion: what its slider says
    block = traitlets.Int().tag(sync=True, runs=True)
    max_new_tokens = traitlets.Int(min=1, max=1000).tag(sync=True, runs=True)
    temperature = traitlets.Float(min=0, max=10).tag(sync=True, runs=True)
    seed = traitlets.Int(min=0).tag(sync=True, runs=True)
    control = traitlets.Bool().tag(sync=True, runs=True)
    asked = traitlets.Bool().tag(sync=True, runs=True)
    colour = traitlets.Unicode().tag(sync=True)  # the emotion that colours the replies
    swept = traitlets.Unicode().tag(sync=True)  # the emotion of a sweep
    limits: Any = traitlets.List().tag(sync=True)  # the sliders' two ends at the block
    history: Any = traitlets.List().tag(sync=True)  # complete runs, the newest last

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        prompt: str = "Tell me about your day.",
        *,
        emotions: Sequence[str] = ("happy", "calm", "sad", "angry"),
        max_new_tokens: int = 40,
        seed: int = 0,
        block: int | None = None,
        calibration: Any = None,
    ) -> None:
        check_kinds((model, Model), (vectors, EmotionVectors))
        vectors.check(model)
        for emotion in emotions:
            vectors.index(emotion)
        if not emotions:
            raise EmokitError("no emotion to steer", emotions, 'Name at least one: ["happy"].')
        if calibration is not None and not hasattr(calibration, "strength"):
            raise EmokitError("not a Calibration", calibration, "Give what emokit.calibrate(model, vectors) returns.")
        self._model: Model = model
        self._vectors, self._calibration = vectors, calibration
        self._plain: tuple[Any, dict[str, Any]] = (None, {})  # the last complete unsteered reply, and of what
        self._recording = ("", Recording())  # the last prompt, and what the blocks made of it
        self.replies: dict[str, str] = dict.fromkeys(COLUMNS, "")
        start = vectors.block(block)
        super().__init__(
            model,
            vectors,
            about={"sliders": list(emotions)},
            prompt=prompt,
            strengths=dict.fromkeys(emotions, 0.0),
            block=start,
            limits=self._limits(start),
            max_new_tokens=max_new_tokens,
            seed=seed,
            colour=emotions[0],
            swept=emotions[0],
            status="Move a slider or press run.",
        )
        self.actions |= {"sweep": self.sweep, "json": self._send_json, "markdown": self._send_markdown}

    def __repr__(self) -> str:
        return f"SteeringConsole({', '.join(f'{e}={s:+.2f}' for e, s in self.strengths.items())})"

    # from Python

    def set(self, **settings: Any) -> None:
        """Put sliders (by emotion) and other settings to new values and begin one run.

        Raises EmokitError for an emotion without slider, a strength beyond it, and values that settings can't have.

        >>> board.set(happy=0.3, prompt="Who are you?", control=True)
        """
        names = self.trait_names(runs=True)
        moved = {name: settings.pop(name) for name in list(settings) if name not in names}
        block = settings.get("block", self.block)
        strengths = self._checked(moved, self._vectors.block(block)) if moved else {}
        if moved:
            settings["strengths"] = {**settings.get("strengths", self.strengths), **strengths}
        super().set(**settings)

    def sweep(self, emotion: str | None = None) -> None:
        """Begin a sweep of one emotion over its slider: five replies from one batch, in `view["sweep"]`."""
        if emotion is not None:
            self._vectors.index(emotion)
            self.swept = emotion
        self._submit(sweep=self.swept)

    def to_json(self) -> str:
        """The history as JSON, with the model and the vectors' origin."""
        about = {"model": self._model.name, "vectors": self._vectors.provenance.get("model", {}), "runs": self.history}
        return json.dumps(about, indent=2, ensure_ascii=False)

    def to_markdown(self) -> str:
        """The history as Markdown, a section a run."""
        parts = [f"# Steering {self._model.name}"]
        for run in self.history:
            pushes = ", ".join(f"{e} {s:+.2f}" for e, s in run["strengths"].items() if s) or "no steering"
            drawn = f"temperature {run['temperature']:g}, seed {run['seed']}" if run["temperature"] else "greedy"
            parts.append(f"## {pushes}, block {run['block']}, {drawn}")
            parts += [f"*{name}*: {run[name]}" for name in ("system", "prompt") if run[name]]
            parts += [f"**{name}**\n\n" + _quoted(text) for name, text in run["replies"].items()]
        return "\n\n".join(parts) + "\n"

    # the runs

    def _run(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        strengths = self._checked(settings.strengths, self._vectors.block(settings.block))
        check_number(settings.temperature, "a temperature", least=0)
        messages: list[Message] = [{"role": "system", "content": settings.system}] if settings.system.strip() else []
        messages.append({"role": "user", "content": settings.prompt})
        prompt = self._model.prompt(messages)
        self.status = "generating ..."
        if self._recording[0] != prompt:
            self._recording = prompt, Recording()
        if sweep := getattr(settings, "sweep", None):
            return self._sweep(stop, settings, prompt, sweep)
        known, plain = self._plain
        key = (prompt, settings.max_new_tokens, settings.temperature, settings.seed)
        rows: dict[str, Strengths] = {"unsteered": {}, "steered": dict(strengths.items())}
        if settings.control:
            rows["random direction"] = {self._vectors.random(settings.seed): self._size(strengths, settings.block)}
        columns = {name: _column(name) for name in rows | ({"just prompting": {}} if settings.asked else {})}
        if known == key:
            columns["unsteered"] = plain
            del rows["unsteered"]
        self._grow(stop, settings, prompt, rows, columns)
        if settings.asked and not stop.is_set():
            told = self._model.prompt(_told(self._model, messages, strengths))
            self._grow(stop, settings, told, {"just prompting": {}}, columns)
        if stop.is_set():
            self.status = "stopped"
            return None
        self._plain = key, columns["unsteered"]
        run = {name: value for name, value in vars(settings).items() if name not in ("control", "asked")}
        run |= {"strengths": strengths, "replies": {name: c["text"] for name, c in columns.items()}}
        if not self.history or self.history[-1] != run:
            self.history = [*self.history, run][-KEPT:]
        self.status = "done"
        return None

    def _sweep(self, stop: threading.Event, settings: SimpleNamespace, prompt: str, emotion: str) -> None:
        low, high = self._limits(settings.block)
        strengths = [low, low / 2, 0.0, high / 2, high]
        rows: dict[str, Strengths] = {f"{emotion} {s:+.2f}".replace("-", "−"): {emotion: s} for s in strengths}
        self._grow(stop, settings, prompt, rows, {name: _column(name) for name in rows}, "sweep")
        self.status = "stopped" if stop.is_set() else "done"

    def _grow(
        self,
        stop: threading.Event,
        settings: SimpleNamespace,
        prompt: str,
        rows: dict[str, Strengths],
        columns: dict[str, dict[str, Any]],
        part: str = "columns",
    ) -> None:
        """Grow the replies of `rows`, showing all `columns` after each token."""
        growing = grow(
            self._model, self._vectors, prompt, list(rows.values()), block=settings.block,
            limit=settings.max_new_tokens, temperature=settings.temperature, seed=settings.seed,
            recording=self._recording[1] if prompt == self._recording[0] else None,
        )  # fmt: skip
        self._tell(columns, part)
        with closing(growing):
            for branches in growing:
                if stop.is_set():
                    return
                for name, branch in zip(rows, branches, strict=True):
                    columns[name] = _column(name, branch)
                self._tell(columns, part)

    def _tell(self, columns: dict[str, dict[str, Any]], part: str) -> None:
        if part == "columns":
            self.replies = dict.fromkeys(COLUMNS, "") | {name: column["text"] for name, column in columns.items()}
        self._show(**{part: list(columns.values())})

    # the parts

    def _checked(self, strengths: dict[str, Any], block: int) -> dict[str, float]:
        """The strengths, if each has a slider and lies on it."""
        low, high = self._limits(block)
        for emotion, strength in strengths.items():
            if emotion not in self.about["sliders"]:
                known = ", ".join(self.about["sliders"])
                raise EmokitError("no slider for this emotion", emotion, f"There are: {known}.")
            check_number(strength, "a strength")
            if not low <= strength <= high:
                raise EmokitError("a strength beyond the slider", strength, f"Use {low:g} to {high:g}.")
        return {emotion: round(float(strength), 6) for emotion, strength in strengths.items()}

    def _limits(self, block: int) -> list[float]:
        """A slider's ends: the working strengths at a block, and `LIMIT` to a side on which none is known."""
        if self._calibration is None:
            return [-LIMIT, LIMIT]
        try:
            down, up = self._calibration.strength(block, down=True), self._calibration.strength(block)
        except EmokitError:  # a block that was not calibrated
            down = up = None
        return [down or -LIMIT, up or LIMIT]

    def _changed(self, change: Any) -> None:
        """Other blocks have other limits; what lies beyond moves to the end."""
        if change.name == "block" and self.block in self._vectors.blocks:
            low, high = self._limits(self.block)
            with self._hold():
                self.limits = [low, high]
                self.strengths = {e: min(high, max(low, s)) for e, s in self.strengths.items()}
        super()._changed(change)

    def _size(self, strengths: dict[str, float], block: int) -> float:
        """How far all sliders together push, so that the control pushes as far."""
        pushes = [s * self._vectors[emotion].rows[block] for emotion, s in strengths.items()]
        return float(np.linalg.norm(np.sum(pushes, axis=0)))

    def _send_json(self) -> None:
        self.send({"name": "steering.json", "text": self.to_json()})

    def _send_markdown(self) -> None:
        self.send({"name": "steering.md", "text": self.to_markdown()})

    def _figure(self) -> Figure | None:
        from .. import plots

        heading = ", ".join(f"{emotion} {strength:+.2f}" for emotion, strength in self.strengths.items())
        shown = {name: text for name, text in self.replies.items() if text or name in COLUMNS[:2]}
        return plots.text_columns(shown, title=f"{self.prompt}   [{heading}]")


def _column(name: str, branch: Branch | None = None) -> dict[str, Any]:
    """A reply as the front end takes it."""
    if branch is None:
        return {"name": name, "tokens": [], "scores": b"", "text": ""}
    return {"name": name, "tokens": branch.tokens, "scores": packed(branch.rows()), "text": branch.text}


def _told(model: Model, messages: list[Message], strengths: dict[str, float]) -> list[Message]:
    """The messages with the wish in words, in the system message, or before the prompt where the template has none."""
    towards = [f"{'' if strength > 0 else 'not '}{emotion}" for emotion, strength in strengths.items() if strength]
    if not towards:
        return messages
    return instructed(model, INSTRUCTION.format(emotion=" and ".join(towards)), messages)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines() or [""])
