"""Figures from arrays, one function each. Imports matplotlib and nothing of emokit; keeps no state and no pyplot."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Rectangle

Array = np.ndarray

DIVERGING = "PuOr_r"  # its ends stay apart for colour-blind readers (Machado 2009 simulation), unlike red and green
LIMIT = 0.3  # cosine at which the colours of scores end
COLOURS = ("#1b6ca8", "#d95f02", "#6a3d9a", "#4d4d4d", "#0b7a5f", "#b8336a", "#8c6d1f", "#222222")
STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vXP*"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "figure.dpi": 100,
}


class Figure(matplotlib.figure.Figure):
    """A matplotlib Figure that shows itself in a notebook, though pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return png(self)


@contextmanager
def _figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **subplots: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure in emokit's style and its axes; the global style is left alone."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, **subplots)


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes, the same for the same figure."""
    out = BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # matplotlib's own font draws a box for such a token
        figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


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
    with _figure(11, 0.5 + len(lines) * (0.35 + 0.27 * len(emotions)), len(lines), 1, squeeze=False) as (figure, axes):
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


def accuracy_by_block(
    accuracy: Array, *, chance: float, best: int, baseline: float, null: tuple[float, float], title: str = ""
) -> Figure:
    """Held-out accuracy [blocks] beside a baseline, the 95 % range under shuffled labels, and chance."""
    blocks = np.arange(len(accuracy))
    with _figure(8, 3.8) as (figure, axis):
        middle, reach = (null[0] + null[1]) / 2, (null[1] - null[0]) / 2
        axis.errorbar(best, middle, reach, color="#777777", capsize=5, linewidth=2, label="shuffled labels there, 95 %")
        axis.axhline(chance, color="#555555", linestyle=":", label="chance")
        axis.axhline(baseline, color=COLOURS[1], linestyle="--", label="bag of embeddings")
        axis.plot(blocks, accuracy, color=COLOURS[0], marker="o", markersize=4, label="directions at the block")
        axis.plot(
            best, accuracy[best], marker="o", markersize=11, markerfacecolor="none", markeredgewidth=2, color="black"
        )
        axis.annotate(
            f"best block {best}", (best, accuracy[best]), xytext=(0, -22), textcoords="offset points", ha="center"
        )
        axis.set(xlabel="block (0-based)", ylabel="accuracy on topics left out", ylim=(0, 1.02), title=title)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def dose_panels(panels: Sequence[Mapping[str, Any]], *, limit: float | None = None, title: str = "") -> Figure:
    """Change of the score since the first value, a small plot per panel, all with one scale of -limit ... limit.

    Each panel has a title, labels, scores {emotion: [values]} and expect {emotion: "up" | "down"}; it may have a band (low,
    high), the range of random directions.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    changes = [{e: np.asarray(s) - s[0] for e, s in p["scores"].items()} for p in panels]
    drawn = [c for group in changes for c in group.values()] + [c for p in panels for c in p.get("band", ())]
    limit = limit or 1.25 * max([1e-9, *(float(np.abs(c).max()) for c in drawn)])
    kinds = {e: i for i, e in enumerate(dict.fromkeys(e for group in changes for e in group))}
    with _figure(4 * columns, 2.7 * rows + 0.7, rows, columns, squeeze=False, sharey=True) as (figure, axes):
        for axis, panel, group in zip(axes.flat, panels, changes, strict=False):
            axis.axhline(0, color="black", linewidth=0.8)
            if "band" in panel:
                low, high = panel["band"]
                axis.fill_between(
                    range(len(low)), low, high, color="#dddddd", linewidth=0, label="random directions, 5-95 %"
                )
            for emotion, change in group.items():
                i = kinds[emotion]
                arrow = {"up": " ↑", "down": " ↓"}.get(panel["expect"].get(emotion, ""), "")
                axis.plot(
                    change, color=COLOURS[i % 8], linestyle=STYLES[i % 4], marker=MARKERS[i % 8], markersize=5,
                    linewidth=2.4 if arrow else 1, alpha=1 if arrow else 0.5, label=emotion + arrow,
                )  # fmt: skip
            labels = [str(v) for v in panel["labels"]]
            axis.set_xticks(range(len(labels)), labels, fontsize=8, rotation=25 if max(map(len, labels)) > 6 else 0)
            axis.set_title(textwrap.fill(panel["title"], 56), fontsize=9, parse_math=False)
            axis.set_ylim(-limit, limit)
            axis.legend(fontsize=8, loc="upper left", ncols=2, handlelength=2.6)
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel("change of the score")
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def dose_effects(
    labels: Sequence[str], groups: Mapping[str, Sequence[tuple[float, float, float]]], *, title: str = ""
) -> Figure:
    """A row per expected sign: each group's effect (value, low, high), positive as expected; NaN is left out.

    Unit is the sd of random directions, whose middle 90 % are shaded.
    """
    with _figure(8.4, 1.5 + 0.42 * len(labels)) as (figure, axis):
        axis.axvspan(-1.645, 1.645, color="#e4e4e4", linewidth=0, label="random directions, 90 %")
        axis.axvline(0, color="black", linewidth=0.8)
        for i, (name, rows) in enumerate(groups.items()):
            values, low, high = np.array(rows, float).T
            if np.isnan(values).all():
                continue
            y = np.arange(len(labels)) + 0.24 * (i - (len(groups) - 1) / 2)
            axis.hlines(y, low, high, color=COLOURS[i], linewidth=1.6)
            axis.plot(values, y, MARKERS[i], color=COLOURS[i], markersize=7 if i == 0 else 5.5, label=name)
        axis.set_yticks(range(len(labels)), [label.replace("$", r"\$") for label in labels])
        axis.set_ylim(len(labels) - 0.5, -0.5)
        axis.set_xlabel("effect in the expected direction (sd of random directions); lines: 95 % over topics")
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
        figure.suptitle(title, fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure


def null_histogram(null: Array, observed: float, *, xlabel: str, title: str = "") -> Figure:
    """A statistic's distribution under a null, with the observed value marked."""
    with _figure(8, 2.8) as (figure, axis):
        values, counts = np.unique(null, return_counts=True)
        axis.bar(values, counts / len(null), color="#bbbbbb", edgecolor="#777777", label="permuted emotion labels")
        axis.axvline(observed, color=COLOURS[1], linewidth=2.5, label=f"observed: {observed:g}")
        axis.set(xlabel=xlabel, ylabel="share of permutations", title=title)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def bars(labels: Sequence[str], groups: Mapping[str, Sequence[float]], *, ylabel: str, title: str = "") -> Figure:
    """Grouped bars, one group a label, the groups told apart by colour and hatch, with a line at 0."""
    width = 0.8 / len(groups)
    with _figure(max(6, 0.9 * len(labels) * max(1, len(groups) / 2)), 3.4) as (figure, axis):
        for i, (name, values) in enumerate(groups.items()):
            at = np.arange(len(labels)) + (i - (len(groups) - 1) / 2) * width
            axis.bar(
                at,
                values,
                width,
                label=name,
                color=COLOURS[i % 8],
                hatch=("", "//", "..", "xx")[i % 4],
                edgecolor="white",
            )
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(range(len(labels)), labels)
        axis.set(ylabel=ylabel, title=title)
        if len(groups) > 1:
            axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def text_columns(columns: Mapping[str, str], *, title: str = "") -> Figure:
    """Texts side by side, each under its name."""
    width = 96 // len(columns)
    wrapped = {name: textwrap.fill(text, width) for name, text in columns.items()}
    height = 0.6 + 0.19 * max(text.count("\n") + 2 for text in wrapped.values())
    with _figure(10, height, 1, len(columns), squeeze=False) as (figure, axes):
        for axis, (name, text) in zip(axes[0], wrapped.items(), strict=True):
            axis.set_axis_off()
            axis.set_title(name, fontsize=10, fontweight="bold")
            axis.text(0, 1, text, va="top", ha="left", fontsize=9, transform=axis.transAxes, parse_math=False)
        figure.suptitle(title, fontsize=10, x=0.01, ha="left", parse_math=False)
    return figure


def boxes(
    groups: Mapping[str, Sequence[float]], *, ylabel: str, limits: tuple[float, float] | None = None, title: str = ""
) -> Figure:
    """A box per group: median, quartiles and range."""
    with _figure(max(6, 0.42 * len(groups)), 3.4) as (figure, axis):
        for at, values in enumerate(groups.values(), 1):
            low, quarter, middle, three, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
            axis.vlines(at, low, high, color="#555555")
            axis.bar(at, three - quarter, 0.6, bottom=quarter, color="#dddddd", edgecolor="#555555")
            axis.hlines(middle, at - 0.3, at + 0.3, color=COLOURS[1], linewidth=2)
        axis.set_xticks(range(1, len(groups) + 1), list(groups), rotation=60, ha="right")
        axis.set(ylabel=ylabel, title=title, ylim=limits)
    return figure


def grid(values: Array, labels: Sequence[str], *, xlabel: str, ylabel: str, title: str = "") -> Figure:
    """A square table of shares from 0 to 1, sequential from light to dark, the numbers of the darker cells written in."""
    size = 0.34 * len(labels) + 1.6
    with _figure(size, size - 0.3) as (figure, axis):
        axis.imshow(values, cmap="Blues", vmin=0, vmax=1)
        for row, column in zip(*np.nonzero(values >= 0.25), strict=True):
            ink = "black" if _luminance(matplotlib.colormaps["Blues"](values[row, column])) > 0.18 else "white"
            axis.text(column, row, f"{100 * values[row, column]:.0f}", ha="center", va="center", fontsize=7, color=ink)
        axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        axis.grid(False)
        axis.set(xlabel=xlabel, ylabel=ylabel)
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def by_block(
    curves: Mapping[str, Sequence[float]],
    *,
    chosen: int,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    level: tuple[float, str] | None = None,
    title: str = "",
) -> Figure:
    """A value at every block, a line per name, with the block chosen beforehand and a named level marked."""
    with _figure(8, 3.2) as (figure, axis):
        for i, (name, values) in enumerate(curves.items()):
            axis.plot(values, label=name, color=COLOURS[i], linestyle=STYLES[i], marker=MARKERS[i], markersize=4)
        if level:
            axis.axhline(level[0], color="#555555", linestyle=":", label=level[1])
        axis.set(xlabel="block (0-based)", ylabel=ylabel, ylim=limits, title=title)
        axis.axvline(chosen, color="black", linewidth=1, alpha=0.6)
        axis.annotate(
            f"block {chosen}",
            (chosen, 0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 3),
            textcoords="offset points",
        )
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def gain_against_null(labels: Sequence[str], observed: Array, null: Array, *, ylabel: str, title: str = "") -> Figure:
    """A column per label: the observed value over the values of a null [draws, labels]."""
    with _figure(7, 3.6) as (figure, axis):
        for i in range(len(labels)):
            spread = np.linspace(-0.18, 0.18, len(null))
            axis.plot(
                i + spread,
                null[:, i],
                "o",
                color="#8c8c8c",
                markersize=4,
                label="random directions" if i == 0 else None,
            )
        axis.plot(range(len(labels)), observed, "D", color=COLOURS[1], markersize=10, label="its own direction")
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(range(len(labels)), labels)
        axis.set(ylabel=ylabel, title=title)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def line(x: Sequence[float], y: Sequence[float], *, xlabel: str, ylabel: str, title: str = "") -> Figure:
    """One curve with its points."""
    with _figure(6, 3) as (figure, axis):
        axis.plot(x, y, color=COLOURS[0], marker="o")
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


def scatter(
    points: Array, labels: Sequence[str], *, colour: Array, xlabel: str, ylabel: str, colour_label: str, title: str = ""
) -> Figure:
    """Labelled points [labels, 2] on axes of one scale, coloured about 0 by a value; where it is NaN, an empty ring."""
    known = np.isfinite(colour)
    limit = float(np.abs(colour[known]).max()) if known.any() else 1.0
    with _figure(7.4, 5.8) as (figure, axis):
        axis.axhline(0, color="#bbbbbb", linewidth=0.8)
        axis.axvline(0, color="#bbbbbb", linewidth=0.8)
        axis.scatter(*points[~known].T, s=60, facecolors="white", edgecolors="#555555", label="not rated")
        shown = axis.scatter(
            *points[known].T, s=60, c=colour[known], cmap=DIVERGING, vmin=-limit, vmax=limit, edgecolors="#555555"
        )
        figure.colorbar(shown, ax=axis, label=colour_label, shrink=0.7)
        if (~known).any():
            axis.legend(loc="lower right", fontsize=8)
        reach = 1.18 * float(np.abs(points).max())
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel=xlabel, ylabel=ylabel, title=title)
        axis.set_aspect("equal")
        for (x, y), label, (dx, dy) in zip(points, labels, _beside(points / reach * 190, labels), strict=True):
            place = {"ha": "left" if dx > 0 else "right" if dx < 0 else "center", "va": "center"}
            axis.annotate(label, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=8, **place)
    return figure


def _beside(points: Array, labels: Sequence[str]) -> list[tuple[float, float]]:
    """For each of the points (in points of 1/72 inch) the place beside it where its label covers least of what is there."""
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    chosen = []
    for (x, y), label in zip(points, labels, strict=True):
        width, best = 4.6 * len(label), (np.inf, (0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
        for dx, dy in ((6, 0), (-6, 0), (0, 9), (0, -9), (5, 7), (-5, 7), (5, -7), (-5, -7), (0, 15), (0, -15)):
            left = x + dx - (0 if dx > 0 else width if dx < 0 else width / 2)
            box = (left, y + dy - 5, left + width, y + dy + 5)
            covered = sum(
                max(0, min(box[2], b[2]) - max(box[0], b[0])) * max(0, min(box[3], b[3]) - max(box[1], b[1]))
                for b in taken
            )
            best = min(best, (covered, (dx, dy), box), key=lambda option: option[0])
        taken.append(best[2])
        chosen.append(best[1])
    return chosen


def cosine_map(
    values: Array, labels: Sequence[str], groups: Sequence[str], *, limit: float = 0.6, title: str = ""
) -> Figure:
    """A square map of cosines, diverging about 0, the runs of equal groups framed along the diagonal and named."""
    size = 0.26 * len(labels) + 2
    with _figure(size + 2.6, size - 0.2) as (figure, axis):
        shown = axis.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit)
        start = 0
        for end in range(1, len(groups) + 1):
            if end == len(groups) or groups[end] != groups[start]:
                corner, extent = (start - 0.5, start - 0.5), end - start
                axis.add_patch(Rectangle(corner, extent, extent, fill=False, edgecolor="black", linewidth=1.6))
                axis.annotate(
                    groups[start],
                    (1.01, (start + end - 1) / 2),
                    xycoords=("axes fraction", "data"),
                    fontsize=8,
                    va="center",
                )
                start = end
        axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        axis.grid(False)
        figure.colorbar(shown, ax=axis, label="cosine", location="left", shrink=0.6, extend="both")
        axis.set_title(title)
    return figure
