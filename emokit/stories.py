"""Stories: short labelled texts. Read, write, lint, split by topic."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EmokitError, check_kinds, check_text, emotion_index
from .files import corpus, path_of, replacing
from .lint import NEUTRAL, Finding, lint

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Story:
    """A short text with the emotion it conveys and the topic it is about; `source` is its file and line."""

    emotion: str
    topic: str
    text: str
    source: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        where = self.source or "a story"
        for value in (self.emotion, self.topic, self.text):
            if not isinstance(value, str) or not value.strip():
                raise EmokitError(
                    f"{where} has an emotion, topic or text that is empty or no text", value, "Fill it in."
                )
            check_text(value, f"text of {where}")


@dataclass(frozen=True, repr=False)
class StorySet(Sequence[Story]):
    """Labelled stories and the neutral ones that go with them.

    >>> stories = emokit.load_stories()
    >>> stories
    StorySet(384 stories: 24 emotions x 16 topics; 96 neutral)
    """

    stories: tuple[Story, ...]
    neutral: tuple[Story, ...] = ()

    def __len__(self) -> int:
        return len(self.stories)

    def __iter__(self) -> Iterator[Story]:
        return iter(self.stories)

    def __getitem__(self, index: Any) -> Any:
        return self.stories[index]

    def __repr__(self) -> str:
        return f"StorySet({len(self)} stories: {len(self.emotions)} emotions x {len(self.topics)} topics; {len(self.neutral)} neutral)"

    @property
    def emotions(self) -> list[str]:
        """The emotions, in the order of their first story."""
        return list(dict.fromkeys(s.emotion for s in self.stories))

    @property
    def topics(self) -> list[str]:
        """The topics, in the order of their first story."""
        return list(dict.fromkeys(s.topic for s in self.stories))

    @property
    def fingerprint(self) -> str:
        """Twelve digits that change with any story, label or neutral story, and not with their order."""
        rows = sorted(f"{s.emotion}\t{s.topic}\t{s.text}" for s in (*self.stories, *self.neutral))
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]

    def to_frame(self) -> pd.DataFrame:
        """A table with the columns emotion, topic, text."""
        import pandas as pd

        return pd.DataFrame([asdict(s) for s in self.stories], columns=["emotion", "topic", "text"])

    def save(self, path: str | PathLike[str]) -> None:
        """Write all stories, the neutral ones last, as JSON lines."""
        rows = [{"emotion": s.emotion, "topic": s.topic, "text": s.text} for s in (*self.stories, *self.neutral)]
        with replacing(path_of(path)) as partial:
            partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

    def lint(self) -> list[Finding]:
        """What may spoil the vectors made from these stories; an empty list if nothing was found."""
        return list(lint(self))


def load_stories(path: str | PathLike[str] | None = None, emotions: str | Iterable[str] | None = None) -> StorySet:
    """The 24 core emotions' stories, those of a list of emotions, or stories of your own from JSON lines.

    `path` is a .jsonl file or a folder of them, a JSON object a line with emotion, topic and text; rows of the emotion
    "neutral" replace emokit's neutral stories. `emotions="all"` takes all there are.
    Raises EmokitError for an unreadable row (with file and line) and an unknown emotion.

    >>> emokit.load_stories(emotions=["happy", "sad"]).emotions
    ['happy', 'sad']
    """
    files = _files(path_of(path)) if path is not None else _files(corpus() / "core") + [corpus() / "neutral.jsonl"]
    rows = [story for file in files for story in _read(file)]
    neutral = tuple(s for s in rows if s.emotion == NEUTRAL) or tuple(_read(corpus() / "neutral.jsonl"))
    return StorySet(_choose([s for s in rows if s.emotion != NEUTRAL], emotions, path), neutral)


def load_messages(emotions: str | Iterable[str] | None = None) -> StorySet:
    """Four short first-person messages an emotion that imply it: for testing only, never used in extraction."""
    return StorySet(_choose(_read(corpus() / "messages.jsonl"), emotions))


def _files(path: Path) -> list[Path]:
    if os.path.isdir(path):  # a Path's own is_dir raises for a name too long
        files = sorted(path.glob("*.jsonl"))
        if not files:
            raise EmokitError("no .jsonl file in the folder", str(path), "Name a file or a folder of .jsonl files.")
        return files
    if not os.path.isfile(path):
        raise EmokitError(
            "no such story file", str(path), "Name a .jsonl file or a folder of them, or choose by emotions=[...]."
        )
    return [path]


def _read(file: Path) -> list[Story]:
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EmokitError(f"cannot read the story file ({error})", str(file), "Save it as UTF-8 JSON lines.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        source = f"{file.name}:{number}"
        try:
            row = json.loads(line)
            fields = row["emotion"], row["topic"], row["text"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EmokitError(
                f"{source} is not a story", line[:80], 'Write {"emotion": ..., "topic": ..., "text": ...} on one line.'
            ) from error
        rows.append(Story(*fields, source))
    return rows


def _choose(rows: list[Story], emotions: str | Iterable[str] | None, path: Any = None) -> tuple[Story, ...]:
    if not rows or emotions == []:
        where = "" if path is None or rows else f" in {str(path)!r}"
        raise EmokitError(f"there is no story{where}", do="Give at least one story for each of two emotions.")
    if emotions is None or emotions == "all":
        return tuple(rows)
    known = sorted({s.emotion for s in rows})
    wanted = list(emotions) if isinstance(emotions, Iterable) and not isinstance(emotions, str) else [emotions]
    for emotion in wanted:
        emotion_index(emotion, known)
    return tuple(s for emotion in dict.fromkeys(wanted) for s in rows if s.emotion == emotion)


def check_enough(stories: StorySet) -> None:
    """Raise EmokitError unless the stories are of two emotions, each of two topics, so that one can be held out."""
    check_kinds((stories, StorySet))
    names = stories.emotions
    if len(names) < 2:
        raise EmokitError(
            "too few emotions", names, "Directions are differences: give stories of at least two emotions."
        )
    for name in names:
        topics = [s.topic for s in stories if s.emotion == name]
        if len(set(topics)) < 2:
            what = "an emotion with one story" if len(topics) == 1 else "an emotion with stories of one topic only"
            raise EmokitError(what, name, "Give it stories of at least two topics.")
