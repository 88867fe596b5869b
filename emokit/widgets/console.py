"""SteeringConsole: sliders for emotions, and the steered reply streaming beside the unsteered one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets
import numpy as np

from ..calibration import Calibration
from ..errors import EmokitError
from ..models import Model
from ..steering import Strengths, steer
from ..vectors import Direction, EmotionVectors
from .worker import Latest

COLUMNS = ("unsteered", "steered", "random direction")
LIMIT = 0.3  # of a slider without a calibration: what `calibrate` chose at block 18 of the default model (perplexity x 1.49)


class SteeringConsole(ipywidgets.VBox):
    """Sliders for the strength of some emotions, and replies with and without them, token by token.

    The third column, on demand, is the control: a random direction in the span of the emotions, of the same size as all
    sliders together. Moving a slider begins anew; "stop" ends a run at the next token. A slider ends at the working
    strength of the best block, where a `calibration` is given that has one. Works from Python too:

    >>> board = emokit.widgets.SteeringConsole(model, vectors, emotions=["happy", "sad"])
    >>> board.set(happy=0.3)
    >>> board.wait()
    >>> board.replies["steered"]
    """

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        prompt: str = "Tell me about your day.",
        *,
        emotions: Sequence[str] = ("happy", "calm", "sad", "angry"),
        max_new_tokens: int = 40,
        seed: int = 0,
        calibration: Calibration | None = None,
    ) -> None:
        self._worker = Latest(self._run, self._show_error)  # first, for `close` is called on a half-made board too
        vectors.check(model)
        for emotion in emotions:
            vectors.index(emotion)
        low, high = limits(vectors, calibration)
        self._model, self._vectors, self._seed = model, vectors, seed
        self.replies: dict[str, str] = dict.fromkeys(COLUMNS, "")
        self._unsteered: dict[tuple[str, int], str] = {}
        wide = ipywidgets.Layout(width="100%")
        self.prompt = ipywidgets.Textarea(prompt, description="prompt", layout=wide, continuous_update=False)
        self.sliders = {
            emotion: ipywidgets.FloatSlider(
                0, min=low, max=high, step=0.05, description=emotion, readout_format="+.2f", layout=wide
            )
            for emotion in emotions
        }
        self.tokens = ipywidgets.BoundedIntText(max_new_tokens, min=1, max=1000, description="tokens")
        self.control = ipywidgets.Checkbox(False, description="control: random direction", indent=False)
        self.button = ipywidgets.Button(description="run", button_style="primary", tooltip="Generate both replies")
        self.stopper = ipywidgets.Button(description="stop", tooltip="Stop at the next token")
        self.status = ipywidgets.HTML("Move a slider or press run.")
        self._columns = {
            name: ipywidgets.HTML(layout=ipywidgets.Layout(width="33%", padding="0 8px")) for name in COLUMNS
        }
        super().__init__(
            [
                self.prompt,
                *self.sliders.values(),
                ipywidgets.HBox([self.button, self.stopper, self.tokens, self.control]),
                self.status,
                ipywidgets.HBox(list(self._columns.values())),
            ]
        )
        self.add_class("emokit-console")
        for part in (self.prompt, *self.sliders.values(), self.tokens, self.control):
            part.observe(self._changed, names="value")
        self.button.on_click(self._changed)
        self.stopper.on_click(lambda _: self._worker.stop())
        for name in COLUMNS:
            self._show(name, "")

    def __repr__(self, **_: Any) -> str:
        return f"SteeringConsole({', '.join(f'{e}={s:+.2f}' for e, s in self.strengths.items())})"

    @property
    def strengths(self) -> dict[str, float]:
        """The strength of each emotion as the sliders stand."""
        return {emotion: round(slider.value, 6) for emotion, slider in self.sliders.items()}

    def set(self, prompt: str | None = None, **strengths: float) -> None:
        """Put sliders, and the prompt, to new values and begin one run; raises EmokitError for an emotion without slider."""
        for emotion, strength in strengths.items():
            if emotion not in self.sliders:
                raise EmokitError("no slider for this emotion", emotion, f"There are: {', '.join(self.sliders)}.")
            low, high = self.sliders[emotion].min, self.sliders[emotion].max
            if not low <= strength <= high:
                raise EmokitError("a strength beyond the slider", strength, f"Use {low:g} to {high:g}.")
        self._hold = True
        try:
            for emotion, strength in strengths.items():
                self.sliders[emotion].value = strength
            if prompt is not None:
                self.prompt.value = prompt
        finally:
            self._hold = False
        self._changed()

    _hold = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the replies are complete; False after `timeout` seconds. Raises what a run raised."""
        if self._model.own_steers():
            raise EmokitError(
                "waiting inside a `with steer(...)`", do="The board waits for the model too: leave the `with` first."
            )
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Stop the run, end the worker and remove the board."""
        self._worker.close()
        super().close()

    def _changed(self, _: Any = None) -> None:
        if not self._hold:
            self._worker.submit(self.prompt.value, self.strengths, self.tokens.value, self.control.value)

    def _run(
        self, stop: threading.Event, prompt: str, strengths: dict[str | Direction, float], limit: int, control: bool
    ) -> None:
        self.status.value = "generating ..."
        plans: dict[str, Strengths] = {"steered": strengths}
        added = sum(
            (s * self._vectors[str(e)].rows[self._vectors.best_block] for e, s in strengths.items()), np.zeros(1)
        )
        size = float(np.linalg.norm(added))  # so that the control pushes as far as all sliders together
        if control:
            plans["random direction"] = {self._vectors.random(self._seed): size}
        else:
            self._show("random direction", "")
        key = (prompt, limit)
        if key not in self._unsteered:
            text = self._stream(stop, "unsteered", prompt, limit)
            if not stop.is_set():
                self._unsteered = {key: text}
        else:
            self._show("unsteered", self._unsteered[key])
        for name, plan in plans.items():
            if stop.is_set():
                break
            with steer(self._model, self._vectors, plan):
                self._stream(stop, name, prompt, limit)
        self.status.value = "stopped" if stop.is_set() else "done"

    def _stream(self, stop: threading.Event, name: str, prompt: str, limit: int) -> str:
        text = ""
        self._show(name, text)
        for piece in self._model.stream(prompt, max_new_tokens=limit):
            if stop.is_set():
                break
            text += piece
            self._show(name, text)
        return text

    def _show(self, name: str, text: str) -> None:
        self.replies = self.replies | {name: text}
        shown = escape(text).replace("\n", "<br>") or "&nbsp;"
        self._columns[name].value = f'<b>{name}</b><div style="line-height:1.5">{shown}</div>'

    def _show_error(self, error: Exception) -> None:
        self.status.value = f"<b>Something is wrong:</b> {escape(str(error))}"

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        """The live board, and a picture of it for readers without a kernel."""
        import base64

        from .. import plots

        bundle = super()._repr_mimebundle_(*args, **kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        heading = ", ".join(f"{emotion} {strength:+.2f}" for emotion, strength in self.strengths.items())
        shown = {name: text for name, text in self.replies.items() if text or name != "random direction"}
        picture = plots.text_columns(shown, title=f"{self.prompt.value}   [{heading}]")
        data["image/png"] = base64.b64encode(plots.png(picture)).decode()
        return bundle


def limits(vectors: EmotionVectors, calibration: Calibration | None = None) -> tuple[float, float]:
    """The ends of a slider: the working strengths at the best block, and 0.3 (`LIMIT`) to a side on which there is none."""
    if calibration is None:
        return -LIMIT, LIMIT
    if not isinstance(calibration, Calibration):
        raise EmokitError("not a Calibration", calibration, "Give what emokit.calibrate(model, vectors) returns.")
    block = vectors.best_block
    return calibration.strength(block, down=True) or -LIMIT, calibration.strength(block) or LIMIT
