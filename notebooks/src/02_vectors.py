# %% [markdown]
# # 2 · Is there a direction for fear inside a language model?
#
# By the end you will have shown that averaged activations of SmolLM2-135M give a direction for each of 24 emotions which tells the emotion of stories about topics it has never seen, far better than the words alone and than shuffled labels.
#
# ⏱ 20 min · CPU is enough · needs 01
#
# **You will** read a sentence · compute a direction by hand · ask what it would say · choose a block without cheating · compare with two baselines and a null.

# %% tags=["nbval-ignore-output"]
import emokit

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
# > along the sentence. The tokens with the largest scores are bold and carry their number.
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
centres = np.stack([means[labels == e].mean(0) for e in stories.emotions])  # [24, 576]
raw = centres - centres.mean(0)
by_hand = raw / np.linalg.norm(raw, axis=1, keepdims=True)

same = (by_hand * vectors.at()).sum(1)  # cosine with emokit's own, which is denoised too
print("by hand and denoised, mean cosine:", round(float(same.mean()), 2))

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

# %%
words = {e: f" {e}" for e in vectors.emotions}
lens = emokit.logit_lens(model, vectors, "sad")
known = [e for e in vectors.emotions if words[e] in lens.tokens]  # words of one token
print(len(known), "of 24 words are one token;", "rank of ' sad':", lens.rank(" sad"))

# %%
blocks = [6, 14, 18, 24, 29]


def median_rank(block, direction_of):
    ranks = []
    for i, e in enumerate(known):
        found = emokit.logit_lens(model, vectors, direction_of(i, e), block=block)
        ranks.append(found.rank(words[e]))
    return int(np.median(ranks))


own_ranks = [median_rank(b, lambda i, e: e) for b in blocks]
random_ranks = [median_rank(b, lambda i, e: vectors.random(i)) for b in blocks]
print("own direction:   ", dict(zip(blocks, own_ranks)))
print("random direction:", dict(zip(blocks, random_ranks)))

# %% [markdown]
# > **You should see** the own word climb from nowhere into the first few hundred of 49,152 tokens towards the end, and random directions stay in the middle of the pack. At the block we read
# > (18), it is already up, but far from the top: a direction there is not yet a *word*.

# %%
late = model.n_blocks - 1
for e in ("sad", "happy", "angry"):
    print(e, emokit.logit_lens(model, vectors, e, block=late).top(6))

# %% [markdown]
# ## Which block? Choosing without cheating
#
# We may choose the block, and how many neutral components to remove, only on the stories themselves. So: leave one **topic** out, make directions
# from the other fifteen, give each left-out story to the nearest direction, count. Sixteen times. This is what `validate` does, with three
# things beside it: the same test on input **embeddings** (the words, before any block has run), on **shuffled labels**, and chance.

# %%
result = emokit.validate(model, stories)
result

# %% [markdown]
# > **You should see** a curve that rises above the bag of embeddings from the first block on, to a plateau in the middle, and falls towards the end;
# > and shuffled labels at chance. If those were as high as the curve, the method would find "directions" in noise.
#
# Blocks on the plateau differ by less than 384 stories can tell. `extract` takes the middle of the plateau, and the fewest neutral components that do as well there;
# so the "best" block need not be the highest point. The accuracy at the chosen block is slightly flattered, since the same stories chose it; the messages below did not.

# %%
at_best = result.accuracy[result.best_block]
print(f"block {result.best_block}: {at_best:.2f}, 95 % interval over topics", end=" ")
print(f"{result.interval[0]:.2f} to {result.interval[1]:.2f}")
print(f"bag of embeddings: {result.embeddings:.2f}, chance: {result.chance:.2f}")
print("better than the words alone:", bool(result.interval[0] > result.embeddings))
print("better than every shuffling:", bool(at_best > result.null.max()))

# %% [markdown]
# **This is the signature result of this notebook**: in the middle of the network, stories of unseen topics lie nearest to their own emotion's
# direction far more often than their words alone would allow.
#
# ## Does it carry over to other texts?
#
# The kit has 96 short **messages**, written apart from the stories and never used to make directions. The score of a message is the mean over its tokens;
# scores are centred over the messages, since each direction has its own offset in this kind of text.

# %%
messages = emokit.load_messages()
readings = [emokit.read(model, vectors, m.text) for m in messages]
scores = np.stack([r.scores.mean(0) for r in readings])  # [96, 24]
centred = scores - scores.mean(0)
own = np.array([vectors.emotions.index(m.emotion) for m in messages])


def ranks(labels):
    """How many emotions score higher than the label's."""
    return (centred > centred[np.arange(96), labels][:, None]).sum(1)


print(f"own emotion first: {(ranks(own) == 0).mean():.2f}, by chance {1 / 24:.2f}")
print(f"among the first three: {(ranks(own) < 3).mean():.2f}, by chance {3 / 24:.2f}")

# %%
rng = np.random.default_rng(0)
null = [(ranks(rng.permutation(own)) == 0).mean() for _ in range(200)]
print(f"labels shuffled 200 times: {np.mean(null):.2f} on average, {max(null):.2f} at most")

# %% [markdown]
# And the **baseline**: the same with mean input embeddings instead of the residual stream, that is with the words alone.

# %%
bag = activations.embeddings(model, [s.text for s in stories])
known = np.stack([bag[labels == e].mean(0) for e in stories.emotions])
known = known - known.mean(0)
known /= np.linalg.norm(known, axis=1, keepdims=True)
unknown = activations.embeddings(model, [m.text for m in messages])
words = (unknown - unknown.mean(0)) @ known.T
print(f"bag of embeddings, own emotion first: {(words.argmax(1) == own).mean():.2f}")

# %%
confusion = np.zeros((24, 24))
np.add.at(confusion, (own, centred.argmax(1)), 1 / 4)
plots.grid(
    confusion,
    list(vectors.emotions),
    xlabel="read as",
    ylabel="written as",
    title="Messages: how they were written, and how they are read",
)

# %% [markdown]
# > **You should see** a dark diagonal with gaps. Some emotions are read every time, some (nervous, sad, surprised, jealous) hardly. Look at what is off the diagonal: are the
# > errors *sensible* (desperate for hopeless) or wild (happy for sad)? There are both.
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
