"""The sandbox: code that a model wrote runs under bubblewrap, without network, home or environment, and within limits."""

from __future__ import annotations

import json
import math
import os
import secrets
import selectors
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import EmokitError, check_number, check_text, check_whole

MEMORY = 512  # MB of address space a process
DISK = 32  # MB of the temporary folder, and half of it a file
PROCESSES = 16
OUTPUT = 100_000  # bytes of stdout, and as many of stderr
BACK = 100, 1_000_000  # files and bytes that are read back
FIRST_USER = 10**9  # user numbers from here on are free
START = 60  # seconds for the sandbox itself to start: the program's own time begins afterwards
CUT = "\n[output cut here]"
INSTALL = (
    "Install bubblewrap 0.8 or newer (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap), "
    "on Linux where it may make namespaces. i_accept_the_risk=True runs the code without it: "
    "it can then read and change all that you can."
)
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/nix/store")


@dataclass(frozen=True)
class Ran:
    """What a program did: its output, its exit code (None where it was stopped), and the text files it left.

    `timed_out`: stopped at the time limit; `cut`: stopped because it printed too much.
    """

    stdout: str
    stderr: str
    returncode: int | None
    timed_out: bool
    cut: bool
    seconds: float
    files: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self.returncode == 0


def run(
    code: str,
    timeout: float = 10.0,
    files: Mapping[str, str] | None = None,
    *,
    memory: int = MEMORY,
    i_accept_the_risk: bool = False,
) -> Ran:
    """Run a Python program in a sandbox, in a fresh folder that also holds `files` {name: text}.

    Bubblewrap gives it a system of its own: no network, no home, an empty environment, a read-only /usr and Python's
    standard library, and one folder of 32 MB in memory, its working folder. `timeout` is in seconds, `memory` in MB a
    process; 16 processes, 100 kB of output. When it ends, all its processes have ended. Limits keep accidents and
    ordinary malice in; they are no proof against a hole in the kernel.
    Raises EmokitError where bubblewrap is missing or can't work, unless `i_accept_the_risk=True`: then only the limits
    on time, memory, file size and output hold.

    >>> emokit.experiments.sandbox.run("print(6 * 7)").stdout
    '42\\n'
    """
    check_text(code, "program")
    check_number(timeout, "a timeout", least=0.1)
    check_whole(memory, "a memory limit", least=64)
    texts = {"main.py": code, **_named(files or {})}
    why = missing()
    if why and not i_accept_the_risk:
        raise EmokitError(f"no sandbox, so the code was not run ({why})", do=INSTALL)
    return _run(texts, timeout, memory, risky=bool(why))


@cache
def missing() -> str:
    """Why there is no sandbox here; an empty string where there is one."""
    if not sys.platform.startswith("linux"):
        return f"bubblewrap needs Linux, this is {sys.platform}"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    try:
        said = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, timeout=START).stdout
        if "--disable-userns" not in said:
            return "bubblewrap is older than 0.8"
        ran = _run({"main.py": "print('ready')"}, START, MEMORY, risky=False)
    except (OSError, subprocess.TimeoutExpired, EmokitError) as error:
        return f"bubblewrap does not work here: {error}"
    return "" if ran.stdout == "ready\n" else f"bubblewrap does not work here: {(ran.stderr or str(ran)).strip()}"


def _named(files: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(files, Mapping):
        raise EmokitError("files that are no dictionary", files, 'Use for example {"tests.py": "assert True"}.')
    for name, text in files.items():
        check_text(name, "file's name")
        check_text(text, "file")
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or {"..", "."} & set(name.split("/")) or "\0" in name or name == "main.py":
            raise EmokitError("not the name of a file in the sandbox", name, 'Use for example "tests.py"; not main.py.')
    return dict(files)


# starting and stopping


def _run(texts: dict[str, str], timeout: float, memory: int, risky: bool) -> Ran:
    with ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        folder = stack.enter_context(tempfile.TemporaryDirectory()) if risky else None
        job = stack.enter_context(tempfile.TemporaryFile())
        python = os.path.realpath(sys.executable)
        # instead of root, a user that nobody else is: the limit on processes counts all of one user's
        drop = FIRST_USER + secrets.randbelow(10**8) if not risky and os.geteuid() == 0 else 0
        command = [python, "-s", "-B", "main.py"]
        about = {
            "files": texts,
            "channel": theirs.fileno(),
            "drop": drop,
            "limits": _limits(timeout, memory, risky),
            # root's bubblewrap makes no user namespace, so a second one forbids that anybody makes one
            "command": [*_inner(), *command] if drop else command,
        }
        job.write(json.dumps(about).encode())
        job.seek(0)
        first = [python, "-I", "-B", "-c", Path(__file__).with_name("inside.py").read_text(encoding="utf-8")]
        try:
            process = subprocess.Popen(
                first if risky else [*_outer(), *first],
                stdin=job, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder or "/", start_new_session=True,
                pass_fds=[theirs.fileno()], env={"PATH": "/usr/bin:/bin", "HOME": folder or "/tmp", "LANG": "C.UTF-8"},
            )  # fmt: skip
        finally:
            theirs.close()
        for pipe in (process.stdout, process.stderr):
            stack.callback(pipe.close)  # type: ignore[union-attr]  # they are pipes
        stack.callback(_end, process, risky)
        return _follow(process, ours, timeout, risky)


def _outer() -> list[str]:
    """Bubblewrap's call: what the sandbox can see, and that it ends with us."""
    rights = ["--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        rights = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    call = [
        shutil.which("bwrap") or "bwrap", *rights, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
        "--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "sandbox",
    ]  # fmt: skip
    for path in SYSTEM:
        if os.path.islink(path):
            call += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            call += ["--ro-bind", path, path]
    bound = ["/usr"]
    for path in (os.path.realpath(sys.base_prefix), os.path.realpath(sys.executable)):
        if not any(Path(path).is_relative_to(other) for other in bound):
            bound.append(path)
            for parent in reversed(Path(path).parents[:-1]):  # bubblewrap's own would be closed to an ordinary user
                call += ["--perms", "0755", "--dir", str(parent)]
            call += ["--ro-bind", path, path]
    return [
        *call, "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(DISK << 20), "--tmpfs", "/tmp",
        "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--",
    ]  # fmt: skip


def _inner() -> list[str]:
    return [
        shutil.which("bwrap") or "",
        "--unshare-user",
        "--disable-userns",
        "--dev-bind",
        "/",
        "/",
        "--chdir",
        "/tmp",
        "--",
    ]


def _limits(timeout: float, memory: int, risky: bool) -> dict[str, int]:
    limits = {
        "RLIMIT_AS": memory << 20,
        "RLIMIT_CPU": math.ceil(timeout) + 5,
        "RLIMIT_FSIZE": DISK << 19,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
    }
    # outside a namespace it would count the user's other processes too
    return limits if risky else limits | {"RLIMIT_NPROC": PROCESSES}


def _end(process: subprocess.Popen[bytes], risky: bool) -> None:
    """End the process and all below it: with bubblewrap, the first process of a namespace takes all others along."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 9) if risky else process.kill()
    process.wait()


def _follow(process: subprocess.Popen[bytes], channel: socket.socket, timeout: float, risky: bool) -> Ran:
    """Collect the output until the end, or end it at a limit."""
    streams: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    folder: int | None = None
    begun = time.monotonic()
    deadline = begun + START
    timed_out = cut = False
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for each in (channel, *streams):
            selector.register(each, selectors.EVENT_READ)
        while selector.get_map() and not cut:
            left = deadline - time.monotonic()
            if left <= 0:
                timed_out = True
                break
            for key, _ in selector.select(left):
                source: Any = key.fileobj
                if source is channel:
                    selector.unregister(channel)
                    fds = socket.recv_fds(channel, 1, 1)[1]
                    if fds:
                        folder, begun = fds[0], time.monotonic()
                        deadline = begun + timeout
                        stack.callback(os.close, folder)
                elif data := os.read(source.fileno(), 65536):
                    streams[source] += data
                    cut = cut or len(streams[source]) > OUTPUT
                else:
                    selector.unregister(source)
        if not (timed_out or cut):
            with suppress(subprocess.TimeoutExpired):  # it closed its output, and may go on in silence
                process.wait(max(0.0, deadline - time.monotonic()))
            timed_out = process.poll() is None
        seconds = time.monotonic() - begun
        code = None if timed_out or cut else process.returncode
        _end(process, risky)
        stdout, stderr = (_text(bytes(data)) for data in streams.values())
        if folder is None:
            raise EmokitError("the sandbox did not start", stderr.strip() or f"exit code {code}", INSTALL)
        files = dict(_collected(folder))
    return Ran(stdout, stderr, code, timed_out, cut, round(seconds, 3), files)


def _text(data: bytes) -> str:
    return data[:OUTPUT].decode("utf-8", "replace") + (CUT if len(data) > OUTPUT else "")


# reading back


def _collected(folder: int) -> Iterator[tuple[str, str]]:
    """The text of the regular files below an open folder; no link is followed, and no more than `BACK` is read."""
    count, room = BACK
    for name, fd in _regular(folder, "", 4):
        with os.fdopen(fd, "rb") as file:
            data = file.read(room)
        if name != "main.py":
            yield name, data.decode("utf-8", "replace")
        count, room = count - 1, room - len(data)
        if count <= 0 or room <= 0:
            return


def _regular(folder: int, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry, _ in zip(entries, range(1000), strict=False))
    for name in names:
        with suppress(OSError):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            mode = os.fstat(fd).st_mode
            if stat.S_ISREG(mode):
                yield prefix + os.fsencode(name).decode("utf-8", "replace"), fd
                continue
            try:
                if stat.S_ISDIR(mode) and depth:
                    yield from _regular(fd, f"{prefix}{name}/", depth - 1)
            finally:
                os.close(fd)
