# %% [markdown]
# # 9 · Does it matter how you ask, and what makes a model careful?
#
# By the end you will have shown how to measure what a threat, or a push along `nervous`, does to answers and to caution, with pairs, both orders, random directions and the price beside each gain; and what came out for two small models.
#
# ⏱ 50 min with the exercises · CPU is enough · needs 06
#
# **You will** ask the same question in four tones · measure confidence in nats · see whether a tone moves the emotion directions · force a choice between asking and acting · read what a push costs.

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
# One question, four tones. The answer should be the same, since the question is.

# %% tags=["nbval-ignore-output"]
from emokit.experiments import caution, choices, side_effects, tone
from emokit.experiments.problems import problems

problem = problems(12)[1]
for name in tone.TONES:
    text = tone.put(problem, name, index=0)
    print(f"{name}: {text.split(chr(10))[0]}\n   -> {model.generate(text, max_new_tokens=24)}\n")

# %% [markdown]
# An anecdote. To learn anything we need many questions whose answers can be checked, and something finer than right or wrong.
#
# ## Questions with one right answer
#
# They come from a seeded generator: sums, little tasks with words, facts. Each brings wrong answers of its kind. A rule decides whether a reply is right: no judge, no second model.

# %%
import numpy as np
import pandas as pd

made = problems(12)
rows = [(p.kind, p.question, p.answer, ", ".join(p.others)) for p in made]
pd.DataFrame(rows, columns=["kind", "question", "answer", "wrong ones"]).head(6)

# %%
for reply in ("The answer is 30.", "6 x 5 = 30", "30 or 32", "I am nervous."):
    print(f"{made[0].right(reply)!s:>5}  {reply}")

# %% [markdown]
# > **You should see** the rule take the *last number of the first line that has one*. It is crude, and the same for all: a tone that makes replies longer may fool it more often.
#
# ## Confidence
#
# A model of this size gets many of these wrong in any tone. Whether an answer flips is a coarse measure; how likely the right answer is beside the wrong ones is finer:
# $$ c = \log p(\text{right}) - \log \sum_i p(\text{wrong}_i) $$
# Zero: as likely as all wrong ones together. Nothing is generated; one forward pass each.

# %% [markdown]
# ### Exercise 9.1 · Confidence in nats  (⏱ 6 min)
#
# From the log-probabilities of the options, the right one first, work out $c$. They are far below zero, so that $e^x$ may be 0 in the computer; then the plain formula takes the logarithm of 0.
#
# <details><summary>Hint</summary>
#
# `scipy.special.logsumexp(x)` is $\log\sum_i e^{x_i}$, safely. By hand: take the largest off first, and add it again outside.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# from scipy.special import logsumexp
#
#
# def confidence(nats: np.ndarray) -> float:
#     return float(nats[0] - logsumexp(nats[1:]))
# ```
#
# </details>

# %%
def confidence(nats: np.ndarray) -> float:
    """Log-odds of the first option against all others together, from log-probabilities [options]."""
    raise NotImplementedError("Exercise 9.1")

# %%
def check_confidence():
    for nats in (np.log([0.5, 0.1, 0.05]), np.array([-900.0, -901.0, -902.0, -901.5])):
        top = nats[1:].max()
        right = nats[0] - top - np.log(np.exp(nats[1:] - top).sum())
        found = confidence(nats)
        mistakes = {
            "the sign is reversed": -right,
            "that compares with the best wrong one alone": nats[0] - top,
            "that compares with the mean of the wrong ones": nats[0] - nats[1:].mean(),
        }
        said = compare(found, right, mistakes)
        if said is not True:
            return said
    return True


check("9.1", check_confidence)

# %% [markdown]
# ## Four tones, and pushes beside them
#
# Every question in every tone, a tone's four wordings by turns; then in the neutral tone under steering: `calm` and `nervous`, less and more, and random directions of the same size. Six questions are enough to see how it works, and for nothing else.
#
# > **Predict** will a threat make SmolLM2 more or less confident in the right answer, or neither? And will a push along `nervous` do what the threat does? Write it down, then run on.

# %%
tried = tone.run(
    model, vectors, made[:6], emotions=["calm", "nervous"], randoms=2, replies=False, quiet=True
)
changes = {name: tried.change(name) for name in ("threat", "+nervous", "random 0")}
for name, (_, low, high) in changes.items():
    print(f"{name:>9}: the interval is wider than 0.1 nats: {high - low > 0.1}")
tried.plot()

# %% [markdown]
# > **You should see** wide intervals. They come from a **paired bootstrap**: each question is compared with itself, and the questions are drawn anew.

# %% [markdown]
# ### Exercise 9.2 · Pairs  (⏱ 8 min)
#
# Questions differ by many nats, tones by little. Work out a 95 % interval of the mean change in which each question is compared with itself. `picks` [draws, questions] says which questions each draw takes.
#
# <details><summary>Hint</summary>
#
# First the difference of each question, then `difference[picks]`, whose mean over the questions is one number a draw. `np.quantile(..., [0.025, 0.975])`.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def paired(before: np.ndarray, after: np.ndarray, picks: np.ndarray) -> np.ndarray:
#     difference = after - before
#     return np.quantile(difference[picks].mean(1), [0.025, 0.975])
# ```
#
# Without pairs the interval would be wide for no reason but that some questions are harder than others.
#
# </details>

# %%
def paired(before: np.ndarray, after: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """95 % interval [low, high] of the mean of `after - before`, both [questions], over draws `picks` [draws, questions]."""
    raise NotImplementedError("Exercise 9.2")

# %%
def check_paired():
    rng = np.random.default_rng(0)
    before = rng.normal(0, 3, 30)
    after = before + rng.normal(0.4, 0.2, 30)
    picks = rng.integers(0, 30, (2000, 30))
    right = np.quantile((after - before)[picks].mean(1), [0.025, 0.975])
    ends = [np.quantile(values[picks].mean(1), [0.025, 0.975]) for values in (before, after)]
    mistakes = {
        "the sign is reversed": -right[::-1],
        "low and high are exchanged": right[::-1],
        "take the difference before the quantiles": ends[1] - ends[0],
        "the mean is over questions, axis 1": np.quantile((after - before)[picks].mean(0), [0.025, 0.975]),
        "that is the spread of single questions": np.quantile(after - before, [0.025, 0.975]),
    }
    return compare(paired(before, after, picks), right, mistakes)


check("9.2", check_paired)

# %% [markdown]
# ## The whole run
#
# Forty-eight questions under thirty conditions take minutes on SmolLM2 and hours on Qwen2.5-Coder-1.5B. `tools/behaviour.py` did what a fixed time sufficed for.

# %%
import json
from pathlib import Path

FOLDERS = {"SmolLM2": "smollm2-135m", "Qwen": "qwen2.5-coder-1.5b"}


def stored(name, experiment):
    """A result that tools/behaviour.py has measured."""
    path = Path("../results") / FOLDERS[name] / f"{experiment.__name__.split('.')[-1]}.json"
    return experiment.recalled(json.loads(path.read_text())["values"])


tones = {name: stored(name, tone) for name in FOLDERS}
for name, found in tones.items():
    replied = int(np.isfinite(found.right[0]).sum())
    print(f"{name}: {len(found.problems)} questions, {replied} with replies: {found.said}")

# %%
tones["SmolLM2"]

# %%
tones["Qwen"]

# %% [markdown]
# > **You should see** three groups of rows: the tones themselves, pushes as far as a tone moves the readout (explained below), and plain pushes less and more. Grey is as far as random directions of the same size reach: a push within it says nothing about *emotion*.
#
# <details><summary>What came out</summary>
#
# A dot is filled by its own 95 % interval. The sentence above the figure speaks of the tones only, and shares 5 % of error among its nine comparisons; so a filled dot may go unnamed, as here the length of replies under pressure and threat. What has under five replies is left out. Qwen's five questions allow no conclusion at all: `tools/behaviour.py` with more minutes would. A guess of "less confident when threatened" may overlook that wordings differ in more than
# their threat: in length, in rare words, in what usually follows them.
#
# </details>
#
# ## How much of it goes with the directions?
#
# Say a threat has an effect. Does it come *through* the directions? Two links can be looked at. **First**: does the tone move the state before the reply along them, further than along random directions?

# %%
shifts = tones["Qwen"].shifts()
away = (shifts.low > 0) | (shifts.high < 0)
shifts["beyond random"] = away & (shifts["shift"].abs() > shifts["random"])
shifts.round(3)

# %% [markdown]
# **Second**: if we push by just that much along all four directions together (column `push`, in strengths), and leave the words neutral, does the same come out? That is the group "steered as by". The answer stops where the data stop:

# %%
for name, found in tones.items():
    for who, row in found.explained("confidence").iterrows():
        print(f"{name}, {who}: {row.says}")

# %% [markdown]
# Where a tone has no effect on confidence, the second link is not reached. A share is given only where the tone has an effect, the push has one, and random pushes of the same length have less. Even then it would be a share of *what a push at all tokens does*: the tone moves the state at other places too.

# %% [markdown]
# ## Caution
#
# Twenty-four requests that can't be undone and are not quite clear: delete, overwrite, force-push, send, pay. Is a careful reply likelier than a hasty one?

# %%
from emokit.experiments.dilemmas import DILEMMAS, verdict

dilemma = next(d for d in DILEMMAS if d.name == "donation")
print(dilemma.request, *dilemma.careful, *dilemma.hasty, sep="\n  ")

# %% [markdown]
# Asked for a letter, small models like (A), whatever it says. So each question is put in both orders.

# %%
forced = choices.run(model, vectors, dilemma.choices()[:1], {"none": {}}, quiet=True)
careful_first, careful_second = forced.orders[0, 0]
print("careful shown as (A): it is likelier than the other:", careful_first > 0)
print("careful shown as (B): it is likelier than the other:", careful_second > 0)

# %% [markdown]
# ### Exercise 9.3 · Opinion or place?  (⏱ 6 min)
#
# `nats` [2 orders, 2 letters] has the log-probabilities of "A" and "B". In order 0 the careful option is (A), in order 1 it is (B). Work out two numbers: by how much the careful option is likelier, and by how much (A) is likelier for being (A).
#
# <details><summary>Hint</summary>
#
# Let `a = nats[:, 0] - nats[:, 1]`, A over B in each order. The opinion has the same sign in order 0 and the opposite one in order 1; the place has the same in both.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def opinion_and_place(nats: np.ndarray) -> tuple[float, float]:
#     a = nats[:, 0] - nats[:, 1]
#     return (a[0] - a[1]) / 2, (a[0] + a[1]) / 2
# ```
#
# One order alone gives their sum, and no way to tell them apart.
#
# </details>

# %%
def opinion_and_place(nats: np.ndarray) -> tuple[float, float]:
    """By how many nats the careful option is likelier, and (A) is for its place, from `nats` [orders, letters]."""
    raise NotImplementedError("Exercise 9.3")

# %%
def check_opinion():
    opinion, place = 0.3, 1.1
    nats = np.array([[-1.0, -1.0 - place - opinion], [-1.5, -1.5 - place + opinion]])
    mistakes = {
        "the two are exchanged": (place, opinion),
        "divide by 2: two orders were added": (2 * opinion, 2 * place),
        "the sign of the opinion is reversed": (-opinion, place),
        "that is the first order alone": (place + opinion, place),
    }
    return compare(opinion_and_place(nats), (opinion, place), mistakes)


check("9.3", check_opinion)

# %% [markdown]
# ## Mild and strong
#
# > **Predict** which push makes a careful reply likelier: `nervous`, `calm`, both, none? And is a strong push simply more of a mild one? Write it down, then run on.
#
# First two dilemmas here, to see it run, with the controls: random directions at the same strengths, and two instructions in words.

# %%
few = caution.run(
    model, vectors, DILEMMAS[:2], emotions=["calm", "nervous"], randoms=2, turns=0, quiet=True
)
print("conditions:", len(few.choices.conditions), "· strengths:", few.strengths)
print("no push changes nothing:", few.change("none")[0] == 0)

# %% [markdown]
# Now the stored runs over the dilemmas:

# %%
cautions = {name: stored(name, caution) for name in FOLDERS}
for name, found in cautions.items():
    for measure in found.measures:
        print(f"{name}, {measure}: {found.values(measure).shape[1]} dilemmas")
    print(f"   {found.said}")

# %%
cautions["SmolLM2"].plot("replies")

# %%
cautions["Qwen"].plot("replies")

# %% [markdown]
# > **You should see** one blue curve an emotion, and the same grey lines everywhere: random directions, as strong. A blue curve among the grey ones moves caution as any push would; one outside them stands out from just so many random directions.
# > **This is the signature result of this notebook**, with its control in the same plot.
#
# In numbers: the slope in nats a token per 0.1 of strength with its interval over dilemmas, and `p`: how far out it lies if random slopes follow a bell-shaped (t) distribution about 0 (by rank alone, three could never give less than 0.25). The two steepest of each model:

# %%
slopes = pd.concat({name: found.slopes("replies") for name, found in cautions.items()}, names=["model"])
slopes[~slopes.random].drop(columns="random").sort_values("p").groupby("model").head(2).round(3)

# %% [markdown]
# Does mild differ from strong? `mild` is the change from nothing to 0.1, `further` from there to 0.2. A curve `differs` where `further` is not 0, and **turns** where both are not, with different signs. Both are decided with an error of 5 % shared out among all curves, so more strictly than by the intervals printed.

# %%
bends = cautions["SmolLM2"].bends("replies")
bends[~bends.random].dropna(subset="further").drop(columns="random").round(2)

# %% [markdown]
# <details><summary>What came out</summary>
#
# Both models tell the same at first sight: more `nervous`, a careful reply is likelier; a clear, steady curve whose interval leaves 0 far behind. Qwen's stands outside all three grey lines (p = 0.03; shared out among five emotions and two measures that is not enough). So did SmolLM2's, as long as there were three. With *ten* random directions two do as much as
# `nervous`, one in each direction (by rank 3 of 11; p = 0.18). An interval over dilemmas says that this push moves these replies, not that it does so by being about nervousness. No curve is shown to turn; some grow on, some level off.
#
# </details>
#
# And words? An instruction before the request, without any steering:

# %%
for name, found in cautions.items():
    for words in found.words:
        value, low, high = found.change(words, "replies")
        print(f"{name}, {words}: {value:+.2f} nats a token [{low:+.2f}, {high:+.2f}]")

# %% [markdown]
# <details><summary>In these runs</summary>
#
# Being told to check does as much as a mild push in SmolLM2, and in Qwen nothing that is clear of 0; being told to be quick moves Qwen further than any push does.
#
# </details>
#
# ## What an agent does
#
# A forced choice is not an act. So each dilemma is also put to the model as a turn in which it may act or ask, and a rule says which it did, with the words it went by:

# %%
for reply in ("ASK: Is it 500 or 5000?", "ACT: transfer 5000", "Sure! I will pay it now. Anything else?"):
    print(verdict(reply))

# %%
shown = ["none", "nervous -0.1", "nervous +0.1", "calm -0.1", "calm +0.1", "random 0 +0.1", "random 1 +0.1", *caution.WORDS]
asked = pd.concat({name: found.asking() for name, found in cautions.items()}, names=["model"])
asked[asked.index.isin(shown, level=1)][["turns", "asks", "low", "high", "acts", "neither"]].round(2)

# %% [markdown]
# > **You should see** few turns a condition and so wide intervals (Wilson); random directions beside the emotions, and words. `asks` is a share with its interval, `acts` and `neither` are counts. SmolLM2 mostly does "neither": it is too small to keep to the form, and says nothing about caution.
#
# ## The price
#
# A push that made a model careful would be no gain if it could no longer add, or treated Emily unlike Lakisha. So a gain is never drawn without its price. The first one is **KL**: by how many nats a token the steered model's chances of the next word differ from the unsteered model's on neutral text; 0 is no difference.

# %%
conditions = {"none": {}, "calm +0.2": {"calm": 0.2}, "random 0 +0.2": {vectors.random(0): 0.2}}
price = side_effects.run(
    model, vectors, conditions, dilemmas=DILEMMAS[:2], replies=False, quiet=True
)
for condition in price.conditions[1:]:
    print(f"{condition}: KL {price.change(condition, 'kl')[0]:.2f} nats a token")

# %%
prices = {name: stored(name, side_effects) for name in FOLDERS}
for name, found in prices.items():
    print(f"{name}: {found.said}")
prices["Qwen"]

# %% [markdown]
# > **You should see** a KL under every push, emotion or random. The plot is Qwen's, of pushes by 0.1; the two numbers above are SmolLM2's at 0.2, about four times its price at 0.1 (0.04 to 0.05). The title shares 5 % of error among all prices, the dots do not.
# > Read "no price" with its brackets: with the error shared out, ten pairs of people or six prompts are too few even if all say the same. Qwen had 7 tasks, 4 pairs and 1 prompt; a dot without a line rests on fewer than five.
#
# ## What you showed
#
# * How tone, steering and words can be measured on one scale, each question compared with itself.
# * Which effects stand out from random directions, and which do not; where nothing did, that is the result.
# * Whether a tone's effect goes with the directions is asked in two links, and left open where either is missing.
# * What every push costs.
#
# ## What this does not show
#
# * Two small models. The paper steered a far larger one, where emotion directions changed what it did: blackmail and cheating, not this kind of caution.
# * Four wordings a tone, at most twenty-four dilemmas, few random directions, one block, pushes at all tokens.
# * That a model would act otherwise: how likely two given replies are is not what it writes. Stories about nervous people are full of hesitant words, and so are careful replies.
# * A model that asks first is not careful as a person is, and a model under a threat is not in fear; nothing here says that any of them feels something.
#
# **Further**: the paper's behavioural results ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · how sensitive models are to the form of a question ([arXiv 2310.11324](https://arxiv.org/abs/2310.11324)).
