# %% [markdown]
# # 4 · Where in a text does a model carry an emotion?
#
# By the end you will have shown that in SmolLM2-135M the score of an emotion turns where a sentence turns and stays where two ends are neutral, and that messages which never name their emotion are read best over all their tokens and less well, but far better than with shuffled labels, at the single token before the reply.
#
# ⏱ 20 min · CPU is enough · needs 02
#
# **You will** read a sentence token by token · turn it by one word · find where the emotion of a message is kept · watch a reply while it is written.

# %% tags=["nbval-ignore-output"]
import emokit

model = emokit.load_model()
stories = emokit.load_stories()
vectors = emokit.extract(model, stories)
vectors

# %% [markdown]
# ## First, look
#
# The same sentence twice, but for its end. Numbers are scores x 100; `happy` above, `sad` below.

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
# ## What a score is
#
# The residual stream $h_t$ of a token, less the mean over the emotions of the stories, and its cosine with a direction:
# $$ s_{t,e} = \cos(h_t - \mu,\; d_e) $$
# By hand, for the last token:

# %%
import numpy as np

from emokit import activations

block = vectors.best_block
h = activations.token_states(model, model.encode(good.text), [block])[-1, 0]
h = h - vectors.mean[block]  # [576]
by_hand = float(h @ vectors["happy"].rows[block] / np.linalg.norm(h))
print("by hand:", round(by_hand, 3))
print("the same as emokit's:", bool(abs(by_hand - good.scores[-1, vectors.index("happy")]) < 1e-4))

# %% [markdown]
# ## Does it follow the turn, or any change of words?
#
# One pair proves little. Eight pairs, each with a good and a bad end; and eight **twins**, whose two ends differ as much in words, but not in how it goes for
# the person. We measure how far `happy` minus `sad` differs between the two ends, on average over the tokens behind the turn.

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
    return np.stack([after(s, one) - after(s, other) for s, one, other in sentences])


change, change_of_twins = turns(pairs), turns(twins)
happy, sad = vectors.index("happy"), vectors.index("sad")
shift = change[:, happy] - change[:, sad]
shift_of_twins = change_of_twins[:, happy] - change_of_twins[:, sad]
print("pairs:", [f"{x:+.2f}" for x in shift])
print("twins:", [f"{x:+.2f}" for x in shift_of_twins])

# %%
from emokit import plots

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
reached = (np.abs(random) >= abs(shift.mean())).mean()
print(f"as far as happy minus sad: {reached:.0%} of random mixtures of emotions")

# %% [markdown]
# > **You should see** most blue bars upwards and the hatched ones near zero. The two nulls say different things. A coin would hardly ever part good from bad ends so well: the turn
# > *does* something. But some random mixtures of emotions part them as far: a turn from good to bad moves much of the emotion space at once, and `happy` minus `sad` is only one way to look at it.

# %% [markdown]
# ## Where does a message keep its emotion?
#
# The kit's 96 messages imply an emotion and never name it. We send each as a chat and read it at several places: over all tokens of the message, at its last token, at a token of
# the chat template (two before the end), and at the **readout**, the last token before the reply, where everything is known and no word of the reply is chosen. "Right" means: of 24 emotions, its own has the highest score
# (centred over the messages).

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
# **This is the signature result of this notebook.** The state before the reply is *not* a summary of all that was felt in the message, not in a model of this size; it knows something.
#
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
# > **You should see** words like *sorry* or *worried* stand out, if the reply has any, and pale text elsewhere. A strip that is dark all over would be the offset of this kind of text, not an emotion.
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
# ## What you showed
#
# * Scores are the same until a sentence turns, and part behind the turn; between two neutral ends they hardly do. (Eight pairs; two went the other way or nowhere.)
# * The emotion of a message is read from all its tokens far better than from any single one. The readout has a part of it, well above shuffled labels.
# * Watching a reply gives the very numbers that reading it afterwards gives.
#
# ## What this does not show
#
# * That the model uses what we read. Reading is correlation; for cause, see 06.
# * That a score of one token means much by itself. Look at differences between texts that differ in one thing.
# * That anyone is happy or sad here. The stories are about people; the numbers are about the stories' words in a model.
#
# **Further**: the paper's token maps and its probes "before the reply" ([arXiv 2604.07729](https://arxiv.org/abs/2604.07729)) · next: **05 dose**, a claim about the readout put to the test.
