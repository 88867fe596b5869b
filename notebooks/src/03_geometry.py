# %% [markdown]
# # 3 · Is there an axis from unpleasant to pleasant among a model's emotion directions?
#
# By the end you will have shown that the largest principal component of 24 emotion directions in SmolLM2-135M orders the words much as people rate their pleasantness, with a correction for having looked at five components, a bootstrap interval, shuffled ratings as the null and the words' embeddings as the baseline.
#
# ⏱ 50 min with the exercises · CPU is enough · needs 02
#
# **You will** find the main axes of 24 directions · name one of them by a test it could fail · map who is near whom · move through all blocks with a slider.

# %% tags=["nbval-ignore-output"]
import emokit
from emokit.exercises import check, compare

model = emokit.load_model()
stories = emokit.load_stories()
vectors = emokit.extract(model, stories)
vectors

# %% [markdown]
# ## First, look
#
# The 24 directions live in 576 dimensions. **PCA** finds the plane in which they lie farthest apart. The colour of a point is how pleasant *people* find the word
# (ratings of the VADER lexicon); neither the stories nor the plane were made with those ratings.
#
# > **Predict** the words you find pleasant will crowd on one side, if the model's axes are like ours. Which one of grateful, relieved, calm, surprised, proud may lie on the wrong side? Write it down, then run on.

# %%
from emokit import geometry

plane = geometry.pca(vectors)
plane.plot()

# %% [markdown]
# > **You should see** purple on the left and orange on the right, with one or two exceptions (who is on the wrong side?). If the colours were mixed all
# > over, the plane would not be about pleasantness.
#
# <details><summary>What came out</summary>
#
# `relieved` lies among the unpleasant. Perhaps because stories of relief tell of a danger that has just passed: a direction holds the *situations* of an emotion, not only how they end. `jealous`, `lonely` and
# `bored` lie near the middle. Whoever expected no exception took the axis for the feeling itself.
#
# </details>
#
# ## What PCA does
#
# Take the mean off the 24 unit rows and find the orthogonal axes of the most variance, largest first: a singular value decomposition.
# $$ D - \overline{D} = U \Sigma V^\top $$
# The rows of $V^\top$ are the axes, $\sigma_i^2$ over their sum the share of variance.

# %%
import numpy as np

rows = vectors.at()  # [24, 576]
_, sizes, axes = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
share = sizes**2 / (sizes**2).sum()
print("shares of the first five:", [f"{s:.2f}" for s in share[:5]])
print("the same as emokit's:", bool(np.allclose(share[:5], plane.variance, atol=1e-3)))
print("if all 23 axes were equal, each would have", round(1 / 23, 2))

# %% [markdown]
# ## Which component is valence, and how do we know?
#
# *Valence* is the psychologists' word for how pleasant a feeling is, *arousal* for how stirred up one is. PCA does not know these words. We hold each component against the ratings:

# %%
import pandas as pd

frame = plane.to_frame()
components = [f"PC{i + 1}" for i in range(5)]
table = {name: frame[components].corrwith(frame[name]) for name in ("valence", "arousal")}
pd.DataFrame(table).round(2)

# %% [markdown]
# Valence has 23 ratings by people (VADER has no *afraid*). Arousal is rated for this kit by a language model, not by people: treat it as a hint.
#
# **The trap**: with five components, the best of them correlates with *anything* to a degree. So the null must choose, too: shuffle the ratings, and take each time the
# largest |r| of *all five*.
#
# > **Predict** with ratings shuffled among 23 words: how large is the best of five |r|, so that only one shuffling in twenty exceeds it? Write it down, then run on.

# %%
rated = frame["valence"].notna().to_numpy()
x, y = frame[components].to_numpy()[rated], frame["valence"].to_numpy()[rated]  # [23, 5], [23]
x.shape, y.shape

# %% [markdown]
# ### Exercise 3.1 · The best of five  (⏱ 8 min)
#
# Write what is to be taken of each shuffling: the largest |r| that any of the components has with the ratings.
#
# <details><summary>Hint</summary>
#
# `np.corrcoef(x[:, i], y)[0, 1]` is Pearson's r of one component. Its sign does not matter: PCA may turn any axis round.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def largest_r(x: np.ndarray, y: np.ndarray) -> float:
#     return max(abs(np.corrcoef(column, y)[0, 1]) for column in x.T)
# ```
#
# </details>

# %%
def largest_r(x: np.ndarray, y: np.ndarray) -> float:
    """The largest |r| of any of the components `x` [words, components] with the ratings `y` [words]."""
    raise NotImplementedError("Exercise 3.1")

# %%
def try_largest():
    pairs = [(x, y), (x[:, ::-1], -y), (x[:, 1:], y)]
    r = [np.corrcoef(np.c_[a, b].T)[-1, :-1] for a, b in pairs]
    wrong = {
        "a large negative r counts, too: take |r|": [v.max() for v in r],
        "that is the first component's; take the largest of all": [abs(v[0]) for v in r],
        "that is the average of the components": [abs(v).mean() for v in r],
    }
    return compare([largest_r(*pair) for pair in pairs], [abs(v).max() for v in r], wrong)


check("3.1", try_largest)

# %% [markdown]
# The null, with a thousand shufflings:

# %%
best = abs(plane.valence.r).max()
rng = np.random.default_rng(0)
null = np.array([np.corrcoef(np.c_[x, rng.permutation(y)].T)[-1, :-1] for _ in range(1000)])  # [1000, 5]
print(f"the best component's |r|: {best:.2f}")
print(f"shuffled ratings, PC1 alone, 95 % below: {np.quantile(abs(null[:, 0]), 0.95):.2f}")
print(f"shuffled ratings, best of five, 95 % below: {np.quantile(abs(null).max(1), 0.95):.2f}")

# %% [markdown]
# <details><summary>What came out</summary>
#
# About 0.5, where one component named beforehand needs 0.4. With 23 words an r of 0.5 can be had for nothing, from the right choice of five. Ours is far beyond.
#
# </details>

# %% [markdown]
# emokit does this in `geometry.pca`; a component is *called* valence only if it passes. The brackets are a bootstrap over emotions.

# %%
print(plane.valence)
print(plane.arousal)

# %% [markdown]
# **This is the signature result of this notebook.** The block was chosen in notebook 02 on held-out stories, before any rating was looked at. In the paper, Claude Sonnet 4.5 has
# valence on PC1 (r 0.81) and arousal on PC2 (r 0.66).
#
# ## The baseline: is it only the words?
#
# The same with mean input embeddings of the stories, that is before any block has run.

# %%
from emokit import activations, selection

bag = activations.embeddings(model, [s.text for s in stories])  # [384, 576]
labels = selection.codes([s.emotion for s in stories])
neutral = activations.embeddings(model, [s.text for s in stories.neutral])
nuisance = selection.components(neutral, vectors.provenance["selection"]["components"])
words, _ = selection.directions(bag, labels, nuisance)  # made as emokit makes directions
_, _, word_axes = np.linalg.svd(words - words.mean(0), full_matrices=False)
coordinates = (words - words.mean(0)) @ word_axes[:5].T
print("embeddings:", geometry.agreement("valence", coordinates, geometry.valence(vectors.emotions)))

# %% [markdown]
# The words know something of it: their *fifth* component follows pleasantness, less closely. What the blocks make of the words turns it into the *first*.
#
# ## Is it something else?
#
# An axis could be *how the stories are told*: their length, the person who tells, how much is spoken. The corpus keeps these alike for all emotions; here is the test. The stories' scores along each
# axis vary: how much of that goes with the emotion, and how much with each of the others? (*Narrative mode*, such as scene, dialogue or planning, is asked of the neutral stories, which were written in six of them.) The null: random axes among the directions.

# %%
told = geometry.confounds(model, stories, vectors)
told.plot()

# %% [markdown]
# > **You should see** one dark column, the emotion (flattered, since these stories made the directions), and pale ones beside it. Frames are shares beyond 95 % of random axes; with so many
# > cells some are framed by chance: the title says how many to expect.

# %%
frame = told.to_frame().query("axis == 'PC1'")
frame[["factor", "share", "low", "high", "p", "random"]].round({"share": 2, "low": 2, "high": 2, "p": 3, "random": 2}).reset_index(drop=True)

# %% [markdown]
# ## Every block
#
# At each block the component that fits best, with its interval, and what permuted ratings reach. A name is given only at the block chosen beforehand: among thirty blocks, some would pass by chance.

# %%
everywhere = geometry.by_block(vectors)
everywhere.plot()

# %% [markdown]
# > **You should see** valence above the dotted line at nearly every block, first on PC2 (orange squares), then on PC1 (blue discs): it is *in* the directions from the start, and becomes their *largest*
# > difference about a third of the way up. Arousal stays near the line and changes its component from block to block.

# %%
table = everywhere.to_frame()
table[table.chosen].round(2)

# %% [markdown]
# ## Explore
#
# The board shows the directions at any block.
#
# > **Predict** at block 0, will happy and sad be farther apart than two emotions are on average? At block 6? At the last? Write it down, then move the slider (one scale for all blocks).
#
# Choose an emotion by a click or with arrow keys and Enter, and type a sentence of your own: the small crosses are neutral pieces of its length. A text within their cloud has told you
# nothing, whatever emotion it lies beside.

# %% tags=["nbval-ignore-output"]
board = emokit.widgets.VectorExplorer(model, vectors, emotion="happy", colour="valence", stories=stories)
board.wait()
board

# %%
happy, sad = vectors.index("happy"), vectors.index("sad")
for block in (0, 6, model.n_blocks - 1):
    points = geometry.pca(vectors, block).coordinates[:, :2]
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    cosine = vectors.at(block)[happy] @ vectors.at(block)[sad]
    typical = apart[np.triu_indices(24, 1)].mean()
    print(f"block {block}: {apart[happy, sad] / typical:.1f} typical distances apart, cosine {cosine:.1f}")

# %% [markdown]
# <details><summary>What came out</summary>
#
# At block 0 as far apart as any two emotions, at block 6 nearly twice that, at the last half as much again. Who then says "they move apart" has overlooked the last number: in all 576 dimensions their cosine hardly changes. What
# changes is the *plane*: pleasantness becomes the largest difference among the emotions, and the plane turns towards it. A picture of two components shows two of 23.
#
# </details>

# %% [markdown]
# ## Who is near whom?
#
# The cosines between all directions, ordered by the ten **clusters** that the paper found among 171 emotions in Claude (nine have a word among our 24), pleasant ones first. The framed squares are the clusters.

# %%
near = geometry.cosines(vectors)
near.plot()

# %% [markdown]
# > **You should see** more orange inside the frames and purple where the pleasant meet the unpleasant (upper right). The diagonal is each direction with itself.
#
# The number in the title: mean cosine within clusters less that between them; p from shuffling which emotion belongs to which cluster.

# %% [markdown]
# ### Exercise 3.2 · Nearer than others  (⏱ 10 min)
#
# Compute that number. Of all pairs of two *different* emotions: the mean cosine of those in the same cluster, less the mean of those in two clusters.
#
# <details><summary>Hint</summary>
#
# `clusters[:, None] == clusters` is a table of booleans [24, 24], True for pairs of one cluster. `np.triu_indices(24, 1)` are the places above the diagonal: every pair once, none with itself.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def contrast(cosines: np.ndarray, clusters: np.ndarray) -> float:
#     pairs = np.triu_indices(len(clusters), 1)
#     same = (clusters[:, None] == clusters)[pairs]
#     return cosines[pairs][same].mean() - cosines[pairs][~same].mean()
# ```
#
# </details>

# %%
def contrast(cosines: np.ndarray, clusters: np.ndarray) -> float:
    """Mean of `cosines` [24, 24] within `clusters` (names, [24]) less the mean between them, without the diagonal."""
    raise NotImplementedError("Exercise 3.2")

# %%
def try_contrast():
    values, names = near.values, np.array(near.clusters)
    same = names[:, None] == names
    wrong = {
        "an emotion is no pair with itself: leave the diagonal out": values[same].mean() - values[~same].mean(),
        "the sign is reversed: within less between": -near.contrast,
        "that is the mean within clusters alone": near.contrast + values[~same].mean(),
    }
    return compare(contrast(values, names), near.contrast, wrong)


check("3.2", try_contrast)

# %% [markdown]
# The nearest neighbours of a few:

# %%
table = near.to_frame()
for emotion in ("happy", "afraid", "sad", "calm"):
    row = table[emotion].drop(emotion).sort_values(ascending=False)
    print(f"{emotion}: near {list(row.index[:3])}, far from {list(row.index[-2:])}")

# %% [markdown]
# Is this arrangement made at one block, or is it there all along? **Representational similarity**: Spearman's correlation between the cosines of all 276 pairs at one block and those at
# another. The null permutes the emotions on one side.

# %%
alike = geometry.similarity_map(vectors)
alike.plot()

# %%
print(geometry.similarity(vectors, block=0, other_block=vectors.best_block))

# %% [markdown]
# > **You should see** a dark diagonal that fades slowly: who is near whom is much the same throughout, and least so between the first blocks and the last. All blocks read the same stories, so part
# > of that likeness is the stories'. With vectors of two models, the same function compares the models.
#
# ## The whole space
#
# A component is only one way to find valence. A harder question: from the directions of the other emotions, can we predict how pleasant people rate a word that was left out?

# %% [markdown]
# ### Exercise 3.3 · A word the fit has not seen  (⏱ 10 min)
#
# **Ridge regression** fits ratings by a weighted sum of the 576 numbers of a direction, and keeps the weights small. With more numbers than words it can fit *any* ratings, so a fit proves nothing.
# Predict each word from a fit to all *other* words.
#
# <details><summary>Hint</summary>
#
# For word `i`: `others = np.arange(len(ratings)) != i`, then `Ridge(alpha=1).fit(rows[others], ratings[others])` and `.predict(rows[[i]])`.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def left_out_words(rows: np.ndarray, ratings: np.ndarray) -> np.ndarray:
#     from sklearn.linear_model import Ridge
#
#     found = []
#     for i in range(len(ratings)):
#         others = np.arange(len(ratings)) != i
#         fit = Ridge(alpha=1).fit(rows[others], ratings[others])
#         found.append(fit.predict(rows[[i]])[0])
#     return np.array(found)
# ```
#
# </details>

# %%
def left_out_words(rows: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """Each word's rating [words], predicted from directions [words, 576] and ratings [words] of all other words."""
    raise NotImplementedError("Exercise 3.3")

# %%
def try_left_out():
    from sklearn.linear_model import Ridge

    from emokit.prediction import leave_one_out

    known = rows[rated].astype(float)
    wrong = {"a word helped to predict itself: fit without it": Ridge(alpha=1).fit(known, y).predict(known)}
    return compare(left_out_words(known, y), leave_one_out(known) @ y, wrong, tolerance=1e-2)


check("3.3", try_left_out)

# %%
guessed = geometry.left_out(vectors)
guessed.plot()

# %%
from emokit.prediction import leave_one_out

from_words = leave_one_out(words[rated]) @ y
print(f"left-out words: r {guessed.r:.2f} [{guessed.interval[0]:.2f}, {guessed.interval[1]:.2f}]")
print(f"permuted ratings, 95 % below: {guessed.level[guessed.block]:.2f}; p below 0.001: {guessed.p < 0.001}")
print(f"from embeddings: r {np.corrcoef(from_words, y)[0, 1]:.2f}")
print("worst predicted:", list(guessed.to_frame().index[:3]))

# %% [markdown]
# ## What you showed
#
# * The largest axis among the directions follows how pleasant people find the words, beyond what the best of five axes reaches with shuffled ratings.
# * That axis is hardly story length, person or speech. Narrative mode tells 5 % of it (2 to 19), more than along 95 % of random axes; with so many cells, about as many are framed as chance gives.
# * Another component follows arousal, more weakly, and not the same one at every block, against ratings that are not people's.
# * Emotions of one cluster of the paper's Claude are nearer to each other here, too.
#
# ## What this does not show
#
# * That the model *has* valence. Stories of pleasant feelings have pleasant events in them; the axis may be the events'.
# * That these axes are used for anything. Adding them, as notebook 06 does, would be a test.
# * 23 words are few: look at the width of the brackets.
# * That clusters are more than valence: hardly any of them mixes pleasant and unpleasant words, so the nearness within them may be the axis again.
#
# **Further**: the paper's PCA and clusters ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · the two axes in people: Russell 1980, *A circumplex model of affect* · VADER: [Hutto and Gilbert 2014](https://ojs.aaai.org/index.php/ICWSM/article/view/14550) · next: **04 reading**.
