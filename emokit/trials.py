"""Trials: what a push at a block does to the next word, to unrelated prompts and to replies. What `calibrate` measures with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from . import activations, generation
from .models import Model
from .reading import cosines
from .steering import steer
from .vectors import Direction, EmotionVectors

Array = np.ndarray
Push = tuple[str | Direction, float]  # what is added, and how strongly
ROWS = 64  # pushes that run as one batch


def parts(pushes: Sequence[Push], copies: int = 1) -> list[tuple[list[Push], dict[str | Direction, list[float]]]]:
    """The pushes some at a time, each time with the strengths that make every push a row, or `copies` rows, of a batch."""
    size = max(1, ROWS // copies)
    found = []
    for start in range(0, len(pushes), size):
        part = list(pushes[start : start + size])
        keys = dict.fromkeys(key for key, _ in part)
        found.append((part, {k: [s if key == k else 0.0 for key, s in part for _ in range(copies)] for k in keys}))
    return found


def words(
    model: Model, vectors: EmotionVectors, block: int, pushes: Sequence[Push], stem: str, emotions: Sequence[str]
) -> Array:
    """Log-probability in nats of each emotion's word after a stem, under each push: [pushes, emotions]."""
    following = [f" {emotion}" for emotion in emotions]
    rows = []
    for part, strengths in parts(pushes, len(following)):
        with steer(model, vectors, strengths, blocks=block):
            rows += model.logprobs(stem, following * len(part))
    return np.array(rows).reshape(len(pushes), len(following))


def next_tokens(model: Model, vectors: EmotionVectors, block: int, pushes: Sequence[Push], prompt: str) -> Array:
    """Log-probabilities in nats of all next tokens after a text as it is, under each push: [pushes, vocabulary]."""
    ids = model.encode(prompt)
    model.check_length(ids, prompt)
    rows = []
    for part, strengths in parts(pushes):
        batch = torch.tensor([ids] * len(part), device=model.device)
        with steer(model, vectors, strengths, blocks=block), torch.inference_mode(), model.replying(len(ids) - 1):
            logits = model.forward(input_ids=batch, use_cache=False, logits_to_keep=1)[:, -1]
            rows.append(logits.double().log_softmax(-1).cpu().numpy())
    return np.concatenate(rows)


def divergence(plain: Array, pushed: Array) -> Array:
    """Kullback-Leibler divergence in nats of pushed next-token distributions [pushes, vocabulary] from the plain one."""
    return np.maximum((np.exp(plain) * (plain - pushed)).sum(-1), 0)


def replies(
    model: Model, vectors: EmotionVectors, block: int, pushes: Sequence[Push], prompt: str, limit: int, seed: int
) -> list[str]:
    """The replies to one prompt under each push, sampled with one seed, or greedy: only the push differs."""
    ids = model.encode(model.prompt(prompt))
    texts: list[str] = []
    for part, strengths in parts(pushes):
        with steer(model, vectors, strengths, blocks=block):
            texts += generation.replies(model, [ids] * len(part), limit, 0.0, [seed] * len(part), bar=False)
    return texts


@dataclass(frozen=True)
class Reread:
    """Replies to one prompt as the unsteered model takes them: `scores` [replies, emotions] (the mean over a reply's
    tokens), `nats` [replies] a token, of which the exponential is the perplexity, `repeats` [replies]; NaN for no token."""

    scores: Array
    nats: Array
    repeats: Array


def reread(
    model: Model, vectors: EmotionVectors, prompt: str, texts: Sequence[str], emotions: Sequence[str]
) -> Reread:
    """Read replies behind their prompt at the best block, as `read` reads a chat. The caller has left every `steer`."""
    rows = [vectors.index(emotion) for emotion in emotions]
    scores, nats = np.full((len(texts), len(rows)), np.nan), np.full(len(texts), np.nan)
    found = activations.reply_states(model, model.prompt(prompt), texts, vectors.best_block)
    for i, (states, chances) in enumerate(found):
        if len(states):
            scores[i] = cosines(states, vectors, vectors.best_block)[:, rows].mean(0)
            nats[i] = -chances.mean()
    return Reread(scores, nats, np.array([repeated(model, text) for text in texts]))


def repeated(model: Model, text: str) -> float:
    """Share of a text's runs of three tokens that it has had before; 0 for a text of fewer tokens."""
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    runs = list(zip(ids, ids[1:], ids[2:], strict=False))
    return 1 - len(set(runs)) / len(runs) if runs else 0.0
