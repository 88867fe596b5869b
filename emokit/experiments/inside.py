"""What runs first inside the sandbox: it writes the files, gives up rights, sets the limits, then becomes the program.

`sandbox.run` hands this text to `python -c`, and a JSON object to its standard input. It imports nothing of emokit.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from typing import Any

NOBODY = 65534


def begin(job: dict[str, Any]) -> None:
    """Become the program of a job."""
    import resource

    if job["drop"]:  # started by root: from here on an ordinary user, whom the limit on processes binds
        os.setgroups([])
        for user in (job["drop"], NOBODY):
            with suppress(OSError):  # a container may not have so large a number
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                break
        if os.geteuid() == 0:
            sys.exit("cannot give up root's rights")
    os.umask(0o077)
    for name, text in job["files"].items():
        if os.path.dirname(name):
            os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "x", encoding="utf-8") as file:
            file.write(text)

    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # should memory run out, the kernel ends this first
    for limit, value in job["limits"].items():
        with suppress(ValueError, OSError, AttributeError):  # not every system has every limit
            resource.setrlimit(getattr(resource, limit), (value, value))

    # the folder, for reading the files back when all is over: a descriptor, which no renaming or link can mislead
    with socket.socket(fileno=job["channel"]) as channel:
        socket.send_fds(channel, [b"."], [os.open(".", os.O_RDONLY)])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.closerange(3, 256)
    os.execv(job["command"][0], job["command"])


if __name__ == "__main__":
    begin(json.load(sys.stdin))
