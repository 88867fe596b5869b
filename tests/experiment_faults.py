"""Kills in the middle of experiments and saves: scenarios for `faults.Server`."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from conftest import tiny_model
from faults import delays, kill, measured, partials, patched, run, scenario, stories

import emokit
from emokit import results
from emokit.files import Log
from emokit.stories import StorySet, load_stories

FEW = dict(emotions=["happy", "sad"], blocks=[1, 2], strengths=[-0.3, 0.3], max_new_tokens=3)


@scenario
def killed_while_calibrating(folder: Path, rounds: int) -> str:
    model = tiny_model()
    vectors = emokit.extract(model, stories())
    wanted = emokit.calibrate(model, vectors, **FEW).to_frame()
    (log,) = (emokit.files.cache_dir() / "calibrated").iterdir()
    total, resumed = len(Log(log, "key").rows), 0
    counts = folder / "made"

    def job() -> None:
        add = Log.add

        def counted(self, rows):
            time.sleep(0.02)
            with counts.open("a") as file:
                file.write("x")
            add(self, rows)

        with patched(Log, "add", counted):
            np.testing.assert_allclose(
                emokit.calibrate(model, vectors, **FEW).to_frame().select_dtypes("number"),
                wanted.select_dtypes("number"), rtol=1e-3, atol=1e-3,
            )  # fmt: skip

    log.unlink()
    seconds = measured(job)
    for delay in delays(rounds, seconds):
        log.unlink(missing_ok=True)
        kill(job, delay)
        found = len(Log(log, "key").rows)
        counts.unlink(missing_ok=True)
        resumed += 0 < found < total
        run(job)  # compares the result
        made = counts.stat().st_size if counts.exists() else 0
        assert made == total - found
        assert len(Log(log, "key").rows) == total
    assert resumed
    return f"{resumed} of {rounds} kills in the middle of {total} measurements"


def written(folder: Path, rounds: int, write: Callable[[Path, int], None], check: Callable[[Path], object]) -> str:
    """Kill a process that writes one of two contents to a path over and over; what is there is always whole."""
    middle, path, replace = 0, folder / "saved" / "file", os.replace

    def save() -> None:
        with patched(os, "replace", lambda *paths: (time.sleep(0.005), replace(*paths))):
            for i in itertools.count():
                write(path, i % 2)

    for delay in delays(rounds, 0.3):
        shutil.rmtree(path.parent, ignore_errors=True)
        kill(save, delay)
        middle += bool(partials(path.parent))
        if path.exists():
            check(path)
        write(path, 0)
        check(path)
    assert middle
    return f"{middle} of {rounds} kills in the middle"


@scenario
def killed_while_writing_a_control_vector(folder: Path, rounds: int) -> str:
    vectors = emokit.extract(tiny_model(), stories())

    def check(path: Path) -> None:
        found = vectors.from_gguf(path)
        assert found.blocks == [1, 2, 3]
        np.testing.assert_allclose(
            np.abs(found.rows[1:]), 0.2 * np.abs(vectors["happy"].rows[1:]), rtol=1e-5, atol=1e-8
        )

    return written(
        folder, rounds, lambda path, i: vectors.to_gguf(path, {"happy": (-0.2, 0.2)[i]}, blocks=[1, 2, 3]), check
    )


@scenario
def killed_while_writing_results(folder: Path, rounds: int) -> str:
    contents = [{"values": list(range(5000))}, {"values": ["x"] * 5000}]

    def check(path: Path) -> None:
        assert json.loads(path.read_text()) in contents

    return written(folder, rounds, lambda path, i: results.write(contents[i], path), check)


@scenario
def killed_while_saving_stories(folder: Path, rounds: int) -> str:
    both = stories(), StorySet(tuple(stories())[:6], stories().neutral)

    def check(path: Path) -> None:
        shutil.copy(path, folder / "copy.jsonl")
        assert len(load_stories(folder / "copy.jsonl")) in [len(s) for s in both]

    return written(folder, rounds, lambda path, i: both[i].save(path), check)
