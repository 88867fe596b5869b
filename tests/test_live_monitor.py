import threading
import time

import numpy as np
import pytest
from conftest import hooks

import emokit
from emokit import EmokitError
from emokit.widgets import LiveMonitor

CHAT = [{"role": "user", "content": "My dog is missing."}]


@pytest.fixture
def board(model, vectors):
    board = LiveMonitor(model, vectors, max_new_tokens=8)
    yield board
    board.close()
    assert hooks(model) == 0


def watched(model, vectors, content, **settings):
    with emokit.watch(model, vectors) as seen:
        model.generate(content, **settings)
    return seen.reading


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_cells_generate_is_seen_as_watch_sees_it(board, model, vectors):
    model.generate(CHAT, max_new_tokens=10, temperature=1, seed=3)
    got = board.reading
    expected = watched(model, vectors, CHAT, max_new_tokens=10, temperature=1, seed=3)
    assert got.tokens == expected.tokens
    np.testing.assert_array_equal(got.scores, expected.scores)
    until(lambda: board.view.get("tokens") == list(got.tokens))
    sent = np.frombuffer(board.view["scores"], np.int8).reshape(got.scores.shape) / 100
    np.testing.assert_allclose(sent, got.scores, atol=0.0051)


def test_its_own_prompt_runs_and_changes_nothing_of_the_reply(board, model):
    board.set(prompt="Who are you?", temperature=1.0, seed=5)
    assert board.wait(20)
    assert board.status == "done"
    assert board.view["tokens"] == list(board.reading.tokens)  # before the next reply, which the board sees as well
    text = "".join(board.reading.tokens[1:])
    assert text
    assert model.generate("Who are you?", max_new_tokens=8, temperature=1.0, seed=5).startswith(text)


def test_what_is_shown_last_is_the_newest(board, monkeypatch):
    monkeypatch.setattr("emokit.widgets.monitor.PAUSE", 0)
    show, shown = board._show, []

    def slowly(**changes):
        shown.append(changes)
        if len(shown) == 1:
            time.sleep(1)  # an older reading, on its way while the last token comes
        show(**changes)

    monkeypatch.setattr(board, "_show", slowly)
    board.set(prompt="Who are you?")
    assert board.wait(20)
    until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
    assert board.view["tokens"] == list(board.reading.tokens)


def test_stop_ends_its_own_run_at_the_next_token(board, model):
    passes, third, go_on = [], threading.Event(), threading.Event()

    def count(*_):
        passes.append(1)
        if len(passes) == 3:
            third.set()
            go_on.wait(10)

    handle = model.hf.register_forward_hook(count)
    board.set(max_new_tokens=100)
    assert third.wait(10)
    board._handle_custom_msg({"do": "stop"}, [])
    go_on.set()
    assert board.wait(10)
    handle.remove()
    assert board.status == "stopped"
    assert len(passes) == 3


def test_reading_and_batches_are_left_out(board, model, vectors):
    model.generate(CHAT, max_new_tokens=5)
    before = board.reading
    emokit.read(model, vectors, "Something else.")
    model.logprobs("The sky is", [" blue"])
    model.logprobs(
        "The sky over the harbour is always ", ["blue at noon", "grey at noon"]
    )  # a prefix that is read once
    emokit.activations.reply_states(model, model.prompt("Hello"), ["One.", "Another."], 0)
    emokit.sweep(model, vectors, "Hello", "happy", [-0.2, 0.2], max_new_tokens=3)
    assert board.reading.tokens == before.tokens
    np.testing.assert_array_equal(board.reading.scores, before.scores)


def test_a_reply_begun_later_on_another_thread_takes_over(board, model, vectors):
    first = model.stream("First.", max_new_tokens=40)
    next(first)
    other = threading.Thread(target=model.generate, args=("Second.", 6))
    other.start()
    other.join()
    for _ in first:
        pass
    assert board.reading.tokens == watched(model, vectors, "Second.", max_new_tokens=6).tokens


def test_the_reading_may_be_asked_for_while_it_grows(board, model):
    """Two threads spell the same reply: the timer that shows it, and a cell."""
    for _ in model.stream(CHAT, max_new_tokens=60, temperature=1.0, seed=1):
        if board._follower.seen():
            threads = [threading.Thread(target=lambda: board.reading) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    got = board.reading
    assert len(got.tokens) == len(got.scores) == len(board._follower._spelling.pieces) + 1


def test_a_raw_generate_is_seen_too(board, model):
    ids = model.encode(model.prompt("Hello"))
    import torch

    model.hf.generate(torch.tensor([ids]), max_new_tokens=5, do_sample=False, pad_token_id=1)
    assert 1 <= len(board.reading.tokens) <= 5


def test_steered_states_are_seen(board, model, vectors):
    model.generate(CHAT, max_new_tokens=2)
    plain = board.reading.scores[0, vectors.index("sad")]
    with emokit.steer(model, vectors, {"sad": 0.5}):
        model.generate(CHAT, max_new_tokens=2)
    assert board.reading.scores[0, vectors.index("sad")] > plain + 0.1


def test_two_monitors_and_a_closed_one(board, model, vectors):
    second = LiveMonitor(model, vectors, block=0)
    model.generate(CHAT, max_new_tokens=4)
    assert board.reading.tokens == second.reading.tokens
    second.close()
    model.generate("Other.", max_new_tokens=4)
    assert board.reading.tokens != second.reading.tokens


def test_its_words_picture_and_errors(board, model, vectors):
    assert repr(board) == "LiveMonitor(nothing written yet)"
    assert board._figure() is None
    with pytest.raises(EmokitError, match="nothing was watched"):
        _ = board.reading
    board.set(prompt=" ")
    with pytest.raises(EmokitError, match="empty"):
        board.wait(20)
    assert "Give the model some text" in board.error
    with pytest.raises(EmokitError, match="can't be"):
        board.set(max_new_tokens=0)
    with pytest.raises(EmokitError, match="unknown block"):
        LiveMonitor(model, vectors, block=77)
    model.generate(CHAT, max_new_tokens=4)
    assert "tokens at block" in repr(board)
    data = board._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"].startswith("iVBOR")
