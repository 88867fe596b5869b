"""Names: the emotions that an experiment is about, or those nearest to them where the vectors have others."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import EmokitError, check_list
from ..vectors import EmotionVectors

# from nearest on
NEAR = {
    "confident": ("self-confident", "proud", "optimistic", "hopeful"),
    "calm": ("peaceful", "serene", "relaxed", "at ease", "content", "relieved"),
    "nervous": ("anxious", "worried", "uneasy", "tense", "afraid"),
    "afraid": ("scared", "frightened", "terrified", "alarmed", "nervous"),
    "guilty": ("ashamed", "remorseful", "regretful", "sorry"),
    "desperate": ("hopeless", "panicked", "trapped", "distressed"),
}


def nearest(vectors: EmotionVectors, wanted: Sequence[str]) -> dict[str, str]:
    """For each wanted emotion that of the vectors: itself, or the nearest by name; those without any are left out.

    Raises EmokitError where none is left, and for an unknown emotion that has no near ones.

    >>> nearest(vectors, ["calm", "nervous"])
    {'calm': 'calm', 'nervous': 'anxious'}
    """
    check_list(wanted, "emotions")
    found: dict[str, str] = {}
    for emotion in wanted:
        if emotion not in NEAR:
            vectors.index(emotion)
        near = next((e for e in (emotion, *NEAR.get(emotion, ())) if e in vectors.emotions), None)
        if near and near not in found.values():
            found[emotion] = near
    if not found:
        raise EmokitError("the vectors have none of these emotions", list(wanted), "Name some that they have.")
    return found
