"""One worker thread for all that a board asks of the model: the newest request wins, and every run can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Latest:
    """Runs `work(stop, *request)` in one thread; a new request stops the running one and replaces the waiting one.

    Widget callbacks may come on several threads at once, so they only `submit`. `work` looks at `stop.is_set()` between
    tokens. An error goes to `failed`, and is raised by every `wait` until there is a new request.

    >>> worker = Latest(lambda stop, x: print(x), failed=print)
    >>> worker.submit(1)
    >>> worker.wait()
    1
    """

    def __init__(self, work: Callable[..., None], failed: Callable[[Exception], None]) -> None:
        self._work, self._failed = work, failed
        self._changed = threading.Condition()
        self._waiting: tuple[Any, ...] | None = None
        self._running: threading.Event | None = None
        self._error: Exception | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, *request: Any) -> None:
        """Ask for `work(stop, *request)` in place of whatever waits or runs; returns at once."""
        with self._changed:
            self._waiting, self._error, self._closed = request, None, False
            if self._running:
                self._running.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name="emokit board", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self) -> None:
        """Drop the waiting request and end the running one at its next token."""
        with self._changed:
            self._waiting = None
            if self._running:
                self._running.set()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and end the thread."""
        self.stop()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs or waits; False if that takes longer than `timeout` seconds. Raises a run's error."""
        with self._changed:
            idle = self._changed.wait_for(lambda: self._waiting is None and self._running is None, timeout)
            if self._error is not None:
                raise self._error
            return idle

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                if self._waiting is None:
                    self._thread = None
                    return
                request, self._waiting = self._waiting, None
                self._running = stop = threading.Event()
            try:
                self._work(stop, *request)
            except Exception as error:
                with self._changed:
                    superseded = self._waiting is not None
                    self._error = None if superseded else error
                if not superseded:
                    self._failed(error)
            finally:
                with self._changed:
                    self._running = None
                    self._changed.notify_all()
