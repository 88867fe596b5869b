"""Measure emokit's speed, side by side with its peers in the same process, and write a table and a figure.

Usage: run.py [--model NAME] [--texts N] [--rounds N] [--only PART ...]

Parts: reading, decoding, step, memory, starting, slider. `make bench` makes the environment with the peers and runs it all on
the default model. Times are of this machine; what carries over are the ratios, each taken within one round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import machine
import numpy as np
import readers
import steps
import table
import torch
from timing import ratios, rounds

import emokit
from emokit import plots
from emokit.products import FewRows

FOLDER = Path(__file__).parent
RESULTS = FOLDER.parent / "results" / "benchmarks"
PACKAGES = ("torch", "transformers", "steering-vectors", "repeng", "nnsight", "transformer-lens")
MIXED = (25, 250)  # tokens of the texts of mixed lengths, from and to
PROMPT = "Tell me about your day."
TOKENS = 32  # of a timed reply
EIGHT = [-0.3, -0.2, -0.1, 0.05, 0.1, 0.2, 0.3]  # and 0, which `sweep` always runs


def reading(model: emokit.Model, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Texts to means: core stories over all blocks and up to two thirds of depth; texts of mixed lengths likewise."""
    stories, count = emokit.load_stories(), chosen.texts
    third = round(2 * model.n_blocks / 3) - 1
    texts = {
        "core stories": [s.text for s in stories][:: max(1, len(stories) // count)][:count],
        "25 to 250 tokens": mixed(model, count // 2),
    }
    rows = []
    for what, some in texts.items():
        tokens = sum(len(model.encode(text)) for text in some)
        for last, depth in ((model.n_blocks - 1, "all blocks"), (third, f"up to block {third}")):
            print(f"{what}, {depth}: {len(some)} texts, {tokens} tokens", flush=True)
            before = machine.products()  # the machine's speed drifts: the higher rate, before and behind, is the limit
            seconds = rounds(readings(model, some, last), chosen.rounds, warm=readings(model, some[:8], last))
            limit = max(before, machine.products()) / machine.flops_a_token(model, last + 1)
            same = agreement(model, some[:16], last, list(seconds))
            for name, (ratio, low, high) in ratios(seconds, "emokit").items():
                rate = tokens / float(np.median(seconds[name]))
                rows.append({
                    "part": "reading", "what": what, "depth": depth, "name": name, "tokens a second": round(rate), "of the limit": round(rate / limit, 2),
                    "emokit is faster by": round(ratio, 2), "from": round(low, 2), "to": round(high, 2), "cosine with emokit": same.get(name),
                })  # fmt: skip
                print("  ", rows[-1], flush=True)
    return rows


def readings(model: emokit.Model, texts: list[str], last: int) -> dict[str, Callable[[], Any]]:
    """What each contender does with the texts: emokit and the bare pass with the layers of `load_model`, peers with transformers'."""
    own = {name: partial(read, model, texts, last) for name, read in readers.READERS.items()}
    return {n: work if n in (table.OWN, table.BARE) else with_plain_layers(model, work) for n, work in own.items()}


def mixed(model: emokit.Model, count: int) -> list[str]:
    """Texts of 25 to 250 tokens, cut from stories set one behind another, in an order that is not sorted."""
    stories = emokit.load_stories()
    ids = model.tokenizer(" ".join(s.text for s in stories), add_special_tokens=False)["input_ids"]
    lengths = np.random.default_rng(0).permutation(np.linspace(*MIXED, count).astype(int))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if starts[-1] > len(ids):
        sys.exit("too many texts for the corpus; give a smaller --texts")
    return [model.text(ids[a:b]) for a, b in pairwise(starts)]


def agreement(model: emokit.Model, texts: list[str], last: int, names: list[str]) -> dict[str, float]:
    """Mean cosine of each contender's means with emokit's, over texts and blocks, of those that return means."""
    own = readers.emokit(model, texts, last)
    found = {}
    for name in names:
        other = readers.READERS[name](model, texts, last)
        if other.shape == own.shape:
            lengths = np.linalg.norm(own, axis=-1) * np.linalg.norm(other, axis=-1)
            # transformers hands out the last block behind the final norm: left out
            found[name] = round(float(((own * other).sum(-1) / lengths)[:, : model.n_blocks - 1].mean()), 6)
    return found


def decoding(model: emokit.Model, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Replies: steered against unsteered, eight strengths against one, emokit's loop against transformers' `generate`.

    The last with the layers as `load_model` leaves them and as transformers makes them (see `emokit.products`).
    """
    vectors = emokit.extract(model, emokit.load_stories())
    ids = torch.tensor([model.encode(model.prompt(PROMPT))])

    def plain() -> None:
        model.generate(PROMPT, max_new_tokens=TOKENS)

    def steered() -> None:
        with emokit.steer(model, vectors, {"happy": 0.1}):
            model.generate(PROMPT, max_new_tokens=TOKENS)

    def peer() -> None:
        with torch.inference_mode():
            model.hf.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False
            )

    def eight() -> None:
        emokit.sweep(model, vectors, PROMPT, "happy", EIGHT, max_new_tokens=TOKENS)

    contenders = {
        "emokit, unsteered": plain,
        "emokit, steered": steered,
        "emokit, eight strengths at once": eight,
        "emokit, eight strengths, transformers' layers": with_plain_layers(model, eight),
        "transformers' generate": peer,
        "transformers' generate and layers": with_plain_layers(model, peer),
    }
    with patch.object(emokit.Model, "stop_tokens", frozenset()):  # so that each reply has all its tokens
        seconds = rounds(contenders, chosen.rounds * 2)
    limit = machine.reading() / machine.bytes_a_token(model)
    rows = []
    for name, (_, _, _) in ratios(seconds, "emokit, unsteered").items():
        each = seconds[name] / seconds["emokit, unsteered"]
        rows.append({
            "part": "decoding", "what": f"{TOKENS} tokens", "name": name, "tokens a second": round(TOKENS / float(np.median(seconds[name])), 1),
            "of the limit": round(TOKENS / float(np.median(seconds[name])) / limit, 2),
            "times one unsteered reply": round(float(np.median(each)), 3), "from": round(float(each.min()), 3), "to": round(float(each.max()), 3),
        })  # fmt: skip
        print("  ", rows[-1], flush=True)
    return rows


def step(model: emokit.Model, _chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """What a step of decoding is made of, and the same with the layers as transformers makes them."""
    own = partial(steps.shares, model, PROMPT, TOKENS)
    found = {"load_model": own(), "transformers": with_plain_layers(model, own)()}
    rows = [{"part": "step", "layers of": layers, **row} for layers, part in found.items() for row in part]
    for row in rows:
        print("  ", row, flush=True)
    return rows


def with_plain_layers(model: emokit.Model, work: Callable[[], Any]) -> Callable[[], Any]:
    """The work, done while the model has the layers that transformers made."""

    def run() -> Any:
        changed = [part for part in model.hf.modules() if type(part) is FewRows]
        try:
            for part in changed:
                part.__class__ = torch.nn.Linear
            return work()
        finally:
            for part in changed:
                part.__class__ = FewRows

    return run


def memory(model: emokit.Model, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory and seconds by number of stories, each in a process of its own: beyond the array, memory should be flat."""
    rows = []
    for size in (chosen.texts, 4 * chosen.texts, 8 * chosen.texts, 16 * chosen.texts):
        found = child("one_extraction.py", chosen.model, str(size))
        array = size * model.n_blocks * model.width * 4 / 2**20
        rows.append({"part": "memory", "what": "extraction", "stories": size, "array MB": round(array, 1), **found})
        print("  ", rows[-1], flush=True)
    return rows


def starting(_model: emokit.Model, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Loading for the first time and again, an extraction and the same from the cache, a notebook to its first figure."""
    found = [{"part": "starting", **row} for row in child("starting.py", chosen.model)["rows"]]
    for row in found:
        print("  ", row, flush=True)
    return found


def slider(_model: emokit.Model, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """From a slider moved in a browser to the first token there; nothing without Chromium, and for other models than the default."""
    if chosen.model != emokit.fetch.NAME or not any(
        map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    ):
        print("   left out: it is for the default model, and needs Chromium", flush=True)
        return []
    return [{"part": "slider", **row} for row in child("first_token.py")["rows"]]


def child(script: str, *arguments: str) -> dict[str, Any]:
    """What a script of this folder prints as its last line, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


PARTS = {
    "reading": reading,
    "decoding": decoding,
    "step": step,
    "memory": memory,
    "starting": starting,
    "slider": slider,
}


def main() -> None:
    """Run the chosen parts; write results/benchmarks/<model>.json and .png, and the table of all models there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=emokit.fetch.NAME)
    parser.add_argument("--texts", type=int, default=48, help="texts a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_grad_enabled(True)  # a peer's setting is not ours
    model = emokit.load_model(chosen.model)
    target = RESULTS / f"{Path(str(model.name)).stem.lower()}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = json.loads(target.read_text()) if target.exists() else {"parts": {}, "rows": []}
    content["model"] = model.facts()
    about = {
        "command": "python benchmarks/run.py " + " ".join(Path(word).name for word in sys.argv[1:]),
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "processor": platform.machine()},
        "limits": {"sgemm GFLOP/s": round(machine.products() / 1e9), "memory GB/s": round(machine.reading() / 1e9, 1)},
        "versions": {package: installed(package) for package in PACKAGES},
    }
    for part in chosen.only:  # each is written as it ends: none is lost should a later one fail
        print(part, flush=True)
        if rows := PARTS[part](model, chosen):
            content["rows"] = [row for row in content["rows"] if row["part"] != part] + rows
            content["parts"][part] = {"date": datetime.now(UTC).isoformat(timespec="seconds"), **about}
            target.write_text(json.dumps(content, indent=1) + "\n")
    rows = content["rows"]
    figure = picture(rows, model.name)
    if figure:
        target.with_suffix(".png").write_bytes(plots.png(figure))
    table.write(RESULTS)
    print(f"wrote {target} and {RESULTS / 'README.md'}")


def installed(package: str) -> str:
    """A package's version, or that it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def picture(rows: list[dict[str, Any]], name: str) -> Any:
    """How many times as fast emokit reads as each contender."""
    read = [row for row in rows if row["part"] == "reading" and row["name"] != "emokit"]
    if not read:
        return None
    names = list(dict.fromkeys(row["name"] for row in read))
    groups: dict[str, list[float]] = {}
    for row in read:
        values = groups.setdefault(f"{row['what']}, {row['depth']}", [float("nan")] * len(names))
        values[names.index(row["name"])] = row["emokit is faster by"]
    return plots.bars(
        [textwrap.fill(n, 13) for n in names],
        groups,
        ylabel="times as long as emokit",
        title=f"Reading {name}: how long each takes, emokit = 1",
    )


if __name__ == "__main__":
    main()
