"""Lint: what spoils vectors made from stories, found before they are made."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from .files import corpus

if TYPE_CHECKING:
    import pandas as pd

    from .stories import Story, StorySet

NEUTRAL = "neutral"  # the emotion of stories that have none


@dataclass(frozen=True)
class Finding:
    """Something lint found: the rule, what exactly, and the story's file and line."""

    rule: str
    what: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.source + ': ' if self.source else ''}{self.rule}: {self.what}"


@cache
def _lists() -> dict[str, dict[str, list[str]]]:
    return json.loads((corpus() / "lint.json").read_text(encoding="utf-8"))


def words(text: str) -> list[str]:
    """The words of a text in lower case, apostrophes and hyphens kept inside them."""
    return re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.lower().replace("’", "'"))


def given_away(emotion: str, text: str) -> list[str]:
    """The words of a text that give an emotion away by its stated list; all labels do in a neutral one."""
    lists = _lists()["avoid"]
    found = f" {' '.join(words(text))} "
    return [w for w in (list(lists) if emotion == NEUTRAL else lists.get(emotion, [emotion])) if f" {w} " in found]


def runs(text: str) -> set[tuple[str, ...]]:
    """The runs of three words in a text."""
    found = words(text)
    return {tuple(found[i : i + 3]) for i in range(len(found) - 2)}


def much_the_same(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> bool:
    """Whether two texts share more than a third of their runs."""
    return len(one & other) > len(one | other) / 3


def _narrated(text: str) -> list[str]:
    return words(re.sub(r'["“][^"”]*["”]', " ", text))


def quoted(text: str) -> float:
    """The share of a text's words that stand in quotation marks, as speech and thoughts do."""
    return 1 - len(_narrated(text)) / max(1, len(words(text)))


def first_person(text: str) -> bool:
    """Whether a text is told in the first person, what is quoted aside."""
    return bool(FIRST_PERSON & set(_narrated(text)))


FIRST_PERSON = {"i", "my", "me", "mine", "myself", "i'd", "i'm", "i'll", "i've"}
PLAIN = set(
    "the a an and but or of to in on at by for with from as out up off over into then so not no it its i you he she we they his her"
    " my me him them their our was were is are be been had has have would could did do said told asked thought that this there"
    " one all when".split()
)


def lint(stories: StorySet) -> Iterator[Finding]:
    """Everything that may spoil vectors made from these stories."""
    by_emotion: dict[str, list[Story]] = defaultdict(list)
    for story in stories.stories:
        by_emotion[story.emotion].append(story)
    yield from _avoided(stories)
    yield from _duplicates([*stories.stories, *stories.neutral])
    yield from _balance(stories, by_emotion)
    for emotion, group in by_emotion.items():
        yield from _repeats(emotion, group)
    yield from _telling(stories, by_emotion)
    openings = Counter(" ".join(words(s.text)[:3]) for s in stories.stories)
    for opening, count in openings.items():
        if count > 12:
            yield Finding("opening", f"{opening!r} begins {count} stories; at most 12")


def _avoided(stories: StorySet) -> Iterator[Finding]:
    """The emotion's word, its forms and synonyms, from the stated list: whole words only, so "made" is not "mad"."""
    for story in (*stories.stories, *stories.neutral):
        for word in given_away(story.emotion, story.text):
            yield Finding("emotion word", f"{word!r} in a {story.emotion} story", story.source)


def _duplicates(rows: list[Story]) -> Iterator[Finding]:
    """Pairs of stories, of whatever emotions, that share more than a third of their runs of three words."""
    found = [runs(s.text) for s in rows]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, own in enumerate(found):
        for j in sorted({j for run in own for j in holders[run]}):
            if much_the_same(own, found[j]):
                yield Finding("duplicate", f"much the same as {rows[j].source or rows[j].text[:30]!r}", rows[i].source)
        for run in own:
            holders[run].append(i)


def _balance(stories: StorySet, by_emotion: dict[str, list[Story]]) -> Iterator[Finding]:
    lengths = {e: [len(s.text.split()) for s in group] for e, group in by_emotion.items()}
    typical = sum(map(sum, lengths.values())) / max(1, len(stories))
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
        first = sum(first_person(s.text) for s in group) / len(group)
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
    for run, count in Counter(run for s in group for run in runs(s.text)).items():
        if count > 2 and len(set(run) - PLAIN) >= 1:
            yield Finding("phrase", f"{' '.join(run)!r} stands in {count} {emotion} stories; at most 2")


def _telling(stories: StorySet, by_emotion: dict[str, list[Story]]) -> Iterator[Finding]:
    """Names that recur within an emotion, and words that a third of its stories have and hardly any other."""
    everywhere = Counter(w for s in stories.stories for w in set(words(s.text)))
    for emotion, group in by_emotion.items():
        for name, count in Counter(n for s in group for n in names(s.text)).items():
            if count > 2:
                yield Finding("name", f"{name!r} is in {count} {emotion} stories; at most 2")
        others = len(stories) - len(group)
        for word, count in Counter(w for s in group for w in set(words(s.text))).items():
            share, elsewhere = count / len(group), (everywhere[word] - count) / max(1, others)
            if word not in PLAIN and count > 3 and others and share > 1 / 3 and share > 10 * elsewhere:
                yield Finding(
                    "telling word", f"{word!r} is in {share:.0%} of the {emotion} stories, {elsewhere:.0%} of others"
                )


def names(text: str) -> set[str]:
    """Words that are written with a capital in the middle of a sentence, but for "I" and titles."""
    found = re.findall(r"(?<![.!?:\"“] )(?<![\"“])(?<!^)\b[A-Z]\w+", text)
    return set(found) - {"Mr", "Mrs", "Ms", "Miss", "Dr", "St"}


def leaks(stories: StorySet) -> pd.DataFrame:
    """How well words alone tell each emotion: a bag-of-words score per emotion, the leakiest first.

    `told` is the share of its stories that are nearest to the mean word counts (tf-idf) of their own emotion, each topic
    left out in turn; `words` are those that tell most. Chance is one in the number of emotions.

    >>> emokit.lint.leaks(emokit.load_stories()).head(20)
    """
    import numpy as np
    import pandas as pd
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    labels, emotions = np.unique([s.emotion for s in stories], return_inverse=True)
    topics = np.unique([s.topic for s in stories], return_inverse=True)[1]
    count = len(labels)
    vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer=lambda text: words(text) or [text])
    bags = vectorizer.fit_transform([s.text for s in stories])

    def directions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit rows of each emotion's mean counts from the mean over emotions, as `selection.directions` but sparse."""
        member = csr_matrix((np.ones(rows.sum()), (emotions[rows], np.arange(rows.sum()))), (count, int(rows.sum())))
        means = (member @ bags[rows]).toarray() / np.maximum(1, np.bincount(emotions[rows], minlength=count))[:, None]
        units = means - means.mean(0)
        return units / np.maximum(1e-12, np.linalg.norm(units, axis=1, keepdims=True)), means.mean(0)

    hits = np.zeros(len(stories), bool)
    for topic in range(topics.max() + 1):
        test = topics == topic
        if not test.all():
            units, mean = directions(~test)
            hits[test] = (bags[test] @ units.T - mean @ units.T).argmax(1) == emotions[test]
    names_of = vectorizer.get_feature_names_out()
    telling = [", ".join(names_of[np.argsort(-row)[:5]]) for row in directions(np.ones(len(stories), bool))[0]]
    told = [float(hits[emotions == e].mean()) for e in range(count)]
    table = pd.DataFrame({"emotion": labels, "told": told, "words": telling})
    return table.sort_values("told", ascending=False, kind="stable", ignore_index=True)
