# %% [markdown]
# # 1 · What do you show a language model when you want to find an emotion in it?
#
# By the end you will have shown that short labelled stories, written under strict rules, carry 24 emotions to a reader who never sees the emotion's name, how much of that the bare words give away, that shuffled labels give nothing, and that it matters who writes them.
#
# ⏱ 45 min with the exercises · CPU is enough · needs nothing before it
#
# **You will** read stories as the model will read them · find what spoils them · measure what words alone reveal · write a story that passes · let a small model write, and compare.

# %% tags=["nbval-ignore-output"]
import emokit
from emokit.exercises import check, compare

stories = emokit.load_stories()
stories

# %% [markdown]
# ## Four stories, one kitchen
#
# Read these four. Which emotion is each about? Decide before you run the cell below it.

# %%
chosen = ("grateful", "jealous", "relieved", "lonely")
four = [s for s in stories if s.topic == "a shared kitchen" and s.emotion in chosen]
for story in four:
    print(story.text, end="\n\n")

# %%
[story.emotion for story in four]

# %% [markdown]
# > **You should see** that you got them right, although none of the four names its emotion. That is the whole idea: a label that you
# > and the writer agree on, and a text that shows it without saying it.
#
# ## The corpus
#
# A **story** is a short text with an `emotion` and a `topic`. There are 24 emotions and 16 topics, and every pair has one story.

# %%
table = stories.to_frame().sample(frac=1, random_state=0).drop_duplicates("topic")
table.assign(text=table["text"].str.slice(0, 60) + " ...").set_index("topic")

# %% [markdown]
# Every story holds the same four things, whatever its emotion:
#
# 1. an **outcome** that is plainly good, bad or uncertain for the character,
# 2. one **bodily sign** (in all stories of a topic it sits in the same place: hands in the kitchen, feet in the hills),
# 3. one **thought or spoken line** that judges the situation,
# 4. one thing **done or wanted**.
#
# Why so strict? If sad stories were told as scenery and proud ones as dialogue, the model's activations would differ by *narrative
# style*, and we would call that difference "sadness". Whatever goes together with a label becomes part of its direction.

# %%
from emokit import plots

lengths = {
    e: [len(s.text.split()) for s in stories if s.emotion == e] for e in stories.emotions
}
plots.boxes(
    lengths, ylabel="words in a story", limits=(30, 50), title="All stories are about as long"
)

# %% [markdown]
# > **You should see** 24 boxes in one narrow band, between 38 and 45 words. A corpus in which one emotion's stories were longer would show it here. (Medians run from 41 to 45 words; notebook 03 tests whether that matters.)
#
# ## Neutral stories
#
# 144 **neutral** stories tell of the same topics with no emotion at all. Later they say which differences between texts are *not* emotion.

# %%
stories.neutral[0].text

# %% [markdown]
# ## What spoils stories, and how `lint` finds it
#
# Here are three bad stories. What is wrong with each?

# %%
from emokit.stories import Story, StorySet

texts = [
    "Nora sat down sadly. Her heart sank. Nobody spoke on the bus.",
    "Omar closed the shop. His heart sank, and nobody spoke to him at all.",
    "At the beach Priya's heart sank. The sun went down and nobody spoke to her.",
]
bad = StorySet(tuple(Story("sad", f"topic {i}", text) for i, text in enumerate(texts)))
for finding in bad.lint():
    print(finding)

# %% [markdown]
# The word "sadly" gives the emotion away. "Heart sank" in all three would make the direction for `sad` a direction for that phrase.
# The words it looks for are whole words of a stated list, so that "made" is not "mad". The shipped stories pass:

# %%
stories.lint()

# %% [markdown]
# ### Exercise 1.1 · Whole words only  (⏱ 5 min)
#
# Write what `lint` does first: which of the words in a list stand in a text? Capitals do not count, and a word is a whole word, with whatever signs around it.
#
# <details><summary>Hint</summary>
#
# `re.findall(r"\w+", text.lower())` gives the words of a text in lower case.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def given_away(text: str, words: list[str]) -> list[str]:
#     import re
#
#     found = re.findall(r"\w+", text.lower())
#     return [word for word in words if word in found]
# ```
#
# </details>

# %%
def given_away(text: str, words: list[str]) -> list[str]:
    """Those of `words` (lower case) that stand in `text` as whole words, in the order of `words`."""
    raise NotImplementedError("Exercise 1.1")

# %%
def try_words():
    if given_away("He made it, nomad or not.", ["mad", "furious"]):
        return 'it finds "mad" inside "made" or "nomad": compare whole words'
    if given_away("Mad? Mad!", ["mad"]) != ["mad"]:
        return 'it misses "Mad?", or tells it twice: mind capitals and signs, and go through `words`'
    if given_away('So "mad"\u2014and furious.', ["mad", "furious"]) != ["mad", "furious"]:
        return "it misses a word beside a quotation mark or a dash"
    return given_away("so sad, so glad", ["glad", "sad", "mad"]) == ["glad", "sad"]


check("1.1", try_words)

# %% [markdown]
# ## How much do the bare words give away?
#
# Before we look inside a model, a **baseline**: can a bag of words tell the emotion? We hold out one topic at a time, count words in the
# other fifteen, and assign each held-out story to the emotion with the most similar counts. Nothing here understands a sentence.
#
# > **Predict** what share of the stories will it get right? Chance is 1 in 24, or 0.04. Write it down, then run on.

# %%
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from emokit import selection

counts = TfidfVectorizer(sublinear_tf=True).fit_transform([s.text for s in stories]).toarray()  # [384, words]
labels = selection.codes([s.emotion for s in stories])  # 0 ... 23
topics = selection.codes([s.topic for s in stories])    # 0 ... 15
nothing = np.empty((0, counts.shape[1]))                # notebook 02 will remove something here

words_alone = selection.heldout(counts, labels, topics, nothing)
print(f"bag of words on topics it has not seen: {words_alone:.2f}   chance: {1 / 24:.2f}")

# %% [markdown]
# `selection.heldout` is the test that the directions of notebook 02 will have to pass, too.
#
# <details><summary>What came out</summary>
#
# Nearly half, ten times chance, although no story names its emotion and no topic is shared. Who guessed "little more than chance" has overlooked that feelings come with
# their own doings: the grateful *thank*, the lonely count *chairs*. Who guessed "nearly all" may have thought of stories that share a topic, which the test forbids.
#
# </details>

# %% [markdown]
# ### Exercise 1.2 · Leave a topic out  (⏱ 12 min)
#
# Do it by hand for one topic. From the stories of all *other* topics, take the mean counts $m_e$ of each emotion, subtract the mean over emotions $\overline{m}$, scale to length 1: $d_e$. A story $c$ of
# the topic left out goes to the emotion with the largest $(c - \overline{m}) \cdot d_e$. Return the share that goes where it belongs.
#
# <details><summary>Hint</summary>
#
# `rest = topics != topic` picks the other stories; `counts[rest & (labels == e)].mean(0)` is a mean. Stack the 24 of them. The topic's own stories come in last, and only to be told.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def told_right(counts: np.ndarray, labels: np.ndarray, topics: np.ndarray, topic: int) -> float:
#     rest = topics != topic
#     means = np.stack([counts[rest & (labels == e)].mean(0) for e in range(labels.max() + 1)])
#     directions = means - means.mean(0)
#     directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
#     scores = (counts[~rest] - means.mean(0)) @ directions.T
#     return (scores.argmax(1) == labels[~rest]).mean()
# ```
#
# </details>

# %%
def told_right(counts: np.ndarray, labels: np.ndarray, topics: np.ndarray, topic: int) -> float:
    """Share of the stories of `topic` that go to their own emotion, by directions from all other topics.

    `counts` [stories, words]; `labels` [stories] 0 ... 23, `topics` [stories] 0 ... 15.
    """
    raise NotImplementedError("Exercise 1.2")

# %%
def try_topics():
    hits = selection.heldout_hits(counts, labels, topics, nothing)
    right = [hits[topics == t].mean() for t in range(4)]
    found = [told_right(counts, labels, topics, t) for t in range(4)]
    if np.size(found) == 4 and None not in found and min(found) > 0.9:
        return "nearly all are right: the stories of the topic have helped to make the directions"
    return compare(found, right, {"that is the share of wrong ones": 1 - np.array(right)})


check("1.2", try_topics)

# %% [markdown]
# And the **control**: the same procedure with the labels shuffled within each topic. If this were far above chance, our test itself would leak.

# %%
rng = np.random.default_rng(0)
shuffled = []
for _ in range(20):
    permuted = labels.copy()
    for topic in range(16):
        permuted[topics == topic] = rng.permutation(labels[topics == topic])
    shuffled.append(selection.heldout(counts, permuted, topics, nothing))
print(f"labels shuffled 20 times: {np.mean(shuffled):.2f} on average, {max(shuffled):.2f} at most")
print("words alone beat every shuffling:", words_alone > max(shuffled))

# %%
plots.bars(
    ["bag of words", "shuffled labels", "chance"],
    {"accuracy": [words_alone, float(np.mean(shuffled)), 1 / 24]},
    ylabel="accuracy on unseen topics",
    title="Words alone tell something; a direction has to tell more",
)

# %% [markdown]
# > **You should see** the bag of words well above chance and the shuffled labels at chance. So a part of what any method finds in these
# > stories is vocabulary. From here on, such a baseline stands beside every claim about stories or messages.

# %% [markdown]
# ### Exercise 1.3 · How surprising is that?  (⏱ 5 min)
#
# A **p-value** is the share of results by chance that are at least as high as ours. Ours counts as one of them: had the labels been shuffled in this very way, it would have come out, too. So
# twenty shufflings can never give p = 0. Write it; the kit's own p-values from shuffling follow it.
#
# <details><summary>Hint</summary>
#
# With $n$ shufflings, $b$ of which reach ours, p is $(1 + b) / (1 + n)$. A tie reaches.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def p_value(observed: float, null: np.ndarray) -> float:
#     return (1 + (null >= observed).sum()) / (1 + len(null))
# ```
#
# </details>

# %%
def p_value(observed: float, null: np.ndarray) -> float:
    """Share of results by chance, `null` [shufflings] and the observed one itself, that are as high as `observed`."""
    raise NotImplementedError("Exercise 1.3")

# %%
def try_p():
    chance = np.array([0.1, 0.3, 0.2, 0.5, 0.3, 0.0, 0.1, 0.4, 0.2])
    wrong = {
        "ours is one of the results, too: add 1 above and below": [4 / 9, 0],
        "you counted those below ours": [0.6, 1],
        "you counted those below ours, and ties": [0.8, 1],
        "a tie counts as reaching it": [0.3, 0.1],
    }
    return compare([p_value(0.3, chance), p_value(0.9, chance)], [0.5, 0.1], wrong)


check("1.3", try_p)

# %% [markdown]
# ## 173 emotions
#
# The 24 are the core of a larger corpus: 173 emotion words for the same 16 topics. With so many, near-synonyms must differ: read *uneasy*, *scared* and *terrified* on one topic.

# %%
everything = emokit.load_stories(emotions="all")
for story in everything:
    if story.topic == "a walk in the hills" and story.emotion in ("uneasy", "scared", "terrified"):
        print(f"{story.emotion}: {story.text}\n")
everything

# %% [markdown]
# `lint.leaks` runs the test above for each emotion and says which words do the telling. These are the five leakiest:

# %%
from emokit import lint

lint.leaks(everything).head(5).round(2)

# %% [markdown]
# > **You should see** emotions whose stories share plain words, though no rule forbids them. Results for these emotions deserve the most suspicion.
#
# ## Write one yourself
#
# Change the text until nothing is found. (With one story only, `lint` looks for the emotion's words; with a whole set, for repetition too.)

# %%
text = "What a relief, thought Ama, when the key turned up in her other coat."
mine = Story("relieved", "a lost key", text)
[str(finding) for finding in StorySet((mine,)).lint()]

# %% [markdown]
# Stories of your own go in a table with the columns `emotion`, `topic`, `text`, saved as CSV or JSON lines, and are read by `emokit.load_stories("mine.csv")`.
# A row that can't be used is named by its line:

# %%
import tempfile
from pathlib import Path

rows = "emotion,topic,text\nrelieved,a key,There it was!\n,a key,Who felt this?\n"
path = Path(tempfile.mkdtemp()) / "mine.csv"
path.write_text(rows)
emokit.load_stories(path, skip_unusable=True)

# %% [markdown]
# ## Could the model write them itself?
#
# The paper's stories were written by the model under study, a very large one. Ours is tiny. This is what it is asked:

# %%
print(emokit.stories.PROMPT)

# %% [markdown]
# Change the prompt if you like (`build(prompt=...)`). What breaks a rule of `lint` is rejected and tried again; a stopped run goes on where it was. It takes a minute.
#
# > **Predict** will directions from the model's own stories tell the emotions better than directions from the shipped ones (its own words may suit it best), as well, or worse? Write it down, then run on.

# %% tags=["nbval-ignore-output"]
model = emokit.load_model()
emotions = ["happy", "sad", "angry", "afraid"]
topics_asked = ["a family dinner", "a school exam", "a train journey", "a job interview"]
own = emokit.stories.build(model, emotions, topics_asked, max_new_tokens=60)
own

# %% tags=["nbval-ignore-output"]
for story in own[:3]:
    print(f"{story.emotion}: {story.text}\n")
own.rejected()[["emotion", "reason"]].head()

# %% [markdown]
# Would you have guessed the emotions? Now the test of notebook 02, on the model's activations instead of word counts (a *block* is one of the model's 30 layers, *activations* are the numbers behind it): means of three topics, tried on the fourth, at the best of all blocks;
# for the same emotions and topics of the shipped corpus, for the model's own stories, and for both with shuffled labels (which choose their best block, too).

# %%
from emokit import activations


def best_block_tells(chosen, emotions):
    """The highest held-out accuracy among the blocks; `emotions` are the labels of the chosen stories."""
    means = activations.story_means(model, [s.text for s in chosen])  # [16, 30, 576]
    folds, width = selection.codes([s.topic for s in chosen]), means.shape[2]
    own, none = selection.codes(emotions), np.empty((0, width))
    return max(selection.heldout(means[:, b], own, folds, none) for b in range(model.n_blocks))

# %%
def shuffled_within(chosen):
    """The emotions of some stories, shuffled within each topic."""
    found = {t: iter(rng.permutation([s.emotion for s in chosen if s.topic == t])) for t in topics_asked}
    return [str(next(found[s.topic])) for s in chosen]


def by_chance(chosen):
    """What 95 % of 20 shufflings of their labels stay below."""
    return float(np.quantile([best_block_tells(chosen, shuffled_within(chosen)) for _ in range(20)], 0.95))

# %% tags=["nbval-ignore-output"]
shipped = [s for s in stories if s.topic in topics_asked and s.emotion in emotions]
ours = best_block_tells(shipped, [s.emotion for s in shipped])
theirs = best_block_tells(own, [s.emotion for s in own])
chance = [by_chance(shipped), by_chance(own)]
plots.bars(
    ["shipped stories", "the model's own"], {"their labels": [ours, theirs], "shuffled labels, 95 % below": chance},
    ylabel="accuracy on unseen topics (best block)", title="Who writes the stories decides",
)

# %%
print("shipped stories teach more than the model's own:", ours > theirs)

# %% [markdown]
# > **You should see** the shipped stories far ahead, and the model's own below what its shuffled labels may reach: nothing can be told from them. (16 stories each: a large gap, but few stories. Write all 24 emotions to see whether it stays.)
# > A direction can be no better than the stories it comes from.
#
# <details><summary>What came out</summary>
#
# Worse, by far. Knowing a word and writing a scene that *shows* it without naming it are two skills, and 135 million parameters have little of the second. Shuffled labels look better than the 0.25 of
# a guess because the best of thirty blocks is shown: whoever chooses the best of many has to let chance choose, too. Notebook 03 makes a rule of that.
#
# </details>
#
# ## What you showed
#
# * 384 stories are labelled with 24 emotions and do not name them, one of each emotion for each of 16 topics; you told four of them apart yourself.
# * Bare words tell the emotion of stories on unseen topics far better than chance, and shuffled labels do not.
# * A 135-million-parameter model's own stories carry far less: who writes the stories decides what can be found.
# * So "the model represents emotions" has to mean *more* than word counts, and notebook 02 has to show how much more.
#
# ## What this does not show
#
# * The stories were written by a language model under these rules and checked by others; no human panel rated them.
# * They are in English, short, and made for this. A person's account of a real day is messier.
# * Nothing here is about what any model feels. The labels are those of the writers.
#
# **Further**: [the data card](../stories/README.md) · the paper, *Emotion Concepts and their Function in a Large Language Model* (Anthropic, 2026), used 205,200 stories written by the model itself ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · next: **02 vectors**.
