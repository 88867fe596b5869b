"""Rows of story files: JSON lines and CSV, each row with its file and line, and what is wrong with those that can't be used."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from .errors import EmokitError, check_text

FIELDS = ("emotion", "topic", "text")
KINDS = ("*.jsonl", "*.csv")


@dataclass(frozen=True)
class Row:
    """One row: `source` is its file and line; `values` are emotion, topic and text, or None where `problem` says why not."""

    source: str
    values: tuple[str, str, str] | None
    problem: str = ""
    shown: str = ""


def files(path: Path) -> list[Path]:
    """A story file, or those of a folder; raises EmokitError where there is none."""
    if os.path.isdir(path):  # a Path's own is_dir raises for a name too long
        found = sorted(file for kind in KINDS for file in path.glob(kind))
        if not found:
            raise EmokitError(
                "no .jsonl or .csv file in the folder", str(path), "Name a file or a folder of story files."
            )
        return found
    if not os.path.isfile(path):
        raise EmokitError(
            "no such story file",
            str(path),
            "Name a .jsonl or .csv file or a folder of them, or choose by emotions=[...].",
        )
    return [path]


def read(file: Path) -> list[Row]:
    """All rows of a file, the unusable ones with their problem; raises EmokitError for a file that can't be read at all."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EmokitError(
            f"cannot read the story file ({error})", str(file), "Save it as UTF-8: JSON lines or CSV."
        ) from error
    return list(_csv(file, text) if file.suffix.lower() == ".csv" else _json_lines(file, text))


def write(file: TextIO, table: Iterable[tuple[str, str, str]], as_csv: bool) -> None:
    """Write rows of emotion, topic and text in the form that `read` reads: JSON lines or CSV."""
    if as_csv:
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([FIELDS, *table])
    else:
        for values in table:
            file.write(json.dumps(dict(zip(FIELDS, values, strict=True)), ensure_ascii=False) + "\n")


def _json_lines(file: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        source = f"{file.name}:{number}"
        try:
            row = json.loads(line)
            values = row["emotion"], row["topic"], row["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            how = 'is not a story; write {"emotion": ..., "topic": ..., "text": ...} on one line'
            yield Row(source, None, how, line[:80])
            continue
        yield _row(source, values, line)


def _csv(file: Path, text: str) -> Iterator[Row]:
    # a quoted text may go over several lines; other signs that end lines are a part of it
    lines = text.split("\n") if text.strip() else []
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True)
    names: list[str] = []
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(f"{file.name}:{number}", None, f"is not CSV ({error})", "\n".join(lines[number - 1 :])[:80])
            return  # behind a quotation mark that is not closed, nothing can be told apart
        if not names:
            names = [cell.strip().lower() for cell in cells]
            if sorted(set(FIELDS) & set(names)) != sorted(FIELDS):
                what = f"the first line of {file.name} does not name the columns emotion, topic, text"
                raise EmokitError(what, header.strip()[:80], "Begin the file with: emotion,topic,text")
        elif any(cell.strip() for cell in cells):
            if any(cell.strip() for cell in cells[len(names) :]):
                how = "has more cells than the first line; put a text with a comma between quotation marks"
                yield Row(f"{file.name}:{number}", None, how, delimiter.join(cells)[:80])
                continue
            found = dict(zip(names, cells, strict=False))
            values = tuple(found.get(name, "").strip() for name in FIELDS)
            yield _row(f"{file.name}:{number}", values, delimiter.join(cells))


def _row(source: str, values: tuple, shown: str) -> Row:
    for name, value in zip(FIELDS, values, strict=True):
        try:
            check_text(value, name)
        except EmokitError as error:
            return Row(source, None, f"is not a story: {error.what}", shown[:80])
        if not value.strip():
            return Row(source, None, f"has no {name}", shown[:80])
    return Row(source, values)
