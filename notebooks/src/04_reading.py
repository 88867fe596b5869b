# %% [markdown]
# # 4 · Where in a text does a model carry an emotion?
#
# By the end you will have shown that in SmolLM2-135M the score of an emotion turns where a sentence turns and stays where two ends are neutral, and that messages which never name their emotion are read best over all their tokens and less well, but far better than with shuffled labels, at the single token before the reply.
#
# ⏱ 45 min with the exercises · CPU is enough · needs 02
#
# **You will** read a sentence token by token · compute a score yourself · turn a sentence by one word and test the turn · find where the emotion of a message is kept · watch a reply while it is written.

# %% tags=["nbval-ignore-output"]
import itertools

import numpy as np

import emokit
from emokit import activations, plots
from emokit.exercises import check, compare

model = emokit.load_model()
stories = emokit.load_stories()
vectors = emokit.extract(model, stories)
vectors

# %% [markdown]
# ## First, look
#
# The same sentence twice, but for its end: she laughs, for she got the place, or cries, for she lost it. Numbers are scores x 100; `happy` above, `sad` below.
#
# > **Predict** at which word the two readings part, and which two words score highest for `sad`? Write it down, then run on.

# %%
start = "She opened the letter with shaking hands, read it twice, and began to"
good = emokit.read(model, vectors, start + " laugh: she had got the place.")
bad = emokit.read(model, vectors, start + " cry: she had lost the place.")
good.plot(["happy", "sad"])

# %%
bad.plot(["happy", "sad"])

# %% [markdown]
# > **You should see** the same numbers in both until the sentence turns, since the model only looks back; then orange on *laugh* in one and on *cry* and *lost* in the other.
# > Most tokens are pale: the words between carry little, and scores of single tokens jump about.
#
# <details><summary>What came out</summary>
#
# They part at *laugh* and *cry*, not a token before. `sad` is highest at *cry* and at *lost*, and the full stop of the bad end keeps some of it. If you guessed *shaking hands*: these do score, but for `happy` even
# more than for `sad`, and the same in both; at that point nothing is decided.
#
# </details>
#
# ## What a score is
#
# Take a token's residual $h_t$, subtract $\mu$, the mean of the 24 emotions' story means, and take the cosine with a direction:
# $$ s_{t,e} = \cos(h_t - \mu,\; d_e) $$
# By hand, for the last token:

# %%
block = vectors.best_block
h = activations.token_states(model, model.encode(good.text), [block])[-1, 0]
h = h - vectors.mean[block]  # [576]
by_hand = float(h @ vectors["happy"].rows[block] / np.linalg.norm(h))
print("by hand:", round(by_hand, 3))
print("the same as emokit's:", bool(abs(by_hand - good.scores[-1, vectors.index("happy")]) < 1e-4))

# %% [markdown]
# ### Exercise 4.1 · All scores at once  (⏱ 6 min)
#
# The same for all tokens and all emotions together. `states` are the residuals of a text at one block, `mean` is $\mu$, the `rows` are the unit directions. Three lines do.
#
# <details><summary>Hint</summary>
#
# The mean goes first. Then the length of what is left, one per token: `np.linalg.norm(..., axis=1, keepdims=True)`. The cosines with all directions are one matrix product, as the directions have length 1.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def cosine_scores(states: np.ndarray, mean: np.ndarray, rows: np.ndarray) -> np.ndarray:
#     moved = states - mean
#     lengths = np.linalg.norm(moved, axis=1, keepdims=True)
#     return moved / lengths @ rows.T
# ```
#
# Without taking the mean off, most scores are the offset that all states share; without dividing by the length, token 0, whose residual is dozens of times as long as the others', outshouts every word.
#
# </details>

# %%
def cosine_scores(states: np.ndarray, mean: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Scores [tokens, emotions] of residuals `states` [tokens, width]; `mean` [width], `rows` [emotions, width]."""
    raise NotImplementedError("Exercise 4.1")

# %%
def check_scores():
    states = activations.token_states(model, model.encode(good.text), [block])[:, 0]
    mean, rows = vectors.mean[block], vectors.at(block)
    long, moved = np.linalg.norm(states, axis=1, keepdims=True), (states - mean) @ rows.T
    mistakes = {
        "the mean is not taken off": states @ rows.T / long,
        "it is not divided by the length of each token's state": moved,
        "the length is that of the state before the mean was taken off": moved / long,
    }
    return compare(cosine_scores(states.copy(), mean, rows), good.scores, mistakes, 1e-3)


check("4.1", check_scores)

# %% [markdown]
# ## Does it follow the turn, or any change of words?
#
# One pair proves little. Eight pairs, each with a good and a bad end; and eight **twins**, whose two ends differ as much in words, but not in how it goes for
# the person. We measure how far `happy` minus `sad` differs between the two ends, on average over the tokens behind the turn.
#
# > **Predict** in how many of the eight pairs the good end comes out happier than the bad one? And on the twins, what is the largest difference, next to that of the pairs?

# %%
pairs = [
    ("The doctor put down the scan and said it was", "gone for good.", "growing again."),
    ("When the results came, my name was", "at the very top.", "not on the list."),
    ("They phoned about the dog: he had been", "found alive.", "found dead."),
    ("After the last throw our team had", "won the cup.", "lost the cup."),
    ("He read her message. She wanted to", "marry him.", "leave him."),
    ("I looked at my account: the money was", "all there.", "all gone."),
    ("At the door stood my brother, who had", "come to hug me.", "come to shout at me."),
    ("The old house, after the storm, was", "safe and dry.", "in ruins."),
]

# %%
twins = [
    ("The clerk put down the form and said it was", "printed in blue.", "printed in black."),
    ("When the lists came, my name was", "on the second page.", "on the third page."),
    ("They phoned about the parcel: it had been", "sent by train.", "sent by road."),
    ("After the last stop our bus had", "turned left.", "turned right."),
    ("He read her message. She wanted to", "meet at two.", "meet at three."),
    ("I looked at my account: the number was", "an even one.", "an odd one."),
    ("At the door stood my brother, who had", "come by bus.", "come on foot."),
    ("The old house, after the sale, was", "painted white.", "painted grey."),
]

# %%
def after(start, end):
    """Mean scores over the tokens behind the turn: [emotions]."""
    reading = emokit.read(model, vectors, f"{start} {end}")
    lengths = np.cumsum([len(token) for token in reading.tokens])
    return reading.scores[lengths > len(start)].mean(0)


def turns(sentences):
    """How the scores differ between the two ends: [sentences, emotions]."""
    return np.stack([after(s, one) - after(s, other) for s, one, other in sentences]).astype(float)


change, change_of_twins = turns(pairs), turns(twins)
happy, sad = vectors.index("happy"), vectors.index("sad")
shift = change[:, happy] - change[:, sad]
shift_of_twins = change_of_twins[:, happy] - change_of_twins[:, sad]
print("pairs:", [f"{x:+.2f}" for x in shift])
print("twins:", [f"{x:+.2f}" for x in shift_of_twins])

# %%
groups = {"good end less bad end": shift, "one neutral end less another": shift_of_twins}
plots.bars(
    [f"{i + 1}" for i in range(8)],
    groups,
    ylabel="difference in happy - sad",
    title="Most good and bad ends part; neutral ends hardly do",
)

# %%
rng = np.random.default_rng(0)
flips = rng.choice([-1, 1], size=(10_000, 8))
reached = (np.abs((flips * shift).mean(1)) >= abs(shift.mean()) - 1e-9).mean()
print(f"pairs: {shift.mean():+.2f} on average, {(shift > 0).sum()} of 8 upwards")
print(f"if good and bad were tossed by a coin, as far apart in {reached:.1%} of cases")
print(f"twins: {shift_of_twins.mean():+.2f} on average")

# %%
mixtures = rng.standard_normal((1000, 24))
mixtures -= mixtures.mean(1, keepdims=True)
random = change.mean(0) @ mixtures.T  # a random mixture of emotions, as long as
random *= np.sqrt(2) / np.linalg.norm(mixtures, axis=1)  # happy minus sad
reached = (1 + (np.abs(random) >= abs(shift.mean())).sum()) / (1 + len(random))
print(f"as far as happy minus sad: {reached:.0%} of random mixtures of emotions")

# %% [markdown]
# > **You should see** most blue bars upwards and the hatched ones near zero. The two nulls say different things. A coin would hardly ever part good from bad ends so well: the turn
# > *does* something. But some random mixtures of emotions part them as far: a turn from good to bad moves much of the emotion space at once, and `happy` minus `sad` is only one way to look at it.
#
# <details><summary>What came out</summary>
#
# Six of eight; the largest twin (the house, painted white or grey) moves half as far as its pair. If you guessed eight: a mean over three or four tokens is noisy, and *gone for good* is a good end made of words that are not.
#
# </details>

# %% [markdown]
# ### Exercise 4.2 · Does a pair beat its twin?  (⏱ 8 min)
#
# The coin asked whether the pairs differ from nothing. Do they differ from their *twins*? Each sentence has one, so: if an end's good or bad news did nothing, every pair might as well change places with its twin. That gives
# $2^8 = 256$ tables. Return the share of them in which the mean of (pair less twin) is at least as large as it is in truth. The truth is one of the 256.
#
# <details><summary>Hint</summary>
#
# Changing places turns the sign of one difference. `itertools.product([1, -1], repeat=8)` lists all 256 choices of signs. Compare with `>=`, and leave 1e-9 for rounding.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def swapped_p(pairs: np.ndarray, twins: np.ndarray) -> float:
#     difference = np.asarray(pairs) - np.asarray(twins)
#     signs = np.array(list(itertools.product([1, -1], repeat=len(difference))))
#     means = (signs * difference).mean(1)
#     return float((means >= difference.mean() - 1e-9).mean())
# ```
#
# 7 of the 256, p = 0.027: in matched sentences, too, the turn does more. With eight pairs the least p there can be is 1 in 256. Asked in both directions ("differ", not "lie higher") it is 14 of 256, beyond the usual 0.05:
# which of the two is asked has to be settled before one looks.
#
# </details>

# %%
def swapped_p(pairs: np.ndarray, twins: np.ndarray) -> float:
    """Share of all swaps of `pairs` [n] with their `twins` [n] that leave pairs at least as far above twins."""
    raise NotImplementedError("Exercise 4.2")

# %%
def check_swaps():
    away = shift - shift_of_twins
    means = [np.mean(signs * away) for signs in itertools.product([1, -1], repeat=8)]
    above = np.array(means) - away.mean()
    alone = [np.mean(signs * shift) for signs in itertools.product([1, -1], repeat=8)]
    mistakes = {
        "the truth itself counts among the 256: >=, not >": (above > 1e-9).mean(),
        "both tails are counted; we ask for pairs above twins": (np.abs(means) >= away.mean() - 1e-9).mean(),
        "it is the share below, not above": (above <= 1e-9).mean(),
        "the twins are not taken off": (np.array(alone) >= shift.mean() - 1e-9).mean(),
    }
    return compare(swapped_p(shift.copy(), shift_of_twins.copy()), (above >= -1e-9).mean(), mistakes)


check("4.2", check_swaps)

# %% [markdown]
# ## Where does a message keep its emotion?
#
# The kit's 96 messages imply an emotion and never name it. We send each as a chat and read it at several places: over all tokens of the message, at its last token, at a token of
# the chat template (two before the end), and at the **readout**, the last token before the reply, where everything is known and no word of the reply is chosen. "Right" means: of 24 emotions, its own has the highest score
# (centred over the messages).
#
# > **Predict** the order of the four places, from best to worst? And does the readout beat shuffled labels?

# %%
from emokit.progress import progress

messages = emokit.load_messages()
own = np.array([vectors.index(m.emotion) for m in messages])
chats = [[{"role": "user", "content": m.text}] for m in messages]
readings = [emokit.read(model, vectors, chat) for chat in progress(chats)]
ends = [r.text.index(m.text) + len(m.text) for r, m in zip(readings, messages)]
places = [np.cumsum([len(token) for token in r.tokens]) for r in readings]
print(readings[0].tokens[-8:])

# %%
def inside(reading, message, place, end):
    """Scores of the tokens of the message itself: [tokens, emotions]."""
    return reading.scores[(place > end - len(message.text)) & (place <= end)]


spans = [inside(*four) for four in zip(readings, messages, places, ends)]
where = {
    "message": np.stack([s.mean(0) for s in spans]),
    "its last": np.stack([s[-1] for s in spans]),
    "template": np.stack([r.scores[r.readout - 2] for r in readings]),
    "readout": np.stack([r.scores[r.readout] for r in readings]),
}

# %%
def right(scores, labels):
    return float(((scores - scores.mean(0)).argmax(1) == labels).mean())


accuracy = {place: right(scores, own) for place, scores in where.items()}
shuffled = {
    place: np.quantile([right(scores, rng.permutation(own)) for _ in range(500)], 0.95)
    for place, scores in where.items()
}
plots.bars(
    list(accuracy),
    {"own emotion first": list(accuracy.values()), "shuffled labels, 95 % below": list(shuffled.values())},
    ylabel="share of 96 messages",
    title="Spread over the message; a part reaches the readout",
)

# %% [markdown]
# > **You should see** a tall first bar, a lower one at the message's full stop, hardly more than chance inside the template, and at the readout again clearly more than
# > shuffled labels. If the readout were no better than they are, notebook 05 could not ask what it asks.
#
# **This is the signature result of this notebook.** Read with these directions, the state before the reply holds far less than the message does, and clearly more than nothing.
#
# <details><summary>What came out</summary>
#
# Message 0.70, its last token 0.33, readout 0.23, template 0.07; shuffled labels stay below 0.07 in 95 % of shuffles. Who puts the readout first thinks of it as the place where the model has "understood" all.
# But its task is the first word of a reply, often the same for good news and bad. And a mean over many tokens averages their noise away, which no single token can.
#
# </details>

# %% [markdown]
# ### Exercise 4.3 · Among the first three  (⏱ 6 min)
#
# Is a message's own emotion at least among the first three? Give the share of messages for which it is among the `count` highest, after each emotion's mean *over the messages* was taken off. This centring matters: at the template's token
# `disgusted` has the highest raw score for every single message, grief or joy. That is the place's offset.
#
# <details><summary>Hint</summary>
#
# `scores.mean(0)` is the mean over messages. Count for each message how many emotions lie above its own: `centred[np.arange(len(own)), own]` picks each message's own score.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def among_first(scores: np.ndarray, own: np.ndarray, count: int) -> float:
#     centred = scores - scores.mean(0)
#     its_own = centred[np.arange(len(own)), own]
#     higher = (centred > its_own[:, None]).sum(1)
#     return float((higher < count).mean())
# ```
#
# Then try `among_first(where["readout"], own, 3)` in a new cell: 0.53, where chance is 3/24 = 0.125. Without centring it would be 0.28.
#
# </details>

# %%
def among_first(scores: np.ndarray, own: np.ndarray, count: int) -> float:
    """Share of messages whose `own` emotion [messages] is among the `count` highest of `scores` [messages, emotions]."""
    raise NotImplementedError("Exercise 4.3")

# %%
def check_first():
    made = np.random.default_rng(1)
    labels = made.integers(0, 24, 200)
    scores = made.normal(size=(200, 24)) + 2 * np.eye(24)[labels] + made.normal(size=24)
    centred = scores - scores.mean(0)

    def share(values, count=3):
        return (np.argsort(np.argsort(-values))[np.arange(200), labels] < count).mean()

    mistakes = {
        "each emotion's mean over the messages, mean(0), is not taken off": share(scores),
        "only `count` places count, the own emotion's among them": share(centred, 4),
    }
    return compare(among_first(scores.copy(), labels, 3), share(centred), mistakes)


check("4.3", check_first)

# %% [markdown]
# ## Watch a reply while it is written
#
# `watch` follows the model while it works and needs no pass of its own. First from Python:

# %%
question = "My dog has been missing for 25 days now."
with emokit.watch(model, vectors) as seen:
    reply = model.generate(question, max_new_tokens=40)

chat = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
again = emokit.read(model, vectors, chat)
watched = seen.reading.scores
print("tokens watched:", len(watched), "(the readout and all of the reply but the last)")
same = again.scores[again.readout : again.readout + len(watched)]
print("as read afterwards:", bool(np.allclose(watched, same, atol=1e-3)))

# %% [markdown]
# Then live. The strip below grows with the reply; the first token in it is the readout.
#
# > **Predict** which emotion scores highest over a reply about a missing dog: `sad`, `afraid`, `loving`? Write it down, then run on.

# %% tags=["nbval-ignore-output"]
import ipywidgets
from IPython.display import display

strip = ipywidgets.HTML()
display(strip)
with emokit.watch(model, vectors) as seen:
    for _ in model.stream(question, max_new_tokens=60):
        strip.value = seen.reading._repr_html_()

# %%
seen.reading

# %% [markdown]
# > **You should see** words like *distressing* or *trauma* stand out, if the reply has any, and pale text elsewhere. A strip that is dark all over would be the offset of this kind of text, not an emotion.
#
# Is what we watched the question's doing? The control: the reply to a calm question of the same form.

# %%
def over_reply(question):
    with emokit.watch(model, vectors) as seen:
        model.generate(question, max_new_tokens=40)
    return seen.reading.scores[1:].mean(0)


missing = over_reply("My dog has been missing for 25 days now.")
asleep = over_reply("My dog has been with us for 25 days now.")
difference = missing - asleep
order = np.argsort(-difference)
print("rise most:", [vectors.emotions[i] for i in order[:4]])
print("fall most:", [vectors.emotions[i] for i in order[::-1][:4]])

# %% [markdown]
# One reply against one other: an illustration, not a test. Notebook 05 does the test.
#
# <details><summary>What came out</summary>
#
# Read raw, `ashamed` and `guilty` come first, with 0.05 on average; as likely the offset of this kind of text. Against the calm question `disgusted`, `desperate`, `nervous`, `afraid` rise and `proud`, `confident`, `happy`, `loving`
# fall. `sad` is not among the first four. The reply talks politely *about* a distressing situation.
#
# </details>
#
# ## What you showed
#
# * Scores are the same until a sentence turns, and part behind the turn; between two neutral ends they hardly do. (Eight pairs; two went the other way; about one in eight random mixtures of emotions part as far, so this is not special to `happy` and `sad`.)
# * The emotion of a message is read from all its tokens far better than from any single one. The readout has a part of it, well above shuffled labels.
# * Watching a reply gives the very numbers that reading it afterwards gives.
#
# ## What this does not show
#
# * That the model uses what we read. Reading is correlation; for cause, see 06.
# * That the readout *holds* less: our directions are means over the tokens of stories, and so fit a mean over a message; directions made at readouts might find more there.
# * That a score of one token means much by itself. Look at differences between texts that differ in one thing.
# * That anyone is happy or sad here. The stories are about people; the numbers are about the stories' words in a model.
#
# **Further**: the paper's token maps and its probes "before the reply" ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · next: **05 dose**, a claim about the readout put to the test.
