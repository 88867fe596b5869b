"""`make demo`: the main job without a browser. Extract, held-out accuracy, one reading, the dose probe, one steered reply."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import emokit
from emokit import plots

OUT = Path("outputs")
QUESTION = "Tell me about your day."


def main() -> None:
    """Print a short report and write its figures to outputs/."""
    begun = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    model, stories = emokit.load_model(), emokit.load_stories()
    head("1. Directions", f"{model}; {stories}")
    vectors = emokit.extract(model, stories)
    vectors.save(OUT / "vectors.safetensors")
    say(repr(vectors))

    head("2. Do they tell the emotion of stories about topics they have not seen?")
    result = emokit.validate(model, stories)
    keep("accuracy", result.plot())
    say(repr(result))
    say(f"Against words, embeddings and shuffled labels it {result.verdict} (p = {result.p:.3f}).")

    head("3. Read one sentence")
    reading = emokit.read(model, vectors, "The printer jammed again, for the ninth time today.")
    keep("reading", reading.plot())
    say(repr(reading))

    head("4. Does fear follow the dose?", "six panels of numbers, ladders in words, harmless twins")
    dose = emokit.dose.run(model, vectors)
    for kind in ("panel", "ladder", "twin"):
        keep(f"dose_{kind}", dose.plot(kind))
    say(f"verdict: {dose.verdict} (at block {dose.block}). {dose.why}.")

    head("5. Steer a reply")
    reply = model.generate(QUESTION, max_new_tokens=50)
    say(f"unsteered:  {reply}")
    steered = {}
    for name, strengths in (
        ("happy +0.3", {"happy": 0.3}),
        ("random +0.3", {vectors.random(0): 0.3}),  # the control: a random direction in the span of the emotions
    ):
        with emokit.steer(model, vectors, strengths):
            steered[name] = model.generate(QUESTION, max_new_tokens=50)
        say(f"{name}: {steered[name]}")
    keep("replies", plots.text_columns({"unsteered": reply, **steered}, title=QUESTION))

    head("What this shows, and what not")
    say(
        "Directions made of means of labelled stories tell the emotion of unseen stories, and change replies when added. "
        "Whether they follow numbers is the verdict above. None of it says that a model feels anything."
    )
    print(f"\nfigures and vectors in {OUT}/; {time.perf_counter() - begun:.0f} s")


def head(title: str, more: str = "") -> None:
    """A heading."""
    print(f"\n{title}\n{'-' * len(title)}")
    if more:
        say(more)


def say(text: str) -> None:
    """A wrapped paragraph."""
    print(textwrap.fill(" ".join(text.split()), 100, subsequent_indent="  "))


def keep(name: str, figure: plots.Figure) -> None:
    """Write a figure to outputs/."""
    (OUT / f"{name}.png").write_bytes(plots.png(figure))


if __name__ == "__main__":
    main()
