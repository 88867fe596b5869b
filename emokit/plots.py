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
from matplotlib.ticker import FixedLocator, NullLocator

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
    with _figure(8, 3.8) as (figure, axis):
        _accuracy(axis, accuracy, best=best, chance=chance, bars={"bag of embeddings": baseline}, null=null)
        axis.set(ylabel="accuracy on topics left out", title=title)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _accuracy(
    axis: Any, accuracy: Array, *, best: int, chance: float, bars: Mapping[str, float], null: tuple[float, float]
) -> None:
    """Accuracy by block, each bar that it has to beat as a line, the null's range at the best block, and chance."""
    axis.plot(accuracy, color=COLOURS[0], marker="o", markersize=4, label="directions at the block")
    for i, (name, bar) in enumerate(bars.items(), 1):
        axis.axhline(bar, color=COLOURS[i], linestyle=STYLES[i], label=name)
    middle, reach = (null[0] + null[1]) / 2, (null[1] - null[0]) / 2
    axis.errorbar(best, middle, reach, color="#777777", capsize=5, linewidth=2, label="shuffled labels there, 95 %")
    axis.axhline(chance, color="#555555", linestyle=":", label="chance")
    axis.plot(best, accuracy[best], marker="o", markersize=11, markerfacecolor="none", markeredgewidth=2, color="black")
    axis.annotate(
        f"best block {best}", (best, accuracy[best]), xytext=(0, -22), textcoords="offset points", ha="center"
    )
    axis.set(xlabel="block (0-based)", ylim=(0, 1.02))


def _reach(value: float, interval: tuple[float, float]) -> Array:
    """How far an interval reaches below and above a value, as error bars want it."""
    return np.maximum(0, [[value - interval[0]], [interval[1] - value]])


def validation(
    accuracy: Array, *, best: int, interval: tuple[float, float], chance: float, bars: Mapping[str, float],
    null: tuple[float, float], messages: Mapping[str, Any] | None, stability: Array, noise: float, anisotropy: Array,
    topics: Sequence[int], needed: Array, title: str = "",
) -> Figure:  # fmt: skip
    """Four plots of a validation: accuracy by block, reading of messages, stability and anisotropy, topics needed."""
    small = dict(fontsize=8, framealpha=0.85, frameon=True, edgecolor="none")
    with _figure(11, 7.6, 2, 2) as (figure, axes):
        (first, second), (third, fourth) = axes
        _accuracy(first, accuracy, best=best, chance=chance, bars=bars, null=null)
        first.errorbar(
            best,
            accuracy[best],
            _reach(accuracy[best], interval),
            color="black",
            capsize=4,
        )
        first.set(ylabel="share told right", title="Stories of unseen topics")
        first.legend(loc="lower left", bbox_to_anchor=(0, 0.08), **small)
        second.set(xlabel="block (0-based)", ylabel="share read right", ylim=(0, 1.5), yticks=np.linspace(0, 1, 6))
        if messages:
            value = messages["first"][best]
            second.set_title(f"{messages['count']} messages of another kind")
            second.plot(
                messages["three"],
                color=COLOURS[2],
                linestyle="--",
                marker="s",
                markersize=4,
                label="own emotion among three",
            )
            second.plot(messages["first"], color=COLOURS[0], marker="o", markersize=4, label="own emotion first")
            second.errorbar(
                best, value, _reach(value, messages["interval"]), color="black", capsize=4, label="95 % interval"
            )
            second.axhline(messages["embeddings"], color=COLOURS[1], linestyle="--", label="first, bag of embeddings")
            second.axhline(messages["null"], color="#777777", linestyle="-.", label="first, shuffled labels, 97.5 %")
            second.axhline(1 / messages["emotions"], color="#555555", linestyle=":", label="first, chance")
            second.legend(loc="upper left", **small)
        else:
            second.set_title("No messages for these emotions")
        third.plot(stability, color=COLOURS[0], marker="o", markersize=4, label="directions, topics resampled")
        third.plot(
            best, noise, marker="X", color=COLOURS[1], markersize=9, linestyle="", label="the same, shuffled labels"
        )
        third.plot(
            anisotropy, color=COLOURS[4], linestyle="--", marker="s", markersize=4, label="any two stories (anisotropy)"
        )
        lowest = min(noise, float(np.nanmin(stability)), float(np.nanmin(anisotropy)))
        third.set(xlabel="block (0-based)", ylabel="mean cosine", ylim=(lowest - 0.3, 1.02))
        third.set_title("Stability of directions, likeness of states")
        third.legend(loc="lower left", **small)
        low, high = np.quantile(needed, [0.025, 0.975], axis=1)
        fourth.fill_between(topics, low, high, color=COLOURS[0], alpha=0.2, label="95 % of random choices", linewidth=0)
        fourth.plot(topics, needed.mean(1), color=COLOURS[0], marker="o", label="directions from so many topics")
        for i, (name, bar) in enumerate(bars.items(), 1):
            fourth.axhline(bar, color=COLOURS[i], linestyle=STYLES[i], label=f"{name}, {max(topics)} topics")
        fourth.axhline(chance, color="#555555", linestyle=":", label="chance")
        fourth.set_xscale("log")
        fourth.set_xticks(topics, [str(n) for n in topics])
        fourth.minorticks_off()
        fourth.set(xlabel="topics (stories of each emotion)", ylabel="share told right", ylim=(0, 1.02))
        fourth.set_title(f"How many stories an emotion needs (block {best})")
        fourth.legend(loc="upper left", **small)
        figure.suptitle(textwrap.fill(title, 110), fontsize=12, x=0.01, ha="left")
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
        _mark(chosen, axis)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _mark(block: int, axis: Any) -> None:
    """Mark the block that was chosen beforehand."""
    axis.axvline(block, color="black", linewidth=1, alpha=0.6)
    place = {"xycoords": ("data", "axes fraction"), "xytext": (4, 3), "textcoords": "offset points"}
    axis.annotate(f"block {block}", (block, 0), **place)


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


def calibration(
    panels: Sequence[Mapping[str, Any]], *, shaded: Sequence[tuple[float, float]], limit: float, title: str = ""
) -> Figure:
    """Effect and perplexity by strength, a column of two plots per panel, beside random directions and asking.

    Each panel has a title, strength, reread, low, high, reread_random, reread_asked, ratio, ratio_random and ratio_asked
    [strengths]; `shaded` are ranges of strength, `limit` the perplexity beyond which text is too odd.
    """
    names = {"": "steered", "_random": "random direction", "_asked": "asked in words"}
    with _figure(9, 5.4, 2, len(panels), sharex=True, sharey="row", squeeze=False) as (figure, axes):
        for panel, (effect, cost) in zip(panels, axes.T, strict=True):
            strengths = panel["strength"]
            for axis, what in ((effect, "reread"), (cost, "ratio")):
                for low, high in shaded:
                    reach = 0.02 if low == high else 0
                    axis.axvspan(min(low, high) - reach, max(low, high) + reach, color="#cfe8d5", label="works")
                for i, (end, name) in enumerate(names.items()):
                    style = {"color": COLOURS[i], "linestyle": STYLES[i], "label": name}
                    if end == "_asked":
                        axis.axhline(panel[what + end][0], linewidth=1.8, **style)
                    else:
                        axis.plot(strengths, panel[what + end], marker=MARKERS[i], markersize=5, **style)
                axis.axvline(0, color="black", linewidth=0.6)
            effect.fill_between(strengths, panel["low"], panel["high"], color=COLOURS[0], alpha=0.2, linewidth=0)
            effect.axhline(0, color="black", linewidth=0.6)
            effect.set_title(panel["title"], fontsize=10)
            cost.axhline(limit, color="black", linestyle=":", label=f"limit {limit:g}")
            cost.set_yscale("log", base=2)
            cost.yaxis.set(
                major_locator=FixedLocator([0.5, 0.7, 1, limit, 2, 3, 4, 8, 16]), minor_locator=NullLocator()
            )
            cost.yaxis.set_major_formatter("{x:g}")
            cost.set_xlabel("strength")
        axes[0, 0].set_ylabel("change of the re-read score")
        axes[1, 0].set_ylabel("perplexity, times unsteered")
        handles = dict(zip(*axes[1, 0].get_legend_handles_labels()[::-1], strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
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


def pairs(x: Array, y: Array, *, xlabel: str, ylabel: str, title: str = "") -> Figure:
    """Points of two like quantities on axes of one scale, with the line on which they agree."""
    low, high = min(x.min(), y.min()) - 0.05, max(x.max(), y.max()) + 0.05
    with _figure(5.6, 5.2) as (figure, axis):
        axis.plot([low, high], [low, high], color="#555555", linestyle=":", label="the same on both sides")
        axis.scatter(
            x, y, s=26 if len(x) < 1000 else 6, color=COLOURS[0], alpha=0.5 if len(x) < 1000 else 0.2, linewidths=0
        )
        axis.set(xlim=(low, high), ylim=(low, high), xlabel=xlabel, ylabel=ylabel)
        axis.set_aspect("equal")
        axis.legend(loc="upper left", fontsize=8)
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure


def block_map(values: Array, *, level: float, best: tuple[int, int], names: tuple[str, str], title: str = "") -> Figure:
    """Correlations of every block with every block, light to dark; a line around what lies above the level."""
    rows, columns = values.shape
    with _figure(1.9 + 0.19 * columns, 1.2 + 0.19 * rows) as (figure, axis):
        lowest = min(0.9, np.floor(10 * values.min()) / 10)
        shown = axis.imshow(values, cmap="Blues", vmin=lowest, vmax=1, origin="lower")
        beyond = np.pad(values > level, 1)
        for row, column in zip(*np.nonzero(values > level), strict=True):
            x, y = column + 0.5, row + 0.5
            edges = {(x, x, y - 1, y): beyond[row + 1, column + 2], (x - 1, x - 1, y - 1, y): beyond[row + 1, column],
                     (x - 1, x, y, y): beyond[row + 2, column + 1], (x - 1, x, y - 1, y - 1): beyond[row, column + 1]}  # fmt: skip
            for (left, right, low, high), inside in edges.items():
                if not inside:
                    axis.plot([left, right], [low, high], color=COLOURS[1], linewidth=1.6, solid_capstyle="projecting")
        axis.plot(best[1], best[0], marker="*", markersize=13, color="white", markeredgecolor="black")
        axis.set(
            xlabel=f"{names[1]} (0-based)",
            ylabel=f"{names[0]} (0-based)",
            xlim=(-0.6, columns - 0.4),
            ylim=(-0.6, rows - 0.4),
        )
        axis.grid(False)
        figure.colorbar(shown, ax=axis, label="Spearman's rho of cosines", shrink=0.8)
        note = f"star: best blocks; inside the orange line: above what chance reaches anywhere ({level:.2f})"
        figure.suptitle(textwrap.fill(title, 90) + "\n" + note, fontsize=9, x=0.01, ha="left")
    return figure


def agreement_by_block(ratings: Mapping[str, Mapping[str, Any]], *, chosen: int, title: str = "") -> Figure:
    """A plot per rating: |r| of the best component by block, its interval, what permuted ratings reach, which component.

    Each rating has lists over blocks: r, interval (low, high), level, component (0-based).
    """
    with _figure(5.4 * len(ratings) + 1, 4.2, 1, len(ratings), squeeze=False, sharey=True) as (figure, axes):
        for axis, (name, found) in zip(axes[0], ratings.items(), strict=True):
            r, component = np.array(found["r"]), np.array(found["component"])
            low, high = np.array(found["interval"]).T
            blocks = np.arange(len(r))
            axis.fill_between(blocks, low, high, color=COLOURS[0], alpha=0.15, linewidth=0, label="95 % interval")
            axis.plot(blocks, r, color=COLOURS[0], linewidth=1)
            for i in np.unique(component):
                at = component == i
                axis.plot(
                    blocks[at],
                    r[at],
                    MARKERS[i],
                    color=COLOURS[i],
                    markersize=6,
                    linestyle="",
                    label=f"best: PC{i + 1}",
                )
            axis.plot(blocks, found["level"], color="#555555", linestyle=":", label="permuted ratings, 95 %")
            _mark(chosen, axis)
            axis.set(xlabel="block (0-based)", ylim=(min(0, float(low.min())), 1.02), title=name)
            axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)
        axes[0, 0].set_ylabel("|r| of the best component")
        figure.suptitle(textwrap.fill(title, 110), fontsize=11, x=0.01, ha="left")
    return figure


def prediction(
    rated: Array, predicted: Array, labels: Sequence[str], *, by_block: Array, level: Array, chosen: int, name: str, title: str = ""
) -> Figure:  # fmt: skip
    """Predicted against rated with the labels, and beside it the correlation at every block and what permuted ratings reach."""
    shown = np.arange(len(labels)) if len(labels) <= 40 else np.argsort(-np.abs(rated - predicted))[:15]
    with _figure(11.5, 4.8, 1, 2, width_ratios=(1.25, 1)) as (figure, (left, right)):
        left.scatter(rated, predicted, s=26, color=COLOURS[0], alpha=0.8, linewidths=0)
        reach = np.array([np.ptp(rated) or 1, np.ptp(predicted) or 1])
        places = _beside(np.stack([rated, predicted], 1)[shown] / reach * (330, 230), [labels[i] for i in shown])
        for i, (dx, dy) in zip(shown, places, strict=True):
            place = {"ha": "left" if dx > 0 else "right" if dx < 0 else "center", "va": "center"}
            left.annotate(
                labels[i], (rated[i], predicted[i]), xytext=(dx, dy), textcoords="offset points", fontsize=8, **place
            )
        left.margins(0.2, 0.1)
        left.set(xlabel=f"rated {name}", ylabel=f"predicted {name}, the word left out")
        right.plot(by_block, color=COLOURS[0], marker="o", markersize=4, label="left-out words")
        right.plot(level, color="#555555", linestyle=":", label="permuted ratings, 95 %")
        _mark(chosen, right)
        right.set(
            xlabel="block (0-based)", ylabel="r of predicted and rated", ylim=(min(-0.1, float(by_block.min())), 1.02)
        )
        right.legend(fontsize=8, loc="lower left", frameon=True, framealpha=0.85, edgecolor="none")
        figure.suptitle(textwrap.fill(title, 120), fontsize=11, x=0.01, ha="left")
    return figure


def share_table(
    values: Array, rows: Sequence[str], columns: Sequence[str], *, framed: Array, lines: Sequence[int] = (), title: str = ""
) -> Figure:  # fmt: skip
    """A table of shares as percentages, light to dark; cells of note framed, lines between blocks of rows."""
    with _figure(2.9 + 0.85 * len(columns), 1.3 + 0.24 * len(rows)) as (figure, axis):
        axis.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(values.shape):
            ink = "black" if _luminance(matplotlib.colormaps["Blues"](values[row, column])) > 0.18 else "white"
            weight = "bold" if framed[row, column] else "normal"
            axis.text(
                column,
                row,
                f"{round(100 * float(values[row, column]))} %",
                ha="center",
                va="center",
                fontsize=8,
                color=ink,
                fontweight=weight,
            )
            if framed[row, column]:
                box = Rectangle(
                    (column - 0.46, row - 0.42), 0.92, 0.84, fill=False, edgecolor=COLOURS[1], linewidth=1.6
                )
                axis.add_patch(box)
        for line in lines:
            axis.axhline(line - 0.5, color="black", linewidth=1.2)
        axis.set_xticks(range(len(columns)), columns, fontsize=9)
        axis.set_yticks(range(len(rows)), rows, fontsize=8)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.grid(False)
        note = "share of the variance of the scores along each axis; framed: beyond 95 % of random axes"
        figure.suptitle(textwrap.fill(title, 84) + "\n" + note, fontsize=10, x=0.01, ha="left")
    return figure


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
    with _figure(
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
        figure.suptitle(textwrap.fill(title, 90), fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure


def changes(
    labels: Sequence[str], columns: Mapping[str, Sequence[tuple[float, float, float]]], *,
    bands: Mapping[str, tuple[float, float]] | None = None, lines: Sequence[int] = (), title: str = "",
) -> Figure:  # fmt: skip
    """A row per label and a plot per column: a value and its 95 % interval (value, low, high) beside 0; NaN is left out.

    Dots are filled where the interval leaves 0 out; `bands` is the range of what means nothing; `lines` part the rows.
    """
    with _figure(
        2.6 + 2.9 * len(columns), 1.4 + 0.27 * max(2, len(labels)), 1, len(columns), squeeze=False, sharey=True
    ) as (
        figure,
        axes,
    ):
        for axis, (name, rows) in zip(axes[0], columns.items(), strict=True):
            if bands and name in bands:
                axis.axvspan(*bands[name], color="#dddddd", linewidth=0)
            axis.axvline(0, color="black", linewidth=0.8)
            values, low, high = np.array(rows, float).reshape(-1, 3).T
            away = (low > 0) | (high < 0)
            for mask, fill in ((away, COLOURS[0]), (~away, "white")):
                y = np.arange(len(labels))[mask]
                axis.hlines(y, low[mask], high[mask], color=COLOURS[0], linewidth=1.8)
                axis.plot(values[mask], y, "o", color=COLOURS[0], markerfacecolor=fill, markersize=6)
            for line in lines:
                axis.axhline(line - 0.5, color="#999999", linewidth=0.8)
            axis.set_xlabel(textwrap.fill(name, 34), fontsize=9)
            axis.tick_params(axis="x", labelsize=8)
        axes[0, 0].set_yticks(range(len(labels)), [label.replace("$", r"\$") for label in labels], fontsize=9)
        axes[0, 0].set_ylim(len(labels) - 0.5, -0.5)
        note = "lines: 95 % intervals; filled: 0 lies outside" + ("; grey: random directions" if bands else "")
        width = 40 + 36 * len(columns)
        figure.suptitle(textwrap.fill(title, width) + "\n" + note, fontsize=10, x=0.01, ha="left", parse_math=False)
    return figure


def strength_curves(
    strengths: Sequence[float], curves: Mapping[str, Sequence[tuple[float, float, float]]], *, null: Array,
    ylabel: str, title: str = "",
) -> Figure:  # fmt: skip
    """A small plot per direction: values over strength with 95 % intervals, and each random direction [randoms, strengths]."""
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    with _figure(3.6 * columns, 2.8 * rows + 0.8, rows, columns, squeeze=False, sharex=True, sharey=True) as (
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
    with _figure(8, 1.6 + 0.34 * max(2, len(labels))) as (figure, axis):
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
    with _figure(10, 0.6 + max(3.4, 0.17 * len(gaps)), 1, 2, width_ratios=(1.2, 1)) as (figure, (left, right)):
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
