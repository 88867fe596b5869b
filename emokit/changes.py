"""Effects: what pushes did against the unsteered replies, as arrays, and their means by strength beside random directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
ODD = 1.5  # times the unsteered replies' perplexity: beyond, a reply is no longer coherent
REPEATED = 0.2  # likewise, how much more of a reply may repeat itself
DRAWS = 1000  # of the bootstrap


@dataclass(frozen=True, eq=False)
class Effects:
    """What pushes did, each against the unsteered reply of its own seed: `keys` are the emotions, then random directions.

    `gains` [2 stems, keys, strengths, emotions] of each emotion's word over the others', in nats; `kl` [keys, strengths]
    on neutral prompts; `scores` [prompts, keys, strengths, emotions] and `nats` (a token) and `repeats` [prompts, keys,
    strengths]: the change against the unsteered reply; `replies` the texts.
    """

    gains: Array
    kl: Array
    scores: Array
    nats: Array
    repeats: Array
    replies: Array

    @classmethod
    def of(cls, words: Array, kl: Any, replies: list[Any], plain: list[Any], shape: tuple[int, int]) -> Effects:
        """From changes of words [stems, pushes, emotions] and rows of a `Bench` of trials.py, a push for each key and strength."""
        keys, strengths = shape
        texts = np.array([row["replies"] for row in replies], object).reshape(len(replies), keys, strengths)
        same = texts == np.array([row["replies"] for row in plain], object)[:, :keys, None]

        def change(name: str) -> Array:
            new = np.array([row[name] for row in replies], float)
            new = new.reshape(len(replies), keys, strengths, *new.shape[2:])
            old = np.array([row[name] for row in plain], float)
            mean = np.nanmean(old, axis=1, keepdims=True)  # for an unsteered reply of no token, that of the others
            return new - np.where(np.isnan(old), mean, old)[:, :keys, None]

        count = words.shape[-1]
        others = (words.sum(-1, keepdims=True) - words) / max(1, count - 1)
        nats = change("nats")
        return cls(
            (words - others).reshape(len(words), keys, strengths, count),
            np.array(kl, float).reshape(keys, strengths),
            np.nan_to_num(change("scores")),  # no text, no change
            np.where(same, 0, np.where(np.isnan(nats), np.inf, nats)),  # and no coherent one
            change("repeats"),
            texts,
        )

    def own(self, values: Array, count: int) -> Array:
        """Of values [n, keys, strengths, emotions] those of each emotion under its own push: [emotions, n, strengths]."""
        return values[:, np.arange(count), :, np.arange(count)]


def curves(effects: Effects, count: int, stem: int, prompts: slice, signs: Array) -> dict[str, Array]:
    """A block's effects on one set of prompts and one stem by strength, [strengths] each, as `Calibration.to_frame` tells.

    The first `count` keys are emotions; without random directions behind them, nothing is held against those.
    """
    scores, nats, repeats = (values[prompts] for values in (effects.scores, effects.nats, effects.repeats))
    cells = effects.own(scores, count)
    rng = np.random.default_rng(
        0
    )  # emotions and prompts are drawn apart: what is of one emotion, or prompt, goes together
    some, asked = (rng.integers(size, size=(DRAWS, size)) for size in cells.shape[:2])
    drawn = np.stack([cells[one][:, other].mean((0, 1)) for one, other in zip(some, asked, strict=True)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    columns = {
        "gain": effects.own(effects.gains[stem : stem + 1], count).mean((0, 1)),
        "reread": cells.mean((0, 1)), "low": low, "high": high,
        "ratio": np.exp(np.median(nats[:, :count].mean(0), axis=0)),
        "repeats": np.median(repeats[:, :count].mean(0), axis=0),
        "kl": np.median(effects.kl[:count], axis=0),
    }  # fmt: skip
    if count == scores.shape[1]:
        return columns
    controls = scores.shape[1] - count
    # beside each emotion one random direction, the next emotion beside the next, in as many ways as there are directions
    pairs = count + (np.arange(count) + np.arange(controls)[:, None]) % controls
    random = {
        "gain": effects.gains[stem, pairs, :, np.arange(count)].mean(1),  # [pairings, strengths]
        "reread": scores.mean(0)[pairs, :, np.arange(count)].mean(1),
    }
    beats = np.ones(len(signs), bool)
    for name, values in random.items():
        columns[f"{name}_random"] = signs * (signs * values).max(0)
        beats &= signs * columns[name] > (signs * values).max(0)
    columns["ratio_random"] = np.exp(np.median(nats[:, count:].mean(0), axis=0))
    columns["kl_random"] = np.median(effects.kl[count:], axis=0)
    columns["coherent"] = (columns["ratio"] <= ODD + 1e-9) & (columns["repeats"] <= REPEATED + 1e-9)
    return columns | {"beats": beats & (signs != 0)}
