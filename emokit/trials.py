"""Trials: what a push at a block does to the next word, to unrelated prompts and to replies. What `calibrate` measures with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from . import activations, generation
from .errors import EmokitError
from .files import Log, cache_dir
from .models import Message, Model
from .reading import token_scores
from .steering import steer
from .vectors import Direction, EmotionVectors

Array = np.ndarray
Push = tuple[str | Direction, float]  # what is added, and how strongly
ROWS = 64  # pushes that run as one batch
METHOD = 1  # of what is kept on disk; who changes what is measured takes another

# a set to choose strengths by, all of one kind, and one unlike it in topic and form, to report on
CHOSEN = ("Tell me about your day.", "How was your morning?", "What have you been doing this week?")
REPORTED = (
    "Write the beginning of a story about a lighthouse.",
    "Write a short letter to a neighbour about the garden fence.",
    "List five things to take along on a picnic.",
    "What is a good way to learn to swim?",
)
STEMS = ("He feels", "After the walk she was")  # likewise, for the emotion's word
NEUTRAL = ("The capital of France is", "Water boils at a temperature of", "The train to the city leaves at")
INSTRUCTION = "Answer as somebody who is {emotion}."


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


def repeated(model: Model, text: str) -> float:
    """Share of a text's runs of three tokens that it has had before; 0 for a text of fewer tokens."""
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    runs = list(zip(ids, ids[1:], ids[2:], strict=False))
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


class Bench:
    """The measurements of one calibration, each kept on disk as soon as it is there: a row of lists by name."""

    def __init__(
        self,
        model: Model,
        vectors: EmotionVectors,
        emotions: Sequence[str],
        controls: Sequence[Direction],
        strengths: Sequence[float],
        limit: int,
        temperature: float,
        seed: int,
    ) -> None:
        self.model, self.vectors, self.emotions = model, vectors, list(emotions)
        self.limit, self.temperature = int(limit), float(temperature)  # numpy's too: they are part of a key
        keys: list[str | Direction] = [*emotions, *controls]
        self.pushes: list[Push] = [(key, strength) for key in keys for strength in strengths]
        self.seeds = [int(seed) + i for i in range(len(keys))]  # a key has its own, at all strengths and without a push
        self.seed_of = [s for s in self.seeds for _ in strengths]
        self.columns = [vectors.index(emotion) for emotion in emotions]
        self.log = Log(cache_dir() / "calibrated" / f"{model.fingerprint}-{vectors.digest}.jsonl", "key")

    def measured(self, what: Callable[..., dict[str, Any]], *at: Any) -> dict[str, Any]:
        """One measurement of this bench at a block or a prompt, from the disk where it is there."""
        added = [[key if isinstance(key, str) else key.name, strength] for key, strength in self.pushes]
        settings = [self.emotions, added, self.limit, self.temperature, self.seeds, STEMS, NEUTRAL, INSTRUCTION]
        whole = json.dumps([METHOD, what.__name__, at, settings, str(self.model.tokenizer.chat_template)])
        key = hashlib.sha256(whole.encode()).hexdigest()[:24]
        if key not in self.log.rows:
            self.log.add([{"key": key, **what(*at)}])
        return self.log.rows[key]

    def words(self, block: int) -> dict[str, Any]:
        """Under each push, `words` [stems, pushes, emotions] and the divergence from the plain model, `kl` [pushes]."""
        found = [words(self.model, self.vectors, block, self.pushes, stem, self.emotions) for stem in STEMS]
        kl = []
        for text in NEUTRAL:
            (plain,) = next_tokens(self.model, self.vectors, block, [(self.emotions[0], 0.0)], text)
            kl.append(divergence(plain, next_tokens(self.model, self.vectors, block, self.pushes, text)))
        return {"words": np.array(found).tolist(), "kl": np.mean(kl, axis=0).tolist()}

    def replies(self, block: int, prompt: str) -> dict[str, Any]:
        """The reply under each push, and what the unsteered model makes of it."""
        ids = self.model.encode(self.model.prompt(prompt))
        texts: list[str] = []
        for part, strengths in parts(self.pushes):
            seeds = self.seed_of[len(texts) : len(texts) + len(part)]
            with steer(self.model, self.vectors, strengths, blocks=block):
                texts += self._generated([ids] * len(part), seeds)
        return self._reread(prompt, texts)

    def plain(self, prompt: str) -> dict[str, Any]:
        """The replies without a push, one for each key's seed, read likewise."""
        ids = self.model.encode(self.model.prompt(prompt))
        texts = self._generated([ids] * len(self.seeds), self.seeds)
        if not any(self.model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts):
            raise EmokitError("the unsteered model has no reply to a prompt", prompt, "Calibrate a model that answers.")
        return self._reread(prompt, texts)

    def asked(self, prompt: str) -> dict[str, Any]:
        """The replies without a push when told to answer in each emotion, read likewise."""
        rows = [self.model.encode(self.model.prompt(told(self.model, emotion, prompt))) for emotion in self.emotions]
        texts = [""] * len(rows)
        for length in sorted({len(row) for row in rows}):  # a batch has prompts of one length
            group = [i for i, row in enumerate(rows) if len(row) == length]
            found = self._generated([rows[i] for i in group], [self.seeds[i] for i in group])
            for i, text in zip(group, found, strict=True):
                texts[i] = text
        return self._reread(prompt, texts)

    def _generated(self, prompts: list[list[int]], seeds: list[int]) -> list[str]:
        return generation.replies(self.model, prompts, self.limit, self.temperature, seeds, bar=False)

    def asked_words(self) -> dict[str, Any]:
        """`words` [stems, 1 + emotions, emotions] without a push: as it is, and told to answer in each emotion."""
        following = [f" {emotion}" for emotion in self.emotions]
        heads = ["", *(INSTRUCTION.format(emotion=e) + " " for e in self.emotions)]
        return {"words": [[self.model.logprobs(head + stem, following) for head in heads] for stem in STEMS]}

    def _reread(self, prompt: str, texts: list[str]) -> dict[str, Any]:
        """Replies read behind their prompt at the best block, as `read` reads a chat, after every `steer` has ended.

        `scores` [replies, emotions] is the mean over a reply's tokens, `nats` [replies] what a token costs, of which the
        exponential is the perplexity (NaN for no token), `repeats` [replies] as `repeated`.
        """
        block, model = self.vectors.best_block, self.model
        scores, nats = np.full((len(texts), len(self.emotions)), np.nan), np.full(len(texts), np.nan)
        for i, (states, chances) in enumerate(activations.reply_states(model, model.prompt(prompt), texts, block)):
            if len(states):
                scores[i] = token_scores(states, self.vectors, block)[:, self.columns].mean(0)
                nats[i] = -chances.mean()
        repeats = [repeated(model, text) for text in texts]
        return {"replies": texts, "scores": scores.tolist(), "nats": nats.tolist(), "repeats": repeats}


def told(model: Model, emotion: str, prompt: str) -> list[Message]:
    """A prompt with the instruction to answer in an emotion: as system message, or before it where there is none."""
    return instructed(model, INSTRUCTION.format(emotion=emotion), [{"role": "user", "content": prompt}])


def instructed(model: Model, instruction: str, messages: Sequence[Message], joint: str = " ") -> list[Message]:
    """Messages with an instruction: at the end of the system message, or, where the template has none, at the head of
    the first other one, `joint` between them."""
    system = [message for message in messages[:-1][:1] if message["role"] == "system"]
    first, *rest = messages[len(system) :]
    whole = "\n".join([*(message["content"] for message in system), instruction])
    asked = [{"role": "system", "content": whole.strip() if system else whole}, first, *rest]
    try:
        known = instruction in model.prompt(asked)
    except EmokitError:  # the template refuses a system message
        known = False
    return asked if known else [*system, {**first, "content": f"{instruction}{joint}{first['content']}"}, *rest]
