"""The command line: `python -m emokit doctor | lint | extract | validate | dose`."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from .errors import EmokitError

SHOWN = "panel kind emotion expected first last change low high rho effect".split() + ["beyond twin", "as expected"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 fine, 1 something to put right, 2 bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m emokit", description="emokit on the command line")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is installed, where models and caches are, and what to put right")
    lint = commands.add_parser("lint", help="find what may spoil vectors in stories")
    lint.add_argument(
        "path", nargs="?", help="a .jsonl or .csv file or a folder of them; all of emokit's own stories without it"
    )
    for name, text in (
        ("extract", "write emotion vectors"),
        ("validate", "held-out accuracy"),
        ("dose", "the dose lab"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--model", help="a hub id, a folder or a .gguf file; SmolLM2-135M-Instruct without it")
        command.add_argument("--stories", help="a .jsonl or .csv file or a folder of them; emokit's own without it")
        command.add_argument("--all", action="store_true", help="all 173 emotions instead of the 24 core ones")
        if name in ("validate", "dose"):
            command.add_argument("--json", type=Path, help="a file to write the result to (see results/README.md)")
            command.add_argument("--figures", type=Path, help="a folder to write the figures to, as PNG")
        if name == "extract":
            command.add_argument("--out", type=Path, default=Path("vectors.safetensors"), help="the file to write")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen, ["python -m emokit", *(sys.argv[1:] if arguments is None else arguments)])
    except EmokitError as error:
        print(f"emokit: {error}", file=sys.stderr)
        return 1


def _run(chosen: argparse.Namespace, command: list[str]) -> int:
    if chosen.command == "doctor":
        from .doctor import report

        return report()
    from .stories import load_stories

    if chosen.command == "lint":
        from .lint import leaks

        stories = load_stories(chosen.path, "all")
        if len(stories.emotions) > 1 and len(stories.topics) > 1:
            table, chance = leaks(stories), 1 / len(stories.emotions)
            print(
                f"Their words alone tell {table.told.mean():.0%} of stories of unseen topics (chance {chance:.1%}). The leakiest:"
            )
            print(table.head(20).round(2).to_string(index=False), end="\n\n")
        findings = stories.lint()
        print(*findings, stories, f"{len(findings)} findings", sep="\n")
        return bool(findings)
    from . import dose, ranks
    from .models import load_model
    from .sharing import fill
    from .validation import validate
    from .vectors import extract

    stories = load_stories(chosen.stories, "all" if chosen.all else None)
    model = load_model(chosen.model)
    with ranks.together() as rank:  # under torchrun: all read, the first goes on
        fill(model, [story.text for story in (*stories, *stories.neutral)])
    if rank:
        return 0
    if chosen.command == "validate":
        begun = time.perf_counter()
        result: Any = validate(model, stories)
        seconds = time.perf_counter() - begun
        print(result)
        names: tuple[str, ...] = (
            *("accuracy", "best_block", "components", "interval", "embeddings", "words", "null", "chance", "p"),
            *("passes", "verdict", "anisotropy"),
        )
        figures = {"validation": result.plot}
    else:
        vectors = extract(model, stories)
        if chosen.command == "extract":
            vectors.save(chosen.out)
            print(vectors, chosen.out, sep="\n")
            return 0
        begun = time.perf_counter()
        result = dose.run(model, vectors, stories=stories)
        seconds = time.perf_counter() - begun
        print(result.to_frame()[SHOWN].round(3).to_string(index=False), result, sep="\n")
        names = ("block", "position", "seed", "verdict", "why", "summary", "by_block", "wordings")
        figures = {f"dose_{kind}": partial(result.plot, kind) for kind in ("panel", "ladder", "twin")}
        figures |= {
            "dose_compare": result.compare,
            "dose_effects": result.plot_effects,
            "dose_blocks": result.plot_blocks,
        }
    if chosen.json:
        from .results import record, write

        line = " ".join(command)
        write(record(result, names, command=line, model=model, stories=stories, seconds=seconds), chosen.json)
    for name, draw in figures.items() if chosen.figures else ():
        from .files import replacing
        from .plots import png

        with replacing(chosen.figures / f"{name}.png") as path:
            path.write_bytes(png(draw()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
