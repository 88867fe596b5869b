"""Measure the corpus as its data card reports it, and write results/corpus.json and results/corpus.png.

Usage: corpus.py [--built]      --built: also the stories that the default model writes by itself (about 20 minutes, once)

Held-out topics, unseen messages, what words and embeddings alone do, and people's valence ratings predicted for emotions
left out: for the 24 core emotions and for all 173.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import emokit
from emokit import activations, geometry, lint, plots, selection
from emokit.models import Model
from emokit.results import write
from emokit.stories import StorySet

RESULTS = Path(__file__).parent.parent / "results"
Array = np.ndarray


def messages(model: Model, vectors: emokit.EmotionVectors) -> dict[str, Any]:
    """How often a message's own emotion, or one of its cluster, comes first among all; means over tokens, centred over the messages."""
    told = emokit.load_messages(list(vectors.emotions))
    scores = np.stack([emokit.read(model, vectors, m.text).scores.mean(0) for m in told])
    return ranks(scores, [m.emotion for m in told], vectors.emotions)


def message_embeddings(model: Model, stories: StorySet) -> dict[str, Any]:
    """The same from mean input embeddings of stories and messages."""
    labels = selection.codes([s.emotion for s in stories])
    bag = activations.embeddings(model, [s.text for s in stories])
    units, mean = selection.directions(bag, labels, bag[:0])
    told = emokit.load_messages(stories.emotions)
    rows = activations.embeddings(model, [m.text for m in told]) - mean
    return ranks(rows @ units.T, [m.emotion for m in told], stories.emotions)


def ranks(scores: Array, own: list[str], emotions: Any) -> dict[str, Any]:
    """First, among three, median rank (1 is best), and first within the cluster of the paper, of centred scores."""
    scores = scores - scores.mean(0)
    index = np.array([list(emotions).index(e) for e in own])
    rank = (scores > scores[np.arange(len(index)), index][:, None]).sum(1)
    table = geometry.ratings()
    cluster = np.array([table[e]["cluster"] for e in emotions])
    return {
        "count": len(own), "first": part((rank == 0).mean()), "among three": part((rank < 3).mean()),
        "median rank": int(np.median(rank)) + 1, "first of its cluster": part((cluster[scores.argmax(1)] == cluster[index]).mean()),
    }  # fmt: skip


def left_out(rows: Array, emotions: Any) -> float:
    """Correlation of VADER's ratings with those predicted by ridge regression from the other emotions' directions."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    y = geometry.valence(emotions)
    rated = np.isfinite(y)
    return part(
        np.corrcoef(cross_val_predict(Ridge(alpha=1.0), rows[rated], y[rated], cv=LeaveOneOut()), y[rated])[0, 1]
    )


def part(value: float) -> float:
    """A share or a correlation to three decimals."""
    return round(float(value), 3)


def measure(model: Model, stories: StorySet) -> dict[str, Any]:
    """All figures of one set of stories."""
    begun = time.perf_counter()
    vectors = emokit.extract(model, stories)
    seconds = time.perf_counter() - begun
    valid = emokit.validate(model, stories)
    labels = selection.codes([s.emotion for s in stories])
    bag, _ = selection.directions(
        activations.embeddings(model, [s.text for s in stories]), labels, np.empty((0, model.width))
    )
    blocks = list(vectors.blocks)
    values = geometry.valence(vectors.emotions)
    rated = np.isfinite(values)
    components = [[part(r) for r in geometry.pca(vectors, block).valence.r] for block in blocks]  # type: ignore[union-attr]
    return {
        "stories": len(stories), "emotions": len(stories.emotions), "topics": len(stories.topics), "neutral": len(stories.neutral),
        "fingerprint": stories.fingerprint, "block": vectors.best_block, "components": valid.components, "extract seconds": round(seconds, 1),
        "held-out topics": {
            "accuracy": part(valid.accuracy[valid.best_block]), "interval": [part(v) for v in valid.interval], "bag of embeddings": part(valid.embeddings),
            "bag of words": part(lint.leaks(stories).told.mean()), "shuffled labels": part(valid.null.mean()), "chance": part(valid.chance),
        },
        "messages": {"directions": messages(model, vectors), "bag of embeddings": message_embeddings(model, stories)},
        "valence of emotions left out, r": {
            "rated": int(rated.sum()), "best block": left_out(vectors.at(), vectors.emotions), "bag of embeddings": left_out(bag, vectors.emotions),
            "by block": [left_out(vectors.at(block), vectors.emotions) for block in blocks],
        },
        "valence, r of components 1 to 5 by block": components,
        "leakiest": lint.leaks(stories).head(20).round(3).to_dict("records"),
    }  # fmt: skip


def built(model: Model, stories: StorySet) -> dict[str, Any]:
    """The same test on stories that the model writes itself for the same emotions and topics."""
    own = emokit.stories.build(model, stories.emotions, stories.topics, attempts=6)
    valid = emokit.validate(model, StorySet(tuple(own), stories.neutral))
    return {
        "written": len(own), "wanted": own.wanted, "attempts": len(own.attempts), "rejected": own.reasons,
        "held-out topics": part(valid.accuracy[valid.best_block]), "interval": [part(v) for v in valid.interval], "shuffled labels": part(valid.null.mean()),
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    """Measure, print and write; returns the exit code."""
    import torch
    import transformers

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--built", action="store_true", help="also stories that the default model writes by itself")
    chosen_parts = parser.parse_args(arguments)
    model = emokit.load_model()
    found = {
        name: measure(model, emokit.load_stories(emotions=chosen)) for name, chosen in (("core", None), ("all", "all"))
    }
    if chosen_parts.built:
        found["core, written by the model itself"] = built(model, emokit.load_stories())
    about = {
        "command": "python tools/corpus.py " + " ".join(arguments), "date": time.strftime("%Y-%m-%d"), "model": repr(model), "fingerprint": model.fingerprint,
        "versions": {"emokit": emokit.__version__, "torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()},
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    write(about | found, RESULTS / "corpus.json")
    key = "valence of emotions left out, r"
    curves = {f"{found[name]['emotions']} emotions": found[name][key]["by block"] for name in ("core", "all")}
    figure = plots.by_block(
        curves, chosen=found["all"]["block"], ylabel="r with people's ratings", level=(found["all"][key]["bag of embeddings"], "bag of embeddings, all"),
        title="Valence of emotions left out, predicted from the directions of the others",
    )  # fmt: skip
    figure.savefig(RESULTS / "corpus.png")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
