"""Ranks: several processes, on one machine or more, that share one piece of work.

`torchrun` and `accelerate launch` start them and say who is who (`$RANK`, `$WORLD_SIZE`); what each has found goes to
rank 0 over the network, so that no folder need be shared.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from .errors import EmokitError

T = TypeVar("T")
ADDRESS = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}  # where rank 0 is, unless the launcher says so
MEETING = timedelta(minutes=10)  # the time in which all ranks have to come
WORKING = timedelta(days=2)  # the time they wait for each other's share

_group: Any = None


def rank() -> int:
    """Which process this is, from 0: `$RANK`, and 0 where there is but one."""
    return _place()[0]


def world() -> int:
    """How many processes there are: `$WORLD_SIZE`, or 1."""
    return _place()[1]


def _place() -> tuple[int, int]:
    given = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if None in given:
        return 0, 1
    try:
        own, count = int(given[0] or ""), int(given[1] or "")
    except ValueError:
        own, count = 0, 0
    if not 0 <= own < count:
        raise EmokitError(
            "RANK and WORLD_SIZE name no process", given, "Let torchrun or accelerate launch set them, or unset them."
        )
    return own, count


def device() -> str:
    """The device of this process: the GPU of its own number on this machine where there are GPUs, else the CPU."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return "cpu"
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{int(local) % count}" if local and local.isdecimal() and world() > 1 else "cuda"


@contextmanager
def together() -> Iterator[int]:
    """Within the `with`, the ranks can talk to each other; yields this one's number. With one process it does nothing.

    Raises EmokitError if not all come within ten minutes, and in the others when one has ended.

    >>> with ranks.together() as rank:
    ...     mine = ranks.share(range(10))
    """
    global _group
    if world() == 1 or _group is not None:
        yield rank()
        return
    import torch.distributed as dist

    own = not dist.is_initialized()
    if own:
        for name, value in ADDRESS.items():
            os.environ.setdefault(name, value)
    with _telling():
        if own:
            store, _, _ = next(dist.rendezvous("env://", rank(), world(), timeout=MEETING))
            store = dist.PrefixStore("emokit", store)
            dist.init_process_group("gloo", store=store, rank=rank(), world_size=world(), timeout=WORKING)
        _group = dist.group.WORLD if own else dist.new_group(backend="gloo", timeout=WORKING)
    try:
        yield rank()
        with _telling():
            dist.barrier(group=_group)  # nobody leaves while another still listens
    finally:
        _group = None
        if own:
            dist.destroy_process_group()


def share(items: Iterable[T]) -> list[T]:
    """This rank's share of items, that all ranks list in the same order: every `world()`th."""
    return list(items)[rank() :: world()]


def mixed(items: Sequence[T]) -> list[T]:
    """Items for `share` in which it is drawn anew, for every `world()` of them, which rank has which.

    Dealt in turn, two ranks would have always the same half of an even number of conditions each, and a stop would leave
    fewer of the slower rank's.
    """
    draw, found = random.Random(0), []
    for start in range(0, len(items), world()):
        dealt = list(items[start : start + world()])
        draw.shuffle(dealt)
        found += dealt
    return found


def gather(data: bytes) -> list[bytes]:
    """In rank 0, the bytes that each rank gives, in order; in the others an empty list. All ranks have to call it."""
    if world() == 1:
        return [data]
    import torch
    import torch.distributed as dist

    with _telling():
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(world())]
        dist.all_gather(sizes, torch.tensor([len(data)]), group=_joined())
        if rank():
            if data:
                dist.send(_tensor(data), 0, group=_joined())
            return []
        found = [data]
        for other, size in enumerate(map(int, sizes[1:]), 1):
            part = torch.empty(size, dtype=torch.uint8)
            if size:
                dist.recv(part, other, group=_joined())
            found.append(part.numpy().tobytes())
    return found


def tell(data: bytes) -> bytes:
    """The bytes that rank 0 gives, in every rank. All ranks have to call it."""
    if world() == 1:
        return data
    import torch
    import torch.distributed as dist

    with _telling():
        size = torch.tensor([len(data)])
        dist.broadcast(size, 0, group=_joined())
        part = torch.empty(int(size), dtype=torch.uint8) if rank() else _tensor(data)
        if int(size):
            dist.broadcast(part, 0, group=_joined())
    return part.numpy().tobytes()


def agree(value: str, what: str) -> None:
    """Raise EmokitError in all ranks unless they give the same value. All ranks have to call it."""
    digests = gather(hashlib.sha256(value.encode()).digest())
    if tell(b"different" if len(set(digests)) > 1 else b"same") != b"same":
        raise EmokitError(
            f"the ranks have different {what}", world(), "Give all the same files, settings and versions."
        )


def spread(log: Any, keys: Sequence[Any], work: Callable[[list[Any], Any], None]) -> None:
    """Have the row of every key in `log` (a `files.Log`), in all ranks, with those not yet there made by all of them.

    `work(keys, log)` adds the rows of some keys to a log: rank 0's is `log`, that of another a file beside it, so that
    a rank that dies loses nothing and the same call again goes on. With one process it is `work(missing, log)`.
    The keys are strings or numbers; a row that `work` leaves out stays missing. Raises EmokitError in all ranks where
    their keys differ.
    """
    agree(json.dumps(list(keys)), "work to share")
    mine = log
    if rank() and log.path is not None:
        mine = type(log)(log.path.with_name(f"{log.path.stem}.rank{rank()}{log.path.suffix}"), log.key)
    if rank() == 0 and log.path is not None:  # what ranks left here that died, however many there were
        for path in sorted(log.path.parent.glob(f"{log.path.stem}.rank*{log.path.suffix}")):
            log.add(_of(type(log)(path, log.key), [key for key in keys if key not in log.rows]))
    _hand_over(log, mine, keys)  # and in the ranks' own folders
    missing = json.loads(tell(json.dumps([key for key in keys if key not in log.rows]).encode()))
    if own := share(mixed(missing)):
        work(own, mine)
    _hand_over(log, mine, keys)
    if world() > 1:
        found = json.loads(tell(json.dumps([log.rows[key] for key in keys if key in log.rows]).encode()))
        log.rows.update((row[log.key], row) for row in found)


def _hand_over(log: Any, mine: Any, keys: Sequence[Any]) -> None:
    """Give rank 0 the rows that it lacks, from its ranks' files and from their logs alike: it then has all there are."""
    lacking = json.loads(tell(json.dumps([key for key in keys if key not in log.rows]).encode()))
    rows = _of(mine, lacking) + _of(log, [key for key in lacking if key not in mine.rows]) if rank() else []
    for data in gather(json.dumps(rows).encode()):
        log.add([row for row in json.loads(data) if row[log.key] not in log.rows])


def _of(log: Any, keys: Sequence[Any]) -> list[dict[str, Any]]:
    return [log.rows[key] for key in keys if key in log.rows]


def _joined() -> Any:
    if _group is None:
        raise EmokitError("the ranks have not met", rank(), "Write `with ranks.together():` around it.")
    return _group


def _tensor(data: bytes) -> Any:
    import torch

    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


@contextmanager
def _telling() -> Iterator[None]:
    """Errors of the network as one that says what to do."""
    try:
        yield
    except RuntimeError as error:  # gloo's and the store's alike
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EmokitError(
            f"a rank has ended, or not all could meet ({first})",
            {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", *ADDRESS)},
            "Look at the other ranks' messages; what was found is kept, so start again.",
        ) from error
