"""Two ranks that share an extraction or a log, one of which may die: scenarios for `faults.Server`."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_model
from faults import Extraction, finish, fork, patched, scenario, stories

import emokit
from emokit import EmokitError, activations, ranks, sharing
from emokit.files import Log


def start(job: Callable[[int], object], caches: list[Path]) -> list[int]:
    """Start `job(rank)` in a process for each cache folder, with what torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def child(rank: int) -> Callable[[], object]:
        def run() -> None:
            os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(len(caches)), "LOCAL_RANK": str(rank)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "EMOKIT_CACHE": str(caches[rank])}
            job(rank)

        return run

    return [fork(child(rank)) for rank in range(len(caches))]


def statuses(children: list[int]) -> list[int]:
    return [os.waitpid(child, 0)[1] for child in children]


class Shared(Extraction):
    """Extraction by ranks; `read` counts the texts that each passed through the model."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.one = emokit.files.cache_dir()
        self.dies_after: int | None = None  # batches that rank 1 reads before it dies

    def __call__(self, rank: int) -> None:
        batches = itertools.count()

        def pool(model, rows, *others):
            if rank == 1 and next(batches) == self.dies_after:
                os.kill(os.getpid(), signal.SIGKILL)
            with (self.place / str(rank)).open("a") as file:
                file.write("x" * len(rows))
            return _POOL(model, rows, *others)

        with patched(activations, "_pool", pool), patched(activations, "TOKEN_BUDGET", {"cpu": 120}):
            with ranks.together():
                sharing.fill(self.model, self.texts)
            if rank == 0:
                before = self.read()
                vectors = emokit.extract(self.model, self.stories)
                assert self.read() == before  # all of it came from the cache
                assert (vectors.directions * self.wanted.directions).sum(-1).min() > 0.99999
                np.testing.assert_allclose(vectors.norms, self.wanted.norms, rtol=1e-5)
                assert vectors.best_block == self.wanted.best_block

    def run(self, caches: list[Path]) -> None:
        self.place = caches[0].parent / "read"
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        finish(*start(self, caches))

    def read(self) -> list[int]:
        paths = [self.place / "0", self.place / "1"]
        return [path.stat().st_size if path.exists() else 0 for path in paths]


_POOL = activations._pool


@scenario
def ranks_extract_as_one_process_does(folder: Path, rounds: int) -> None:
    job = Shared(folder)
    total = len(job.texts)
    job.run([job.one] * 2)
    assert sorted(job.read()) == [total // 2, total - total // 2]  # each its share
    assert job.cached() == total
    job.run([job.one] * 2)
    assert job.read() == [0, 0]


@scenario
def ranks_of_two_machines_share_no_folder(folder: Path, rounds: int) -> None:
    job = Shared(folder)
    total = len(job.texts)
    caches = [job.one, folder / "other"]
    job.run(caches)
    assert sorted(job.read()) == [total // 2, total - total // 2]
    assert job.cached() == total  # rank 0's own
    shutil.rmtree(job.one)
    job.run(caches)  # the other machine still has its part, which only travels
    assert sum(job.read()) == total - total // 2
    assert job.cached() == total


@scenario
def a_rank_dies_while_extracting(folder: Path, rounds: int) -> str:
    job, found = Shared(folder), []
    total = len(job.texts)
    for after in range(rounds):
        shutil.rmtree(job.one, ignore_errors=True)
        job.place, job.dies_after = folder / "read", after
        shutil.rmtree(job.place, ignore_errors=True)
        job.place.mkdir()
        first, second = statuses(start(job, [job.one] * 2))
        assert second == signal.SIGKILL
        assert os.waitstatus_to_exitcode(first) == 1  # it does not wait for ever
        found.append(job.cached())  # each of them whole
        assert total // 2 <= found[-1] < total  # all that rank 0 read, and what rank 1 did before it died
        job.dies_after = None
        job.run([job.one] * 2)
        assert sum(job.read()) == total - found[-1]
        assert job.cached() == total
    assert len(set(found)) == rounds
    return f"{found} of {total} were kept"


@scenario
def ranks_with_different_models_or_stories_are_told(folder: Path, rounds: int) -> None:
    model = tiny_model()
    texts = [s.text for s in stories()]

    def job(rank: int, other: bool) -> None:
        own = tiny_model(seed=1) if other and rank else model
        with pytest.raises(EmokitError, match="different models or stories"), ranks.together():
            sharing.fill(own, texts if other or not rank else texts[1:])

    for other in (True, False):
        finish(*start(lambda rank: job(rank, other), [folder / "cache"] * 2))  # noqa: B023


# logs


KEYS = [f"key {i}" for i in range(11)]


def row(key: str) -> dict:
    return {"key": key, "value": key.upper()}


class Rows:
    """Rows of a log made by ranks; rank 1 dies after `dies_after` of its own."""

    def __init__(self, path: Path) -> None:
        self.path, self.dies_after = path, -1

    def __call__(self, rank: int) -> None:
        log, made = Log(self.path if rank == 0 else self.path_of_other, "key"), itertools.count()

        def work(keys, log):
            for key in keys:
                if rank == 1 and next(made) == self.dies_after:
                    os.kill(os.getpid(), signal.SIGKILL)
                log.add([row(key)])
                with self.path.with_name(f"made{rank}").open("a") as file:
                    file.write("x")

        with ranks.together():
            ranks.spread(log, KEYS, work)
        assert [log.rows[key] for key in KEYS] == [row(key) for key in KEYS]  # in both

    path_of_other: Path

    def made(self) -> list[int]:
        paths = [self.path.with_name(f"made{rank}") for rank in (0, 1)]
        counts = [path.stat().st_size if path.exists() else 0 for path in paths]
        for path in paths:
            path.unlink(missing_ok=True)
        return counts


@scenario
def ranks_fill_one_log(folder: Path, rounds: int) -> None:
    for other in ("a", "b"):  # one folder, then one each
        job = Rows(folder / "a" / "rows.jsonl")
        shutil.rmtree(job.path.parent, ignore_errors=True)
        job.path.parent.mkdir()
        job.path_of_other = folder / other / "rows.jsonl"
        caches = [folder / "cache"] * 2
        job.dies_after = 3
        first, second = statuses(start(job, caches))
        assert (os.waitstatus_to_exitcode(first), second) == (1, signal.SIGKILL)
        assert job.made() == [6, 3]
        job.dies_after = -1
        finish(*start(job, caches))
        assert sum(job.made()) == 2  # nothing is made twice
        again = Log(job.path, "key")
        assert again.rows == {key: row(key) for key in KEYS}
        finish(*start(job, caches))
        assert job.made() == [0, 0]


@scenario
def ranks_have_the_same_vectors_and_play_rollouts_as_one_process_does(folder: Path, rounds: int) -> None:
    from emokit.experiments.rollouts import Script, conditions, play, runs

    model = tiny_model()

    def turn(messages, state):
        return ["Hello.", "Once more."][len(messages) // 2] if len(messages) < 4 else None

    def played(vectors, log: Path):
        wanted = runs([Script("two", turn, {"turns": 2})], conditions(vectors, ["happy"], 0.9, randoms=2), [0, 1])
        found = play(model, vectors, wanted, max_new_tokens=4, rows=3, log=log, quiet=True)
        assert len(found) == len(wanted)
        return [(r.condition, r.seed, r.messages) for r in found]

    alone = played(emokit.extract(model, stories()), folder / "one.jsonl")
    added, dies = Log.add, [True]

    def job(rank: int) -> None:
        count = itertools.count()

        def add(self, rows):
            if rank == 1 and self.key == "key" and next(count) == 2 and dies[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            with (folder / f"made{rank}").open("a") as file:
                file.write("x" * len(rows))
            added(self, rows)

        with patched(Log, "add", add), ranks.together():
            vectors = sharing.extract(model, stories())
            assert played(vectors, folder / str(rank) / "two.jsonl") == alone

    caches = [folder / "cache", folder / "other"]  # as on two machines
    first, second = statuses(start(job, caches))
    assert (os.waitstatus_to_exitcode(first), second) == (1, signal.SIGKILL)
    assert (folder / "made1").stat().st_size == 2  # of its five
    dies[0] = False
    finish(*start(job, caches))
    assert (folder / "made1").stat().st_size == 3  # of the other three of its five, rank 0 plays two


@scenario
def ranks_share_forced_choices_and_tones(folder: Path, rounds: int) -> None:
    from emokit.experiments import budget, choices, tone
    from emokit.experiments.problems import problems

    model = tiny_model()
    asked = [choices.Choice(f"c{i}", f"Shall I, {i}?", ("yes", "no"), letters=i > 1) for i in range(5)]

    def measured(vectors, minutes=None):
        chosen = choices.run(
            model, vectors, asked, {"none": {}, "sad": {"sad": 0.5}}, budget_minutes=minutes, quiet=True
        )
        told = tone.run(model, vectors, problems(3), emotions=["happy", "sad"], randoms=1, replies=False, quiet=True)
        return chosen.names, chosen.orders.tolist(), chosen.tokens.tolist(), told.record()

    alone = measured(emokit.extract(model, stories()))
    within = budget.within

    def job(rank: int) -> None:
        def counted(items, minutes, what, quiet=False):
            for item in within(items, minutes, what, quiet):
                with (folder / f"{what} of {rank}").open("a") as file:
                    file.write("x")
                yield item

        with patched(budget, "within", counted), ranks.together():
            vectors = sharing.extract(model, stories())
            assert measured(vectors) == alone
            first = measured(vectors, minutes=0)  # the first of each rank's
            assert first[0] == ("c0", "c1")
            assert first[1] == [row[:2] for row in alone[1]]

    finish(*start(job, [folder / "cache", folder / "other"]))
    made = {path.name: path.stat().st_size for path in folder.glob("* of ?")}
    assert (made["choices of 0"], made["choices of 1"]) == (3 + 1, 2 + 1)
    assert (made["problems of 0"], made["problems of 1"]) == (2 * 2, 2 * 1)
