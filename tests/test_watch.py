import threading

import numpy as np
import pytest
from conftest import hooks

import emokit
from emokit.generation import decode

CHAT = [{"role": "user", "content": "My dog is missing."}]


def watched(model, vectors, content=CHAT, count=12, **settings):
    with emokit.watch(model, vectors, **settings) as seen:
        reply = model.generate(content, max_new_tokens=count, temperature=1, seed=3)
    return seen.reading, reply


def test_a_watched_reply_reads_as_it_does_afterwards(model, vectors):
    """The law: rows equal those of `read` on the whole text, from the readout on."""
    reading, reply = watched(model, vectors, block=2)
    prompt = model.prompt(CHAT)
    assert reply.startswith(reading.text[len(reading.tokens[0]) :])
    after = emokit.read(model, vectors, prompt + reply, block=2)
    start = len(after.tokens) - len(emokit.read(model, vectors, reply).tokens) - 1
    np.testing.assert_allclose(reading.scores[0], after.scores[start], atol=1e-5)
    assert len(reading.tokens) > 3
    assert "".join(reading.tokens) == reading.text


def test_scores_are_those_of_a_full_pass_at_every_position(model, vectors):
    prompt = model.prompt(CHAT)
    ids = model.encode(prompt)
    reply = [token for (token,) in decode(model, [ids], 8)]
    with emokit.watch(model, vectors) as seen:
        list(decode(model, [ids], 8))
    states = emokit.activations.token_states(model, [*ids, *reply], [vectors.best_block])[len(ids) - 1 : -1, 0]
    states = states - vectors.mean[vectors.best_block]
    cosines = states / np.linalg.norm(states, axis=1, keepdims=True) @ vectors.at().T
    np.testing.assert_allclose(np.stack(seen._scores), cosines, atol=1e-5)


def test_it_grows_while_the_reply_streams(model, vectors):
    lengths = []
    with emokit.watch(model, vectors) as seen:
        for _ in model.stream(CHAT, max_new_tokens=6, temperature=1, seed=5):
            lengths.append(len(seen._scores))
    assert lengths == sorted(lengths)
    assert lengths[0] >= 1
    assert lengths[-1] > lengths[0]


def test_the_next_reply_begins_anew(model, vectors):
    with emokit.watch(model, vectors) as seen:
        model.generate("First.", max_new_tokens=9)
        model.generate("Second.", max_new_tokens=2)
    with emokit.watch(model, vectors) as once:
        model.generate("Second.", max_new_tokens=2)
    np.testing.assert_array_equal(seen.reading.scores, once.reading.scores)


def test_watching_changes_nothing_and_leaves_no_hook(model, vectors):
    before = model.generate(CHAT, max_new_tokens=8)
    with emokit.watch(model, vectors):
        assert model.generate(CHAT, max_new_tokens=8) == before
        assert hooks(model) == 2
    assert hooks(model) == 0
    with pytest.raises(KeyError), emokit.watch(model, vectors):
        raise KeyError
    assert hooks(model) == 0


def test_steers_act_first_whichever_was_entered_first(model, vectors):
    with emokit.watch(model, vectors) as plain:
        model.generate(CHAT, max_new_tokens=1)
    with emokit.steer(model, vectors, {"sad": 0.5}), emokit.watch(model, vectors) as inside:
        model.generate(CHAT, max_new_tokens=1)
    with emokit.watch(model, vectors) as outside, emokit.steer(model, vectors, {"sad": 0.5}):
        model.generate(CHAT, max_new_tokens=1)
    np.testing.assert_array_equal(inside.reading.scores, outside.reading.scores)
    sad = vectors.index("sad")
    assert inside.reading.scores[0, sad] > plain.reading.scores[0, sad] + 0.1


def test_another_threads_passes_are_not_watched(model, vectors):
    with emokit.watch(model, vectors) as seen:
        other = threading.Thread(target=model.generate, args=("Elsewhere.", 5))
        other.start()
        other.join()
        with pytest.raises(emokit.EmokitError, match="nothing was watched"):
            _ = seen.reading


def test_pieces_are_whole_characters(model, vectors):
    """Tokens are bytes here; a group ends where a character does."""
    ids = model.encode("naïve 😀 漢")
    with emokit.watch(model, vectors) as seen:
        for i in ids:
            seen.tokens_in(None, (np.array([[i]]),), None)
            seen._scores.append(np.full(len(vectors.emotions), len(seen._scores), np.float32))
    reading = seen.reading
    assert list(reading.tokens[1:]) == list("naïve 😀 漢")
    assert reading.scores[1 + "naïve 😀".index("😀")].tolist() == pytest.approx(
        [np.mean([8, 9, 10, 11])] * len(vectors.emotions)
    )


def test_a_batch_is_refused(model, vectors):
    with emokit.watch(model, vectors), pytest.raises(emokit.EmokitError, match="one text, not a batch of: 3"):
        emokit.sweep(model, vectors, "Hello", "happy", [-0.2, 0.2], max_new_tokens=2)
    assert hooks(model) == 0


def test_vectors_of_another_model_are_refused(vectors):
    from conftest import tiny_model

    with pytest.raises(emokit.EmokitError, match="other weights"), emokit.watch(tiny_model(seed=1), vectors):
        pass
