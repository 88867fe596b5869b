import threading

import numpy as np
import pytest

import emokit
from emokit import EmokitError
from emokit.widgets import TokenReader
from emokit.widgets.reader import messages, packed, transcript

CHAT = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "My dog\n\nis missing."}]


@pytest.fixture
def board(model, vectors):
    board = TokenReader(model, vectors, "A short text.")
    assert board.wait(20)
    yield board
    board.close()


def from_browser(board, **state):
    """What the front end sends when a control is moved."""
    message = {"method": "update", "state": state, "buffer_paths": []}
    board._handle_msg({"content": {"data": message}, "buffers": []})


def seen(board):
    """The scores that the front end unpacks: [tokens, emotions]."""
    rows = np.frombuffer(board.view["scores"], np.int8).reshape(len(board.view["tokens"]), -1)
    return rows / 100


def test_it_shows_what_read_gives_at_every_block(board, model, vectors):
    for block in vectors.blocks:
        from_browser(board, block=block)
        assert board.wait(20)
        expected = emokit.read(model, vectors, "A short text.", block=block)
        np.testing.assert_allclose(board.reading.scores, expected.scores, atol=1e-6)
        np.testing.assert_allclose(seen(board), expected.scores, atol=0.0051)
        assert board.view["tokens"] == list(expected.tokens)
        assert (board.view["readout"], board.view["block"]) == (expected.readout, block)


def test_another_block_runs_no_forward_pass(board, model):
    passes = []
    handle = model.blocks[0].register_forward_hook(lambda *_: passes.append(1))
    for block in (0, 3, 1):
        board.set(block=block)
        assert board.wait(20)
    assert passes == []
    board.set(text="Another text.")
    assert board.wait(20)
    assert passes == [1]
    handle.remove()


def test_a_chat_is_read_through_the_template(model, vectors):
    board = TokenReader(model, vectors, CHAT)
    assert board.chat
    assert messages(board.text) == CHAT
    expected = emokit.read(model, vectors, CHAT)
    assert board.reading.tokens == expected.tokens
    assert board.reading.readout == expected.readout
    board.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello", [("user", "Hello")]),
        ("User: a\nAssistant: b\nc", [("user", "a"), ("assistant", "b\nc")]),
        ("system:\nS\nUSER:  u ", [("system", "S"), ("user", "u")]),
        ("before\nAssistant: x", [("user", "before"), ("assistant", "x")]),
        ("The user: me", [("user", "The user: me")]),
        ("", [("user", "")]),
    ],
)
def test_how_a_chat_is_written(text, found):
    assert [(m["role"], m["content"]) for m in messages(text)] == found
    if text:
        assert messages(transcript(messages(text))) == messages(text)


def test_scores_travel_as_hundredths():
    assert np.frombuffer(packed([[0.006, -0.006], [1.0, -1.0], [0.1249, 0.0]]), np.int8).tolist() == [
        1, -1, 100, -100, 12, 0
    ]  # fmt: skip


@pytest.mark.parametrize("content", ["Hi.\nSystem: off", "\nuser: x"])
def test_a_chat_that_the_text_can_not_hold_is_refused(content):
    with pytest.raises(EmokitError, match="can't show as text"):
        transcript([{"role": "user", "content": content}])
    with pytest.raises(EmokitError, match="can't show as text"):
        transcript([{"role": "user", "content": "Hi."}, {"role": "tool", "content": "7"}])


def test_errors_are_shown_with_what_to_do_and_gone_after_the_next_run(board):
    from_browser(board, text="x" * 600)
    for _ in range(2):  # and raised as often as it is asked: the reading of another text would be taken for this one's
        with pytest.raises(EmokitError):
            _ = board.reading
    assert "beyond the context" in board.error
    assert not board.busy
    from_browser(board, text="")
    with pytest.raises(EmokitError):
        board.wait(20)
    assert "Give the model some text" in board.error
    from_browser(board, text="Fine again.")
    assert board.wait(20)
    assert board.error == ""
    assert board.reading.text == "Fine again."


def test_values_that_can_not_be_are_shown_too(board):
    from_browser(board, block="seven")
    assert "block" in board.error
    from_browser(board, block=99)
    with pytest.raises(EmokitError, match="unknown block"):
        board.wait(20)
    assert "Blocks are 0 to 3" in board.error


def test_settings_from_python_are_checked(board, model, vectors):
    with pytest.raises(EmokitError, match="no setting"):
        board.set(colour="red")
    with pytest.raises(EmokitError, match="can't be"):
        board.set(text=3)
    with pytest.raises(EmokitError, match="unknown emotion"):
        TokenReader(model, vectors, emotion="joy")
    with pytest.raises(EmokitError, match="not a chat message"):
        TokenReader(model, vectors, [{"role": "user"}])
    with pytest.raises(EmokitError, match="not a Model"):
        TokenReader(vectors, model)


def test_buttons_ask_by_message_and_an_unknown_one_is_no_silent_failure(board, model):
    passes = []
    handle = model.blocks[0].register_forward_hook(lambda *_: passes.append(1))
    board.text = "Other words."
    assert board.wait(20)
    board._handle_custom_msg({"do": "run"}, [])
    assert board.wait(20)
    assert passes == [1]
    board._handle_custom_msg({"do": "explode"}, [])
    assert "explode" in board.error
    handle.remove()


def test_two_boards_on_one_model_read_what_they_show(model, vectors):
    first, second = TokenReader(model, vectors, "One text."), TokenReader(model, vectors, "Two texts here.")
    for turn in range(5):
        first.set(text=f"One text, {turn}.")
        second.set(text=f"Two texts here, {turn}.")
    assert first.reading.text == "One text, 4."
    assert second.reading.text == "Two texts here, 4."
    for board in (first, second):
        np.testing.assert_allclose(
            board.reading.scores, emokit.read(model, vectors, board.reading.text).scores, atol=1e-6
        )
        board.close()


def test_a_closed_board_leaves_no_thread(model, vectors):
    board = TokenReader(model, vectors, "A text.")
    board.wait(20)
    thread = board._worker._thread
    assert thread.is_alive()
    board.close()
    thread.join(5)
    assert not thread.is_alive()
    assert threading.active_count() >= 1


def test_its_words_and_its_picture(board):
    assert repr(board).startswith("TokenReader(13 tokens at block ")
    data = board._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"].startswith("iVBOR")
    assert data["text/plain"] == repr(board)
    board.emotion = "sad"
    assert board._figure().axes[0].get_yticklabels()[0].get_text() == "sad"


def test_a_text_of_2000_tokens(vectors):
    from conftest import tiny_model

    long = tiny_model(max_position_embeddings=4096)
    own = emokit.EmotionVectors(vectors.emotions, vectors.directions, vectors.mean, vectors.norms, vectors.best_block)
    board = TokenReader(long, own, "ab cd " * 334)
    assert board.wait(60)
    assert len(board.view["tokens"]) == 2004
    assert seen(board).shape == (2004, 3)
    board.close()
