"""The dose lab: does a score follow the numbers in a sentence? Panels, ladders in words, harmless twins, and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from . import activations, generation
from .curves import DRAWS
from .errors import EmokitError, check_kinds, check_list, check_whole
from .models import Model
from .panels import PANELS, Panel
from .progress import progress
from .remake import Remade
from .stories import StorySet
from .vectors import EmotionVectors
from .verdict import ALPHA, DoseResult, Signs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PANELS", "DoseResult", "Panel", "ShuffledLabels", "Signs", "null", "positions", "run", "two_thirds"]
Array = np.ndarray
POSITIONS = ("readout", "prompt", "reply")
REPLY = 20  # tokens of the reply that are read


def two_thirds(n_blocks: int) -> int:
    """The block of the paper, two thirds of depth: 0-based `round(2 * n_blocks / 3) - 1`."""
    return max(0, round(2 * n_blocks / 3) - 1)


def run(
    model: Model,
    vectors: EmotionVectors,
    panels: Sequence[Panel] | Panel | None = None,
    block: int | None = None,
    *,
    stories: StorySet | None = None,
    position: str = "readout",
    seed: int = 0,
) -> DoseResult:
    """Score every sentence of the panels at the readout, with ladders, twins, paraphrases, nulls and the verdict.

    `block` is two thirds of depth unless given; all blocks are kept beside it. `stories`, those the vectors were made from,
    give intervals: the directions are made again from 1,000 draws of their topics (of fewer different ones, so that they are
    noisier and the intervals lie a little towards 0). `position` "prompt" scores the mean
    residual over the tokens of the message instead, "reply" that over the first 20 tokens of the greedy reply.
    Raises EmokitError for an emotion the vectors don't have, and for a value that gets lost on its way to the model.

    >>> emokit.dose.run(model, vectors).verdict
    """
    chosen, block = _checked(model, vectors, panels, block, seed)
    if position not in POSITIONS:
        raise EmokitError("unknown position", position, f"Choose among: {', '.join(POSITIONS)}.")
    states = _states(model, chosen, position)
    curves = {key: _cosines(s, vectors.mean, vectors.directions) for key, s in states.items()}
    gram = np.einsum("bew,bfw->bef", vectors.directions, vectors.directions)
    result = DoseResult(chosen, vectors.emotions, block, curves, seed, gram, position=position)
    return result if stories is None else with_intervals(model, result, Remade(model, vectors, stories, block))


def with_intervals(
    model: Model, result: DoseResult, remade: Remade, stop: Callable[[], bool] = lambda: False
) -> DoseResult:
    """A result at the block of `remade`, with intervals over 1,000 draws of its topics; without, once `stop()` is true."""
    states = _states(model, result.panels, result.position)
    boot = _resampled(remade, states, remade.block, result.seed, stop)
    return replace(result, block=remade.block, boot=boot)


def positions(
    model: Model,
    vectors: EmotionVectors,
    panels: Sequence[Panel] | Panel | None = None,
    block: int | None = None,
    *,
    seed: int = 0,
) -> dict[str, DoseResult]:
    """The same run at the readout, over the message's tokens and over the first 20 reply tokens, which takes longest.

    >>> {where: result.verdict for where, result in emokit.dose.positions(model, vectors).items()}
    """
    return {where: run(model, vectors, panels, block, position=where, seed=seed) for where in POSITIONS}


def null(
    model: Model,
    vectors: EmotionVectors,
    stories: StorySet,
    seeds: int = 100,
    panels: Sequence[Panel] | Panel | None = None,
    block: int | None = None,
) -> ShuffledLabels:
    """The lab with directions that mean nothing: labels permuted within each topic, `seeds` times, on cached means.

    Block and neutral components stay. A sound rule says `replicates` for few of them.

    >>> emokit.dose.null(model, vectors, stories).replicates
    """
    check_whole(seeds, "a number of seeds", least=1)
    chosen, block = _checked(model, vectors, panels, block, 0)
    remade = Remade(model, vectors, stories, block)
    states = {key: s[:, block : block + 1] for key, s in _states(model, chosen, "readout").items()}
    results = []
    for seed in progress(range(seeds), desc="shuffled labels"):
        directions, mean = remade.shuffled(seed)
        curves = {key: _cosines(s, mean[None], directions[None]) for key, s in states.items()}
        results.append(DoseResult(chosen, vectors.emotions, 0, curves, seed))
    signs = [result.signs() for result in results]
    return ShuffledLabels(
        tuple(r.verdict for r in results), np.array([s.right for s in signs]), np.array([s.p for s in signs])
    )


@dataclass(frozen=True, eq=False, repr=False)
class ShuffledLabels:
    """The lab under shuffled labels, a run per seed: its `verdicts`, the signs `right` and their `p`."""

    verdicts: tuple[str, ...]
    right: Array
    p: Array

    @property
    def replicates(self) -> int:
        """How many runs the rule would have called a replication."""
        return self.verdicts.count("replicates")

    @property
    def small(self) -> int:
        """How many runs have p <= 0.05 for their signs: about one in twenty, if the test is sound."""
        return int((self.p <= ALPHA).sum())

    def __repr__(self) -> str:
        count = len(self.verdicts)
        return (
            f"ShuffledLabels({self.replicates} of {count} replicate; {self.small} have p <= {ALPHA}; "
            f"{self.right.mean():.1f} signs right on average)"
        )

    def to_frame(self) -> pd.DataFrame:
        """A row per seed: signs right, their p, the verdict."""
        import pandas as pd

        return pd.DataFrame({"right": self.right, "p": self.p, "verdict": self.verdicts}).rename_axis("seed")


def _checked(
    model: Model, vectors: EmotionVectors, panels: Sequence[Panel] | Panel | None, block: int | None, seed: int
) -> tuple[tuple[Panel, ...], int]:
    """The panels and the block of a run."""
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    check_whole(seed, "a seed")
    chosen = _chosen(panels)
    if len({panel.title for panel in chosen}) < len(chosen):
        raise EmokitError("two panels have one title", [p.title for p in chosen], "Give each its own name=.")
    if not chosen:
        raise EmokitError("there is no panel", do="Leave `panels` out, or give at least one Panel.")
    for panel in chosen:
        for emotion in panel.expect:
            vectors.index(emotion)
    return chosen, two_thirds(len(vectors.blocks)) if block is None else vectors.block(block)


def _chosen(panels: Sequence[Panel] | Panel | None) -> tuple[Panel, ...]:
    if panels is None:
        return PANELS
    if isinstance(panels, Panel):
        return (panels,)
    if isinstance(panels, StorySet):
        raise EmokitError("stories in the place of the panels", panels, "Write stories= before them.")
    check_list(panels, "panels")
    chosen = tuple(panels)
    for panel in chosen:
        if not isinstance(panel, Panel):
            raise EmokitError("not a Panel", panel, 'Give for example dose.Panel("I ran {X} km.", [1, 5, 42]).')
    return chosen


# from sentences to scores


def _states(model: Model, panels: Sequence[Panel], position: str) -> dict[tuple[str, str], Array]:
    """Residuals [values, blocks, width] at a position, for each panel's title and kind."""
    groups = {(panel.title, kind): told for panel in panels for kind, told in panel.kinds().items()}
    values = {(p.title, kind): None if kind == "ladder" else p.values for p in panels for kind in p.kinds()}
    encoded, spans = [], []
    for key, told in groups.items():
        rows = _encoded(model, told, values[key])
        encoded += [ids for _, ids in rows]
        if position == "prompt":
            spans += [_span(model, text, told[i]) for i, (text, _) in enumerate(rows)]
    if position == "readout":
        spans = [(len(ids) - 1, len(ids)) for ids in encoded]
    if position == "reply":
        begins = [len(ids) for ids in encoded]
        encoded = _with_replies(model, encoded)
        spans = [(begin, len(ids)) for begin, ids in zip(begins, encoded, strict=True)]
    states = activations.span_means(model, encoded, spans)
    ends = np.cumsum([len(told) for told in groups.values()])
    return dict(zip(groups, np.split(states, ends[:-1]), strict=True))


def _encoded(model: Model, told: Sequence[str], values: Sequence[object] | None) -> list[tuple[str, list[int]]]:
    """The prompt of each sentence and its token ids, once it is sure that no value got lost on the way."""
    prompts = [model.prompt(sentence) for sentence in told]
    for value, prompt in zip(values or (), prompts, strict=False):
        if str(value).strip().casefold() not in prompt.casefold():
            raise EmokitError(
                "the chat template loses the value", value, f"It makes {prompt!r}. Use another template or values."
            )
    encoded = [model.encode(prompt) for prompt in prompts]
    for prompt, ids in zip(prompts, encoded, strict=True):
        model.check_length(ids, prompt)
    same = [i for i, count in Counter(map(tuple, encoded)).items() if count > 1]
    if same:
        lost = [sentence for sentence, ids in zip(told, encoded, strict=True) if tuple(ids) == same[0]]
        raise EmokitError(
            "different values reach the model as the same tokens", lost,
            "The template or tokenizer cuts or drops them: shorten the sentence, or write them otherwise.",
        )  # fmt: skip
    return list(zip(prompts, encoded, strict=True))


def _span(model: Model, prompt: str, sentence: str) -> tuple[int, int]:
    """The tokens of the message within its prompt."""
    start = prompt.rfind(sentence.strip())
    if start < 0:
        raise EmokitError("cannot find the message in the chat template's text", prompt, 'Use position="readout".')
    end = start + len(sentence.strip())
    offsets = model.tokenizer(prompt, add_special_tokens=model.adds_special(prompt), return_offsets_mapping=True)
    inside = [i for i, (a, b) in enumerate(offsets["offset_mapping"]) if a < end and b > start]
    return inside[0], inside[-1] + 1


def _with_replies(model: Model, encoded: Sequence[list[int]]) -> list[list[int]]:
    """Each prompt followed by the first 20 tokens of its greedy reply, fewer where it ends: at least its first token."""
    if model.steers:
        raise EmokitError("replies are read unsteered", do="Leave the `with steer(...)` first.")
    whole, stop = [list(ids) for ids in encoded], model.stop_tokens
    for length in sorted({len(ids) for ids in encoded}):
        rows = [i for i, ids in enumerate(encoded) if len(ids) == length]
        going = set(rows)
        for tokens in generation.decode(model, [encoded[i] for i in rows], REPLY):
            for i, token in zip(rows, tokens, strict=True):
                if i in going and (token not in stop or len(whole[i]) == length):
                    whole[i].append(token)
                if token in stop:
                    going.discard(i)
            if not going:
                break
    return whole


def _cosines(states: Array, mean: Array, directions: Array) -> Array:
    """Scores [values, blocks, emotions] of residuals [values, blocks, width]; 0 where a residual is the mean itself."""
    states = states - mean
    lengths = np.linalg.norm(states, axis=2, keepdims=True)
    units = np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0)
    return np.einsum("pbw,bew->pbe", units, directions)


def _resampled(
    remade: Remade, states: dict[tuple[str, str], Array], block: int, seed: int, stop: Callable[[], bool]
) -> dict[tuple[str, str], Array]:
    """Changes from first to last value under directions of resampled topics: [draws, emotions] for each title and kind."""
    ends = np.concatenate([s[[0, -1], block] for s in states.values()]).astype(float)[:, None]
    changes = []
    for directions, mean in progress(remade.resampled(DRAWS, seed), total=DRAWS, desc="resampled topics"):
        if stop():
            return {}
        scores = _cosines(ends, mean[None], directions[None])[:, 0]
        changes.append(scores[1::2] - scores[::2])
    return dict(zip(states, np.stack(changes, axis=1), strict=True))
