"""The command line: `python -m emokit doctor | lint | extract | validate | dose`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .errors import EmokitError


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
        if name == "extract":
            command.add_argument("--out", type=Path, default=Path("vectors.safetensors"), help="the file to write")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except EmokitError as error:
        print(f"emokit: {error}", file=sys.stderr)
        return 1


def _run(chosen: argparse.Namespace) -> int:
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
    from . import dose
    from .models import load_model
    from .validation import validate
    from .vectors import extract

    stories = load_stories(chosen.stories, "all" if chosen.all else None)
    model = load_model(chosen.model)
    if chosen.command == "validate":
        print(validate(model, stories))
        return 0
    vectors = extract(model, stories)
    if chosen.command == "extract":
        vectors.save(chosen.out)
        print(vectors, chosen.out, sep="\n")
    else:
        result = dose.run(model, vectors)
        print(result.to_frame().round(3).to_string(index=False), result, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
