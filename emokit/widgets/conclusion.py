"""What can and can't be concluded from one panel of the dose lab, in plain words."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..dose import DoseResult, Panel
from ..verdict import ALPHA

HEAD = ("emotion", "expected", "change", "95 % interval", "in sd of random directions", "order: rho (p)")
HEAD += ("on the twin", "in words", "other wordings")


class Conclusion(NamedTuple):
    """A verdict by the lab's rule, its reason in a sentence, and what can and what can't be said."""

    verdict: str
    reason: str
    can: list[str]
    cannot: list[str]


def conclude(result: DoseResult, *, model: str, usual: int, tried: int = 0) -> Conclusion:
    """Plain words for the first panel of a result.

    `usual` is the block chosen beforehand, and `tried` how many panels somebody has tried.
    """
    panel, rows = result.panels[0], _rows(result)
    can = []
    for emotion, way in panel.ways.items():
        can.append(_found(result, panel, emotion, way, rows))
        if "ladder" in panel.kinds():
            can.append(_in_words(result, panel, emotion, way))
        if ("paraphrases", emotion) in rows:
            can.append(_otherwise(result, panel, emotion, way, rows["paraphrases", emotion]["change"]))
    can.append(_blocks(result, panel))
    cannot = (
        []
        if result.signs().decidable
        else [
            "Whether it replicates: so few signs can't reach p <= 0.05. Give more emotions, or more panels to dose.run."
        ]
    )
    if "twin" not in panel.kinds():
        cannot.append(
            "Whether the meaning does it or the digits alone: give a twin, the same numbers in a harmless sentence."
        )
    if "ladder" not in panel.kinds():
        cannot.append(
            "What a flat curve means: without a ladder in words nothing shows that the directions work on such a sentence."
        )
    if len(panel.values) < 5:
        cannot.append(
            f"Whether the score keeps to the order of the values: of {len(panel.values)}, even a perfect order has p = {2 / math.factorial(len(panel.values)):.2f}. Give five or more."
        )
    if not result.boot:
        cannot.append("How much it hangs on the stories: that needs their intervals (stories= of this board).")
    if result.block != usual:
        cannot.append(
            f"Anything from block {result.block} alone: the lab's block is {usual}, chosen beforehand. Where many are looked at, some look right by luck."
        )
    if tried > 1:
        cannot.append(
            f"That it isn't luck: {tried} panels of your own were tried on this board, and each is one more chance. Write the next one down, with what you expect, before you look."
        )
    wordings = 1 + len(panel.paraphrases)
    cannot.append(
        f"That it holds elsewhere: this is {wordings} {'wording' if wordings == 1 else 'wordings'} on one model, {model}."
    )
    cannot.append("That the model feels anything: a score is a cosine with a direction made from stories.")
    return Conclusion(result.verdict, _reason(result), can, cannot)


def table(result: DoseResult) -> list[list[str]]:
    """The numbers behind the words: a heading, and a row for each expected emotion of the first panel."""
    panel, rows, lines = result.panels[0], _rows(result), []
    for emotion, way in panel.expect.items():
        row = rows["panel", emotion]
        others = [
            rows[kind, emotion]["change"] if (kind, emotion) in rows else math.nan
            for kind in ("twin", "ladder", "paraphrases")
        ]
        between = f"{signed(row['low'])} to {signed(row['high'])}" if math.isfinite(row["low"]) else "–"
        order = f"{_minus(row['rho'], 2)} ({row['p doses']:.2f})"
        lines.append(
            [emotion, way, signed(row["change"]), between, _minus(row["effect"], 1), order, *map(signed, others)]
        )
    return [list(HEAD), *lines]


def signed(change: float) -> str:
    """A change of score: "+0.012", "−0.001", "–" for none."""
    return _minus(change, 3) if math.isfinite(change) else "–"


def _minus(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", "−")


def _rows(result: DoseResult) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of the first panel's table by kind and emotion."""
    rows = result.to_frame().to_dict("records")
    return {(r["kind"], r["emotion"]): r for r in rows if r["panel"] == result.panels[0].title}


def _beyond(result: DoseResult, panel: Panel, kind: str, emotion: str, way: int) -> bool:
    """Whether the change goes further in a direction than 95 % of random directions."""
    low, high = result.band(panel, kind)
    curve = result.curve(panel, kind, emotion)
    change = float(curve[-1] - curve[0])
    return change > max(0.0, float(high[-1])) if way > 0 else change < min(0.0, float(low[-1]))


def _found(
    result: DoseResult, panel: Panel, emotion: str, way: int, rows: dict[tuple[str, str], dict[str, Any]]
) -> str:
    """What the numbers do to one emotion, against random directions and the twin."""
    row = rows["panel", emotion]
    change, where = row["change"], "up" if way > 0 else "down"
    if not change:
        return f"{emotion} stays where it is, though expected to go {where}."
    if change * way < 0:
        far = (
            "further than 19 of 20 random directions"
            if _beyond(result, panel, "panel", emotion, -way)
            else "no further than random directions go"
        )
        return f"{emotion} goes {'down' if way > 0 else 'up'} ({signed(change)}), against what was expected: {far}."
    start = f"{emotion} goes {where} ({signed(change)}) as expected"
    if not _beyond(result, panel, "panel", emotion, way):
        return f"{start}, but so does at least one in twenty random directions: it ends within the grey band, which is no evidence."
    start += ", further than 19 of 20 random directions"
    if math.isfinite(row["low"]) and not row["low"] * row["high"] > 0:
        start += ", though other stories could turn it round"
    if ("twin", emotion) not in rows:
        return f"{start}."
    twin = rows["twin", emotion]["change"]
    if way * (change - twin) <= 0:
        return (
            f"{start}. But the harmless twin does no less ({signed(twin)}): the digits may do it, not what they mean."
        )
    if math.isfinite(row["beyond low"]) and not row["beyond low"] * row["beyond high"] > 0:
        return f"{start}, and further than on the harmless twin ({signed(twin)}), though other stories could turn that round."
    return f"{start}, and further than on the harmless twin ({signed(twin)})."


def _in_words(result: DoseResult, panel: Panel, emotion: str, way: int) -> str:
    """What the ladder does to it: whether the direction works on such a sentence."""
    where, curve = "up" if way > 0 else "down", result.curve(panel, "ladder", emotion)
    change = signed(float(curve[-1] - curve[0]))
    if _beyond(result, panel, "ladder", emotion, way):
        return f"Told in words, {emotion} goes {where} ({change}), beyond the grey band: its direction reacts to what such a sentence says."
    return f"Not even told in words does {emotion} go {where} beyond the grey band ({change}): whether numbers move it can hardly show here."


def _otherwise(result: DoseResult, panel: Panel, emotion: str, way: int, change: float) -> str:
    """What other wordings do to it, on average."""
    far = "within the grey band"
    if _beyond(result, panel, "paraphrases", emotion, way if change * way > 0 else -way):
        far = "further than 19 of 20 random directions"
    count = f"{len(panel.paraphrases)} other wording{'s, on average' if len(panel.paraphrases) > 1 else ''}"
    return f"In {count}: {emotion} {signed(change)}, {'as' if change * way > 0 else 'not as'} expected, {far}."


def _blocks(result: DoseResult, panel: Panel) -> str:
    """At how many blocks all signs come out."""
    scores = result.scores(panel)
    changes = scores[-1] - scores[0]
    right = [all(c[result.emotions.index(e)] * way > 0 for e, way in panel.ways.items()) for c in changes]
    signs = "the sign is" if len(panel.ways) == 1 else f"all {len(panel.ways)} signs are"
    return f"At {sum(right)} of {len(right)} blocks {signs} as expected."


def _reason(result: DoseResult) -> str:
    """The verdict's reason in a sentence."""
    signs, ladder = result.signs(), result.signs("ladder")
    said = f"{signs.right} of {signs.total} {'sign' if signs.total == 1 else 'signs'} as expected (p = {signs.p:.2f})"
    if result.verdict == "replicates":
        return f"{said}, and more than on the twin: by the lab's rule the scores follow these numbers."
    if result.verdict == "does not replicate":
        return f"{said}; in words {ladder.right} of {ladder.total} (p = {ladder.p:.2f}). The directions work, the numbers do not move them as the rule asks."
    if not signs.decidable:
        best = (1 + int((signs.null >= signs.total).sum())) / (1 + len(signs.null))
        return f"{said}, but were all right, other emotions in their place would do as well in {100 * best:.0f} of 100 draws, and the rule allows {100 * ALPHA:.0f}: a single panel rarely decides."
    if not ladder.total:
        return f"{said}, and there is no ladder in words to show that the directions work on such a sentence."
    return f"{said}; in words {ladder.right} of {ladder.total} (p = {ladder.p:.2f}). Where words don't move the directions, numbers that don't say nothing."
