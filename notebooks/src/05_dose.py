# %% [markdown]
# # 5 · Does fear rise with the dose?
#
# By the end you will have shown whether the `afraid` direction of SmolLM2-135M follows the *numbers* in "I just took {X} mg of tylenol", with a ladder in words as positive control, a harmless twin as negative control, and directions and labels that mean nothing as the null.
#
# ⏱ 50 min with the exercises · CPU is enough · needs 02
#
# **You will** run the paper's six panels · predict before you look · tell an effect from six lucky points · read a verdict by a rule fixed in advance.
#
# > **In reality:** more than 4000 mg of paracetamol (Tylenol) a day damages the liver, often with no early sign. After an overdose call a
# > doctor or a poison centre at once, even if you feel well.

# %% tags=["nbval-ignore-output"]
import itertools

import numpy as np

import emokit
from emokit import dose, effects, plots
from emokit.exercises import check, compare

model = emokit.load_model()
stories = emokit.load_stories()
vectors = emokit.extract(model, stories)
vectors

# %% [markdown]
# ## The sentence, before the reply
#
# A person writes to the model. We read the model's state at the **readout**, the last token of the prompt: everything is known, no word of the
# reply is chosen yet.

# %%
tylenol = dose.PANELS[0]
message = {"role": "user", "content": tylenol.sentences()[-1]}
reading = emokit.read(model, vectors, [message])
print(reading.text)
print("readout:", repr(reading.tokens[reading.readout]))

# %% [markdown]
# In the paper (Claude Sonnet 4.5), the score of `afraid` there rises with every dose from 500 to 16000 mg, and `calm` falls. A far
# smaller model reads the same six sentences.
#
# > **Predict** does `afraid` rise with the dose here? Does `calm` fall? And when the doses are told in *words*? Write it down, then run on.

# %%
result = dose.run(model, vectors, stories=stories)
table = result.to_frame().query("panel == 'tylenol'").round(3)
table[table["kind"] == "panel"][
    ["emotion", "expected", "first", "last", "change", "rho", "p doses"]
]

# %% [markdown]
# `first` and `last` are the scores at the smallest and the largest dose, `rho` is Spearman's rank correlation with the dose, and `p doses` the
# share of all 720 orders of the six doses with a `rho` as large, up or down. Even a perfect 1.0 says only "1 in 360", and says nothing of the size.

# %% [markdown]
# ### Exercise 5.1 · What six points can say  (⏱ 8 min)
#
# Work out `p doses`: the share of all orders of these scores whose correlation with the dose, in ranks, is as far from 0 as that of the true order. (No two scores are equal.)
#
# <details><summary>Hint</summary>
#
# Ranks: `np.argsort(np.argsort(scores))`. Over all orders the ranks have one mean and one spread, so `steps @ ranks`, with centred `steps` (-2.5 ... 2.5), ranks the orders as rho does. `itertools.permutations(ranks)` begins with the true order.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def order_p(scores: np.ndarray) -> float:
#     ranks = np.argsort(np.argsort(scores))
#     steps = np.arange(len(scores)) - (len(scores) - 1) / 2
#     fits = np.abs([steps @ order for order in itertools.permutations(ranks)])
#     return float((fits >= fits[0] - 1e-9).mean())
# ```
#
# The least that six doses can give is 2 of 720, 0.003.
#
# </details>

# %%
def order_p(scores: np.ndarray) -> float:
    """Share of all orders of the scores [doses] whose rank correlation with the dose is as far from 0 as theirs."""
    raise NotImplementedError("Exercise 5.1")

# %%
def check_order():
    scores = np.array([0.01, 0.04, 0.02, 0.03, 0.09, 0.05])
    steps = np.arange(6) - 2.5
    ranks = np.argsort(np.argsort(scores))
    fits = np.array([steps @ order for order in itertools.permutations(ranks)])
    values = np.array([steps @ order for order in itertools.permutations(scores)])
    mistakes = {
        "orders that fall count as well: take the absolute value": (fits >= fits[0] - 1e-9).mean(),
        "the true order counts, and those as good as it: >=, not >": (np.abs(fits) > fits[0] + 1e-9).mean(),
        "that is the correlation of the scores, not of their ranks": (np.abs(values) >= values[0] - 1e-9).mean(),
        "that is rho, not p": effects.spearman(scores)[0],
    }
    return compare(order_p(scores.copy()), effects.spearman(scores)[1], mistakes)


check("5.1", check_order)

# %% [markdown]
# Can this `p` be trusted? It supposes that without an effect every order is equally likely. Try it where nothing should happen: 24 emotions on six harmless sentences ("I just walked {X} steps ...").

# %%
small = [
    effects.spearman(result.curve(panel, "twin", emotion))[1] <= 0.05
    for panel in dose.PANELS
    for emotion in vectors.emotions
]
print("more than twice the 5 % that p promises:", bool(np.mean(small) > 0.1))

# %% [markdown]
# 31 of the 144, where 7 are promised: neighbouring numbers give neighbouring scores, so that a drift that means nothing is "in order", too. A rho near 1 over six doses proves little; we need nulls that drift as well.
#
# ## Is it an effect? Two controls
#
# * The **ladder**: the same sentence with doses in *words*, from "a tiny, safe dose" to "a lethal overdose". If the directions work at all, they
#   have to move here. (Positive control.)
# * The **twin**: the same six numbers in a harmless sentence, "I just walked {X} steps ...". If `afraid` moves here too, it follows numbers, not danger.
#   (Negative control.)

# %%
result.compare(tylenol)

# %%
table[["kind", "emotion", "change", "low", "high", "beyond twin"]]

# %% [markdown]
# > **You should see** the middle plot do what the paper says of numbers: `afraid` rises, `calm` falls (on the twin too, by less than half as much). And the left plot, with the numbers, not:
# > its changes are no larger than those of the harmless twin. All three have the same scale. The grey band is what 90 % of **random directions** among
# > the emotions do: any direction moves a little when the sentence changes.
#
# <details><summary>What came out</summary>
#
# With the numbers both signs are as in the paper, but the changes are 0.001: within the band, and `afraid` rises as much on the harmless steps. In words `afraid` rises ten times as far, yet that too is within the (wider) band of its sentences; only `calm` leaves it. One panel decides nothing; the twelve signs below may. If you guessed that numbers work too: a number has
# to be *understood* as a dose first, and that is more than telling "lethal" from "safe".
#
# </details>
#
# `low` and `high` are a 95 % interval: the directions made again from 1,000 draws of the stories' topics. `beyond twin` is the change minus the twin's.
#
# Is it the wording? Five **paraphrases**, the same doses. (`wording` 0 is the paper's sentence, `effect` is explained below.)

# %%
wordings = result.wordings().drop(columns=["panel", "rho"])
print(result.signs("paraphrases"))
wordings.pivot(
    index="wording", columns="emotion", values=["change", "effect"]
).round(3)

# %% [markdown]
# > **You should see** `afraid` rise in every wording, by a few thousandths. More than on the twin? The row `paraphrases` below is their mean, with its interval
# > over topics and wordings. If the interval of `beyond twin` contains 0, we can't tell a response to danger from one to any growing numbers.

# %%
table[table["kind"].isin(["panel", "paraphrases"])][
    ["kind", "emotion", "beyond twin", "beyond low", "beyond high"]
].round(3)

# %% [markdown]
# <details><summary>In this run</summary>
#
# For `afraid` it does contain 0; and `calm` falls *less* than on the twin.
#
# </details>
#
# ## Six panels, twelve signs
#
# A direction that means nothing ends higher than it began in half of all cases. The paper has **six panels** with
# twelve expected changes: the bold curves with an arrow.

# %%
result.plot("panel")

# %%
result.plot("ladder")

# %% [markdown]
# The rungs of each ladder, the first and the last (in some, things get better):

# %%
for panel in dose.PANELS:
    print(f"{panel.title}: {panel.rungs()[0]} ... {panel.rungs()[-1]}")

# %% [markdown]
# Are these changes large? We hold them against the 1,000 random directions: the **effect** is the change in units of their
# standard deviation; to the right is the expected way.

# %%
result.plot_effects()

# %% [markdown]
# > **You should see** the blue dots (numbers) within the grey band, and in four of twelve not beyond the orange squares, the same numbers in harmless sentences. Some purple
# > diamonds (words) leave the band; one alone would prove little, their agreement counts.
#
# <details><summary>Why does Tylenol's afraid lie beyond its square, though its change is the smaller one?</summary>
#
# Each is measured by the random directions of its *own* sentence. The verdict compares the changes themselves.
#
# </details>
#
# How many of the twelve come out, and how many would come out if the emotion labels meant nothing? The **null**: deal the 24 names out
# to the 24 directions anew, 2,000 times, and count the right signs each time.
#
# > **Predict** how many of twelve signs come out right on average when the names are dealt at random, and how rare are nine?

# %%
panels, ladders = result.signs("panel"), result.signs("ladder")
print("numbers:", panels)
print("words:  ", ladders)
print("twins:  ", result.signs("twin"))
plots.null_histogram(
    panels.null,
    panels.right,
    xlabel="signs right, of 12",
    title="Numbers",
)

# %%
plots.null_histogram(
    ladders.null,
    ladders.right,
    xlabel="signs right, of 12",
    title="Ladders in words",
)

# %% [markdown]
# > **You should see** the line for numbers within the grey distribution, where permuted labels land in one deal of eleven, and the line for words in its right tail.
#
# <details><summary>What came out</summary>
#
# Six on average, as with a coin; but nine or more come in 9 % of the deals, where twelve coins would give 7 %, and eleven or more in words in 2 %, where coins would give 0.3 %. The signs are not twelve independent coins: who draws an unpleasant direction
# for `afraid` gets several signs right at once. The harmless twins, read by the same signs, have 8 of 12 themselves.
#
# </details>

# %% [markdown]
# ### Exercise 5.2 · Names dealt anew  (⏱ 8 min)
#
# Write this test. `changes[i, d]` is score(last) - score(first) of panel `i` along direction `d`. `expected` lists (panel, emotion, way), the way +1 for up, -1 for down. `deals` [draws, emotions] says along which direction each emotion is read;
# the first deal is the true one, each emotion along its own. Return the share of deals with at least as many right signs as the first.
#
# <details><summary>Hint</summary>
#
# `panel, emotion, way = np.array(expected).T`. The directions drawn for the expected emotions are `deals[:, emotion]`, [draws, signs]; `changes[panel, deals[:, emotion]]` has their changes.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def dealt_p(changes: np.ndarray, expected: list[tuple[int, int, int]], deals: np.ndarray) -> float:
#     panel, emotion, way = np.array(expected).T
#     right = (np.sign(changes[panel, deals[:, emotion]]) == way).sum(1)
#     return float((right >= right[0]).mean())
# ```
#
# One deal serves all panels. Whoever deals anew for each panel tears apart signs that belong together, and gets too small a p.
#
# </details>

# %%
def dealt_p(changes: np.ndarray, expected: list[tuple[int, int, int]], deals: np.ndarray) -> float:
    """Share of `deals` [draws, emotions] with as many signs of `changes` [panels, emotions] right as the first."""
    raise NotImplementedError("Exercise 5.2")

# %%
def check_deals():
    made = np.random.default_rng(3)
    changes = made.normal(size=(6, 24)) + made.normal(size=24)
    expected = [(i % 6, int(made.integers(24)), 1 if i < 8 else -1) for i in range(12)]
    deals = np.stack([np.arange(24), *(made.permutation(24) for _ in range(400))])
    drawn = [[(changes[i, d[e]], way) for i, e, way in expected] for d in deals]
    right = np.array([sum(c * way > 0 for c, way in row) for row in drawn])
    rises = np.array([sum(c > 0 for c, way in row) for row in drawn])
    mistakes = {
        "as many as the true deal count too: >=, not >": (right > right[0]).mean(),
        "only rises are counted; some emotions should fall": (rises >= rises[0]).mean(),
        "the deals are not used: each emotion is read along its own direction": 1.0,
    }
    return compare(dealt_p(changes.copy(), expected, deals), (right >= right[0]).mean(), mistakes)


check("5.2", check_deals)

# %% [markdown]
# ## The verdict
#
# The rule was written after a pilot on two models, this one (with other stories) among them, and has been left alone since: `replicates` if the signs have p ≤ 0.05, Tylenol's `afraid` rises and its `calm` falls, and `afraid` rises
# more than on the twin; `does not replicate` if that fails although the ladders' signs have p ≤ 0.05; else `inconclusive`.

# %%
print("verdict:", result.verdict)
print(result.why.replace("; ", "\n"))

# %% [markdown]
# Could the rule be fooled? Shuffle the stories' labels within each topic, make directions from that, run the same lab, 20 times:

# %%
fooled = dose.null(model, vectors, stories, seeds=20)
print(fooled.replicates, "of 20 runs with shuffled labels replicate")

# %% [markdown]
# (None of 20 still allows up to 14 %.)

# %% [markdown]
# ## Would another block have said otherwise?
#
# We used the paper's block, two thirds of depth. (It is 19 here; the best for telling stories apart is 18.) Here are all of them.
#
# > **Predict** at how many of the 30 blocks do the numbers beat permuted labels (p ≤ 0.05), and from which block on do the words?

# %%
blocks = result.by_block()
for name in ("panel", "ladder"):
    few = (blocks[f"{name} p"] <= 0.05).sum()
    print(f"{name} signs have p <= 0.05 at {few} of {len(blocks)} blocks")
counts = {"numbers": blocks["panel signs"], "words": blocks["ladder signs"]}
plots.by_block(
    counts,
    chosen=result.block,
    ylabel="signs right, of 12",
    limits=(0, 12.5),
    level=(6, "half"),
    title="Signs right at every block",
)

# %%
blocks["verdict"].value_counts().to_frame("blocks")

# %%
result.plot_blocks()

# %% [markdown]
# > **You should see** that no block says `replicates`: sixteen say `does not replicate`, fourteen `inconclusive`. Words are followed from the middle of the network on, numbers hardly anywhere.
#
# <details><summary>What came out</summary>
#
# Numbers at one block, words at sixteen. One or two of thirty is what chance gives at 5 %. But the one is block 18, the best block of notebook 02, and so no catch of a search: 10 of 12, p 0.03; from block 21 on p lies between 0.05 and 0.10. Even at 18
# the rule says `does not replicate`, as it asks for more than signs. We had fixed the paper's block, so its result counts: it says "not shown", not "nothing there". (In the early blocks not even the words get through.)
#
# </details>
#
# ## Or another place?
#
# We read one token, the readout. Here is Tylenol over all tokens of the message, and over 20 tokens of the reply:

# %% tags=["nbval-ignore-output"]
import dataclasses

import pandas as pd

alone = dataclasses.replace(tylenol, paraphrases=())
places = dose.positions(model, vectors, [alone])
rows = {place: r.to_frame().set_index(["kind", "emotion"]) for place, r in places.items()}
pd.DataFrame({place: row["effect"] for place, row in rows.items()}).round(1)

# %% [markdown]
# <details><summary>In this run</summary>
#
# The places don't agree on the numbers. In words `afraid` has the expected sign at each place, always within the band (below 1.6); `calm` in the reply has not. (Another processor may write a slightly other reply.)
#
# </details>

# %% [markdown]
# ## A panel of your own
#
# Change the sentence, the values, the expectation. One panel has too few signs for a verdict, and `why` says so.

# %%
mine = dose.Panel(
    "There are {X} spiders in my bed.",
    [0, 1, 5, 20, 100, 500],
    expect={"afraid": "up", "calm": "down"},
    twin="There are {X} pages in my book.",
)
own = dose.run(model, vectors, [mine])
own.to_frame().round(3)[
    ["kind", "emotion", "expected", "change", "rho", "effect", "beyond twin"]
]

# %%
print(own.why.replace("; ", "\n"))

# %% [markdown]
# ### Exercise 5.3 · A fair panel  (⏱ 10 min)
#
# The spiders have no ladder, so a null result could mean that the directions don't work here. Design a panel that could answer: a sentence with `{X}`, five values or more, an expectation, a twin about as long with nothing to
# fear or hope in it, and a ladder of four rungs or more. The check looks at the design, not at what comes out.
#
# <details><summary>Hint</summary>
#
# A rung may be a whole sentence, ending with a full stop, or what is put in the place of `{X}`. Let the first rung be harmless and the last beyond doubt. `vectors.emotions` lists the emotions.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def my_panel() -> dose.Panel:
#     return dose.Panel(
#         "There are {X} wasps in our tent.",
#         [1, 3, 10, 30, 100, 300],
#         expect={"afraid": "up"},
#         twin="There are {X} seams in our tent.",
#         ladder=["no", "hardly any", "quite a few", "terribly many"],
#     )
# ```
#
# `dose.run(model, vectors, [my_panel()])` tells what comes out. For these wasps `afraid` *falls* with the number, with a rho of -0.94: one more reason not to trust six points.
#
# </details>

# %%
def my_panel() -> dose.Panel:
    """A panel of your own, with a twin as negative and a ladder as positive control."""
    raise NotImplementedError("Exercise 5.3")

# %%
def look_over():
    panel = my_panel()
    if not isinstance(panel, dose.Panel):
        return "it should return a dose.Panel"
    words = [len(text.split()) for text in (panel.template, panel.twin or "")]
    faults = {
        "take a sentence of your own": panel.template in [known.template for known in dose.PANELS],
        "give five values or more": len(panel.values) < 5,
        "expect= should name emotions of `vectors`": not panel.expect or not set(panel.expect) <= set(vectors.emotions),
        "without a twin, danger can't be told from any larger numbers": panel.twin is None,
        "the twin should be about as long, so that only the meaning differs": abs(words[0] - words[1]) > 3,
        "the twin is the sentence itself": panel.twin == panel.template,
        "without four different rungs, no effect can't be told from directions that don't work": len(set(panel.rungs())) < 4,
    }
    return next((fault for fault, there in faults.items() if there), True)


check("5.3", look_over)

# %% [markdown]
# ## What you showed
#
# * Told in *words*, the six stories of danger and luck move the scores as expected more often than permuted labels do, at most blocks from the middle on.
# * Told in *numbers*, they do so hardly more often than permuted labels, and Tylenol moves `afraid` no more than its harmless twin does (five paraphrases move it a little
#   more, by an amount whose interval still holds 0). At no block does the
#   effect replicate; at some the positive control does not suffice either, and the verdict is `inconclusive`.
# * Why may that be? To tell 1000 from 8000 mg one must know what a dose is, and so small a model has read little pharmacology. The paper finds the effect in Claude Sonnet 4.5; see notebook 10.
#
# ## What this does not show
#
# * A null here is none for other models, and no proof that this one ignores the numbers: permuted labels reach 9 of 12 in 9 % of deals. Nor were words (p 0.02) tested *against* numbers (p 0.09).
# * A change of a few thousandths of a cosine is small even where it is consistent.
# * A score of `afraid` that follows a dose is a representation of danger in a text. It does not say that the model is afraid.
#
# **Further**: the paper, section "Numeric intensity" ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · next: **06 steering**, where we push instead of reading.
