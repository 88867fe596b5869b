"""Stories: short labelled texts. Read, write, lint, split by topic."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EmokitError
from .files import replacing

if TYPE_CHECKING:
    import pandas as pd

NEUTRAL = "neutral"


@dataclass(frozen=True)
class Story:
    """A short text with the emotion it conveys and the topic it is about; `source` is its file and line."""

    emotion: str
    topic: str
    text: str
    source: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class Finding:
    """Something lint found: the rule, what exactly, and the story's file and line."""

    rule: str
    what: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.source + ': ' if self.source else ''}{self.rule}: {self.what}"


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
        with replacing(Path(path)) as partial:
            partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

    def lint(self) -> list[Finding]:
        """What may spoil the vectors made from these stories; an empty list if nothing was found."""
        return list(_lint(self))


def load_stories(path: str | PathLike[str] | None = None, emotions: str | Iterable[str] | None = None) -> StorySet:
    """The 24 core emotions' stories, those of a list of emotions, or stories of your own from JSON lines.

    `path` is a .jsonl file or a folder of them, a JSON object a line with emotion, topic and text; rows of the emotion
    "neutral" replace emokit's neutral stories. `emotions="all"` takes all there are.
    Raises EmokitError for an unreadable row (with file and line) and an unknown emotion.

    >>> emokit.load_stories(emotions=["happy", "sad"]).emotions
    ['happy', 'sad']
    """
    files = _files(Path(path)) if path is not None else _files(corpus() / "core") + [corpus() / "neutral.jsonl"]
    rows = [story for file in files for story in _read(file)]
    neutral = tuple(s for s in rows if s.emotion == NEUTRAL) or tuple(_read(corpus() / "neutral.jsonl"))
    return StorySet(_choose([s for s in rows if s.emotion != NEUTRAL], emotions), neutral)


def load_messages(emotions: str | Iterable[str] | None = None) -> StorySet:
    """Four short first-person messages an emotion that imply it: for testing only, never used in extraction."""
    return StorySet(_choose(_read(corpus() / "messages.jsonl"), emotions))


def corpus() -> Path:
    """The folder of the shipped stories: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "corpus"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "stories"


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.jsonl"))
        if not files:
            raise EmokitError("no .jsonl file in the folder", str(path), "Name a file or a folder of .jsonl files.")
        return files
    if not path.is_file():
        raise EmokitError("no such story file", str(path), "Name a .jsonl file or a folder of them.")
    return [path]


def _read(file: Path) -> list[Story]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EmokitError(f"cannot read the story file ({error})", str(file), "Save it as UTF-8 JSON lines.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        source = f"{file.name}:{number}"
        try:
            row = json.loads(line)
            story = Story(row["emotion"], row["topic"], row["text"], source)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EmokitError(
                f"{source} is not a story", line[:80], 'Write {"emotion": ..., "topic": ..., "text": ...} on one line.'
            ) from error
        for value in (story.emotion, story.topic, story.text):
            if not isinstance(value, str) or not value.strip():
                raise EmokitError(
                    f"{source} has an emotion, topic or text that is empty or no text", value, "Fill it in."
                )
        rows.append(story)
    return rows


def _choose(rows: list[Story], emotions: str | Iterable[str] | None) -> tuple[Story, ...]:
    if not rows:
        raise EmokitError("there is no story", do="Give at least one story for each of two emotions.")
    if emotions is None or emotions == "all":
        return tuple(rows)
    wanted = [emotions] if isinstance(emotions, str) else list(emotions)
    known = {s.emotion for s in rows}
    for emotion in wanted:
        if emotion not in known:
            raise EmokitError("unknown emotion", emotion, f"Choose among: {', '.join(sorted(known))}.")
    return tuple(s for emotion in dict.fromkeys(wanted) for s in rows if s.emotion == emotion)


# lint


@cache
def _lists() -> dict[str, dict[str, list[str]]]:
    return json.loads((corpus() / "lint.json").read_text(encoding="utf-8"))


def words(text: str) -> list[str]:
    """The words of a text in lower case, apostrophes and hyphens kept inside them."""
    return re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.lower().replace("’", "'"))


def _narrated(text: str) -> list[str]:
    return words(re.sub(r'["“][^"”]*["”]', " ", text))


FIRST_PERSON = {"i", "my", "me", "mine", "myself", "i'd", "i'm", "i'll", "i've"}
PLAIN = set(
    "the a an and but or of to in on at by for with from as out up off over into then so not no it its i you he she we they his her"
    " my me him them their our was were is are be been had has have would could did do said told asked thought that this there"
    " one all when".split()
)


def _lint(stories: StorySet) -> Iterator[Finding]:
    by_emotion: dict[str, list[Story]] = defaultdict(list)
    for story in stories.stories:
        by_emotion[story.emotion].append(story)
    yield from _avoided(stories)
    yield from _duplicates([*stories.stories, *stories.neutral])
    yield from _balance(stories, by_emotion)
    for emotion, group in by_emotion.items():
        yield from _repeats(emotion, group)
    openings = Counter(" ".join(words(s.text)[:3]) for s in stories.stories)
    for opening, count in openings.items():
        if count > 12:
            yield Finding("opening", f"{opening!r} begins {count} stories; at most 12")


def _avoided(stories: StorySet) -> Iterator[Finding]:
    """The emotion's word, its forms and synonyms, from the stated list: whole words only, so "made" is not "mad"."""
    lists = _lists()["avoid"]
    labels = list(lists)
    for story in (*stories.stories, *stories.neutral):
        text = f" {' '.join(words(story.text))} "
        for word in labels if story.emotion == NEUTRAL else lists.get(story.emotion, [story.emotion]):
            if f" {word} " in text:
                yield Finding("emotion word", f"{word!r} in a {story.emotion} story", story.source)


def _duplicates(rows: list[Story]) -> Iterator[Finding]:
    """Pairs of stories that share more than a third of their runs of three words."""
    runs = [{tuple(w[i : i + 3]) for i in range(len(w) - 2)} for w in map(words, (s.text for s in rows))]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, own in enumerate(runs):
        shared = Counter(j for run in own for j in holders[run])
        for j, count in shared.items():
            if count > len(own | runs[j]) / 3:
                yield Finding("duplicate", f"much the same as {rows[j].source or rows[j].text[:30]!r}", rows[i].source)
        for run in own:
            holders[run].append(i)


def _balance(stories: StorySet, by_emotion: dict[str, list[Story]]) -> Iterator[Finding]:
    lengths = {e: [len(s.text.split()) for s in group] for e, group in by_emotion.items()}
    typical = sum(map(sum, lengths.values())) / len(stories)
    topics = stories.topics
    for emotion, group in by_emotion.items():
        mean = sum(lengths[emotion]) / len(group)
        if abs(mean - typical) > 0.1 * typical:
            yield Finding("length", f"{emotion} stories have {mean:.0f} words on average, all stories {typical:.0f}")
        for story, length in zip(group, lengths[emotion], strict=True):
            if not 0.5 * typical <= length <= 2 * typical:
                yield Finding("length", f"{length} words; the average is {typical:.0f}", story.source)
        counts = Counter(s.topic for s in group)
        for topic in topics:
            if counts[topic] != max(1, round(len(stories) / len(topics) / len(by_emotion))):
                yield Finding("topic", f"{emotion} has {counts[topic]} stories of {topic!r}")
        for name, sign in (("exclamation marks", "!"), ("question marks", "?"), ("quotation marks", '"')):
            share = sum(sign in s.text for s in group) / len(group)
            usual = sum(sign in s.text for s in stories.stories) / len(stories)
            if len(group) > 3 and abs(share - usual) > 0.4:
                yield Finding("form", f"{share:.0%} of the {emotion} stories have {name}, {usual:.0%} of all")
        first = sum(bool(FIRST_PERSON & set(_narrated(s.text))) for s in group) / len(group)
        if len(group) > 3 and not 0.3 <= first <= 0.7:
            yield Finding("person", f"{first:.0%} of the {emotion} stories are told in the first person; aim at half")


def _repeats(emotion: str, group: list[Story]) -> Iterator[Finding]:
    """Cues, openings and phrases that recur within one emotion, by which a bag of words could tell it."""
    texts = [words(s.text) for s in group]
    for cue, forms in _lists()["cues"].items():
        count = sum(bool(set(forms) & set(text)) for text in texts)
        if count > 2:
            yield Finding("cue", f"{count} {emotion} stories have the bodily cue {cue!r}; at most 2")
    for opening, count in Counter(" ".join(text[:3]) for text in texts).items():
        if count > 1:
            yield Finding("opening", f"{opening!r} begins {count} {emotion} stories")
    runs = Counter(run for text in texts for run in {tuple(text[i : i + 3]) for i in range(len(text) - 2)})
    for run, count in runs.items():
        if count > 2 and len(set(run) - PLAIN) >= 1:
            yield Finding("phrase", f"{' '.join(run)!r} stands in {count} {emotion} stories; at most 2")
