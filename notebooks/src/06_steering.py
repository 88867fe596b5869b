# %% [markdown]
# # 6 · What happens if you turn an emotion up?
#
# By the end you will have shown that adding an emotion direction to SmolLM2's residual stream moves the next word towards that emotion's word, on average more than random directions of the same size do, and that the text gets odder the stronger the push.
#
# ⏱ 20 min · CPU is enough · needs 02
#
# **You will** steer a reply · measure the effect in nats · hold it against a random direction and against simply asking · see what a strong push costs.

# %% tags=["nbval-ignore-output"]
import emokit

model = emokit.load_model()
stories = emokit.load_stories()
vectors = emokit.extract(model, stories)
vectors

# %% [markdown]
# ## First, look
#
# The same question three times, word by word the most likely reply, only that a direction is added to the residual stream at one block.

# %% tags=["nbval-ignore-output"]
for strengths in ({}, {"happy": 0.3}, {"sad": 0.3}):
    with emokit.steer(model, vectors, strengths):
        print(
            strengths,
            "->",
            model.generate("Tell me about your day.", max_new_tokens=40),
            end="\n\n",
        )

# %% [markdown]
# ## What steering does
#
# At one block, at every token:
# $$ h \leftarrow h + s \cdot n \cdot d_e $$
# $d_e$ is the emotion's unit direction, $n$ the block's usual residual norm (`vectors.norms`), and $s$ the **strength**: at 0.3 the push is three tenths as long as the
# state it is added to. At 0 nothing happens, to the last bit, and outside the `with` the model is as before:

# %%
def reply(strengths):
    with emokit.steer(model, vectors, strengths):
        return model.generate("Tell me about your day.", max_new_tokens=20)


plain = model.generate("Tell me about your day.", max_new_tokens=20)
print("strength 0 is no steering:", reply({"happy": 0}) == plain)
print("strength 0.4 changes the reply:", reply({"happy": 0.4}) != plain)
print("afterwards all is as before:", reply({}) == plain)

# %% [markdown]
# ## Measure it
#
# "Looks happier to me" is not a measurement. Take the sentence "He feels" and ask how likely the next word is: " happy", " sad", " angry", " afraid".
# How many nats does each word gain when its own direction is added at strength 0.25?

# %%
import numpy as np
import pandas as pd

from emokit import plots

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
#
# ## The control: random directions
#
# Any push changes something. So: 40 random directions *of the same length, within the span of the emotions* (a harder control than noise in all 576
# dimensions). How far do they move the same words?

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
# > **You should see** each orange mark above most of its grey dots, though not above all; it is the average of the four that random directions hardly ever reach. A mark in the middle of its dots would mean: we can push the model, but not *towards* anything.
# > **This is the signature result of this notebook.**

# %% [markdown]
# ## Mixtures
#
# Directions can be combined before steering. `happy - sad` should raise " happy" over " sad" at one stroke. Its control: differences of two *random* directions, made as long as it.

# %%
mixture = vectors["happy"] - vectors["sad"]
length = np.linalg.norm(mixture.rows[vectors.best_block])


def gap(direction):
    """How far " happy" gains on " sad" at strength 0.25."""
    change = gains({direction: 0.25})
    return change[0] - change[1]


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

# %%
asked = []
for i, e in enumerate(emotions):
    (value,) = model.logprobs(f"He is very {e}. He feels", [f" {e}"])
    asked.append(value - base[i])
gain = {"steering 0.25": own, "just saying so": asked}
plots.bars(emotions, gain, ylabel="gain of the word, nats", title="Saying it in the prompt is a strong rival")

# %% [markdown]
# > **You should see** that words in the prompt do as much as steering, or more. Steering is not the way to get a happy text; it is a way to ask whether the
# > direction we found *does* something inside the model.
#
# ## How strong is too strong?
#
# One batch, six strengths, the unsteered reply among them. Everything else is the same.

# %% tags=["nbval-ignore-output"]
emokit.sweep(
    model,
    vectors,
    "Tell me about your day.",
    "happy",
    [-0.8, -0.4, 0.4, 0.8, 1.2],
    max_new_tokens=40,
)

# %% [markdown]
# How odd is the steered text to the *unsteered* model? Its mean log-probability per token says it:

# %%
question, strengths = "Tell me about your day.", [0, 0.15, 0.3, 0.45, 0.6, 0.9]
replies = emokit.sweep(model, vectors, question, "happy", strengths, max_new_tokens=30).replies
oddness = []
for text in replies:
    (value,) = model.logprobs(model.prompt(question), [text])
    oddness.append(-value / len(model.encode(text)))
print("odder at 0.9 than unsteered:", oddness[-1] > oddness[0])
plots.line(
    strengths, oddness, xlabel="strength of happy", ylabel="nats per token, unsteered model",
    title="The price of steering: the text gets odder",
)

# %% [markdown]
# > **You should see** a curve that climbs. In the sweep, text falls apart at 0.8 and beyond: an effect there is the effect of a broken model. Note -0.4, too: less `happy` is not `sad`, but something else.
#
# ## The range that works
#
# `calibrate` looks for the strengths that do something and break nothing. The reply is read again *by the unsteered model*: does its score for the emotion rise, further than under
# random directions? And is it still a text that this model could have written: at most 1.5 times as odd as its own replies, and not one phrase over and over?
# The strengths are chosen on three questions about the day; then come four prompts unlike them: a story, a letter, a list, advice.

# %% tags=["nbval-ignore-output"]
calibration = emokit.calibrate(
    model, vectors, ["happy", "sad"], [vectors.best_block], [-0.2, 0.1, 0.2, 0.3, 0.5]
)
calibration

# %%
frame = calibration.to_frame().set_index(["set", "strength"])
chosen = frame.loc["chosen"]
print("KL on neutral prompts grows with the strength:", chosen.kl[0.5] > chosen.kl[0.1])
print("asking moves the word further than 0.1 does:", bool(chosen.gain_asked[0.1] > chosen.gain[0.1]))
rows = calibration.prompts()
print("prompts and replies looked at:", rows.prompt.nunique(), len(rows))

# %% [markdown]
# > **You should see** blue above orange where a strength works, and often a wide band: replies differ. `asked in words` is the model told to "answer as somebody who is happy", without any steering.
# (With four other emotions, asking moved the word by 4.8 nats, more than steering at 0.3 did, and the re-read score by nothing that its interval tells from 0: so small a model takes up the word, and hardly follows the instruction.)
#
# An average hides the replies that went the *other* way. Here they are, weak pushes first:

# %% tags=["nbval-ignore-output"]
against = rows[rows.other_way & rows.block.notna() & (rows.strength > 0)]
columns = ["set", "emotion", "strength", "reread", "reply"]
against[columns].sort_values("strength").round(2).head(6)

# %% [markdown]
# ## By hand
#
# Move the sliders. The sliders end at the strength that works, where the calibration has found one. **Write down a guess first**: what will `sad` do to the reply, what less than no `sad`? Tick the box for the control: a random direction of the same size.

# %% tags=["nbval-ignore-output"]
strength = calibration.strength() or 0.2  # where no strength works, a weak one
board = emokit.widgets.SteeringConsole(
    model, vectors, emotions=["happy", "calm", "sad", "angry"], calibration=calibration
)
board.control = True
board.set(happy=strength)
board.wait()
board

# %% [markdown]
# The board works from Python, too, and can be checked:

# %%
board.set(happy=0.0)
board.wait()
print(
    "at zero, steered and unsteered agree:",
    board.replies["steered"] == board.replies["unsteered"],
)
board.set(happy=strength)
board.wait()
print("at that strength they differ:", board.replies["steered"] != board.replies["unsteered"])

# %% [markdown]
# ## What you showed
#
# * Adding a direction changes what the model writes; adding nothing changes nothing; leaving the `with` restores it.
# * Each of four directions moves its own word more than the other three do; together they do what random directions of the same size hardly ever do.
# * Prompting does as much or more. The stronger the push, the odder the text.
#
# ## What this does not show
#
# * Four words after two are a narrow test. Whether whole replies change as a reader would say needs more prompts, and readers.
# * One model, one block, and always the most likely next token.
# * A steered model writes about feelings; nothing here says that it has any.
#
# **Further**: the paper steered Claude's behaviour, not only its words ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · AxBench found prompting to beat steering methods ([arXiv 2501.17148](https://arxiv.org/abs/2501.17148)).
