# %% [markdown]
# # 2 · Is there a direction for fear inside a language model?
#
# By the end you will have shown that averaged activations of SmolLM2-135M give a direction for each of 24 emotions which tells the emotion of stories about topics it has never seen, far better than the words alone and than shuffled labels.
#
# ⏱ 50 min with the exercises · CPU is enough · needs 01
#
# **You will** read a sentence · compute a direction by hand · ask what it would say · choose a block without cheating · compare with two baselines and a null.

# %% tags=["nbval-ignore-output"]
import emokit
from emokit.exercises import check, compare

model = emokit.load_model()
stories = emokit.load_stories()
vectors = emokit.extract(model, stories)
vectors

# %% [markdown]
# ## First, a result
#
# One sentence, read token by token. The darker a token, the more the model's state there points along the direction named on the left.

# %%
emokit.read(model, vectors, "The printer jammed again, for the ninth time today.")

# %% [markdown]
# > **You should see** that the model has some state at *every* token, that the scores are small (a cosine of 0.2 is much here), and that they change
# > along the sentence. The tokens with the largest scores are bold and carry their number. *readout* marks the last token before a reply.
#
# ## Where the numbers come from
#
# SmolLM2 is a stack of 30 **blocks**. Each adds something to a vector of 576 numbers that travels along with every token: the
# **residual stream** $h$. "Block 15" means $h$ behind the sixteenth block (we count from 0).
#
# A story becomes one vector per block: the mean of $h$ over its tokens. Not over all of them, though:

# %%
import numpy as np

from emokit import activations, plots

ids = model.encode(stories[0].text)
states = activations.token_states(model, ids, [15])[:, 0]  # [tokens, 576]
norms = np.linalg.norm(states, axis=1)
print("norm at token 0, and at the next five:", norms[:6].round().astype(int).tolist())
print("more than 50 times the median:", bool(norms[0] > 50 * np.median(norms[1:])))

# %% [markdown]
# Token 0 is a known oddity of transformers: an *attention sink* with a giant norm, whatever the word. A mean with it measures how long the
# story is (the giant is divided by the length). emokit leaves out the first 5 tokens of a short story.
#
# ## A direction by hand
#
# For emotion $e$, with story means $m$:
# $$ d_e = \overline{m}_e - \frac{1}{24}\sum_{e'} \overline{m}_{e'} $$
# "Afraid minus the average emotion". Then the main components of the *neutral* stories are taken out, and the rest is scaled to length 1.

# %%
means = activations.story_means(model, [s.text for s in stories])  # [384, 30, 576]
means = means[:, vectors.best_block]                               # [384, 576]
labels = np.array([s.emotion for s in stories])
means.shape

# %% [markdown]
# ### Exercise 2.1 · A direction by hand  (⏱ 8 min)
#
# Write the formula for one emotion, and scale the result to length 1. (The neutral components come in 2.2.)
#
# <details><summary>Hint</summary>
#
# `means[labels == emotion].mean(0)` is $\overline{m}_e$. Each emotion has 16 stories here, so the mean of the 24 means is the mean of all stories. `np.linalg.norm` gives a length.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def direction_of(emotion: str, means: np.ndarray, labels: np.ndarray) -> np.ndarray:
#     centres = [means[labels == e].mean(0) for e in np.unique(labels)]
#     raw = means[labels == emotion].mean(0) - np.mean(centres, axis=0)
#     return raw / np.linalg.norm(raw)
# ```
#
# </details>

# %%
def direction_of(emotion: str, means: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Unit direction [576] of `emotion`, from story means [stories, 576] and their labels [stories]."""
    raise NotImplementedError("Exercise 2.1")

# %%
def try_direction():
    centre, overall = means[labels == "afraid"].mean(0), means.mean(0)
    raw = centre - overall
    wrong = {
        "it is not of length 1": raw,
        "the mean over emotions is not taken off": centre / np.linalg.norm(centre),
        "the sign is reversed: it is the emotion minus the mean": -raw / np.linalg.norm(raw),
    }
    return compare(direction_of("afraid", means, labels), raw / np.linalg.norm(raw), wrong)


check("2.1", try_direction)

# %% [markdown]
# All 24 at once:

# %%
centres = np.stack([means[labels == e].mean(0) for e in stories.emotions])  # [24, 576]
raw = centres - centres.mean(0)
by_hand = raw / np.linalg.norm(raw, axis=1, keepdims=True)

same = (by_hand * vectors.at()).sum(1)  # cosine with emokit's own, which is denoised too
print("by hand and denoised, mean cosine:", round(float(same.mean()), 2))

# %% [markdown]
# ### Exercise 2.2 · Take out what neutral stories do  (⏱ 8 min)
#
# Stories without any emotion differ, too: by topic, by who speaks. The largest of those differences are **neutral components**: rows $c_k$ of length 1, at right angles. Subtract from each
# raw direction its part along them, $\sum_k (d \cdot c_k)\, c_k$, and scale to length 1. Done right, this gives emokit's own directions.
#
# <details><summary>Hint</summary>
#
# `raw @ components.T` are the 24 × 20 numbers $d \cdot c_k$; times `components`, they are the parts to subtract. Scale last.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def denoised(raw: np.ndarray, components: np.ndarray) -> np.ndarray:
#     rest = raw - raw @ components.T @ components
#     return rest / np.linalg.norm(rest, axis=1, keepdims=True)
# ```
#
# </details>

# %%
def denoised(raw: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Unit rows [24, 576]: raw directions [24, 576] without their part along `components` [20, 576]."""
    raise NotImplementedError("Exercise 2.2")

# %%
def try_denoised():
    neutral = activations.story_means(model, [s.text for s in stories.neutral])[:, vectors.best_block]
    parts = np.linalg.svd(neutral - neutral.mean(0), full_matrices=False)[2]
    parts = parts[: vectors.provenance["selection"]["components"]]
    along = raw @ parts.T @ parts
    wrong = {
        "nothing was taken out": by_hand,
        "the rows are not of length 1": raw - along,
        "this is the part along the components: subtract it": along / np.linalg.norm(along, axis=1, keepdims=True),
    }
    return compare(denoised(raw, parts), vectors.at(), wrong, tolerance=1e-3)


check("2.2", try_denoised)

# %% [markdown]
# Directions can be added and subtracted like any vectors, at all blocks at once:

# %%
fear = vectors["afraid"] - vectors["calm"]
fear

# %% [markdown]
# What is left of `afraid` when the `calm` end is taken off it? Its nearest emotions tell. The control: a *random* direction of the same span has neighbours, too, but no theme.

# %%
def neighbours(direction):
    row = direction.rows[vectors.best_block]
    order = np.argsort(-(vectors.at() @ row))
    return [vectors.emotions[i] for i in order[:4]]


for direction in (fear, vectors["happy"] + vectors["calm"], vectors.random(0)):
    print(f"{direction.name:>16}: {neighbours(direction)}")

# %% [markdown]
# ## What would a direction say? The logit lens
#
# The model's last step turns $h$ into logits: `head(norm(h))`. The **logit lens** does that with a direction from the middle of the network, skipping all blocks between: which tokens would
# it raise? One number says whether that makes sense: the **rank** of the emotion's own word among 49,152 tokens. The control is the same with random directions.
#
# > **Predict** at the block that we read (18 of 0 to 29), will an emotion's own word be among the first ten tokens that its direction raises? And at the last block? Write it down, then run on.

# %%
words = {e: f" {e}" for e in vectors.emotions}
lens = emokit.logit_lens(model, vectors, "sad")
known = [e for e in vectors.emotions if words[e] in lens.tokens]  # words of one token
print(len(known), "of 24 words are one token;", "tokens that rise more than ' sad' are below 2,000:", lens.rank(" sad") < 2000)

# %%
blocks = [6, 18, 29]


def median_rank(block, direction_of):
    ranks = []
    for i, e in enumerate(known):
        found = emokit.logit_lens(model, vectors, direction_of(i, e), block=block)
        ranks.append(found.rank(words[e]))
    return int(np.median(ranks) // 1000)  # in thousands: the last digits differ from machine to machine


own_ranks = [median_rank(b, lambda i, e: e) for b in blocks]
random_ranks = [median_rank(b, lambda i, e: vectors.random(i)) for b in blocks]
print("thousands of tokens that rise more, own direction:   ", dict(zip(blocks, own_ranks)))
print("thousands of tokens that rise more, random direction:", dict(zip(blocks, random_ranks)))

# %% [markdown]
# > **You should see** the own word climb towards the end until fewer than 1,000 of 49,152 tokens rise more, and random directions stay in the middle of the pack. At the block we read
# > (18) it is up a little: a direction there is not yet a *word*.
#
# <details><summary>What came out</summary>
#
# Not at block 18, and not for the typical emotion at the last one either, where related words stand on top (*grief*, *joyful*, *insults*: below). Who guessed "first at once" may have taken a direction for a hidden
# word. It is the difference between *situations*: many tokens fit those, and the emotion's name is only one of them.
#
# </details>

# %%
late = model.n_blocks - 1
for e in ("sad", "happy", "angry"):
    print(e, emokit.logit_lens(model, vectors, e, block=late).top(6))

# %% [markdown]
# ## Which block? Choosing without cheating
#
# We may choose the block, and how many neutral components to remove, only on the stories themselves. So: leave one **topic** out, make directions
# from the other fifteen, give each left-out story to the nearest direction, count. Sixteen times. This is what `validate` does, with what has to be beaten
# beside it: the same test on input **embeddings** (the words, before any block has run), on **word counts**, on **shuffled labels**, and chance.
#
# > **Predict** at which depth will directions tell most: in the first blocks, in the middle, at the end? The words alone tell nearly half (notebook 01): how much more will the best block tell? Write it down, then run on.

# %%
result = emokit.validate(model, stories)
result

# %% [markdown]
# > **You should see**, upper left, a curve that begins at the two bags, rises to a plateau in the middle, and falls towards the end; and shuffled labels at chance. If those were as high
# > as the curve, the method would find "directions" in noise.
#
# Blocks on the plateau differ by less than 384 stories can tell. `extract` takes the middle of the plateau, and the fewest neutral components that do as well there;
# so the "best" block need not be the highest point. The accuracy at the chosen block is slightly flattered, since the same stories chose it; the messages below chose no block.

# %%
at_best = result.accuracy[result.best_block]
print(f"block {result.best_block}: {at_best:.2f}, 95 % interval over topics", end=" ")
print(f"{result.interval[0]:.2f} to {result.interval[1]:.2f}")
print(f"bag of embeddings: {result.embeddings:.2f}, bag of words: {result.words:.2f}, chance: {result.chance:.2f}")
print("better than every shuffling:", bool(at_best > result.null.max()))
print("the interval above both bags and the null:", result.verdict)

# %% [markdown]
# **This is the signature result of this notebook**: in the middle of the network, stories of unseen topics lie nearest to their own emotion's
# direction far more often than their words alone would allow.
#
# <details><summary>What came out</summary>
#
# The middle, and 1.6 times as much as the words. (Notebook 01's own count of words gave 0.45; `validate` has its own, with 0.49.) Who guessed "the end" has thought of a stack that understands more and more; but its last blocks prepare the *next token*, and what a story
# is about gives way to that.
#
# </details>

# %% [markdown]
# ### Exercise 2.3 · How sure is that?  (⏱ 10 min)
#
# The accuracy is a mean over sixteen topics. With other topics it would have been another. The **bootstrap** asks how far off: draw sixteen of the sixteen *with replacement*, take their mean, many
# times over; the middle 95 % of those means are the interval. Why topics, not stories? Stories of one topic share a place and people, and are right or wrong together.
#
# <details><summary>Hint</summary>
#
# `rng.choice(by_topic, (2000, len(by_topic)))` draws with replacement, 2,000 times. `np.quantile(..., [0.025, 0.975])` cuts off the tails.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def interval(by_topic: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
#     means = rng.choice(by_topic, (2000, len(by_topic))).mean(1)
#     low, high = np.quantile(means, [0.025, 0.975])
#     return low, high
# ```
#
# </details>

# %%
def interval(by_topic: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval (low, high) of the mean of accuracies by topic, [16]."""
    raise NotImplementedError("Exercise 2.3")

# %%
def try_interval():
    shares = np.repeat([0.5, 0.7, 0.8, 1.0], 4)
    means = np.random.default_rng(1).choice(shares, (20000, 16)).mean(1)
    right = np.quantile(means, [0.025, 0.975])
    wrong = {
        "these are quantiles of the topics; take those of their means": np.quantile(shares, [0.025, 0.975]),
        "no spread: draw with replacement": [0.75, 0.75],
        "the upper bound comes first": right[::-1],
        "the middle 90 %, not 95 %": np.quantile(means, [0.05, 0.95]),
    }
    return compare(interval(shares, np.random.default_rng(0)), right, wrong, tolerance=0.01)


check("2.3", try_interval)

# %% [markdown]
# ## How firm is a direction, and how many stories does it take?
#
# The lower plots. Draw sixteen topics *with replacement*, make the directions again, and take the cosine with the first ones, two hundred times: the blue curve. A high cosine alone proves
# nothing: directions of shuffled labels keep about 0.7 (the cross), since a resample shares stories with the whole. So the question is how far above that.

# %%
stable = result.stability.to_frame()
print(f"cosine with itself, mean over emotions: {result.stability.cosine.mean():.2f};", end=" ")
print(f"from shuffled labels: {result.stability.noise:.2f}")
stable.head(3).round(2)

# %%
result.needed.to_frame().round(2)

# %% [markdown]
# > **You should see** that two stories an emotion do hardly better than the words do with fifteen, that four clearly do, and that the curve has nearly levelled off at fifteen. (The range is wide at the
# > end because only one topic is left to test on.)
#
# The green line is a warning: the *raw* states of any two stories, of different emotions and topics, have a cosine of nearly 1. This **anisotropy** is why directions start from a mean.
#
# ## Does it carry over to other texts?
#
# The kit has 96 short **messages**, written apart from the stories and never averaged into a direction. `validate` reads them, too (upper right): the score of a message is that of its mean,
# centred over the messages, since each direction has its own offset in this kind of text. They are not unseen: the stories were revised with an eye on them
# ([data card](../stories/README.md), *Limits*), which flatters this accuracy, too.

# %%
read, block = result.messages, result.best_block
low, high = read.interval
print(f"own emotion first: {read.first[block]:.2f} [{low:.2f}, {high:.2f}], by chance {1 / 24:.2f}")
print(f"among the first three: {read.three[block]:.2f}, by chance {3 / 24:.2f}")
print(f"bag of embeddings, own emotion first: {read.embeddings:.2f}")
print(f"shuffled labels, 97.5 % of them below: {read.null:.2f}")

# %% [markdown]
# Which ones, and what are the others taken for? By hand, from the means:

# %%
messages = emokit.load_messages()
states = activations.story_means(model, [m.text for m in messages])[:, block]
states = states - vectors.mean[block]
scores = states / np.linalg.norm(states, axis=1, keepdims=True) @ vectors.at().T  # [96, 24]
centred = scores - scores.mean(0)
own = np.array([vectors.emotions.index(m.emotion) for m in messages])
print("the same as validate's:", bool(np.isclose((centred.argmax(1) == own).mean(), read.first[block])))

# %%
confusion = np.zeros((24, 24))
np.add.at(confusion, (own, centred.argmax(1)), 1 / 4)
plots.grid(
    confusion,
    list(vectors.emotions),
    xlabel="read as",
    ylabel="written as",
    title="Messages: how they were written, and how they are read (% of 4)",
)

# %% [markdown]
# > **You should see** a dark diagonal with gaps. Some emotions are read every time; bored, frustrated, sad and surprised only once in four. (A row is four messages.)
# > Look at what is off the diagonal: are the errors *sensible* (desperate for hopeless) or wild (happy for sad)? There are both.
#
# A warning that follows: the scores of *one* short text, not centred over many, mislead. Each direction has an offset that depends on the kind of text, and in a chat
# the template's own tokens count, too:

# %%
chat = [{"role": "user", "content": "My dog has been missing for 25 days now."}]
emokit.read(model, vectors, chat)

# %% [markdown]
# What you see there is mostly the offset of the chat template. To learn what the *dog* does, compare with the same chat about something else, as notebook 05 does.
#
# ## Keep them
#
# Vectors are saved in one file that knows what it was made from, and refuses the wrong model.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    vectors.save(Path(folder) / "smollm2.safetensors")
    again = emokit.EmotionVectors.load(Path(folder) / "smollm2.safetensors", model)
print("the same, bit for bit:", np.array_equal(again.directions, vectors.directions))

# %% [markdown]
# ## What you showed
#
# * A direction per emotion, made of nothing but means and a difference, tells the emotion of stories on unseen topics (the numbers are above).
# * The words alone do much less well, and shuffled labels do not do it at all.
# * The directions read short messages of another kind, too.
#
# ## What this does not show
#
# * That the model *uses* these directions. That takes an intervention: notebook 06.
# * That a direction is *only* the emotion: typical situations and typical sayings are in it as well.
# * That the model feels anything. A direction is a statistic of activations on stories about people.
#
# **Further**: the paper's own version of this on Claude Sonnet 4.5 ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · next: **05 dose**, where a direction is put to a test that it may fail.
