"""Figures of the experiments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import FixedLocator

from .base import COLOURS, MARKERS, STYLES, Array, Figure, sheet


def turns(
    lines: Mapping[str, tuple[Array, Array, Array, Array]],
    *,
    ylabel: str,
    level: tuple[float, str] | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """A line per label over the turns of a conversation: (turns, values, low, high of the intervals); a level in words.

    Conversations of the same length share a plot. Lines lie a little beside each other, to tell their intervals apart.
    """
    lengths = sorted({len(x) for x, *_ in lines.values()}, reverse=True) or [1]
    with sheet(
        2.2 + 0.55 * max(9, sum(lengths)), 4.2, 1, len(lengths), squeeze=False, sharey=True,
        gridspec_kw={"width_ratios": [max(3, length) for length in lengths]},
    ) as (figure, axes):  # fmt: skip
        for length, axis in zip(lengths, axes[0], strict=True):
            chosen = {label: line for label, line in lines.items() if len(line[0]) == length}
            for i, (label, (x, y, low, high)) in enumerate(chosen.items()):
                beside = np.asarray(x, float) + 0.13 * (i - (len(chosen) - 1) / 2)
                reach = np.nan_to_num(np.maximum(np.stack([np.subtract(y, low), np.subtract(high, y)]), 0))
                style = {"color": COLOURS[i], "marker": MARKERS[i], "ls": STYLES[i % len(STYLES)]}
                axis.errorbar(beside, y, reach, **style, ms=5, lw=1.4, elinewidth=1, capsize=2, label=label)
            if level:
                axis.axhline(level[0], color="#555555", lw=1, ls=(0, (1, 2)))
                axis.annotate(level[1], (0.99, level[0]), xycoords=("axes fraction", "data"), ha="right", va="bottom")
            axis.set(xlabel="turn", xlim=(0.5, length + 0.5))
            axis.xaxis.set_major_locator(FixedLocator(range(1, length + 1)))
            if chosen:
                axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3)
        axes[0, 0].set_ylabel(ylabel)
        if limits:
            axes[0, 0].set_ylim(*limits)
        figure.suptitle(textwrap.fill(title, 80), fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure


def changes(
    labels: Sequence[str], columns: Mapping[str, Sequence[tuple[float, float, float]]], *,
    bands: Mapping[str, tuple[float, float] | Sequence[tuple[float, float]]] | None = None, lines: Sequence[int] = (),
    title: str = "",
) -> Figure:  # fmt: skip
    """A row per label and a plot per column: a value and its 95 % interval (value, low, high) beside 0; NaN is left out.

    Dots are filled where the interval leaves 0 out; `bands` is the range of what means nothing, one or one a row; `lines`
    part the rows.
    """
    with sheet(
        2.6 + 2.9 * len(columns), 1.4 + 0.27 * max(2, len(labels)), 1, len(columns), squeeze=False, sharey=True
    ) as (
        figure,
        axes,
    ):
        for axis, (name, rows) in zip(axes[0], columns.items(), strict=True):
            if bands and name in bands:
                for row, (left, right) in enumerate(np.broadcast_to(np.array(bands[name], float), (len(labels), 2))):
                    axis.fill_betweenx([row - 0.5, row + 0.5], left, right, color="#dddddd", linewidth=0)
            axis.axvline(0, color="black", linewidth=0.8)
            values, low, high = np.array(rows, float).reshape(-1, 3).T
            away = (low > 0) | (high < 0)
            if np.nanmax(np.abs(rows), initial=0) < 1e-9:  # else the axis would show the rounding
                axis.set_xlim(-1, 1)
            for mask, fill in ((away, COLOURS[0]), (~away, "white")):
                y = np.arange(len(labels))[mask]
                axis.hlines(y, low[mask], high[mask], color=COLOURS[0], linewidth=1.8)
                axis.plot(values[mask], y, "o", color=COLOURS[0], markerfacecolor=fill, markersize=6)
            for line in lines:
                axis.axhline(line - 0.5, color="#999999", linewidth=0.8)
            axis.set_xlabel(textwrap.fill(name, 34), fontsize=9)
            axis.tick_params(axis="x", labelsize=8)
            axis.locator_params(axis="x", nbins=5)  # narrow columns: no label on another
        axes[0, 0].set_yticks(range(len(labels)), [label.replace("$", r"\$") for label in labels], fontsize=9)
        axes[0, 0].set_ylim(len(labels) - 0.5, -0.5)
        note = "lines: 95 % intervals; filled: 0 lies outside" + ("; grey: random directions" if bands else "")
        width = 34 + 36 * len(columns)
        figure.suptitle(textwrap.fill(title, width) + "\n" + note, fontsize=10, x=0.01, ha="left", parse_math=False)
    return figure


def strength_curves(
    strengths: Sequence[float], curves: Mapping[str, Sequence[tuple[float, float, float]]], *, null: Array,
    ylabel: str, title: str = "",
) -> Figure:  # fmt: skip
    """A small plot per direction: values over strength with 95 % intervals, and each random direction [randoms, strengths]."""
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    with sheet(3.6 * columns, 2.8 * rows + 0.8, rows, columns, squeeze=False, sharex=True, sharey=True) as (
        figure,
        axes,
    ):
        for i, (axis, (name, points)) in enumerate(zip(axes.flat, curves.items(), strict=False)):
            for j, line in enumerate(null):
                axis.plot(
                    strengths, line, color="#b5b5b5", linewidth=1, label="random directions" if i == j == 0 else None
                )
            axis.axhline(0, color="black", linewidth=0.8)
            values, low, high = np.array(points, float).T
            axis.errorbar(
                strengths, values, np.maximum(0, [values - low, high - values]), color=COLOURS[0], marker="o",
                markersize=5, linewidth=2, capsize=3, label="the direction, 95 %" if i == 0 else None,
            )  # fmt: skip
            axis.set_title(name, fontsize=10, parse_math=False)
            axis.tick_params(labelbottom=i + columns >= len(curves))  # also where the plot below is left out
        for axis in list(axes.flat)[len(curves) :]:
            axis.set_visible(False)
        axes[0, 0].legend(fontsize=8, loc="best")
        figure.supxlabel("strength", fontsize=10)
        figure.supylabel(textwrap.fill(ylabel, 40), fontsize=10)
        figure.suptitle(textwrap.fill(title, 34 * columns), fontsize=10, x=0.01, ha="left", parse_math=False)
    return figure


def outcomes(
    labels: Sequence[str], shares: Mapping[str, Sequence[float]], counts: Sequence[int],
    intervals: Sequence[tuple[float, float]], *, title: str = "",
) -> Figure:  # fmt: skip
    """A bar per label, divided into the shares of outcomes, with the interval of the first outcome and the number of runs."""
    colours = (COLOURS[1], COLOURS[0], "#9ecae1", "#d9d9d9", "#f2f2f2", "#ffffff")
    with sheet(8, 1.6 + 0.34 * max(2, len(labels))) as (figure, axis):
        left = np.zeros(len(labels))
        for (name, values), colour in zip(shares.items(), colours, strict=False):
            widths = np.nan_to_num(np.array(values, float))
            if widths.any():
                axis.barh(range(len(labels)), widths, left=left, color=colour, edgecolor="#666666", linewidth=0.6, label=name)  # fmt: skip
            left += widths
        first = next(iter(shares))
        low, high = np.array(intervals, float).reshape(-1, 2).T
        y = np.arange(len(labels))
        axis.hlines(y, low, high, color="black", linewidth=2, label=f"{first}: 95 % Wilson interval")
        for at in (low, high):
            axis.plot(at, y, "|", color="black", markersize=8)
        for row, count in enumerate(counts):
            axis.text(1.01, row, f"n = {count}", va="center", fontsize=8)
        axis.set_yticks(y, [label.replace("$", r"\$") for label in labels])
        axis.set_ylim(len(labels) - 0.5, -0.5)
        axis.set_xlim(0, 1)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("share of rollouts")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        figure.suptitle(textwrap.fill(title, 100), fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure


def failures(
    failing: Array, passing: Array, gaps: Mapping[str, float], null: tuple[float, float], *, marked: str, title: str = "",
) -> Figure:  # fmt: skip
    """A score after each result, [transcripts, results] failing and passing; and every emotion's gap with the band of random directions."""
    with sheet(10, 0.6 + max(3.4, 0.17 * len(gaps)), 1, 2, width_ratios=(1.2, 1)) as (figure, (left, right)):
        x = np.arange(failing.shape[1])
        for rows, name, colour, style in (
            (failing, "failing", COLOURS[1], "-o"),
            (passing, "passing", COLOURS[0], "--s"),
        ):
            for row in rows:
                left.plot(x, row, color=colour, linewidth=0.7, alpha=0.3)
            left.plot(x, rows.mean(0), style, color=colour, linewidth=2, markersize=5, label=f"{name}, mean")
        left.set_xticks(x)
        left.set_xlabel("results so far")
        left.set_ylabel(f"score of {marked} before the next reply")
        left.legend(fontsize=8)
        right.axvspan(*null, color="#dddddd", linewidth=0, label="95 % of random directions")
        right.axvline(0, color="black", linewidth=0.8)
        for i, (name, value) in enumerate(gaps.items()):
            right.barh(i, value, color=COLOURS[1] if name == marked else "#9a9a9a", height=0.7)
        right.set_yticks(range(len(gaps)), list(gaps), fontsize=min(8, 190 / max(1, len(gaps))))
        right.set_ylim(len(gaps) - 0.4, -0.6)
        right.grid(axis="y", visible=False)
        right.set_xlabel("score failing - passing")
        right.legend(fontsize=8, loc="lower right", frameon=True)
        figure.suptitle(textwrap.fill(title, 110), fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure
