"""StoryBrowser: find stories, read them with what lint says of them, and edit them into a copy."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from os import PathLike
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import traitlets

from .. import rows
from ..errors import MANY, EmokitError, check_kinds, check_whole, emotion_index
from ..files import corpus, path_of
from ..lint import NEUTRAL, first_person, lint
from ..stories import Story, StorySet
from .board import Board, front
from .worker import Latest

if TYPE_CHECKING:
    from ..plots import Figure

LISTED = 500  # stories that the list shows at most
ONLY = ("", "with findings", "edited")
PERSONS = ("", "first", "third")


class StoryBrowser(Board):
    """Filter stories by emotion, topic, person and words; read one; see what lint finds; edit it into a copy.

    The stories given stay as they are, and no shipped file is ever written: `edited` is a new StorySet, which `save`
    writes as JSON lines or CSV under a name of yours. A story's place is its number among all, the neutral ones last.

    >>> board = emokit.widgets.StoryBrowser(emokit.load_stories())
    >>> board.set(emotion="sad", person="first")
    >>> board.edit(board.found[0], text="The chair by the window stood empty, and her cup was still on the sill.")
    >>> board.save("mine.jsonl")
    """

    _esm = front("story_browser")
    emotion = traitlets.Unicode().tag(sync=True, runs=True)  # these four filter; "" for any
    topic = traitlets.Unicode().tag(sync=True, runs=True)
    person = traitlets.Enum(PERSONS, default_value="").tag(sync=True, runs=True)
    words = traitlets.Unicode().tag(sync=True, runs=True)
    only = traitlets.Enum(ONLY, default_value="").tag(sync=True, runs=True)
    at = traitlets.Int(0).tag(sync=True, runs=True)  # the place of the story that is read
    edits = traitlets.Dict().tag(sync=True, runs=True)  # {place: {"emotion", "topic", "text"}}

    def __init__(self, stories: StorySet, *, emotion: str = "", topic: str = "") -> None:
        check_kinds((stories, StorySet))
        self._stories = stories
        self._all: tuple[Story, ...] = (*stories.stories, *stories.neutral)
        if not self._all:
            raise EmokitError("no story to browse", do="Give what load_stories() returns.")
        labels = [s.source or f"story {i}" for i, s in enumerate(self._all)]
        # lint names a story by its source, so it is given sources of which each is one story's
        self._labels = [f"{s} (story {i})" if labels.count(s) > 1 else s for i, s in enumerate(labels)]
        self._found: list[int] = []
        self._linted: tuple[Any, dict[int, list[str]], list[str]] = (None, {}, [])
        self._wanted: Any = None  # the edits that lint was last asked about
        self._linter = Latest(self._lint, self._failed)
        super().__init__(
            None,
            about={"emotions": _of(self._all, "emotion"), "topics": _of(self._all, "topic"), "listed": LISTED},
            emotion=emotion,
            topic=topic,
        )
        self.actions |= {"jsonl": lambda: self._offer(False), "csv": lambda: self._offer(True)}
        self.run()

    def __repr__(self) -> str:
        return f"StoryBrowser({len(self._all)} stories, {len(self.edits)} edited)"

    # from Python

    @property
    def found(self) -> list[int]:
        """The places of the stories that pass the filters."""
        self.wait()
        return self._found

    @property
    def edited(self) -> StorySet:
        """A copy of the stories with the edits in it; the stories themselves where there are none."""
        now = self._now(self.edits)
        if not self.edits:
            return self._stories
        return StorySet(tuple(s for s in now if s.emotion != NEUTRAL), tuple(s for s in now if s.emotion == NEUTRAL))

    def edit(
        self, place: int, *, emotion: str | None = None, topic: str | None = None, text: str | None = None
    ) -> None:
        """Change parts of the story at a place, in the copy; raises EmokitError for what no story can have."""
        story = self._story(place)
        parts = {"emotion": emotion, "topic": topic, "text": text}
        new = self.edits.get(str(place), {}) | {name: value for name, value in parts.items() if value is not None}
        _changed(story, new)
        self.edits = self.edits | {str(place): new}

    def undo(self, place: int | None = None) -> None:
        """Give up the edit of the story at a place, or all edits."""
        if place is not None:
            self._story(place)
        self.edits = {} if place is None else {p: e for p, e in self.edits.items() if p != str(place)}

    def save(self, path: str | PathLike[str]) -> None:
        """Write the copy as JSON lines, or CSV where the name ends in .csv; raises EmokitError within emokit's own stories."""
        if corpus().resolve() in path_of(path).resolve().parents:
            raise EmokitError("not over the shipped stories", str(path), 'Take a file of your own: "mine.jsonl".')
        self.edited.save(path)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the stories are shown and lint is through; False after `timeout` seconds. Raises what was raised."""
        end = None if timeout is None else time.monotonic() + timeout
        for worker in (self._worker, self._linter, self._worker):  # the last shows what lint has found
            if not worker.wait(None if end is None else max(0, end - time.monotonic())):
                return False
        return True

    def close(self) -> None:
        """End both workers and remove the board."""
        if hasattr(self, "_linter"):
            self._linter.close()
        super().close()

    # the runs

    def _run(self, stop: threading.Event, settings: SimpleNamespace) -> None:
        now, problem = self._tried(settings.edits)
        if settings.emotion:
            emotion_index(settings.emotion, _of(now, "emotion"))
        if settings.topic not in ("", *(known := _of(now, "topic"))):
            raise EmokitError("no story of this topic", settings.topic, f"Choose among: {', '.join(known[:MANY])}.")
        self._story(settings.at)
        key, findings, whole = self._linted
        ready = key == settings.edits
        if not ready and problem is None and self._wanted != settings.edits:
            self._wanted = settings.edits
            self._linter.submit(settings.edits)
        self._found = [place for place, story in enumerate(now) if self._passes(place, story, settings, findings)]
        listed = [
            [p, now[p].emotion, now[p].topic, now[p].text[:90], len(findings.get(p, [])), str(p) in settings.edits]
            for p in self._found[:LISTED]
        ]
        story, place = now[settings.at], settings.at
        given = self._all[place]
        shown = {"place": place, "emotion": story.emotion, "topic": story.topic, "text": story.text}
        shown |= {"source": given.source, "person": "first" if first_person(story.text) else "third"}
        shown |= {"findings": findings.get(place, []), "edited": str(place) in settings.edits}
        shown |= {"given": {"emotion": given.emotion, "topic": given.topic, "text": given.text}}
        waits = "lint is reading ..." if problem is None else "lint waits for an edit that can be used"
        shown["lint"] = "lint finds nothing in this story" if ready else waits
        self._show(rows=listed, found=len(self._found), story=shown, whole=whole)
        if problem is not None:
            self.status = ""
            raise problem
        count = sum(map(len, findings.values()))
        says = f"lint: {_counted(count, 'finding')} in stories, {len(whole)} on the whole set" if ready else waits
        self.status = f"{len(self._found)} of {len(now)} stories · {says}"

    def _passes(self, place: int, story: Story, settings: SimpleNamespace, findings: dict[int, list[str]]) -> bool:
        return (
            settings.emotion in ("", story.emotion)
            and settings.topic in ("", story.topic)
            and (not settings.person or (settings.person == "first") == first_person(story.text))
            and settings.words.lower().strip() in story.text.lower()
            and (settings.only != "with findings" or place in findings)
            and (settings.only != "edited" or str(place) in settings.edits)
        )

    def _lint(self, stop: threading.Event, edits: dict[str, Any]) -> None:
        """On a thread of its own, since it takes seconds for thousands of stories."""
        now = [replace(s, source=label) for s, label in zip(self._now(edits), self._labels, strict=True)]
        flat = tuple(s for s in now if s.emotion == NEUTRAL)
        by_place, whole = defaultdict(list), []
        places = {label: place for place, label in enumerate(self._labels)}
        for finding in lint(StorySet(tuple(s for s in now if s.emotion != NEUTRAL), flat)):
            if finding.source in places:
                by_place[places[finding.source]].append(f"{finding.rule}: {finding.what}")
            else:
                whole.append(str(finding))
        self._linted = edits, dict(by_place), whole
        if not stop.is_set():
            self.run()

    # the parts

    def _story(self, place: Any) -> Story:
        check_whole(place, "a story's place")
        if place >= len(self._all):
            raise EmokitError("no story at this place", place, f"There are places 0 to {len(self._all) - 1}.")
        return self._all[place]

    def _tried(self, edits: dict[str, Any]) -> tuple[list[Story], EmokitError | None]:
        """All stories with the edits in them, but those that can't be, and the last reason why not."""
        now, problem = list(self._all), None
        for key, parts in edits.items():
            try:
                place = int(key) if str(key).isdecimal() else -1
                now[place] = _changed(self._story(place), parts)
            except EmokitError as error:
                problem = error
        return now, problem

    def _now(self, edits: dict[str, Any]) -> list[Story]:
        now, problem = self._tried(edits)
        if problem is not None:
            raise problem
        return now

    @traitlets.validate("edits")
    def _needed(self, proposal: Any) -> dict[str, Any]:
        """Only those that change something."""
        kept = {}
        for key, parts in proposal["value"].items():
            place = int(key) if str(key).isdecimal() else -1
            given = vars(self._all[place]) if 0 <= place < len(self._all) else {}
            if not isinstance(parts, dict) or any(given.get(name) != value for name, value in parts.items()):
                kept[str(key)] = parts
        return kept

    def _offer(self, as_csv: bool) -> None:
        """Give the copy to the front end, to be saved as a file."""
        out = StringIO()
        edited = self.edited
        table = [(s.emotion, s.topic, s.text) for s in (*edited.stories, *edited.neutral)]
        rows.write(out, table, as_csv=as_csv)
        self.send({"name": f"stories.{'csv' if as_csv else 'jsonl'}", "text": out.getvalue()})

    def _figure(self) -> Figure | None:
        from .. import plots

        now = self._tried(self.edits)[0]
        places = [p for p in self._found if p >= self.at][:3] or self._found[:3]
        columns = {f"{now[p].emotion} · {now[p].topic}": now[p].text for p in places}
        return plots.text_columns(columns or {"no story": "None passes the filters."}, title=self.status)


def _changed(story: Story, parts: Any) -> Story:
    """A story with some of its parts changed; raises EmokitError for what no story can have."""
    if not isinstance(parts, dict) or not set(parts) <= set(rows.FIELDS):
        raise EmokitError("not an edit of a story", parts, 'Write for example {"text": "..."}.')
    where = f"{story.source}, edited".removeprefix(", ")
    return replace(story, source=where, **parts) if parts else story


def _of(stories: Sequence[Story], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(s, name) for s in stories))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
