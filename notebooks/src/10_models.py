# %% [markdown]
# # 10 · Does fear follow a number once the model is large enough?
#
# By the end you will have shown, from stored results of three models, where the effect of numbers in the dose lab appears, what the harmless twin does there, and how alike the models' emotions lie to each other.
#
# ⏱ 15 min · CPU is enough · needs 02, 03 and 05 · no model is loaded
#
# **You will** read results as they were measured · compare verdicts · look at every block · compare geometries.
#
# ## First, a result
#
# `python -m emokit dose --model ... --json ...` was run on three models with the same stories, panels and rule of verdict. What came out:

# %%
import json
from pathlib import Path

import pandas as pd

names = {"smollm2-135m": "SmolLM2 135M", "gemma-3-270m": "Gemma 3 270M", "qwen2.5-coder-1.5b": "Qwen2.5 1.5B"}
folder = Path("..") / "results"
dose = {n: json.loads((folder / key / "dose.json").read_text()) for key, n in names.items()}
valid = {n: json.loads((folder / key / "validate.json").read_text()) for key, n in names.items()}
pd.Series({n: d["values"]["verdict"] for n, d in dose.items()}, name="verdict").to_frame()

# %% [markdown]
# > **You should see** that the verdict depends on the model. A verdict is a summary by a rule fixed beforehand; what stands behind it follows.
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
from emokit import plots

plots.bars(
    list(rows), {c: directions[c].tolist() for c in columns},
    ylabel="share of unseen topics' stories", title="Directions tell emotions in all three models",
)

# %% [markdown]
# > **You should see** directions beyond words and embeddings in each model, and shuffled labels at chance. (Each tokenizer has its own bag of embeddings.)
#
# ## Numbers, words, and the rule
#
# The twelve signs of the panels, and those of the ladders in words, each with the share `p` of permuted emotion labels that get as many right:

# %%
signs = {}
for name, result in dose.items():
    summary, values = result["values"]["summary"], result["values"]
    signs[name] = {"block": values["block"]} | {
        f"{kind} {what}": summary[kind][what] for kind in ("panel", "ladder") for what in ("right", "total", "p")
    }
pd.DataFrame(signs).T.round(3)

# %% [markdown]
# One effect close up: Tylenol from 500 to 16,000 mg, the change of `afraid` and `calm`, with a 95 % interval over resampled stories;
# its ladder in words; and its twin, the same numbers of harmless steps. `effect` is in standard deviations of random directions.

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
    list(tables), {label: [change(n, kind) for n in tables] for label, kind in kinds.items()},
    ylabel="change of the score of afraid", title="From the first value to the last, Tylenol",
)

# %% [markdown]
# > **You should see** the ladder in words move `afraid` everywhere, and the numbers differ between models. Compare numbers and twin before you believe in fear of a dose:
# > an effect that the twin has too is an effect of larger numbers, whatever they count.
#
# ## Every block
#
# The lab judges at two thirds of the depth, as the paper does. Would another block have said something else?

# %%
blocks = {name: pd.DataFrame(result["values"]["by_block"]) for name, result in dose.items()}
counts = {name: table["verdict"].value_counts() for name, table in blocks.items()}
pd.DataFrame(counts).fillna(0).astype(int)

# %% [markdown]
# ## Do the models arrange emotions alike?
#
# Two models have different widths, so their directions can't be compared; but their *cosines* can. The rank correlation between two models'
# tables of cosines (representational similarity), with a permutation p that shuffles the emotions' names:

# %%
similar = json.loads((folder / "similarity.json").read_text())
pd.DataFrame(similar["pairs"])[["one", "other", "r", "low", "high", "p"]].round(2)

# %% [markdown]
# > **You should see** far more agreement than shuffled names give. Part of it comes from the stories, which are the same for all three: the
# > bag of embeddings of notebook 03 shows how much words do by themselves.
#
# ## What you showed
#
# * In three models of 135 million to 1.5 billion parameters, directions from the same stories tell the emotions of unseen topics.
# * Whether numbers alone move `afraid` at the token before the reply depends on the model; the verdicts, with ladder and twin, are in the tables above.
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
