import numpy as np
import pytest
import torch

import emokit
from emokit import EmokitError, activations
from emokit.reading import Reading

TEXTS = ["plain", "two  spaces and\n\na line", "e😀mo👩‍👩‍👧ji", "漢字とかな", "naïve café ", " x", "\ttab", "👩"]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_text_and_are_whole_characters(model, vectors, text):
    reading = emokit.read(model, vectors, text)
    assert "".join(reading.tokens) == text
    assert all(reading.tokens)
    assert reading.scores.shape == (len(reading.tokens), 3)
    assert np.isfinite(reading.scores).all()
    assert reading.readout == len(reading.tokens) - 1


def test_scores_are_cosines_of_the_state_minus_the_mean(model, vectors):
    reading = emokit.read(model, vectors, "abcdef", block=2)
    states = activations.token_states(model, model.encode("abcdef"), [2])[1:, 0] - vectors.mean[2]  # behind the BOS
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    np.testing.assert_allclose(reading.scores, states @ vectors.at(2).T, atol=1e-5)
    assert abs(reading.scores).max() <= 1


def test_the_readout_of_a_chat_is_the_last_token_before_the_reply(model, vectors):
    question = [{"role": "user", "content": "Is it?"}]
    asked = emokit.read(model, vectors, question)
    assert asked.text == model.prompt(question)
    assert asked.tokens[asked.readout] == "<|assistant|>"
    assert asked.readout == len(asked.tokens) - 1
    answered = emokit.read(model, vectors, [*question, {"role": "assistant", "content": "It is."}])
    assert "".join(answered.tokens[: answered.readout + 1]) == asked.text
    np.testing.assert_allclose(answered.scores[answered.readout], asked.scores[-1], atol=1e-5)


def test_a_reply_that_stands_elsewhere_in_the_template_is_not_mistaken_for_the_reply(model, vectors):
    chat = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "end"}]  # as in <|end|>
    reading = emokit.read(model, vectors, chat)
    assert "".join(reading.tokens[: reading.readout + 1]) == model.prompt(chat[:1])


def test_a_steered_prompt_reads_as_a_text_too(model, vectors):
    text = model.prompt("Is it?")
    np.testing.assert_allclose(
        emokit.read(model, vectors, text).scores,
        emokit.read(model, vectors, [{"role": "user", "content": "Is it?"}]).scores,
    )


def test_bad_input_is_refused(model, vectors):
    with pytest.raises(EmokitError, match="empty"):
        emokit.read(model, vectors, "")
    with pytest.raises(EmokitError, match="context of 512"):
        emokit.read(model, vectors, "x" * 600)
    with pytest.raises(EmokitError, match="Blocks are 0 to 3"):
        emokit.read(model, vectors, "x", block=9)
    with pytest.raises(EmokitError):
        emokit.read(model, vectors, [])
    with pytest.raises(EmokitError, match="unknown emotion"):
        emokit.read(model, vectors, "hello").plot(["joy"])


def test_reading_leaves_no_hook_and_the_model_as_it_was(model, vectors):
    from conftest import hooks

    with torch.no_grad():
        before = model.hf(torch.tensor([model.encode("Hello")])).logits
        emokit.read(model, vectors, "Hello", block=0)
        assert torch.equal(model.hf(torch.tensor([model.encode("Hello")])).logits, before)
    assert hooks(model) == 0


@pytest.fixture
def reading() -> Reading:
    scores = np.array([[0.9, 0.9], [0.123, -0.2], [0.3, -0.301], [0, 0.004]], np.float32)
    return Reading("<b> Hi you.", ("<b>", " Hi", " you", "."), ("happy", "sad"), scores, 3, 7)


def test_the_picture_does_not_rest_on_colour_alone(reading):
    html = reading._repr_html_()
    assert "<sup>+0.30</sup>" in html
    assert "<sup>-0.20</sup>" in html
    assert 'title="+0.12"' in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html.replace("<b> Hi</b>", "").replace("<b> you</b>", "").replace(
        "<b>&lt;b&gt;</b>", ""
    ).replace("<b>.</b>", "")
    assert "<u>" in html  # the readout
    assert reading._repr_png_()[:4] == b"\x89PNG"


def test_table_and_summary(reading):
    frame = reading.to_frame()
    assert list(frame.columns) == ["token", "readout", "happy", "sad"]
    assert frame["readout"].tolist() == [False, False, False, True]
    assert reading.top(1) == [("happy", pytest.approx(0.141))]  # without the first token
    assert reading.top(1, at=0)[0][0] == "happy"
    assert repr(reading) == "Reading(4 tokens at block 7; happy +0.14, sad -0.17)"


def test_text_that_no_token_covers_goes_to_a_neighbour():
    """Some tokenizers leave spaces out of their offsets, at the end too."""
    from emokit.reading import _whole_tokens

    text = " ab cd  "
    groups, ends = _whole_tokens([(0, 0), (1, 3), (4, 6)], text)
    assert groups == [[1], [2]]
    assert [text[a:b] for a, b in zip([0, *ends], ends, strict=False)] == [" ab", " cd  "]
