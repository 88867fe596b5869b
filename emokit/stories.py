"""Stories: short labelled texts. Read, write, lint, split by topic; build with a model."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import builder, rows
from .builder import PROMPT, Attempt
from .errors import EmokitError, check_kinds, check_list, check_text, check_whole, emotion_index
from .files import corpus, path_of, replacing
from .lint import NEUTRAL, Finding, lint

if TYPE_CHECKING:
    import pandas as pd

    from .models import Model
    from .plots import Figure


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
    StorySet(384 stories: 24 emotions x 16 topics; 144 neutral)
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
        lines = sorted(f"{s.emotion}\t{s.topic}\t{s.text}" for s in (*self.stories, *self.neutral))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    def to_frame(self) -> pd.DataFrame:
        """A table with the columns emotion, topic, text."""
        import pandas as pd

        return pd.DataFrame([asdict(s) for s in self.stories], columns=["emotion", "topic", "text"])

    def save(self, path: str | PathLike[str]) -> None:
        """Write all stories, the neutral ones last, as JSON lines, or as CSV where the name ends in .csv."""
        path = path_of(path)
        table = [(s.emotion, s.topic, s.text) for s in (*self.stories, *self.neutral)]
        with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            rows.write(file, table, as_csv=path.suffix.lower() == ".csv")

    def lint(self) -> list[Finding]:
        """What may spoil the vectors made from these stories; an empty list if nothing was found."""
        return list(lint(self))


def load_stories(
    path: str | PathLike[str] | None = None,
    emotions: str | Iterable[str] | None = None,
    *,
    skip_unusable: bool = False,
) -> StorySet:
    """The 24 core emotions' stories, those of a list of emotions or of all 173, or stories of your own from a file.

    `path` is a .jsonl or .csv file, or a folder of them, with emotion, topic and text in each row; rows of the emotion
    "neutral" replace emokit's neutral stories. `emotions="all"` takes all there are.
    Raises EmokitError for an unknown emotion and for unusable rows, each with file and line; with `skip_unusable=True`
    they are printed instead, and the rest is taken.

    >>> emokit.load_stories(emotions=["happy", "sad"]).emotions
    ['happy', 'sad']
    """
    neutral = corpus() / "neutral.jsonl"
    if path is not None:
        files = rows.files(path_of(path))
    else:
        files = [*rows.files(corpus() / "core"), neutral]
        if emotions is not None:
            files += rows.files(corpus() / "all")
    read = _read(files, skip_unusable)
    flat = tuple(s for s in read if s.emotion == NEUTRAL) or tuple(_read([neutral]))
    return StorySet(_choose([s for s in read if s.emotion != NEUTRAL], emotions, path), flat)


def load_messages(emotions: str | Iterable[str] | None = None) -> StorySet:
    """Four short first-person messages an emotion that imply it: for testing only, never used in extraction.

    Those of the 24 core emotions, of a list of emotions, or with "all" of all 173.
    """
    read = _read([corpus() / "messages.jsonl"])
    core = [file.stem for file in rows.files(corpus() / "core")]
    return StorySet(_choose([s for s in read if emotions is not None or s.emotion in core], emotions))


def _read(files: list[Path], skip_unusable: bool = False) -> list[Story]:
    read = [row for file in files for row in rows.read(file)]
    bad = [row for row in read if row.values is None]
    if bad:
        shown = "; ".join(f"{row.source} {row.problem}: {row.shown!r}" for row in bad[:10])
        more = f"; and {len(bad) - 10} more" if len(bad) > 10 else ""
        report = f"{len(bad)} of {len(read)} rows can't be used: {shown}{more}"
        if not skip_unusable:
            raise EmokitError(report, do="Mend them, or take the others with skip_unusable=True.")
        print(f"emokit: {report}")
    return [Story(*row.values, row.source) for row in read if row.values is not None]


def _choose(read: list[Story], emotions: str | Iterable[str] | None, path: Any = None) -> tuple[Story, ...]:
    if isinstance(emotions, Iterable) and not isinstance(emotions, str):
        emotions = list(emotions)
    if not read or emotions == []:
        where = "" if path is None or read else f" in {str(path)!r}"
        raise EmokitError(f"there is no story{where}", do="Give at least one story for each of two emotions.")
    if emotions is None or emotions == "all":
        return tuple(read)
    known = sorted({s.emotion for s in read})
    wanted = emotions if isinstance(emotions, list) else [emotions]
    for emotion in wanted:
        emotion_index(emotion, known)
    return tuple(s for emotion in dict.fromkeys(wanted) for s in read if s.emotion == emotion)


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


# stories that a model writes


@dataclass(frozen=True, repr=False)
class Built(StorySet):
    """A StorySet that a model wrote: `wanted` stories, all `attempts` with the rejected ones, and the `prompt`."""

    attempts: tuple[Attempt, ...] = ()
    wanted: int = 0
    prompt: str = PROMPT

    @property
    def reasons(self) -> dict[str, int]:
        """How many attempts were rejected for which reason, the most frequent first."""
        return dict(Counter(a.reason.split(":")[0] for a in self.attempts if a.reason).most_common())

    def __repr__(self) -> str:
        why = "".join(f", {reason} {count}" for reason, count in self.reasons.items())
        rejected = sum(self.reasons.values())
        return f"Built({len(self)} of {self.wanted} stories; {rejected} of {len(self.attempts)} attempts rejected{why.replace(',', ':', 1)})"

    def rejected(self) -> pd.DataFrame:
        """A table of the rejected attempts: emotion, topic, copy, text, reason."""
        import pandas as pd

        return pd.DataFrame([asdict(a) for a in self.attempts if a.reason], columns=list(Attempt.__dataclass_fields__))

    def plot(self) -> Figure:
        """Stories taken and attempts rejected, by emotion."""
        from . import plots

        names = list(dict.fromkeys(a.emotion for a in self.attempts))
        taken = [float(sum(a.emotion == e and not a.reason for a in self.attempts)) for e in names]
        refused = [float(sum(a.emotion == e and bool(a.reason) for a in self.attempts)) for e in names]
        title = f"{len(self)} of {self.wanted} stories were written"
        return plots.bars(names, {"taken": taken, "rejected": refused}, ylabel="attempts", title=title)


def build(
    model: Model,
    emotions: Sequence[str],
    topics: Sequence[str],
    per_topic: int = 1,
    *,
    prompt: str = PROMPT,
    attempts: int = 4,
    temperature: float = 0.8,
    max_new_tokens: int = 90,
    batch: int = 16,
    seed: int = 0,
) -> Built:
    """Stories by a chat model: `per_topic` for every emotion and topic, each checked by lint's rules as it comes.

    What is rejected is tried again, up to `attempts` times, each time with other random numbers. Replies are kept in
    emokit's cache, so that the same call goes on where it was stopped. `prompt` holds {emotion} and {topic}.
    Raises EmokitError for a prompt without them, and where no story passes.

    >>> built = emokit.stories.build(model, ["happy", "sad"], ["a train journey", "a wedding"])
    >>> built.rejected()
    """
    from .models import Model

    check_kinds((model, Model))
    for labels, what in ((emotions, "emotions"), (topics, "topics")):
        check_list(labels, what, Sequence)
        for label in labels:
            check_text(label, f"name among {what}")
    check_text(prompt, "prompt")
    for place in ("{emotion}", "{topic}"):
        if place not in prompt:
            raise EmokitError(f"a prompt without {place}", prompt, f"Write {place} where it goes.")
    for number, what in ((per_topic, "per_topic"), (attempts, "attempts"), (batch, "batch")):
        check_whole(number, what, least=1)
    check_whole(seed, "a seed")
    wanted = [(e, t, n) for e in dict.fromkeys(emotions) for t in dict.fromkeys(topics) for n in range(per_topic)]
    seen = builder.attempts(model, wanted, prompt, attempts, temperature, max_new_tokens, batch, seed)
    texts = {(a.emotion, a.topic, a.copy): a.text for a in seen if not a.reason}
    if not texts:
        reason = seen[-1].reason if seen else "nothing was asked for"
        what = f"no story of {model.name} passed in {len(seen)} attempts"
        raise EmokitError(what, reason, "Change the prompt, or take a larger chat model.")
    written = tuple(Story(*key[:2], texts[key], f"by {model.name}") for key in wanted if key in texts)
    return Built(written, load_stories().neutral, tuple(seen), len(wanted), prompt)
