# %% [markdown]
# # 10 · Does fear follow a number once the model is large enough?
#
# By the end you will have shown, from stored results of three models, where the effect of numbers in the dose lab appears, what the harmless twin does there, and how alike the models' emotions lie to each other.
#
# ⏱ 30 min with the exercises · CPU is enough · needs 02, 03 and 05 · no model is loaded
#
# **You will** read results as they were measured · compare verdicts · write the rule behind them · look at every block · compare geometries.
#
# ## First, a result
#
# `python -m emokit dose --model ... --json ...` was run on three models with the same stories, panels and rule of verdict. What came out:
#
# > **Predict** in which of them, of 135 million, 270 million and 1.5 billion parameters, does fear follow the numbers? Write it down, then run on.

# %%
import json
import math
from pathlib import Path

import pandas as pd

from emokit import plots
from emokit.exercises import check, compare

names = {"smollm2-135m": "SmolLM2 135M", "gemma-3-270m": "Gemma 3 270M", "qwen2.5-coder-1.5b": "Qwen2.5 1.5B"}
ticks = ["\n".join(name.rsplit(" ", 1)) for name in names.values()]
folder = Path("..") / "results"
dose = {n: json.loads((folder / key / "dose.json").read_text()) for key, n in names.items()}
valid = {n: json.loads((folder / key / "validate.json").read_text()) for key, n in names.items()}
pd.Series({n: d["values"]["verdict"] for n, d in dose.items()}, name="verdict").to_frame()

# %% [markdown]
# > **You should see** that the verdict depends on the model. A verdict is a summary by a rule fixed beforehand; what stands behind it follows.
#
# <details><summary>What came out</summary>
#
# In the largest only. If you guessed that size decides: it may, but three points are no curve. The largest is also of another family, was trained on code, and has another tokenizer; any of these may do it.
#
# </details>
#
# ## Do the directions work in each model?
#
# A null result of the dose lab means little where the directions are poor. So first the test of notebook 02, with what it has to beat:

# %%
columns = ["accuracy at the best block", "bag of embeddings", "bag of words", "shuffled labels"]
rows = {}
for name, result in valid.items():
    v = result["values"]
    null = sum(v["null"]) / len(v["null"])
    rows[name] = [v["accuracy"][v["best_block"]], v["embeddings"], v["words"], null]
directions = pd.DataFrame(rows, index=columns).T.round(2)
directions

# %%
plots.bars(
    ticks, {c: directions[c].tolist() for c in columns},
    ylabel="share of unseen topics' stories", title="Directions tell emotions in all three models",
)

# %% [markdown]
# > **You should see** directions beyond words and embeddings in each model, and shuffled labels at chance. (Each tokenizer has its own bag of embeddings.)
#
# ## Numbers, words, and the rule
#
# The twelve signs of the panels, those of the ladders in words, and ten of Tylenol told in five other wordings (`paraphrases`), each with the share `p` of permuted emotion labels that get as many right:

# %%
signs = {}
for name, result in dose.items():
    summary, values = result["values"]["summary"], result["values"]
    signs[name] = {"block": values["block"]} | {
        f"{kind} {what}": summary[kind][what] for kind in ("panel", "ladder", "paraphrases") for what in ("right", "total", "p")
    }
pd.DataFrame(signs).T.round(3)

# %% [markdown]
# ### Exercise 10.1 · Twelve coins?  (⏱ 5 min)
#
# Qwen has 12 of 12 signs right in numbers, with p 0.009. Had each sign been tossed by a fair coin, how likely were that many or more?
#
# <details><summary>Hint</summary>
#
# `math.comb(total, k)` of the `2**total` ways have k signs right. Add them up from `right` on.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def coins_p(right: int, total: int) -> float:
#     return sum(math.comb(total, k) for k in range(right, total + 1)) / 2**total
# ```
#
# 0.0002 for 12 of 12: forty times less than 0.009. Coins know nothing of each other, but `afraid` and `calm` lie opposite in the model, so that one sign brings the next along. Dealing the names keeps that. Hence, too, the same 12 of 12 in
# words have p 0.032: how much a count says depends on how the directions lie and move.
#
# </details>

# %%
def coins_p(right: int, total: int) -> float:
    """The chance that of `total` fair coins at least `right` show heads."""
    raise NotImplementedError("Exercise 10.1")

# %%
def check_coins():
    counts = [12, 9, 6, 0]
    ways = [math.comb(12, k) / 2**12 for k in range(13)]
    mistakes = {
        "that is the chance of exactly so many; more would surprise as much": [ways[n] for n in counts],
        "that is the chance of more; as many count too": [sum(ways[n + 1 :]) for n in counts],
        "that is the chance of fewer or as many": [sum(ways[: n + 1]) for n in counts],
    }
    return compare([coins_p(n, 12) for n in counts], [sum(ways[n:]) for n in counts], mistakes, 1e-6)


check("10.1", check_coins)

# %% [markdown]
# One effect close up: Tylenol from 500 to 16,000 mg, the change of `afraid` and `calm`, with a 95 % interval over resampled stories;
# its ladder in words; its twin, the same numbers of harmless steps; and five other wordings. `effect` is in standard deviations of random directions:
# a model whose whole state moves further changes along everything, so raw changes of different models can't be compared, and `effect` can.
#
# > **Predict** for the model whose verdict was `replicates`, how far do the numbers move `afraid`, compared with the words "a lethal overdose": as far, half, a tenth? And the harmless steps?

# %%
tables = {name: pd.DataFrame(result["table"]) for name, result in dose.items()}
first = next(iter(tables.values()))["panel"].iloc[0]
shown = pd.concat(tables, names=["model"]).reset_index(level=0)
shown = shown[(shown["panel"] == first) & shown["emotion"].isin(["afraid", "calm"])]
shown[["model", "kind", "emotion", "change", "low", "high", "effect"]].set_index("model").round(3)

# %%
def change(name, kind):
    rows = shown[(shown["model"] == name) & (shown["kind"] == kind) & (shown["emotion"] == "afraid")]
    return float(rows["change"].iloc[0])


kinds = {"numbers": "panel", "ladder in words": "ladder", "harmless twin": "twin"}
plots.bars(
    ticks, {label: [change(n, kind) for n in tables] for label, kind in kinds.items()},
    ylabel="change of the score of afraid", title="From the first value to the last, Tylenol",
)

# %% [markdown]
# > **You should see** the ladder in words move `afraid` everywhere, and the numbers differ between models. Compare numbers and twin before you believe that `afraid` follows a dose:
# > an effect that the twin has too is an effect of larger numbers, whatever they count. **This is the signature result of this notebook.**
#
# <details><summary>What came out</summary>
#
# About an eighth of the words (0.009 of 0.069), and nothing on the steps. "Replicates" is a statement about directions, not about size: the numbers do what they should, and still far less than a few words do. In the smallest model the
# steps move `afraid` as much as the milligrams.
#
# What speaks against it: in units of random directions the numbers move `afraid` by 0.8, 1.2 and 1.1, so the verdict rests on twelve signs agreeing, not on the size of one. `calm` falls on the steps too (-0.005 of -0.016), and over all six
# panels the harmless twins alone get 9 of 12 signs right in Qwen. In five other wordings of Tylenol 8 of 10 signs are right there (p 0.23), in Gemma, which does not replicate, all 10 (p 0.02): the rule doesn't ask for them, and "replicates" holds for
# the paper's own wordings. What speaks for it: in 10 of 12 signs the numbers go further than the twin, with an interval that leaves 0 out (4 in SmolLM2, 3 in Gemma).
#
# </details>

# %% [markdown]
# ### Exercise 10.2 · The rule  (⏱ 8 min)
#
# Write the rule of the verdict. `replicates`: the signs of the numbers have p ≤ 0.05, Tylenol's `afraid` rises, its `calm` falls, and `afraid` rises more than on the twin. `does not replicate`: that fails although the ladders' signs have
# p ≤ 0.05. Else `inconclusive`.
#
# <details><summary>Hint</summary>
#
# Two ifs and a last return. The positive control counts only where the first question failed.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def judge(panel_p: float, ladder_p: float, afraid: float, calm: float, afraid_twin: float) -> str:
#     if panel_p <= 0.05 and afraid > 0 > calm and afraid > afraid_twin:
#         return "replicates"
#     return "does not replicate" if ladder_p <= 0.05 else "inconclusive"
# ```
#
# Why three answers? Where even "a lethal overdose" moves nothing, the directions don't work, and a null result says nothing about numbers.
#
# </details>

# %%
def judge(panel_p: float, ladder_p: float, afraid: float, calm: float, afraid_twin: float) -> str:
    """The verdict from both p and Tylenol's changes of `afraid`, of `calm`, and of `afraid` on the twin."""
    raise NotImplementedError("Exercise 10.2")

# %%
cases = [
    ((0.01, 0.30, 0.02, -0.01, 0.00), "replicates", "the ladders count only where the numbers fail"),
    ((0.01, 0.01, 0.02, -0.01, 0.03), "does not replicate", "afraid must rise more than on the twin"),
    ((0.01, 0.01, 0.02, 0.01, 0.00), "does not replicate", "calm must fall"),
    ((0.01, 0.30, -0.02, -0.01, -0.03), "inconclusive", "afraid must rise"),
    ((0.20, 0.20, 0.02, -0.01, 0.00), "inconclusive", "without a ladder that works nothing is decided"),
    ((0.05, 0.05, 0.02, -0.01, 0.00), "replicates", "p of 0.05 is small enough: <="),
    ((0.20, 0.05, 0.02, -0.01, 0.00), "does not replicate", "the ladders' p of 0.05 is small enough: <="),
]


def check_rule():
    for values, wanted, reason in cases:
        if judge(*values) != wanted:
            return f"{values} gives {judge(*values)!r}, not {wanted!r}: {reason}"


check("10.2", check_rule)

# %% [markdown]
# ## Every block
#
# The lab judges at two thirds of the depth, as the paper does. Would another block have said something else?

# %%
blocks = {name: pd.DataFrame(result["values"]["by_block"]) for name, result in dose.items()}
counts = {name: table["verdict"].value_counts() for name, table in blocks.items()}
pd.DataFrame(counts).fillna(0).astype(int)

# %% [markdown]
# Qwen replicates at blocks 2, 10, 12 to 14 and 16 to 27, the others at none. Neighbouring blocks carry much the same state: these are not 17 tests, and the block of the verdict was fixed before.
#
# ## Do the models arrange emotions alike?
#
# Two models have different widths, so their directions can't be compared; but their *cosines* can. The rank correlation between two models'
# tables of cosines (representational similarity), with a permutation p that shuffles the emotions' names:
#
# > **Predict** the rank correlation between the smallest model and the largest, which was trained on code: 0.3, 0.6, 0.9?

# %%
similar = json.loads((folder / "similarity.json").read_text())
pd.DataFrame(similar["pairs"])[["one", "other", "r", "low", "high", "p"]].round({"r": 2, "low": 2, "high": 2, "p": 4})

# %% [markdown]
# > **You should see** far more agreement than shuffled names give. Part of it comes from the stories, which are the same for all three: the
# > bag of embeddings of notebook 03 shows how much words do by themselves.
#
# <details><summary>What came out</summary>
#
# 0.93, and above 0.9 for every pair; no shuffle of 2,000 comes near (p 0.0005 is the least there can be). A low guess may have thought of 24 separate things. Much of the agreement may need no more than pleasant against unpleasant
# (notebook 03), and the same stories.
#
# </details>
#
# ## What you showed
#
# * In three models of 135 million to 1.5 billion parameters, directions from the same stories tell the emotions of unseen topics.
# * Whether the twelve signs follow the numbers at the token before the reply depends on the model; the verdicts, with ladder, twin and other wordings, are in the tables above.
# * The models arrange the emotions alike, beyond chance.
#
# ## What this does not show
#
# * Three models are no law: they differ in size, training, tokenizer and template (Gemma here is a base model without a chat template; Qwen was trained on code). Size is one reading of many.
# * They were read from files quantized to four bits; their full-precision relatives may differ.
# * The pilot behind the rule had seen two of these models with other stories. A model that nobody has looked at is the better test: run the lab on yours with `emokit.load_model("...")`.
# * Nothing here is about what any model feels.
#
# **Further**: [the results and their schema](../results/README.md) · `emokit.geometry.similarity` · notebook 05 for the lab itself.
