"""Where emokit keeps its files, and how it writes them: to a temporary name first, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
from safetensors import SafetensorError

from .errors import EmokitError

STALE = 24 * 3600  # seconds after which nobody writes a partial file any more


def cache_dir() -> Path:
    """The folder of emokit's caches: `$EMOKIT_CACHE`, or the user's cache folder for emokit."""
    chosen = os.environ.get("EMOKIT_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("emokit")


@contextmanager
def replacing(path: Path, keep: Callable[[Path], bool] = lambda _: False) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place only if the block ends without an error.

    What is written may be a file or a folder; a half-written one never bears the final name. A folder for which `keep`
    is true stays: another process has been faster.
    """
    if not path.name:
        raise EmokitError("cannot write (a folder, and no name of a file)", str(path), "Name a file in it.")
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        yield temporary
        _put(temporary, path, keep)
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk by an error of its own
        reason = getattr(error, "strerror", None) or error
        raise EmokitError(
            f"cannot write ({reason})", str(path), "Check the folder's permissions and free space."
        ) from error
    finally:
        _remove(temporary)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")


def _put(new: Path, path: Path, keep: Callable[[Path], bool]) -> None:
    """Rename `new` to `path`; an old folder, which no rename replaces, first moves aside, and back should that fail."""
    try:
        return os.replace(new, path)
    except OSError:
        if path.is_file() or not new.is_dir():
            raise
    if keep(path):
        return
    old = _beside(path)
    with suppress(FileNotFoundError):  # another process has just moved it
        os.utime(path)  # `sweep` leaves it alone for a day, should this process be killed here
        os.rename(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if not keep(path):
            with suppress(OSError):
                os.replace(old, path)
            raise
    _remove(old)


def _remove(path: Path) -> None:
    if os.path.isdir(path):  # a Path's own is_dir raises for a name too long
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@cache
def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder over a day ago; looks once a process and folder."""
    for partial in folder.glob(".*.????????.partial"):
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in (partial, *partial.rglob("*")))
            if time.time() - newest > STALE:
                _remove(partial)


class Log:
    """Rows on disk, a JSON object a line, found again by their `key`; damaged lines count as missing.

    Without a path, and where nothing more can be written, the rows are in memory alone.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self.path, self.key = path, key
        self.rows: dict[Any, dict[str, Any]] = {}
        if path and path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                with suppress(ValueError, KeyError, TypeError):
                    row = json.loads(line)
                    self.rows[row[key]] = row

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Keep rows, at once on disk."""
        new = list(rows)
        self.rows.update((row[self.key], row) for row in new)
        if self.path is None or not new:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" + "\n".join(map(json.dumps, new)) + "\n")  # a line that a kill cut off stays by itself
        except OSError as error:
            print(f"emokit: what was found can't be kept: {error}")
            self.path = None


def path_of(value: str | os.PathLike[str]) -> Path:
    """The path that a string or a path names; raises EmokitError for what can be none."""
    try:
        os.fsencode(path := Path(value))
    except (TypeError, ValueError) as error:
        raise EmokitError("not a path", value, "Name one file or folder in a string.") from error
    if "\0" in str(path):
        raise EmokitError("not a path", value, "A name can't hold the character NUL.")
    return path


def sha256(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def corpus() -> Path:
    """The folder of the shipped stories: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "corpus"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "stories"
