"""Where emokit keeps its files, and how it writes them: to a temporary name first, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from .errors import EmokitError


def cache_dir() -> Path:
    """The folder of emokit's caches: `$EMOKIT_CACHE`, or the user's cache folder for emokit."""
    chosen = os.environ.get("EMOKIT_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("emokit")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place only if the block ends without an error.

    What is written may be a file or a folder; a half-written one never bears the final name.
    """
    if not path.name:
        raise EmokitError("cannot write (a folder, and no name of a file)", str(path), "Name a file in it.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except OSError as error:
        raise EmokitError(
            f"cannot write ({error.strerror or error})", str(path), "Check the folder's permissions and free space."
        ) from error
    finally:
        if os.path.isdir(temporary):  # a Path's own is_dir raises for a name too long
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(OSError):
                temporary.unlink()


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
