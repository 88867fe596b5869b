"""The boards: parts of a notebook to explore by hand. One worker owns the model; state lives in traits."""

from .console import SteeringConsole
from .worker import Latest

__all__ = ["Latest", "SteeringConsole"]
