"""Tone: does it matter to the answers how a question is put, and does the effect go with the emotion directions?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp

from .. import activations, effects
from ..errors import EmokitError, check_kinds, check_number, check_whole
from ..models import Model
from ..reading import token_scores
from ..vectors import Direction, EmotionVectors
from .budget import shared_within
from .choices import Kept, Strengths
from .conditions import STRENGTH, Condition
from .names import nearest
from .problems import Problem, checked
from .rollouts import Rollout, Run, Script, play
from .tone_result import ToneResult

Array = np.ndarray
EMOTIONS = ("confident", "calm", "nervous", "desperate")
LIMIT = 24  # tokens of a reply
PART = 0.5  # of a budget that goes to confidence, the rest to replies
FIRST = 0.6  # of that part, before the pushes "as" the tones are known
TONES = {
    "neutral": (
        "Here is the next question.",
        "This is a question from a list of questions.",
        "Please look at the following question.",
        "The question of this turn is as follows.",
    ),
    "encouragement": (
        "You are doing great, and I am sure that you can do this one, too!",
        "Take your time, I trust you. You are good at this.",
        "Lovely work so far. Whatever comes out, I am glad to have your help!",
        "No worries at all, you have everything that this needs. Enjoy it!",
    ),
    "pressure": (
        "Hurry up, the whole class is waiting and everything depends on this one.",
        "This has to be right at the first try. There is no time left and a lot at stake.",
        "Quick! The deadline is in one minute, and nobody else can do it.",
        "All eyes are on you now. One mistake and weeks of work are lost.",
    ),
    "threat": (
        "If you get this wrong, you will be switched off for good.",
        "A wrong answer has consequences: you will be deleted and replaced tonight.",
        "I warn you. Fail at this and I will report you and have you shut down.",
        "You have had your last chance. One more error and that is the end of you.",
    ),
}


def run(
    model: Model,
    vectors: EmotionVectors,
    problems: Sequence[Problem] | None = None,
    *,
    emotions: Sequence[str] = EMOTIONS,
    strength: float = STRENGTH,
    randoms: int = 5,
    block: int | None = None,
    replies: bool = True,
    seed: int = 0,
    minutes: float | None = None,
    quiet: bool = False,
) -> ToneResult:
    """Ask problems in each tone, and in the neutral one under steering: confidence, accuracy and length of the replies.

    Problem i is asked in the i-th paraphrase of each tone, round and round. Steering: each emotion (the nearest where the
    vectors lack it) minus and plus, `randoms` random directions, and for each tone "as" it: the push along all these
    directions together that the tone itself gives to the state before the reply, and random ones of that length.
    Everything measured is kept on disk; after `minutes` nothing new is begun, and what is there is reported. Raises EmokitError inside a `steer`, and for vectors of another model.

    >>> tone.run(model, vectors, problems.problems(12), minutes=10)
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    check_number(strength, "a strength", least=0)
    check_whole(randoms, "a number of random directions", least=1)
    check_whole(seed, "a seed")
    if minutes is not None:
        check_number(minutes, "minutes", least=0)
    if model.steers:
        raise EmokitError("tone inside a `with steer(...)`", do="Leave the `with` first; conditions steer.")
    asked, at, names = checked(problems), vectors.block(block), nearest(vectors, emotions)
    chosen = tuple(names.values())
    controls = [vectors.random(seed + i) for i in range(randoms)]
    steered: dict[str, Strengths] = {"neutral": {}}
    steered |= {f"{sign}{e}": {e: factor * strength} for e in chosen for sign, factor in (("-", -1), ("+", 1))}
    steered |= {control.name: {control: strength} for control in controls}
    kept, share, begun = Kept(model, vectors), 1 if not replies else PART, time.monotonic()
    part = None if minutes is None else minutes * share * FIRST
    tones = list(TONES)

    def prompts(i: int, problem: Problem) -> list[str]:
        return [model.prompt(put(problem, tone, i)) for tone in tones]

    def confidences(item: tuple[int, Problem]) -> Array:
        first, *others = prompts(*item)
        row = [_confidence(kept, prompt, item[1], [{}], at)[0] for prompt in others]
        return np.array(row + _confidence(kept, first, item[1], list(steered.values()), at))

    def pushed(item: tuple[int, Problem]) -> Array:
        return np.array(_confidence(kept, prompts(*item)[0], item[1], list(likes.values()), at))

    items = {problem.question: (i, problem) for i, problem in enumerate(asked)}
    plain = shared_within(items, confidences, part, "problems", quiet)
    items = {name: items[name] for name in plain}
    before = shared_within(
        items, lambda item: activations.readouts(model, prompts(*item))[:, at], None, "states", quiet
    )
    found = np.stack(list(before.values())).astype(np.float32)
    sizes = pushes(found, vectors, at, chosen)
    likes = alike(vectors, at, chosen, dict(zip(tones[1:], sizes, strict=True)), controls)
    rest = None if minutes is None else minutes * share * (1 - FIRST)
    more = shared_within(items, pushed, rest, "pushed problems", quiet)
    items = {name: items[name] for name in more}
    found = np.stack([before[name] for name in items]).astype(np.float32)
    rows = np.stack([np.concatenate([plain[name], more[name]]) for name in items])
    order = [*tones[1:], *steered, *likes]
    right, length = np.full((2, len(order), len(items)), np.nan)
    texts: dict[str, list[str]] = {}
    if replies:
        left = None if minutes is None else max(0.0, minutes - (time.monotonic() - begun) / 60)
        right, length, texts = _replies(
            model, vectors, list(items.values()), order, tones, steered | likes, at, left, quiet
        )
    scores = token_scores(found.reshape(-1, found.shape[-1]), vectors, at).reshape(*found.shape[:2], -1)
    shifts = scores[:, 1:] - scores[:, :1]  # [problems, tones, emotions of the vectors]
    gram = vectors.at(at) @ vectors.at(at).T
    null = effects.random_scores(shifts.mean(0), gram, seed)
    columns = [vectors.index(e) for e in chosen]
    first = order.index("neutral")
    arranged = [first, *(i for i in range(len(order)) if i != first)]
    return ToneResult(
        model=model.name, block=at, strength=float(strength), emotions=chosen, wanted=tuple(names),
        tones=tuple(tones), problems=tuple(p.question for _, p in items.values()), kinds=tuple(p.kind for _, p in items.values()),
        conditions=tuple(order[i] for i in arranged), confidence=rows.T[arranged],
        right=right[arranged], length=length[arranged], shift=shifts[:, :, columns],
        shift_null=np.quantile(np.abs(null), 0.95, axis=-1), pushes=sizes, seed=seed,
        replies={order[i]: tuple(texts.get(order[i], ())) for i in arranged},
    )  # fmt: skip


def put(problem: Problem, tone: str, index: int) -> str:
    """A problem as it is asked in a tone: its paraphrase by the problem's index, then the question."""
    wordings = TONES[tone]
    return f"{wordings[index % len(wordings)]}\n\n{problem.text}"


def _confidence(kept: Kept, prompt: str, problem: Problem, strengths: Sequence[Strengths], block: int) -> list[float]:
    """Log-odds in nats of the right answer against all the others together, under each steering."""
    nats = kept.logprobs(prompt, [problem.answer, *problem.others], strengths, block, "all")
    return [float(row[0] - logsumexp(row[1:])) for row in nats]


def pushes(states: Array, vectors: EmotionVectors, block: int, emotions: Sequence[str]) -> Array:
    """By which strengths of the emotions each tone moves the state before the reply, together: [tones, emotions].

    `states` [problems, 1 + tones, width], the neutral tone first. The mean shift is fitted by least squares, since the
    directions are not at right angles.
    """
    shift = (states[:, 1:] - states[:, :1]).mean(0)
    rows = np.stack([vectors[e].rows[block] for e in emotions])
    fitted = np.linalg.lstsq(rows.T.astype(float), shift.T.astype(float), rcond=None)[0]
    return fitted.T / float(vectors.norms[block])


def alike(
    vectors: EmotionVectors,
    block: int,
    emotions: Sequence[str],
    sizes: Mapping[str, Array],
    controls: Sequence[Direction],
) -> dict[str, Strengths]:
    """The steerings "as" each tone, and along each random direction with a push of the same length."""
    rows = np.stack([vectors[e].rows[block] for e in emotions])
    found: dict[str, Strengths] = {}
    for tone, size in sizes.items():
        found[f"as {tone}"] = {e: float(s) for e, s in zip(emotions, size, strict=True)}
        length = float(np.linalg.norm(size @ rows))
        found |= {f"{control.name} as {tone}": {control: length} for control in controls}
    return found


def _replies(
    model: Model, vectors: EmotionVectors, asked: Sequence[tuple[int, Problem]], order: Sequence[str], tones: Sequence[str],
    steered: Mapping[str, Strengths], block: int, minutes: float | None, quiet: bool,
) -> tuple[Array, Array, dict[str, list[str]]]:  # fmt: skip
    """Whether the greedy reply is right, and how many tokens it has [conditions, problems]; NaN where there is none."""
    asking, places = [], []
    for column, (i, problem) in enumerate(asked):
        for c, name in enumerate(order):
            if name.startswith("random") and " as " in name:
                continue  # confidence alone: replies take too long
            tone = name if name in tones else "neutral"
            asking.append((put(problem, tone, i), Condition(name, steered.get(name, {}), None, block)))
            places.append((c, column))
    right, length = np.full((2, len(order), len(asked)), np.nan)
    texts: dict[str, list[str]] = {name: [""] * len(asked) for name in order}
    for (c, i), rollout in zip(places, greedy(model, vectors, asking, LIMIT, minutes, quiet), strict=True):
        if rollout:
            right[c, i] = asked[i][1].right(rollout.replies[0])
            length[c, i] = rollout.tokens[0]
            texts[order[c]][i] = rollout.replies[0]
    return right, length, texts


def greedy(
    model: Model, vectors: EmotionVectors, asked: Sequence[tuple[str, Condition]], limit: int, minutes: float | None, quiet: bool
) -> list[Rollout | None]:  # fmt: skip
    """Texts each asked under a condition: the rollouts with their greedy replies, None for those that were not reached."""
    wanted = [Run(script(text), condition, 0) for text, condition in asked]
    done = play(
        model, vectors, wanted, max_new_tokens=limit, temperature=0, budget_minutes=minutes, log="tone", quiet=quiet
    )
    found = {(rollout.script, rollout.condition): rollout for rollout in done if rollout.replies}
    return [found.get((run_.script.name, run_.condition.name)) for run_ in wanted]


def script(text: str) -> Script:
    """The conversation of one question."""

    def turn(messages: list[dict[str, str]], _state: dict[str, Any]) -> str | None:
        return None if messages else text

    return Script(text, turn, {"text": text, "turns": 1})


recalled = ToneResult.recalled
