"""Reading: the score of every emotion at every token of a text or a conversation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import activations
from .errors import EmokitError, check_kinds, emotion_index
from .models import Message, Model, checked_messages
from .structure import hidden
from .vectors import EmotionVectors

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Figure

Array = np.ndarray


def read(
    model: Model, vectors: EmotionVectors, content: str | Sequence[Message], *, block: int | None = None
) -> Reading:
    """Scores of all emotions at each token: cosine of (residual - `vectors.mean`) with each direction at `block`.

    A string is read as it is, a list of messages through the model's chat template; inside a `steer`, what is read is
    steered. Raises EmokitError for vectors of another model, an empty text, and one beyond the context.

    >>> emokit.read(model, vectors, "The phone rang at 3 a.m.")
    """
    return readings(model, vectors, content, [block])[0]


def readings(
    model: Model, vectors: EmotionVectors, content: str | Sequence[Message], blocks: Sequence[int | None] | None = None
) -> list[Reading]:
    """As `read`, at several blocks in one forward pass, at all of them unless given: a `Reading` for each."""
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    chosen = [vectors.block(b) for b in (vectors.blocks if blocks is None else blocks)]
    text, before_reply = (content, len(content)) if isinstance(content, str) else _chat(model, content)
    length = len(model.encode(text))  # without an EOS that the tokenizer adds
    encoded = model.tokenizer(text, add_special_tokens=model.adds_special(text), return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    model.check_length(ids if text else [], content)
    ids, offsets = ids[:length], offsets[:length]
    readout = max((i for i, (start, end) in enumerate(offsets) if start < before_reply and end > start), default=0)
    cosines = activations.token_states(
        model, ids, chosen, readout, lambda block, states: token_scores(states, vectors, block)
    )
    groups, ends = _whole_tokens(offsets, text)
    starts = [0, *ends[:-1]]
    scores = np.stack([cosines[group].mean(0) for group in groups]).astype(np.float32)
    return [
        Reading(
            text=text,
            tokens=tuple(text[a:b] for a, b in zip(starts, ends, strict=True)),
            emotions=vectors.emotions,
            scores=scores[:, i],
            readout=max((i for i, start in enumerate(starts) if start < before_reply), default=0),
            block=block,
        )
        for i, block in enumerate(chosen)
    ]


@contextmanager
def watch(model: Model, vectors: EmotionVectors, *, block: int | None = None) -> Iterator[Watch]:
    """Within the `with`, follow a reply while it is generated: `reading` grows with each token, without a pass of its own.

    Follows this thread's newest `generate` or `stream`, from its readout on; steers act first, so the steered state is
    seen. On leaving, no hook remains. Raises EmokitError for another model's vectors, and for a batch, as a sweep is.

    >>> with emokit.watch(model, vectors) as seen:
    ...     for piece in model.stream("My dog is missing."):
    ...         print(piece, seen.reading.top(1, at=-1))
    """
    check_kinds((model, Model), (vectors, EmotionVectors))
    vectors.check(model)
    seen = Watch(model, vectors, vectors.block(block))
    handles = [
        model.hf.get_input_embeddings().register_forward_hook(seen.tokens_in),
        model.blocks[seen.block].register_forward_hook(seen.states_out),
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class Watch:
    """What a `watch` has seen: the readout, and each token of the reply that the model has taken in since.

    The newest token of a reply is not among them until the model goes on from it.
    """

    def __init__(self, model: Model, vectors: EmotionVectors, block: int) -> None:
        self.block = block
        self._model, self._vectors, self._thread = model, vectors, threading.get_ident()
        self._ids: list[int] = []
        self._scores: list[Array] = []
        self._spelling = Spelling(model)

    @property
    def reading(self) -> Reading:
        """A `Reading` of the last prompt token, which is its readout, and the reply so far."""
        if not self._scores:
            raise EmokitError("nothing was watched yet", do="Let the model generate or stream inside the `with`.")
        groups, pieces = self._pieces()
        return Reading(
            text="".join(pieces),
            tokens=tuple(pieces),
            emotions=self._vectors.emotions,
            scores=np.stack([np.mean([self._scores[i] for i in group], 0) for group in groups]).astype(np.float32),
            readout=0,
            block=self.block,
        )

    def _pieces(self) -> tuple[list[list[int]], list[str]]:
        """The tokens in groups that end with a whole character, and each group's text; the readout is its own."""
        spelt = self._spelling
        for token in self._ids[1 + len(spelt.ids) : len(self._scores)]:
            spelt.add(token)
        groups = [[0], *([i + 1 for i in group] for group in spelt.groups)]
        return groups, [self._model.tokenizer.decode(self._ids[:1]), *spelt.pieces]

    def tokens_in(self, _module: torch.nn.Module, inputs: Any, _output: Any) -> None:
        """The hook of the input embeddings: note the tokens of a pass; more than one at once begin anew."""
        if threading.get_ident() != self._thread:
            return
        ids = inputs[0]
        if len(ids) != 1:
            raise EmokitError(
                "a watch follows one text, not a batch of", len(ids), "Leave the `with watch(...)` first."
            )
        if ids.shape[1] > 1 or not self._ids:
            self._ids, self._scores, self._spelling = [], [], Spelling(self._model)
        self._ids.append(int(ids[0, -1]))

    def states_out(self, _module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        """The hook of the block: score the pass's last token."""
        if threading.get_ident() == self._thread:
            self._scores.append(self.scored(output))

    def scored(self, output: Any) -> Array:
        """The scores [emotions] of the last token in what a block puts out."""
        return token_scores(hidden(output)[0, -1:].float().cpu().numpy(), self._vectors, self.block)[0]


class Spelling:
    """A reply's tokens as they come, in `groups` (of indices) that end with a whole character; `pieces` has their text."""

    def __init__(self, model: Model) -> None:
        self.ids: list[int] = []
        self.groups: list[list[int]] = []
        self.pieces: list[str] = []
        self._decode, self._whole, self._ended = model.tokenizer.decode, "", True

    def add(self, token: int) -> None:
        """Take in the next token: it begins a group, or goes on with one whose character is not whole yet."""
        if self._ended:
            self.groups.append([])
            self.pieces.append("")
        self.groups[-1].append(len(self.ids))
        self.ids.append(token)
        text = self._decode(self.ids, clean_up_tokenization_spaces=False)
        self.pieces[-1] = text[len(self._whole) :]
        self._ended = not text.endswith("\ufffd")
        self._whole = text if self._ended else self._whole


def token_scores(states: Array, vectors: EmotionVectors, block: int) -> Array:
    """Cosine of (states [tokens, width] - mean) with each direction at a block: [tokens, emotions]; 0 for no state."""
    states = states - vectors.mean[block]
    lengths = np.linalg.norm(states, axis=1, keepdims=True)
    return np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0) @ vectors.at(block).T


def _chat(model: Model, messages: Sequence[Message]) -> tuple[str, int]:
    """The conversation as the model sees it, and how many of its characters come before the last reply."""
    messages = checked_messages(messages)
    if messages[-1]["role"] != "assistant" or len(messages) < 2:
        text = model.prompt(messages)
        return text, len(text)
    text, head = model.prompt(messages, reply=False), model.prompt(messages[:-1])
    if not text.startswith(head):  # the template writes the reply's turn otherwise once it is there
        head = text[: max(0, text.rfind(messages[-1]["content"].strip()))]
    if not head:
        raise EmokitError(
            "cannot tell where the reply begins in the chat template's text", text, "Leave the reply out."
        )
    return text, len(head)


def _whole_tokens(offsets: Sequence[tuple[int, int]], text: str) -> tuple[list[list[int]], list[int]]:
    """Group tokens so that each group's piece of text is whole characters, and give the end of each piece.

    Tokens that share a character (the bytes of an emoji) form one group; characters between tokens go to the later one.
    """
    groups: list[list[int]] = []
    ends: list[int] = []
    for i, (start, end) in enumerate(offsets):
        if end <= start and not (groups and start < ends[-1]):
            continue  # a BOS that stands for no text
        if groups and (start < ends[-1] or end <= ends[-1]):
            groups[-1].append(i)
            ends[-1] = max(ends[-1], end)
        else:
            groups.append([i])
            ends.append(end)
    if not groups:
        groups, ends = [list(range(len(offsets)))], [0]
    ends[-1] = len(text)
    return groups, ends


@dataclass(frozen=True, eq=False, repr=False)
class Reading:
    """Scores of one text: `scores` is float32 [tokens, emotions]; `tokens` are its pieces, which join to `text`.

    `readout` is the index of the last token before the reply (of a text: its last token), `block` where it was read.
    """

    text: str
    tokens: tuple[str, ...]
    emotions: tuple[str, ...]
    scores: Array
    readout: int
    block: int

    def top(self, count: int = 3, at: int | None = None) -> list[tuple[str, float]]:
        """The emotions with the highest mean score over the tokens behind the first, or the highest at one token."""
        scores = self.scores[at] if at is not None else self.scores[min(1, len(self.tokens) - 1) :].mean(0)
        return [(self.emotions[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]

    def __repr__(self) -> str:
        shown = ", ".join(f"{emotion} {score:+.2f}" for emotion, score in self.top())
        return f"Reading({len(self.tokens)} tokens at block {self.block}; {shown})"

    def to_frame(self) -> pd.DataFrame:
        """A table with a row per token and a column per emotion, the token and `readout` first."""
        import pandas as pd

        frame = pd.DataFrame(self.scores, columns=list(self.emotions))
        frame.insert(0, "token", list(self.tokens))
        frame.insert(1, "readout", [i == self.readout for i in range(len(self.tokens))])
        return frame

    def plot(self, emotions: Sequence[str] | None = None) -> Figure:
        """A heat map, tokens by emotions (the four highest), with the numbers written in and the readout marked."""
        from . import plots

        chosen = self._chosen(emotions, 4)
        columns = [self.emotions.index(e) for e in chosen]
        return plots.token_heatmap(self.tokens, self.scores[:, columns], chosen, readout=self.readout, block=self.block)

    def _chosen(self, emotions: Sequence[str] | None, count: int) -> list[str]:
        for emotion in emotions or ():
            emotion_index(emotion, self.emotions)
        return list(emotions) if emotions else [emotion for emotion, _ in self.top(count)]

    def _repr_html_(self) -> str:
        """The text once for each of the three highest emotions; the strongest tokens also bold and numbered."""
        rows = "".join(self._strip(emotion) for emotion in self._chosen(None, 3))
        return f"<div><p>{escape(repr(self))}</p><table>{rows}</table></div>"

    def _strip(self, emotion: str) -> str:
        from . import plots

        scores = self.scores[:, self.emotions.index(emotion)]
        strongest = set(np.argsort(-np.abs(scores), kind="stable")[:3].tolist())
        spans = []
        for i, (token, score) in enumerate(zip(self.tokens, scores.tolist(), strict=True)):
            background, ink = plots.token_colours(score)
            text = escape(token).replace("\n", "↵<br>").replace("  ", "&nbsp; ")
            if i in strongest:
                text = f"<b>{text}</b><sup>{score:+.2f}</sup>"
            if i == self.readout:
                text = f"<u>{text}</u>&#9666;"
            spans.append(f'<span title="{score:+.2f}" style="background:{background};color:{ink}">{text}</span>')
        return f'<tr><th>{escape(emotion)}</th><td style="text-align:left">{"".join(spans)}</td></tr>'

    def _repr_png_(self) -> bytes:
        from . import plots

        return plots.png(self.plot())
