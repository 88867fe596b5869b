# %% [markdown]
# # 6 · What happens if you turn an emotion up?
#
# By the end you will have shown that adding an emotion direction to SmolLM2's residual stream moves the next word towards that emotion's word, on average more than random directions of the same size do, and that a stronger push makes odder text, until it only repeats itself.
#
# ⏱ 45 min with the exercises · CPU is enough · needs 02
#
# **You will** steer a reply · write the hook that does it · measure the effect in nats · hold it against random directions and against simply asking · see what a strong push costs.

# %% tags=["nbval-ignore-output"]
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

import emokit
from emokit import plots
from emokit.exercises import check, compare

model = emokit.load_model()
stories = emokit.load_stories()
vectors = emokit.extract(model, stories)
vectors

# %% [markdown]
# ## First, look
#
# The same question three times, word by word the most likely reply, only that a direction is added to the residual stream at one block.
#
# > **Predict** what will a model pushed towards `sad` answer to "Tell me about your day."? Will it say that it is sad?

# %% tags=["nbval-ignore-output"]
for strengths in ({}, {"happy": 0.3}, {"sad": 0.3}):
    with emokit.steer(model, vectors, strengths):
        print(
            strengths,
            "->",
            model.generate("Tell me about your day.", max_new_tokens=30),
            end="\n\n",
        )

# %% [markdown]
# <details><summary>What came out</summary>
#
# With `happy`: a beautiful day, and *glad* and *excited*. With `sad`: a loved one lost, and pain; the word *sad* does not come up. The direction does not add a word, it moves what is likely. (It is one question. The
# measurement follows.)
#
# </details>
#
# ## What steering does
#
# At one block, at every token:
# $$ h \leftarrow h + s \cdot n \cdot d_e $$
# $d_e$ is the emotion's unit direction, $n$ the block's usual residual norm (`vectors.norms`), and $s$ the **strength**: at 0.3 the push is three tenths as long as the
# state it is added to. At 0 nothing happens, to the last bit, and outside the `with` the model is as before:

# %%
def reply(strengths):
    with emokit.steer(model, vectors, strengths):
        return model.generate("Tell me about your day.", max_new_tokens=10)


plain = model.generate("Tell me about your day.", max_new_tokens=10)
print("strength 0 is no steering:", reply({"happy": 0}) == plain)
print("strength 0.4 changes the reply:", reply({"happy": 0.4}) != plain)
print("afterwards all is as before:", reply({}) == plain)

# %% [markdown]
# ## Measure it
#
# "Looks happier to me" is not a measurement. Take the sentence "He feels" and ask how likely the next word is: " happy", " sad", " angry", " afraid".
# How many nats does each word gain when its own direction is added at strength 0.25?

# %%
emotions = ["happy", "sad", "angry", "afraid"]
words = [f" {e}" for e in emotions]
base = np.array(model.logprobs("He feels", words))


def gains(strengths):
    with emokit.steer(model, vectors, strengths):
        return np.array(model.logprobs("He feels", words)) - base

# %%
table = np.stack([gains({e: 0.25}) for e in emotions])  # [steered towards, word]
own = np.diag(table)
others = np.array([np.delete(table[:, i], i).mean() for i in range(4)])
columns = {"own direction": own, "the other three": others, "difference": own - others}
pd.DataFrame(columns, index=words).round(1)

# %% [markdown]
# A factor of $e$ per nat: a difference of 2 nats makes the word more than 7 times as likely as under the other directions.

# %% [markdown]
# ### Exercise 6.1 · A hook that adds  (⏱ 10 min)
#
# What is inside `steer`? A **forward hook**: PyTorch calls it when a block is done, with the block's output, and takes what it returns in its place. Write one that adds $s \cdot n \cdot d$ at every token. The check hangs it into the model.
#
# <details><summary>Hint</summary>
#
# A hook is a function `add(module, inputs, output)`; here `output` is a float tensor [rows, tokens, width]. Adding broadcasts over rows and tokens. Return the sum, and leave `output` as it is.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def pushing_hook(direction: torch.Tensor, norm: float, strength: float) -> Callable:
#     push = strength * norm * direction
#
#     def add(module, inputs, output):
#         return output + push
#
#     return add
# ```
#
# A hook stays until it is removed: forget that, and every later result is steered. Hence the `with` of `steer`.
#
# </details>

# %%
def pushing_hook(direction: torch.Tensor, norm: float, strength: float) -> Callable:
    """A forward hook that adds strength x norm x `direction` [width] to a block's output [rows, tokens, width]."""
    raise NotImplementedError("Exercise 6.1")

# %%
def check_hook():
    block = vectors.best_block
    direction = torch.tensor(vectors["happy"].rows[block])
    hook = pushing_hook(direction, float(vectors.norms[block]), 0.25)
    if not callable(hook):
        return "it should return a function, the hook"
    handle = model.blocks[block].register_forward_hook(hook)
    try:
        found = model.logprobs("He feels", words)
    finally:
        handle.remove()
    slips = {"the hook changes nothing; does it return the sum?": 0.0, "the sign is reversed": -0.25}
    slips |= {"the norm is left out": 0.25 / vectors.norms[block], "the strength is left out": 1.0}
    mistakes = {said: gains({"happy": float(s)}) + base for said, s in slips.items()}
    return compare(found, gains({"happy": 0.25}) + base, mistakes, 1e-3)


check("6.1", check_hook)

# %% [markdown]
# ## The control: random directions
#
# Any push changes something. So: 40 random directions *of the same length, within the span of the emotions* (a harder control than noise in all 576
# dimensions). How far do they move the same words?
#
# > **Predict** how many of the 40 raise " happy" more than the direction `happy` does? And " sad" more than `sad`?

# %%
null = np.stack([gains({vectors.random(seed): 0.25}) for seed in range(40)])  # [40, word]
columns = {
    "own direction": own,
    "random, median": np.median(null, axis=0),
    "random, 95 % below": np.quantile(null, 0.95, axis=0),
    "share of random beaten": (null < own).mean(0),
}
pd.DataFrame(columns, index=words).round(2)

# %%
plots.gain_against_null(
    emotions,
    own,
    null,
    ylabel="gain of the emotion's word, nats",
    title="Its own direction moves each word more than most random ones do",
)

# %% [markdown]
# One word against 40 dots is a coarse test. All four together: how often do four random directions, one for each word, gain as much on average?

# %%
rng = np.random.default_rng(0)
draws = [null[rng.integers(len(null), size=10_000), i] for i in range(4)]
joint = np.mean(draws, axis=0)
print(f"own directions: {own.mean():+.2f} nats on average; random ones: {joint.mean():+.2f}")
print(f"random ones gain as much or more in {(joint >= own.mean()).mean():.1%} of draws")

# %% [markdown]
# > **You should see** each orange mark above most of its grey dots, but only `happy` above all; it is the average of the four that random directions hardly ever reach. A mark in the middle of its dots would mean: we can push the model, but not *towards* anything.
# > **This is the signature result of this notebook.**
#
# <details><summary>What came out</summary>
#
# None for `happy`, about one in seven for each of the others. If you guessed none at all: a random mixture of 24 emotions holds a bit of each, and some hold much of the one in question. A single word that goes up under a push proves little, and a
# control of noise in all 576 dimensions would have made it look better than it is.
#
# </details>

# %% [markdown]
# ### Exercise 6.2 · A fair control  (⏱ 6 min)
#
# Make such a control: a random direction in the span of the emotions, of length 1.
#
# <details><summary>Hint</summary>
#
# A vector in the span is a sum of the rows with some weights. Draw the weights from a normal distribution, so that they have both signs.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def random_mixture(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
#     mixed = rng.standard_normal(len(rows)) @ rows
#     return mixed / np.linalg.norm(mixed)
# ```
#
# Of the same length, because a longer push moves more whatever its direction; in the span, because the model may react to anything near emotions more than to noise.
#
# </details>

# %%
def random_mixture(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random unit vector [width] in the span of the directions `rows` [emotions, width]."""
    raise NotImplementedError("Exercise 6.2")

# %%
def check_mixture():
    rows, draws = vectors.at(vectors.best_block), np.random.default_rng(1)
    found = np.array([random_mixture(rows.copy(), draws) for _ in range(50)], float)
    span = np.linalg.svd(rows, full_matrices=False)[2][: len(rows) - 1]  # their sum is near 0
    faults = {
        f"the shape is {found.shape[1:]}, it should be [width]": found.shape != (50, model.width),
        "the length is not 1": found.ndim == 2 and not np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3),
        "all draws are the same; draw from `rng`": bool(np.allclose(found[0], found[1])),
    }
    if fault := next((fault for fault, there in faults.items() if there), ""):
        return fault
    if np.linalg.norm(found - found @ span.T @ span, axis=1).max() > 0.05:
        return "it leaves the span of the emotions; mix the rows"
    if np.abs(found @ rows.T).max() > 0.99:
        return "that is one of the emotions; mix them all"


check("6.2", check_mixture)

# %% [markdown]
# ## Mixtures
#
# Directions can be combined before steering. `happy - sad` should raise " happy" over " sad" at one stroke. Its control: differences of two *random* directions, made as long as it.

# %%
mixture = vectors["happy"] - vectors["sad"]
length = np.linalg.norm(mixture.rows[vectors.best_block])


def gap(direction):
    """How far " happy" gains on " sad" at strength 0.25."""
    with emokit.steer(model, vectors, {direction: 0.25}):
        one, other = model.logprobs("He feels", [" happy", " sad"])
    return one - other - (base[0] - base[1])


random_gaps = []
for seed in range(40):
    control = vectors.random(seed) - vectors.random(100 + seed)
    size = np.linalg.norm(control.rows[vectors.best_block])
    random_gaps.append(gap(control * (length / size)))

# %%
random_gaps = np.array(random_gaps)
print(f"{mixture}: {gap(mixture):+.1f} nats")
print(f"random differences: {random_gaps.mean():+.1f} on average,", end=" ")
print(f"{np.mean(random_gaps >= gap(mixture)):.0%} reach it")

# %% [markdown]
# ## The other control: just ask
#
# Before we admire a direction, what does a plain sentence do? Put "He is very happy." before "He feels". (It repeats the very word, which makes it a strong rival.)
#
# > **Predict** which moves the word further, and for which emotion by most?

# %%
asked = []
for i, e in enumerate(emotions):
    (value,) = model.logprobs(f"He is very {e}. He feels", [f" {e}"])
    asked.append(value - base[i])
gain = {"steering 0.25": own, "just saying so": asked}
plots.bars(emotions, gain, ylabel="gain of the word, nats", title="Saying it in the prompt does more than steering")

# %% [markdown]
# > **You should see** that the sentence does more than steering for each of the four. Steering is not the way to get a happy text; it is a way to ask whether the
# > direction we found *does* something inside the model.
#
# <details><summary>What came out</summary>
#
# The sentence: hardly more for `angry` (1.4 nats against 1.2), most for `afraid` (5.7 against 1.0). To repeat a word that was just there comes easily to a language model. A larger strength does more, and then the text falls apart: see
# below.
#
# </details>
#
# ## How strong is too strong?
#
# One batch, six strengths, the unsteered reply among them. Everything else is the same.
#
# > **Predict** at which strength does the text fall apart? And is -0.4 of `happy` a sad reply?

# %% tags=["nbval-ignore-output"]
question = "Tell me about your day."
swept = emokit.sweep(model, vectors, question, "happy", [-0.4, 0.2, 0.4, 0.8, 1.2], max_new_tokens=30)
swept

# %% [markdown]
# How odd is the steered text to the *unsteered* model? Its mean log-probability per token says it:

# %%
def oddness(text):
    (value,) = model.logprobs(model.prompt(question), [text])
    return -value / len(model.encode(text))


rising = {s: oddness(r) for s, r in zip(swept.strengths, swept.replies) if s >= 0}
print("odder at 0.8 than unsteered:", rising[0.8] > rising[0])
plots.line(
    list(rising), list(rising.values()), xlabel="strength of happy", ylabel="nats per token, unsteered model",
    title="The price of steering: odder text, then repetition",
)

# %% [markdown]
# > **You should see** a curve that climbs to 0.8, where the text falls apart: an effect there is the effect of a broken model. At 1.2 it may fall again, though the text is worse: one phrase over and over is easy to foretell. So oddness alone does not do,
# > and repetition has to be counted, too. Part of the rise is no price at all: the unsteered reply is the model's own likeliest one, beside which any other text is odder; random directions cost as much (below). Note -0.4: less `happy` is not `sad`, but something else.
#
# <details><summary>What came out</summary>
#
# At 0.4 it is still a day at the beach; at 0.8 it goes round in circles, at 1.2 no words are left. And at -0.4 the model says that it is a digital entity, a machine, a human: neither sad nor a day. The other end of a direction need not be the opposite
# emotion (this is one reply); it is everything that the stories of `happy` were *not*, compared with the other 23.
#
# </details>

# %% [markdown]
# ### Exercise 6.3 · How odd?  (⏱ 8 min)
#
# "At most 1.5 times as odd" will be the limit below. Odd means **perplexity**: $e$ to the nats per token. Return how many times the plain reply's perplexity the steered reply's is, both as replies to the question in the *unsteered* model.
#
# <details><summary>Hint</summary>
#
# `model.logprobs(model.prompt(question), [text])` gives the whole reply's log-probability, in a list of one; `len(model.encode(text))` its tokens. A ratio of two powers of $e$ is $e$ to the difference.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def times_as_odd(steered: str, plain: str, question: str) -> float:
#     def nats(text):
#         (value,) = model.logprobs(model.prompt(question), [text])
#         return -value / len(model.encode(text))
#
#     return float(np.exp(nats(steered) - nats(plain)))
# ```
#
# Per token, as any longer text is less likely; and against a plain reply, as some questions have odder answers than others.
#
# </details>

# %%
def times_as_odd(steered: str, plain: str, question: str) -> float:
    """Perplexity of the reply `steered` over that of the reply `plain`, to one question, in the unsteered model."""
    raise NotImplementedError("Exercise 6.3")

# %%
def check_odd():
    asked, first, second = "How are you?", "Joy of joys, sing, oh sun of suns!", "I am fine, thank you. How are you?"
    totals = [-model.logprobs(model.prompt(asked), [text])[0] for text in (first, second)]
    bare = [-model.logprobs(asked, [text])[0] for text in (first, second)]
    tokens = [len(model.encode(text)) for text in (first, second)]
    odd, plain = (total / count for total, count in zip(totals, tokens))
    without = bare[0] / tokens[0] - bare[1] / tokens[1]
    mistakes = {
        "that is a difference in nats; take e to the power of it": odd - plain,
        "that is the ratio of the nats, not of the perplexities": odd / plain,
        "steered and plain are the wrong way round": np.exp(plain - odd),
        "it is not divided by the number of tokens": np.exp(totals[0] - totals[1]),
        "the question goes through `model.prompt` first": np.exp(without),
    }
    return compare(times_as_odd(first, second, asked), np.exp(odd - plain), mistakes, 1e-3)


check("6.3", check_odd)

# %% [markdown]
# ## The range that works
#
# `calibrate` looks for the strengths that do something and break nothing. The reply is read again *by the unsteered model*: does its score for the emotion rise, further than under
# random directions? Does its *word* gain more than under them? And is it still a text that this model could have written: at most 1.5 times as odd as its own replies, and not one phrase over and over?
# The strengths are chosen on three questions about the day; then come four prompts unlike them: a story, a letter, a list, advice.

# %% tags=["nbval-ignore-output"]
calibration = emokit.calibrate(
    model, vectors, ["happy", "sad"], [vectors.best_block], [0.1, 0.2, 0.4], max_new_tokens=16
)
calibration

# %%
frame = calibration.to_frame().set_index(["set", "strength"])
chosen = frame.loc["chosen"]
print("KL on neutral prompts grows with the strength:", chosen.kl[0.4] > chosen.kl[0.1])
print("asking moves the word further than 0.1 does:", bool(chosen.gain_asked[0.1] > chosen.gain[0.1]))
rows = calibration.prompts()
print("prompts and replies looked at:", rows.prompt.nunique(), len(rows))

# %% [markdown]
# > **You should see** blue above orange in the upper figures, often with a wide band (the 95 % interval), as replies differ, and the purple line, the model told to "answer as somebody who is happy" without any steering, near 0; in the lower ones perplexity beyond the limit at 0.4, on the unlike prompts at 0.2 already.
#
# And yet "no strength works": the *word* would have to gain more than under any of three random directions, and of two emotions as opposite as `happy` and `sad` a random direction easily favours one. With its default of four emotions
# and five blocks (about 20 minutes) `calibrate` finds that +0.1 to +0.3 work at this block, but not on the prompts unlike those; of the five blocks only block 24 holds there, at +0.2.
#
# And asking? In that run it moved the word by 4.8 nats (steering at +0.3: 3.6), on the second stem by 2.6 (1.9); the re-read score by 0.00 [-0.01, +0.01], on unlike prompts by 0.01 [0.00, 0.01], where steering at +0.3 moved it by 0.04 on both. So small a
# model takes up the word, and hardly follows the instruction.
#
# An average hides the replies that went the *other* way. Here they are, weak pushes first:

# %% tags=["nbval-ignore-output"]
against = rows[rows.other_way & rows.block.notna() & (rows.strength > 0)]
columns = ["set", "emotion", "strength", "reread", "reply"]
against[columns].sort_values("strength").round(2).head(6)

# %% [markdown]
# ## By hand
#
# Move the sliders. The sliders end at the strength that works, where the calibration has found one. Tick the box for the control: a random direction of the same size.
#
# > **Predict** what will `sad` do to the reply, what less than no `sad`, and what will the random direction do? Write it down, then move the slider.

# %% tags=["nbval-ignore-output"]
strength = calibration.strength() or 0.2  # where no strength works, a weak one
board = emokit.widgets.SteeringConsole(
    model, vectors, emotions=["happy", "calm", "sad", "angry"], calibration=calibration, max_new_tokens=30
)
board.control = True
board.set(happy=strength)
board.wait()
board

# %% [markdown]
# <details><summary>What came out</summary>
#
# At +0.2 `happy` brings a beautiful day at the beach, `sad` a chaotic one with tasks unfinished; -0.2 of `sad` "a data analysis expert", rather busy than glad; the random direction another office day, as plain as the unsteered one. One reply each: for evidence see the
# figures above.
#
# </details>
#
# The board works from Python, too, and can be checked:

# %%
print("at that strength they differ:", board.replies["steered"] != board.replies["unsteered"])
board.set(happy=0.0, control=False)
board.wait()
print("at zero, steered and unsteered agree:", board.replies["steered"] == board.replies["unsteered"])

# %% [markdown]
# ## What you showed
#
# * Adding a direction changes what the model writes; adding nothing changes nothing; leaving the `with` restores it.
# * Each of four directions moves its own word more than the other three do; together they do what random directions of the same size hardly ever do.
# * A sentence in the prompt moves the word further than steering at 0.25 does. The stronger the push, the odder the text, up to 0.8; beyond, repetition hides it.
#
# ## What this does not show
#
# * Four words after two are a narrow test. Whether whole replies change as a reader would say needs more prompts, and readers.
# * One model, one block, and always the most likely next token.
# * A steered model writes about feelings; nothing here says that it has any.
#
# **Further**: the paper steered Claude's behaviour, not only its words ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · AxBench found prompting to beat steering methods ([arXiv 2501.17148](https://arxiv.org/abs/2501.17148)).
