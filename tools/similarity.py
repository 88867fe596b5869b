"""Compare the emotion geometries of several models: results/similarity.json.

Usage: similarity.py NAME=VECTORS.safetensors NAME=VECTORS.safetensors ...      files that `python -m emokit extract --out` wrote
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import emokit
from emokit import geometry
from emokit.results import plain, write

TARGET = Path(__file__).parent.parent / "results" / "similarity.json"


def main(arguments: list[str]) -> int:
    """Compare every pair at their best blocks, and write what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="NAME=FILE", help="vectors of at least two models")
    chosen = dict(part.split("=", 1) for part in parser.parse_args(arguments).files if "=" in part)
    if len(chosen) < 2:
        parser.error("give at least two, each as NAME=FILE")
    loaded = {name: emokit.EmotionVectors.load(path) for name, path in chosen.items()}
    pairs = []
    for one, other in itertools.combinations(loaded, 2):
        found = geometry.similarity(loaded[one], loaded[other])
        low, high = found.interval
        pairs.append(
            {"one": one, "other": other, "blocks": found.blocks, "r": found.rho, "low": low, "high": high, "p": found.p}
        )
        print(one, other, found)
    models = {name: v.provenance["model"] | {"best_block": v.best_block} for name, v in loaded.items()}
    about = {"command": "python tools/similarity.py NAME=FILE ...", "emokit": emokit.__version__, "models": models}
    write(plain(about | {"pairs": pairs}), TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
