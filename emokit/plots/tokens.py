"""Figures of text: tokens coloured by a score, replies side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.colors import Normalize, to_hex

from .base import DIVERGING, LIMIT, Array, Figure, sheet


def token_colours(score: float, limit: float = LIMIT) -> tuple[str, str]:
    """Background and text colour of a score: diverging about 0, black or white ink whichever can be read."""
    background = matplotlib.colormaps[DIVERGING](Normalize(-limit, limit, clip=True)(round(score, 2)))
    return to_hex(background), "#000000" if _luminance(background) > 0.18 else "#ffffff"


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance (WCAG 2): above 0.18 black has the better contrast."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def token_heatmap(
    tokens: Sequence[str], scores: Array, emotions: Sequence[str], *, readout: int, block: int, limit: float = LIMIT
) -> Figure:
    """Scores [tokens, emotions] as a grid, wrapped like text, the numbers (x100) in the cells, the readout framed."""
    per_row = 16
    lines = [range(i, min(i + per_row, len(tokens))) for i in range(0, len(tokens), per_row)]
    left_out = f"; {12 * per_row} of {len(tokens)} tokens, the readout among them" if len(lines) > 12 else ""
    if left_out:
        lines = [*lines[:11], lines[max(11, readout // per_row)]]
    with sheet(11, 0.5 + len(lines) * (0.35 + 0.27 * len(emotions)), len(lines), 1, squeeze=False) as (figure, axes):
        for axis, line in zip(axes[:, 0], lines, strict=True):
            grid = np.full((len(emotions), per_row), np.nan)
            grid[:, : len(line)] = scores[list(line)].T
            axis.imshow(grid, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
            for column, token in enumerate(line):
                for row in range(len(emotions)):
                    score = float(scores[token, row])
                    axis.text(
                        column,
                        row,
                        f"{100 * score:+.0f}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color=token_colours(score, limit)[1],
                    )
                if token == readout:
                    axis.axvspan(column - 0.47, column + 0.47, fill=False, edgecolor="black", linewidth=2)
            labels = [_visible(tokens[t]) + ("\n▲ readout" if t == readout else "") for t in line]
            axis.set_xticks(range(len(line)), labels, fontsize=8)
            axis.set_yticks(range(len(emotions)), emotions, fontsize=9)
            axis.tick_params(length=0)
            axis.grid(False)
            for spine in axis.spines.values():
                spine.set_visible(False)
        figure.suptitle(f"cosine x 100 with each direction at block {block}{left_out}", fontsize=10, x=0.01, ha="left")
    return figure


def _visible(token: str, limit: int = 11) -> str:
    shown = token.replace("\n", "↵").strip() or token.replace("\n", "↵").replace(" ", "␣")
    return (shown if len(shown) <= limit else shown[: limit - 1] + "…").replace("$", r"\$")


def text_columns(columns: Mapping[str, str], *, title: str = "") -> Figure:
    """Texts side by side, each under its name."""
    width = 96 // len(columns)
    wrapped = {name: textwrap.fill(text, width) for name, text in columns.items()}
    height = 0.6 + 0.19 * max(text.count("\n") + 2 for text in wrapped.values())
    with sheet(10, height, 1, len(columns), squeeze=False) as (figure, axes):
        for axis, (name, text) in zip(axes[0], wrapped.items(), strict=True):
            axis.set_axis_off()
            axis.set_title(name, fontsize=10, fontweight="bold")
            axis.text(0, 1, text, va="top", ha="left", fontsize=9, transform=axis.transAxes, parse_math=False)
        figure.suptitle(title, fontsize=10, x=0.01, ha="left", parse_math=False)
    return figure
