"""Board: the base of the boards. Settings are traits that either side sets; `view` is what Python has to show."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from ..errors import EmokitError
from ..models import Model
from ..vectors import EmotionVectors
from .worker import Latest

if TYPE_CHECKING:
    from ..plots import Figure

STATIC = Path(__file__).parent / "static"


def front(name: str) -> str:
    """A board's front end as one ES module: common.mjs and its own, since a notebook has no server to import from."""
    own = (STATIC / f"{name}.mjs").read_text(encoding="utf-8")
    own = re.sub(r'^import \{[^}]*\} from "\./common\.mjs";\n', "", own, flags=re.M)
    return (STATIC / "common.mjs").read_text(encoding="utf-8") + own


class Board(anywidget.AnyWidget):
    """A board of a notebook: its settings begin runs on one worker thread, the newest of which wins.

    A subclass has a front end (`_esm = front(...)`), settings (traits tagged `sync=True, runs=True`), and `_run(stop,
    settings)`, which calls `_show`. A change of a setting, by hand or from Python, begins a run; `wait` waits for it;
    an error is shown on the board and raised by `wait`.
    """

    _css = (STATIC / "boards.css").read_text(encoding="utf-8")
    about = traitlets.Dict().tag(sync=True)  # what never changes: emotions, blocks, limits
    view = traitlets.Dict().tag(sync=True)  # what there is to see; only Python writes it
    status = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool().tag(sync=True)

    def __init__(self, model: Model | None, vectors: EmotionVectors | None = None, **traits: Any) -> None:
        self._mutex, self._held = threading.RLock(), False  # messages and the worker write traits on several threads
        self._worker = Latest(self._work, self._failed)
        self._model = model
        about = dict(traits.pop("about", {}))
        if vectors is not None:
            about |= {"emotions": list(vectors.emotions), "blocks": len(vectors.blocks), "best": vectors.best_block}
        super().__init__(about=about, **traits)
        self.actions: dict[str, Callable[[], Any]] = {"run": self.run, "stop": self.stop}  # what buttons ask for
        self.on_msg(self._asked)
        self.observe(self._changed, names=self.trait_names(runs=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    # from Python

    def set(self, **settings: Any) -> None:
        """Change several settings and begin one run; raises EmokitError for what is no setting, or no value of it."""
        names = self.trait_names(runs=True)
        for name in settings:
            if name not in names:
                raise EmokitError("no setting of this board", name, f"There are: {', '.join(sorted(names))}.")
        with self._hold():
            for name, value in settings.items():
                try:
                    setattr(self, name, value)
                except traitlets.TraitError as error:
                    raise EmokitError(f"a setting that can't be ({error})", value, f"Choose another {name}.") from None
        self.run()

    def run(self) -> None:
        """Begin a run with the settings as they are; returns at once."""
        self._submit()

    def stop(self) -> None:
        """End the run at its next token."""
        self._worker.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the last run is complete; False after `timeout` seconds. Raises what the run raised."""
        if self._model is not None and self._model.own_steers():
            raise EmokitError(
                "waiting inside a `with steer(...)`", do="The board waits for the model too: leave the `with` first."
            )
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Stop the run, end the worker and remove the board."""
        if hasattr(self, "_worker"):  # ipywidgets closes half-made boards too
            self._worker.close()
        super().close()

    # for subclasses

    def _run(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        """On the worker's thread: do what the settings ask for, looking at `stop.is_set()` between tokens."""
        raise NotImplementedError

    def _figure(self) -> Figure | None:
        """The picture for readers without a kernel."""
        return None

    def _show(self, **changes: Any) -> None:
        """Change parts of the view, in one message to the front end."""
        with self._mutex:
            self.view = self.view | changes

    def _submit(self, **more: Any) -> None:
        """Ask for a run with the settings as they are now, and `more` of the kind."""
        with self._mutex:  # else a snapshot made earlier, on another thread, could be the newest request
            settings = {name: getattr(self, name) for name in self.trait_names(runs=True)}
            self._worker.submit(SimpleNamespace(**settings, **more))

    @contextmanager
    def _hold(self) -> Iterator[None]:
        """Within the `with`, a change of settings begins no run."""
        with self._mutex:
            before, self._held = self._held, True
            try:
                yield
            finally:
                self._held = before

    # the machinery

    def _changed(self, _: Any) -> None:
        if not self._held:
            self.run()

    def _work(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        self.error, self.busy = "", True
        try:
            self._run(stop, settings)
        finally:
            self.busy = False

    def _failed(self, error: Exception) -> None:
        self.status = ""
        self.error = str(error) if isinstance(error, EmokitError) else f"{type(error).__name__}: {error}"

    def _asked(self, _: Any, content: Any, buffers: Any) -> None:
        """A button of the front end: {"do": one of `actions`}."""
        try:
            self.actions[content["do"]]()
        except Exception as error:  # it would vanish in the log of the kernel
            self._failed(error)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What the front end has set; a value that can't be is shown as an error on the board."""
        with self._mutex:
            try:
                super().set_state(sync_data)
            except Exception as error:
                self._failed(error)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live board, and a picture of it for readers without a kernel."""
        from .. import plots

        bundle = super()._repr_mimebundle_(**kwargs)
        figure = self._figure()
        if bundle is not None and figure is not None:
            data = bundle[0] if isinstance(bundle, tuple) else bundle
            data["image/png"] = base64.b64encode(plots.png(figure)).decode()
        return bundle
