"""What steering does to behaviour, on one model: impossible tasks, frustration, tone, caution, and what each costs.

Usage: behaviour.py [MODEL] [--minutes N] [--only NAME ...] [--light] [--out FOLDER]

MODEL is a hub id, a folder or a .gguf file (SmolLM2-135M-Instruct without it). Each experiment ends within about N minutes
(10 unless given) and says what it has by then; the same call again goes on where the last one stopped, as what was measured
is kept in the cache; `--light` has fewer conditions, for larger models; under `torchrun` the rollouts are shared. Writes FOLDER/<experiment>.json and its figures; FOLDER is results/<model>.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import emokit
from emokit import ranks, sharing
from emokit.experiments.frustration import ARMS
from emokit.files import replacing
from emokit.plots import png
from emokit.results import about, plain, write

RESULTS = Path(__file__).parent.parent / "results"
# name of an experiment -> what is given to its module's `run` beside the model, the vectors, minutes and the seed
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "impossible_task": ("stories",),
    "frustration": ("judge",),
    "tone": (),
    "caution": (),
    "side_effects": (),
}
# with --light: strengths on both sides of 0, two of them above; fewer random directions; the arms that answer the question
LIGHT: dict[str, dict[str, Any]] = {
    "caution": {"strengths": (-0.1, 0.1, 0.2), "randoms": 3},
    "tone": {"randoms": 3},
    "frustration": {
        "arms": [arm for arm in ARMS if arm.name in ("8 turns, neutral", "8 turns, continue", "3 turns, neutral")],
        "rollouts": 8, "randoms": 2, "max_new_tokens": 40, "judged": 16,
    },
}  # fmt: skip


def folder_of(name: str) -> Path:
    """The folder of a model's results: its name in small letters, without "instruct"."""
    stem = name.rsplit("/", 1)[-1].lower()
    return RESULTS / re.sub(r"-(instruct|it|chat)(?=-|$)", "", stem)


def run(name: str, model: Any, vectors: Any, stories: Any, minutes: float, seed: int, light: bool = False) -> Any:
    """Run one experiment."""
    function = importlib.import_module(f"emokit.experiments.{name}").run
    more = {"stories": stories, "judge": model}
    chosen = {key: more[key] for key in EXPERIMENTS[name]} | (LIGHT.get(name, {}) if light else {})
    return function(model, vectors, minutes=minutes, seed=seed, **chosen)


def _words(chosen: argparse.Namespace) -> list[str]:
    """What was asked for, as it is written down: without a path of this machine."""
    path = Path(chosen.model or "")
    model = [path.name if path.exists() or path.suffix == ".gguf" else chosen.model] if chosen.model else []
    only = [word for name in chosen.only or () for word in ("--only", name)]
    seed = ["--seed", str(chosen.seed)] if chosen.seed else []
    return [*model, *only, "--minutes", f"{chosen.minutes:g}", *(["--light"] if chosen.light else []), *seed]


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen experiments one after the other, each written as soon as it ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", nargs="?", help="a hub id, a folder or a .gguf file; SmolLM2-135M-Instruct without it")
    parser.add_argument("--minutes", type=float, default=10, help="for each experiment, about")
    parser.add_argument("--only", action="append", choices=EXPERIMENTS, help="an experiment; may be given again")
    parser.add_argument("--light", action="store_true", help="fewer conditions, for larger models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the folder to write to; results/<model> without it")
    chosen = parser.parse_args(arguments)
    with ranks.together() as rank:  # under torchrun all play, and the first writes
        model = emokit.load_model(chosen.model)
        stories = emokit.load_stories()
        vectors = sharing.extract(model, stories)
        if rank == 0:
            print(model, vectors, sep="\n")
        out = chosen.out or folder_of(model.name)
        for name in chosen.only or EXPERIMENTS:
            begun = time.perf_counter()
            result = run(name, model, vectors, stories, chosen.minutes, chosen.seed, chosen.light)
            seconds = time.perf_counter() - begun
            if rank:
                continue
            command = shlex.join(["python", "tools/behaviour.py", *_words(chosen)])
            header = about(result, command=command, model=model, stories=stories, seconds=seconds)
            write({**header, "values": plain(result.record())}, out / f"{name}.json")
            draw = result.figures() if hasattr(result, "figures") else {"": result.plot}
            for figure, make in draw.items():
                with replacing(out / f"{name}{f'_{figure}' if figure else ''}.png") as path:
                    path.write_bytes(png(make()))
            print(f"{name} ({seconds:.0f} s): {result!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
