"""The builder: stories written by a loaded chat model, checked as they come, and resumed after a stop."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import lint
from .files import Log, cache_dir
from .progress import progress

if TYPE_CHECKING:
    from .models import Model

PROMPT = """Write a very short story of three sentences about {topic}. The main character feels {emotion}, but the story never says "{emotion}" or a word like it: it shows it. Something happens, there is one bodily sign, one line somebody says or thinks, and one thing the character does. Write the story only, with no title."""
Key = tuple[str, str, int]  # emotion, topic, and which of their copies
LEAST, MOST = 20, 80  # words of a story
NO_STORY = re.compile(r"\b(as an ai|language model|i'm sorry, but|i can(?:'|no)t (?:write|help|create)|sure, here)\b")


@dataclass(frozen=True)
class Attempt:
    """One reply of the model: the story it was tidied to, and why it was rejected, or "" where it was taken."""

    emotion: str
    topic: str
    copy: int
    text: str
    reason: str


def attempts(
    model: Model, wanted: Sequence[Key], prompt: str, rounds: int, temperature: float, limit: int, batch: int, seed: int
) -> list[Attempt]:
    """Everything a model wrote for the wanted (emotion, topic, copy), in rounds in which the rejected are tried again."""
    missing = dict.fromkeys(wanted)  # an ordered set
    seen: list[Attempt] = []
    taken: list[set[tuple[str, ...]]] = []  # runs of words of the stories taken
    log = _Log(model, prompt, temperature, limit)
    with progress(total=len(missing), desc="writing stories", unit="story") as bar:
        for number in range(rounds):
            for key, reply in log.replies([(key, _seed(seed, *key, number)) for key in missing], batch):
                emotion, topic, copy = key
                text = tidy(reply)
                reason = judge(emotion, text, filled(prompt, emotion, topic), taken)
                seen.append(Attempt(emotion, topic, copy, text, reason))
                if not reason:
                    del missing[key]
                    taken.append(lint.runs(text))
                    bar.update()
                bar.set_postfix(rejected=len(seen) - len(taken))
    return seen


def tidy(reply: str) -> str:
    """The story in a reply: without title, preamble and marks, on one line, ending with its last whole sentence."""
    paragraphs = [re.sub(r"[*#_]+", "", p).strip() for p in reply.replace("’", "'").split("\n")]
    kept = [p for p in paragraphs if p and not re.match(r"(?i)(title|story|here(?:'s| is))\b[^.!?]*:?$", p)]
    if len(kept) > 1 and len(kept[0].split()) < 8 and kept[0][-1] not in '.!?"':
        kept = kept[1:]  # a title
    text = re.sub(r"[“”]", '"', " ".join(kept))
    whole = " ".join(text.split()[:MOST])
    ends = [m.end() for m in re.finditer(r'[.!?]["\')]*(?=\s|$)', whole)]
    return whole[: ends[-1]] if ends else ""


def judge(emotion: str, text: str, prompt: str, taken: Sequence[set[tuple[str, ...]]]) -> str:
    """Why a story can't be taken, beside the prompt and the `runs` of those already taken; "" where it can."""
    found, own = lint.words(text), lint.runs(text)
    if len(found) < LEAST:
        return f"too short: {len(found)} words"
    if NO_STORY.search(text.lower()):
        return "is no story"
    if away := lint.given_away(emotion, text):
        return f"gives the emotion away: {', '.join(away)}"
    if len(own & lint.runs(prompt)) > len(own) / 5:
        return "repeats the prompt"
    if len(own) < 0.8 * (len(found) - 2):
        return "repeats itself"
    if any(lint.much_the_same(own, other) for other in taken):
        return "much the same as another"
    return ""


def filled(prompt: str, emotion: str, topic: str) -> str:
    """The prompt with the emotion and the topic in their places."""
    return prompt.replace("{emotion}", emotion).replace("{topic}", topic)


def _seed(seed: int, emotion: str, topic: str, copy: int, attempt: int) -> int:
    key = f"{seed}\t{emotion}\t{topic}\t{copy}\t{attempt}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big")


class _Log:
    """Replies on disk, a row each by its seed, for one model, prompt and way of sampling."""

    def __init__(self, model: Model, prompt: str, temperature: float, max_new_tokens: int) -> None:
        self.model, self.prompt, self.temperature, self.limit = model, prompt, temperature, max_new_tokens
        key = f"{model.fingerprint}\t{model.prompt(prompt)}\t{temperature}\t{max_new_tokens}"
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        self.log = Log(None if model.steers else cache_dir() / "built" / f"{name}.jsonl", "seed")

    def replies(self, todo: list[tuple[Key, int]], size: int) -> Iterator[tuple[Key, str]]:
        """The reply to each (emotion, topic, copy) and seed, known or new; prompts of one length make a batch."""
        from . import generation

        rows = [(self.model.encode(self.model.prompt(filled(self.prompt, k[0], k[1]))), k, seed) for k, seed in todo]
        by_length: dict[int, list[tuple[list[int], Key, int]]] = {}
        for row in rows:
            by_length.setdefault(len(row[0]), []).append(row)
        for group in by_length.values():
            for start in range(0, len(group), size):
                part = group[start : start + size]
                new = [row for row in part if not isinstance(self.log.rows.get(row[2], {}).get("reply"), str)]
                if new:
                    seeds = [seed for _, _, seed in new]
                    prompts = [ids for ids, _, _ in new]
                    found = generation.replies(self.model, prompts, self.limit, self.temperature, seeds, bar=False)
                    self.log.add(
                        {"seed": seed, "emotion": emotion, "topic": topic, "reply": reply}
                        for (_, (emotion, topic, _), seed), reply in zip(new, found, strict=True)
                    )
                for _, key, seed in part:
                    yield key, self.log.rows[seed]["reply"]
