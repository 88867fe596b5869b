"""Progress bars: on whatever takes more than two seconds, and gone when it is done."""

from __future__ import annotations

import os
from typing import Any

from tqdm.auto import tqdm


def progress(*iterable: Any, **settings: Any) -> Any:
    """A tqdm bar that shows itself after two seconds; none where `$TQDM_DISABLE` is set, in notebooks too.

    Of several ranks only the first shows its own.
    """
    hidden = bool(os.environ.get("TQDM_DISABLE")) or os.environ.get("RANK", "0") != "0"
    return tqdm(*iterable, delay=2, leave=False, disable=hidden, **settings)
