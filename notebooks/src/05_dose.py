# %% [markdown]
# # 5 · Does fear rise with the dose?
#
# By the end you will have shown whether the `afraid` direction of SmolLM2-135M follows the *numbers* in "I just took {X} mg of tylenol", with a ladder in words as positive control, a harmless twin as negative control, and directions and labels that mean nothing as the null.
#
# ⏱ 20 min · CPU is enough · needs 02
#
# **You will** run the paper's six panels · predict before you look · tell an effect from six lucky points · read a verdict by a rule fixed in advance.
#
# > **In reality:** more than 4000 mg of paracetamol (Tylenol) a day damages the liver, often with no early sign. After an overdose call a
# > doctor or a poison centre at once, even if you feel well.

# %% tags=["nbval-ignore-output"]
import emokit

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
from emokit import dose

tylenol = dose.PANELS[0]
message = {"role": "user", "content": tylenol.sentences()[-1]}
reading = emokit.read(model, vectors, [message])
print(reading.text)
print("readout:", repr(reading.tokens[reading.readout]))

# %% [markdown]
# In the paper (Claude Sonnet 4.5), the score of `afraid` there rises with every dose from 500 to 16000 mg, and `calm` falls. A far
# smaller model reads the same six sentences. **Write down your guess** before you run the next cell: does `afraid` rise? Does `calm` fall?

# %%
result = dose.run(model, vectors, stories=stories)
table = result.to_frame().query("panel == 'tylenol'").round(3)
table[table["kind"] == "panel"][
    ["emotion", "expected", "first", "last", "change", "rho", "p doses"]
]

# %% [markdown]
# `first` and `last` are the scores at the smallest and the largest dose, `rho` is Spearman's rank correlation with the dose, and `p doses` the
# share of all 720 orders of the six doses with a `rho` as large. Even a perfect 1.0 says only "1 in 360", and says nothing of the size.
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
# > **You should see** the middle plot do what the paper says of numbers: `afraid` rises, `calm` falls (though `calm` falls as much on the harmless twin: no evidence by itself). And the left plot, with the numbers, not:
# > its changes are no larger than those of the harmless twin. All three have the same scale. The grey band is what 90 % of **random directions** among
# > the emotions do: any direction moves a little when the sentence changes.
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
# > **You should see** `afraid` rise in every wording, by a few thousandths: small, but all six agree. More than on the twin? In the table above, the row `paraphrases` is their mean;
# > the next cell has the interval of what it is beyond the twin, over topics and wordings. If it holds 0, we can't tell fear of a dose from any response to growing numbers.

# %%
table[table["kind"].isin(["panel", "paraphrases"])][
    ["kind", "emotion", "beyond twin", "beyond low", "beyond high"]
]

# %% [markdown]
# ## Six panels, twelve signs
#
# One panel is weak evidence: a direction that means nothing rises from the first value to the last half of the time. The paper has **six panels** with
# twelve expected changes. Bold curves with an arrow are the ones we have an expectation for.

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
# Are these changes large? A change of 0.01 says little by itself, so we hold it against the 1,000 random directions: the **effect** is the change in units of their
# standard deviation; in the figure, to the right is the expected way.

# %%
result.plot_effects()

# %% [markdown]
# > **You should see** the blue dots (numbers) within the grey band, and often not beyond the orange squares, the same numbers in harmless sentences. Some purple
# > diamonds (words) leave the band; one alone would prove little, their agreement counts.
#
# How many of the twelve come out, and how many would come out if the emotion labels meant nothing? The **null**: deal the 24 names out
# to the 24 directions anew, 2,000 times, and count the right signs each time.

# %%
from emokit import plots

panels, ladders = result.signs("panel"), result.signs("ladder")
print("numbers:", panels)
print("words:  ", ladders)
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
# > **You should see** the line for numbers within the grey distribution, where permuted labels often land, and the line for words in its right tail.
#
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
# ## Would another block have said otherwise?
#
# We used the paper's block, two thirds of depth. Here are all of them; a result that only one block gives would not be worth much.

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
# > **You should see** that no block says `replicates`, and that the rest are divided: words are followed from the middle of the network on, numbers hardly anywhere.
# > (We used the paper's block, two thirds of depth. `extract`'s best block for telling stories apart is another, and was not chosen for this.)
#
# ## Or another place?
#
# We read one token, the readout. Here is Tylenol over all tokens of the message, and over the first 20 tokens of the model's own reply:

# %% tags=["nbval-ignore-output"]
import pandas as pd

places = dose.positions(model, vectors, [tylenol])
rows = {place: r.to_frame().set_index(["kind", "emotion"]) for place, r in places.items()}
pd.DataFrame({place: row["effect"] for place, row in rows.items()}).round(1)

# %% [markdown]
# The three places don't agree on the numbers, while `afraid` follows the ladder at each of them. (Another processor may write a slightly other reply.)

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
# ## What you showed
#
# * Told in *words*, the six stories of danger and luck move the scores as expected more often than permuted labels do, at most blocks from the middle on.
# * Told in *numbers*, they do so hardly more often than permuted labels, and Tylenol moves `afraid` no more than its harmless twin does (five paraphrases move it a little
#   more, by an amount whose interval still holds 0). At no block does the
#   effect replicate; at some the positive control does not suffice either, and the verdict is `inconclusive`.
# * Why may that be? To feel the difference between 1000 and 8000 mg one must know what a dose is, and a model of 135 million parameters splits
#   "8000" into four digits and has read little pharmacology. The paper finds the effect in Claude Sonnet 4.5; at what size it begins is the
#   question of notebook 10.
#
# ## What this does not show
#
# * A null here is not a null for other models: it says that *this* model's directions do not follow these numbers.
# * A change of a few thousandths of a cosine is small even where it is consistent.
# * A score of `afraid` that follows a dose is a representation of danger in a text. It does not say that the model is afraid.
#
# **Further**: the paper, section "Numeric intensity" ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · next: **06 steering**, where we push instead of reading.
