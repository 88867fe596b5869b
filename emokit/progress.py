"""Progress bars: on whatever takes more than two seconds, and gone when it is done."""

from __future__ import annotations

import os
from typing import Any

from tqdm.auto import tqdm


def progress(*iterable: Any, **settings: Any) -> Any:
    """A tqdm bar that shows itself after two seconds; none where `$TQDM_DISABLE` is set, in notebooks too."""
    return tqdm(*iterable, delay=2, leave=False, disable=bool(os.environ.get("TQDM_DISABLE")), **settings)
