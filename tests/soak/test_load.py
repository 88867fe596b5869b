"""Mixed reading, steering and board traffic on one model, another beside it, with random cancels: `make soak`.

Half an hour; `EMOKIT_SOAK_MINUTES=3` makes it shorter. What every call returns is known before from a quiet run.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import os
import random
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress

import numpy as np
import pytest
from conftest import hooks, tiny_model
from faults import stories

import emokit
from emokit import activations
from emokit.widgets import LiveMonitor, SteeringConsole, TokenReader

MINUTES = float(os.environ.get("EMOKIT_SOAK_MINUTES", "30"))
GROWTH = 50e6  # bytes that the process may have grown by once all has run for a while
TEXTS = (
    "The phone rang at 3 a.m., and nobody was there when she picked it up.",
    "They danced in the kitchen until the soup burned.",
    "He folded the letter and put it back where he had found it.",
    "The bus was late again, for the ninth time this month.",
)
PROMPTS = ("Tell me about your day.", "My dog is missing.", "What is there to eat?")
PUSHES = ({"happy": 0.3}, {"sad": 0.3}, {"happy": -0.2, "sad": 0.2})
REPLIES = (" blue", " grey and cold", " open")
TOKENS = 6


class Cancelled(KeyboardInterrupt):
    """The stop button, met in the middle of a forward pass."""


class Traffic:
    """What may be asked of one model, and what comes of it when nothing else happens."""

    def __init__(self, model: emokit.Model, vectors: emokit.EmotionVectors) -> None:
        self.model, self.vectors, self.local = model, vectors, threading.local()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        # the passes of a thread that has a countdown end within one of them
        self.handle = model.blocks[1].register_forward_pre_hook(self._count)
        self.calls = {
            "read": [lambda t=t: emokit.read(model, vectors, t).scores for t in TEXTS],
            "means": [lambda t=t: activations.story_means(model, [t, TEXTS[0]], cache=False) for t in TEXTS],
            "chances": [lambda p=p: np.array(model.logprobs(p, REPLIES)) for p in PROMPTS],
            "generate": [lambda p=p: model.generate(p, TOKENS) for p in PROMPTS],
            "sample": [lambda p=p: model.generate(p, TOKENS, temperature=0.8, seed=3) for p in PROMPTS],
            "steer": [lambda p=p, s=s, w=w: self._steered(p, s, w) for p, s, w in zip(PROMPTS, PUSHES, ("all", "prompt", "reply"), strict=True)],
            "nest": [lambda p=p: self._nested(p) for p in PROMPTS],
            "sweep": [lambda: emokit.sweep(model, vectors, PROMPTS[0], "happy", [-0.2, 0.2], max_new_tokens=3).replies],
        }  # fmt: skip
        self.wanted = {name: [call() for call in calls] for name, calls in self.calls.items()}
        self.pieces = [list(model.stream(p, TOKENS)) for p in PROMPTS]

    def _count(self, _module: object, _inputs: object) -> None:
        left = getattr(self.local, "left", None)
        if left is not None:
            self.local.left = left - 1
            if left <= 0:
                raise Cancelled

    def _steered(self, prompt: str, push: dict[str, float], positions: str) -> str:
        with emokit.steer(self.model, self.vectors, push, positions=positions):
            return self.model.generate(prompt, TOKENS)

    def _nested(self, prompt: str) -> np.ndarray:
        with (
            emokit.steer(self.model, self.vectors, PUSHES[0]),
            emokit.steer(self.model, self.vectors, PUSHES[1], blocks=1),
        ):
            return emokit.read(self.model, self.vectors, prompt).scores  # fmt: skip

    def one(self, rng: random.Random) -> None:
        """One call out of all, which a fifth of the times is cancelled on its way; its result must be the known one."""
        name = rng.choice(list(self.calls))
        at = rng.randrange(len(self.calls[name]))
        self.local.left = rng.randrange(TOKENS) if rng.random() < 0.2 else None
        try:
            found = self.calls[name][at]()
        except Cancelled:
            self.done["cancelled"] += 1
            return
        finally:
            self.local.left = None
        self.done[name] += 1
        if not same(found, self.wanted[name][at]):
            self.wrong.append(f"{name} {at} of {self.model.name}: {found!r} instead of {self.wanted[name][at]!r}")

    def stream(self, rng: random.Random) -> None:
        """A stream that is closed before its end, or, begun in a steer, left by an error."""
        at, steps = rng.randrange(len(PROMPTS)), rng.randrange(TOKENS)
        with suppress(ZeroDivisionError), closing(self.model.stream(PROMPTS[at], TOKENS)) as pieces:
            text = "".join(piece for piece, _ in zip(pieces, range(steps), strict=False))
            if text != "".join(self.pieces[at][:steps]):
                self.wrong.append(f"stream {at} of {self.model.name}: {text!r}")
            with emokit.steer(self.model, self.vectors, PUSHES[0]):
                rng.random() < 0.5 or 1 / 0
        self.done["stream"] += 1


def same(found: object, wanted: object) -> bool:
    if isinstance(wanted, np.ndarray):
        return np.allclose(found, wanted, rtol=1e-3, atol=1e-3)
    return found == wanted


class Boards:
    """Three boards of one model, whose settings change faster than they can follow."""

    SETTINGS = tuple({"happy": h, "sad": s, "prompt": p} for h, s, p in ((0.2, 0.0, 0), (-0.2, 0.1, 1), (0.0, 0.0, 2)))

    def __init__(self, traffic: Traffic) -> None:
        model, vectors = traffic.model, traffic.vectors
        self.traffic = traffic
        self.console = SteeringConsole(model, vectors, emotions=["happy", "sad"], max_new_tokens=TOKENS)
        self.monitor = LiveMonitor(model, vectors, max_new_tokens=TOKENS)
        self.reader = TokenReader(model, vectors, TEXTS[0])
        self.wanted = []
        for settings in self.SETTINGS:
            self._set(settings)
            assert self.console.wait(300)
            self.wanted.append(dict(self.console.replies))

    def _set(self, settings: dict[str, float]) -> None:
        self.console.set(**settings | {"prompt": PROMPTS[int(settings["prompt"])]})

    def one(self, rng: random.Random) -> None:
        for _ in range(rng.randrange(4)):  # superseded before they end
            self._set(rng.choice(self.SETTINGS))
            self.monitor.set(prompt=rng.choice(PROMPTS), seed=rng.randrange(3))
            time.sleep(rng.random() / 10)
        if rng.random() < 0.3:
            self.console.stop()
            self.monitor.stop()
        at, text = rng.randrange(len(self.SETTINGS)), rng.randrange(len(TEXTS))
        self._set(self.SETTINGS[at])
        self.reader.set(text=TEXTS[text])
        for board in (self.console, self.reader, self.monitor):
            assert board.wait(300), f"{board} does not come to rest"
        self.traffic.done["boards"] += 1
        if self.console.replies != self.wanted[at]:
            self.traffic.wrong.append(f"console {at}: {self.console.replies} instead of {self.wanted[at]}")
        if not same(self.reader.reading.scores, self.traffic.wanted["read"][text]):
            self.traffic.wrong.append(f"reader {text}")

    def close(self) -> None:
        for board in (self.console, self.monitor, self.reader):
            board.close()


def memory() -> float:
    """Bytes that the process holds, after what it need not has been given back; 0 where that can't be told."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim(0)
    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0.0


@contextmanager
def running(jobs: list, failures: list[BaseException]):
    """Each job over and over in a thread of its own, as long as the `with` lasts."""
    end = threading.Event()

    def loop(job, seed: int) -> None:
        rng = random.Random(seed)
        while not end.is_set():
            try:
                job(rng)
            except BaseException as error:
                failures.append(error)
                return

    threads = [
        threading.Thread(target=loop, args=(job, i), name=f"traffic {i}", daemon=True) for i, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join(300)
            assert not thread.is_alive(), "a thread does not end"


@pytest.mark.truth
def test_traffic_with_cancels_leaks_nothing_and_mixes_nothing_up(smol, smol_vectors):
    rival = tiny_model()
    carried, threads = (hooks(smol), hooks(rival)), set(threading.enumerate())
    main, other = Traffic(smol, smol_vectors), Traffic(rival, emokit.extract(rival, stories(), cache=False))
    boards, failures, grown = Boards(main), [], []
    jobs = [main.one, main.one, main.stream, other.one, other.stream, boards.one]
    with running(jobs, failures):
        begun = time.monotonic()
        while (spent := time.monotonic() - begun) < 60 * MINUTES and not failures:
            time.sleep(min(15, 6 * MINUTES))
            if spent > 60 * MINUTES / 5:  # all has run for a while, and what is kept once is there
                grown.append(memory())
    boards.close()
    for traffic in (main, other):
        traffic.handle.remove()
    print(f"{dict(main.done)} and {dict(other.done)}; memory {np.ptp(grown) / 1e6 if grown else 0:.0f} MB")
    assert not failures, failures
    assert not main.wrong + other.wrong, main.wrong + other.wrong
    for traffic in (main, other):
        assert traffic.done["cancelled"] > 0
        assert MINUTES < 5 or set(traffic.calls) <= set(traffic.done), "not all was done"
        assert traffic.done["stream"] > MINUTES
    assert main.done["boards"] > MINUTES
    assert (hooks(smol), hooks(rival)) == carried
    assert not smol.steers + rival.steers
    assert smol.lock.acquire(timeout=5), "the model is still held"
    smol.lock.release()
    time.sleep(1)
    assert [t for t in threading.enumerate() if t not in threads and t.is_alive() and t.name != "tqdm_monitor"] == []
    third = len(grown) // 3 or 1
    assert np.median(grown[-third:]) - np.median(grown[:third]) < GROWTH
