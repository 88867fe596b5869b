"""The boards: parts of a notebook to explore by hand. One worker owns the model; state lives in traits."""

from .board import Board
from .browser import StoryBrowser
from .console import SteeringConsole
from .dose_lab import DoseLab
from .explorer import VectorExplorer
from .monitor import LiveMonitor
from .reader import TokenReader
from .worker import Latest

__all__ = [
    "Board",
    "DoseLab",
    "Latest",
    "LiveMonitor",
    "SteeringConsole",
    "StoryBrowser",
    "TokenReader",
    "VectorExplorer",
]
