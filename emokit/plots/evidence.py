"""Figures of how well directions hold: validation, nulls, calibration, predictions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from .base import COLOURS, MARKERS, STYLES, Array, Figure, beside, mark_block, reach, sheet
from .tokens import _luminance


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


def validation(
    accuracy: Array, *, best: int, interval: tuple[float, float], chance: float, bars: Mapping[str, float],
    null: tuple[float, float], messages: Mapping[str, Any] | None, stability: Array, noise: float, anisotropy: Array,
    topics: Sequence[int], needed: Array, title: str = "",
) -> Figure:  # fmt: skip
    """Four plots of a validation: accuracy by block, reading of messages, stability and anisotropy, topics needed."""
    small = dict(fontsize=8, framealpha=0.85, frameon=True, edgecolor="none")
    with sheet(11, 7.6, 2, 2) as (figure, axes):
        (first, second), (third, fourth) = axes
        _accuracy(first, accuracy, best=best, chance=chance, bars=bars, null=null)
        first.errorbar(
            best,
            accuracy[best],
            reach(accuracy[best], interval),
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
                best, value, reach(value, messages["interval"]), color="black", capsize=4, label="95 % interval"
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


def gain_against_null(labels: Sequence[str], observed: Array, null: Array, *, ylabel: str, title: str = "") -> Figure:
    """A column per label: the observed value over the values of a null [draws, labels]."""
    with sheet(7, 3.6) as (figure, axis):
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
    with sheet(9, 5.4, 2, len(panels), sharex=True, sharey="row", squeeze=False) as (figure, axes):
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


def agreement_by_block(ratings: Mapping[str, Mapping[str, Any]], *, chosen: int, title: str = "") -> Figure:
    """A plot per rating: |r| of the best component by block, its interval, what permuted ratings reach, which component.

    Each rating has lists over blocks: r, interval (low, high), level, component (0-based).
    """
    with sheet(5.4 * len(ratings) + 1, 4.2, 1, len(ratings), squeeze=False, sharey=True) as (figure, axes):
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
            mark_block(chosen, axis)
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
    with sheet(11.5, 4.8, 1, 2, width_ratios=(1.25, 1)) as (figure, (left, right)):
        left.scatter(rated, predicted, s=26, color=COLOURS[0], alpha=0.8, linewidths=0)
        reach = np.array([np.ptp(rated) or 1, np.ptp(predicted) or 1])
        places = beside(np.stack([rated, predicted], 1)[shown] / reach * (330, 230), [labels[i] for i in shown])
        for i, (dx, dy) in zip(shown, places, strict=True):
            place = {"ha": "left" if dx > 0 else "right" if dx < 0 else "center", "va": "center"}
            left.annotate(
                labels[i], (rated[i], predicted[i]), xytext=(dx, dy), textcoords="offset points", fontsize=8, **place
            )
        left.margins(0.2, 0.1)
        left.set(xlabel=f"rated {name}", ylabel=f"predicted {name}, the word left out")
        right.plot(by_block, color=COLOURS[0], marker="o", markersize=4, label="left-out words")
        right.plot(level, color="#555555", linestyle=":", label="permuted ratings, 95 %")
        mark_block(chosen, right)
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
    with sheet(2.9 + 0.85 * len(columns), 1.3 + 0.24 * len(rows)) as (figure, axis):
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
