"""EmotionVectors: a unit direction per emotion and block, the mean they start from, the norm that gives strength its unit."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from . import activations, control_vectors, selection
from .directions import Direction, Strengths, deltas
from .errors import EmokitError, check_block, check_kinds, check_whole, emotion_index
from .files import path_of, replacing
from .models import Model
from .stories import StorySet, check_enough

Array = np.ndarray
SCHEMA = 1
TENSORS = ("directions", "mean", "norms")


def extract(model: Model, stories: StorySet, *, cache: bool = True) -> EmotionVectors:
    """Emotion directions at every block from labelled stories; block and denoising are chosen on held-out topics.

    One pass over the stories, pooled at all blocks and cached, so that a second extraction or other labels run no pass.
    Raises EmokitError with fewer than two emotions, or too few stories or topics of one to hold any out.

    >>> vectors = emokit.extract(model, emokit.load_stories())
    """
    check_kinds((model, Model))
    check_enough(stories)
    names = stories.emotions
    means, norms = activations.story_stats(model, [s.text for s in stories], cache)
    neutral = activations.story_means(model, [s.text for s in stories.neutral], cache)
    emotions, topics = [s.emotion for s in stories], [s.topic for s in stories]
    chosen = selection.select(means, neutral, emotions, topics)
    labels = selection.codes(emotions)
    built = [selection.directions(means[:, b], labels, parts) for b, parts in enumerate(chosen.neutral)]
    return EmotionVectors(
        emotions=tuple(names),
        directions=np.stack([directions for directions, _ in built]).astype(np.float32),
        mean=np.stack([mean for _, mean in built]).astype(np.float32),
        norms=np.median(norms, axis=1).astype(np.float32),
        best_block=chosen.block,
        provenance=_provenance(model, stories, chosen),
    )


def _provenance(model: Model, stories: StorySet, chosen: selection.Selection) -> dict[str, Any]:
    import torch
    import transformers

    from . import __version__

    return {
        "model": model.facts(),
        "stories": {
            "fingerprint": stories.fingerprint,
            "count": len(stories),
            "neutral": len(stories.neutral),
            "topics": stories.topics,
        },
        "pooling": {"skip": activations.SKIP, "skip_long": activations.SKIP_LONG, "long": activations.LONG},
        "selection": {
            "block": chosen.block,
            "components": chosen.components,
            "candidates": list(chosen.candidates),
            "accuracy": [[round(float(a), 4) for a in row] for row in chosen.accuracy],
        },
        "versions": {"emokit": __version__, "torch": torch.__version__, "transformers": transformers.__version__},
    }


@dataclass(frozen=True, eq=False)
class EmotionVectors:
    """Emotion directions of one model.

    `directions` is float32 [blocks, emotions, width] of unit rows; `mean` [blocks, width] the average over emotions that
    scores start from; `norms` [blocks] the median residual norm over story tokens, the unit of strength; `best_block`
    the block with the best held-out-topic accuracy; `provenance` what they were made from.
    """

    emotions: tuple[str, ...]
    directions: Array
    mean: Array
    norms: Array
    best_block: int
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> range:
        """All blocks, 0-based."""
        return range(len(self.directions))

    @property
    def width(self) -> int:
        """The size of the residual stream."""
        return self.directions.shape[2]

    def __repr__(self) -> str:
        name = self.provenance.get("model", {}).get("name", "unknown model")
        shape = f"{len(self.emotions)} emotions, {len(self.blocks)} blocks x {self.width}"
        return f"EmotionVectors({shape}, best block {self.best_block}, {name})"

    def block(self, block: int | None) -> int:
        """The best block for None, else `block` itself; raises EmokitError for one that is not there."""
        return self.best_block if block is None else check_block(block, len(self.blocks))

    def at(self, block: int | None = None) -> Array:
        """The directions at a block: float32 [emotions, width] of unit rows."""
        return self.directions[self.block(block)]

    def index(self, emotion: str) -> int:
        """The row of an emotion; raises EmokitError for an unknown one."""
        return emotion_index(emotion, self.emotions)

    def __getitem__(self, emotion: str) -> Direction:
        return Direction(emotion, self.directions[:, self.index(emotion)], self.fingerprint)

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the model these vectors were made from."""
        return self.provenance.get("model", {}).get("fingerprint")

    @property
    def digest(self) -> str:
        """Twelve digits that change with the emotions and any of the numbers."""
        digest = hashlib.sha256(repr((self.emotions, self.best_block)).encode())
        for array in (self.directions, self.mean, self.norms):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    def direction(self, key: str | Direction) -> Direction:
        """The direction of an emotion, or a `Direction` itself; raises EmokitError unless it belongs to these vectors."""
        if isinstance(key, str):
            return self[key]
        if not isinstance(key, Direction) or (key.model, key.rows.shape) != (self.fingerprint, self.mean.shape):
            raise EmokitError(
                "not an emotion or a Direction of these vectors", key, 'Use "calm" or vectors["calm"] - vectors["sad"].'
            )
        return key

    def random(self, seed: int) -> Direction:
        """A control: a random unit direction in the span of the emotions, with the same mixture at every block."""
        check_whole(seed, "a seed")
        mixture = np.random.default_rng(seed).standard_normal(len(self.emotions)).astype(np.float32)
        rows = (mixture - mixture.mean()) @ self.directions
        return Direction(f"random {seed}", rows / np.linalg.norm(rows, axis=1, keepdims=True), self.fingerprint)

    def check(self, model: Model) -> None:
        """Raise EmokitError unless these vectors were made from this model."""
        check_kinds((model, Model))
        shape = len(self.blocks), self.width
        if shape != (model.n_blocks, model.width):
            raise EmokitError(
                f"the vectors have {shape[0]} blocks x {shape[1]}, the model {model.n_blocks} x {model.width}",
                self.provenance.get("model", {}).get("name"),
                "Load the model they were made from, or extract again.",
            )
        made = self.provenance.get("model", {})
        if self.fingerprint not in (None, model.fingerprint):
            raise EmokitError(
                f"the vectors were made from other weights than those of {model.name}",
                {key: made.get(key) for key in ("name", "dtype", "fingerprint")},
                "Load the model they were made from, or extract again.",
            )

    # files

    def to_gguf(
        self, path: str | PathLike[str], strengths: Strengths, *, blocks: Sequence[int] | int | None = None
    ) -> None:
        """Write what `steer` with the same arguments adds as a llama.cpp control vector, in raw units: scale 1 is that.

        A file holds one mixture; llama.cpp adds several files up, each with a scale of its own. Raises EmokitError for
        block 0, which such a file can't hold, and for lists of strengths.

        >>> vectors.to_gguf("happy.gguf", {"happy": 0.2})
        """
        added = deltas(self, strengths, blocks)
        if any(np.ndim(strength) for strength in strengths.values()):
            raise EmokitError("lists of strengths", strengths, "A file holds one strength each; write several files.")
        made = self.provenance.get("model", {})
        parts = " + ".join(f"{s:g} {k if isinstance(k, str) else k.name}" for k, s in strengths.items())
        control_vectors.write(
            path, {block: rows[0] for block, rows in added.items()}, str(made.get("type", "")), parts, self.fingerprint
        )

    def from_gguf(self, path: str | PathLike[str]) -> Direction:
        """A llama.cpp control vector as a `Direction` in these vectors' units: strength 1 adds what the file holds.

        It may come from elsewhere, as long as it was made for this model. It is zero at blocks that the file lacks.
        Raises EmokitError for a missing, damaged or foreign file, and one that does not fit the model's shape.

        >>> happy = vectors.from_gguf("happy.gguf")
        >>> with emokit.steer(model, vectors, {happy: 1.0}, blocks=happy.blocks): ...
        """
        found, made_for = control_vectors.read(path, len(self.blocks), self.width)
        if None not in (made_for, self.fingerprint) and made_for != self.fingerprint:
            raise EmokitError(
                "the control vector was made from other weights than these vectors",
                str(path),
                "Write it again from these.",
            )
        rows = np.zeros(self.mean.shape, np.float32)
        for block, row in found.items():
            rows[block] = row / self.norms[block]
        return Direction(path_of(path).stem, rows, self.fingerprint)

    def save(self, path: str | PathLike[str]) -> None:
        """Write one .safetensors file: the arrays, and all else as one JSON value in its metadata."""
        from safetensors.numpy import save_file

        about = {
            "schema": SCHEMA,
            "emotions": self.emotions,
            "best_block": self.best_block,
            "provenance": self.provenance,
        }
        tensors = {name: np.ascontiguousarray(getattr(self, name), np.float32) for name in TENSORS}
        with replacing(path_of(path)) as partial:
            save_file(tensors, partial, metadata={"emokit": json.dumps(about, sort_keys=True)})

    @classmethod
    def load(cls, path: str | PathLike[str], model: Model | None = None) -> EmotionVectors:
        """Read a file that `save` wrote and check all of it; with `model`, also that it was made from that model.

        Raises EmokitError, each with its own message, for a missing, truncated or foreign file, an unknown schema,
        wrong shapes, values that are not finite, and a wrong model.
        """
        from safetensors import SafetensorError, safe_open

        if not os.path.isfile(path_of(path)):
            raise EmokitError(
                "no such vectors file", str(path), "Check the path, or write one with vectors.save(path)."
            )
        try:
            with safe_open(path, framework="np") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError, ValueError, TypeError) as error:
            raise EmokitError(
                f"truncated or no safetensors file ({error})", str(path), "Extract and save again."
            ) from error
        vectors = cls._parse(metadata, tensors, str(path))
        if model is not None:
            vectors.check(model)
        return vectors

    @classmethod
    def _parse(cls, metadata: dict[str, str], tensors: dict[str, Array], path: str) -> EmotionVectors:
        if "emokit" not in metadata:
            raise EmokitError(
                "a safetensors file, but not of emokit's vectors", path, "Name a file that vectors.save wrote."
            )
        try:
            about = json.loads(metadata["emokit"])
            schema, emotions, best = about["schema"], about["emotions"], about["best_block"]
            provenance = dict(about["provenance"])
            {**provenance.get("model", {})}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EmokitError(
                f"the vectors file's description is damaged ({error!r})", path, "Extract and save again."
            ) from error
        if schema != SCHEMA:
            raise EmokitError(
                f"the vectors file has the unknown schema {schema!r}", path, f"This emokit reads schema {SCHEMA}."
            )
        shapes = {name: tensors[name].shape if name in tensors else None for name in TENSORS}
        blocks, count, width = (
            shapes["directions"] if shapes["directions"] and len(shapes["directions"]) == 3 else (0, 0, 0)
        )
        fits = (
            blocks > 0
            and shapes == {"directions": (blocks, count, width), "mean": (blocks, width), "norms": (blocks,)}
            and isinstance(emotions, list)
            and len(emotions) == len({e for e in emotions if isinstance(e, str)}) == count > 0
            and type(best) is int
            and 0 <= best < blocks
            and all(tensors[name].dtype == np.float32 for name in TENSORS)
        )
        if not fits:
            raise EmokitError(
                f"the vectors file's arrays {shapes} don't fit each other or its emotions",
                path,
                "Extract and save again.",
            )
        if not all(np.isfinite(tensors[name]).all() for name in TENSORS):
            raise EmokitError("the vectors file holds NaN or infinite values", path, "Extract and save again.")
        return cls(tuple(emotions), tensors["directions"], tensors["mean"], tensors["norms"], best, provenance)
