import threading

import numpy as np
import pytest
import torch
from conftest import hooks, tiny_model

import emokit
from emokit import EmokitError, activations
from emokit.generation import decode


def logits(model, text="Is it so?", **kwargs):
    with torch.no_grad():
        return model.hf(torch.tensor([model.encode(text)]), **kwargs).logits


def test_strength_zero_is_bit_identical(model, vectors):
    plain, reply = logits(model), model.generate("Hello", max_new_tokens=12)
    with emokit.steer(model, vectors, {"happy": 0.0, "sad": 0}):
        assert torch.equal(logits(model), plain)
        assert model.generate("Hello", max_new_tokens=12) == reply


def test_the_delta_is_strength_times_norm_times_direction_at_all_positions(model, vectors):
    seen = []
    handle = model.blocks[2].register_forward_hook(lambda _m, _i, out: seen.append(out))
    logits(model)
    with emokit.steer(model, vectors, {"sad": 0.5, "happy": -0.25}, blocks=2):
        logits(model)
    handle.remove()
    expected = vectors.norms[2] * (0.5 * vectors["sad"].rows[2] - 0.25 * vectors["happy"].rows[2])
    torch.testing.assert_close(seen[1] - seen[0], torch.from_numpy(expected).expand_as(seen[0]), atol=1e-4, rtol=1e-4)


def test_leaving_restores_the_model_whatever_happens(model, vectors):
    plain = logits(model)
    for error in (None, RuntimeError, KeyboardInterrupt):
        try:
            with emokit.steer(model, vectors, {"happy": 0.5}):
                assert not torch.equal(logits(model), plain)
                if error:
                    raise error
        except (RuntimeError, KeyboardInterrupt):
            pass
        assert torch.equal(logits(model), plain)
        assert hooks(model) == 0
        assert model.steers == []
    with pytest.raises(EmokitError), emokit.steer(model, vectors, {"happy": 0.5}, blocks=[0, 99]):
        pass
    assert hooks(model) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_stop_in_the_middle_of_generating_leaves_the_model_as_it_was(model, vectors, error):
    plain, expected = logits(model), model.generate("Hello", max_new_tokens=8)
    steps = []

    def stop(*_):
        steps.append(1)
        if len(steps) == 3:
            raise error

    handle = model.blocks[3].register_forward_hook(stop)
    with pytest.raises(error), emokit.steer(model, vectors, {"happy": 0.5}, positions="reply"):
        model.generate("Hello", max_new_tokens=8)
    handle.remove()
    assert len(steps) == 3
    assert (hooks(model), model.steers, model.reply_from) == (0, [], None)
    assert torch.equal(logits(model), plain)
    assert model.generate("Hello", max_new_tokens=8) == expected
    other = threading.Thread(target=lambda: steps.append(model.lock.acquire(timeout=5)))
    other.start()
    other.join()
    assert steps[-1] is True


def test_nested_steers_add_up(model, vectors):
    with emokit.steer(model, vectors, {"happy": 0.3}), emokit.steer(model, vectors, {"sad": 0.2}):
        nested = logits(model)
    with emokit.steer(model, vectors, {"happy": 0.3, "sad": 0.2}):
        torch.testing.assert_close(logits(model), nested, atol=1e-4, rtol=1e-4)
    with emokit.steer(model, vectors, {"happy": 0.3}), emokit.steer(model, vectors, {"happy": -0.3}):
        torch.testing.assert_close(logits(model), logits_plain(model), atol=1e-4, rtol=1e-4)


def logits_plain(model):
    return logits(tiny_model())


def test_directions_steer_as_their_arithmetic_says(model, vectors):
    direction = vectors["happy"] - 0.5 * vectors["sad"]
    with emokit.steer(model, vectors, {direction: 0.4}):
        one = logits(model)
    with emokit.steer(model, vectors, {"happy": 0.4, "sad": -0.2}):
        torch.testing.assert_close(logits(model), one, atol=1e-4, rtol=1e-4)


def test_several_blocks_and_the_best_one_by_default(model, vectors):
    with emokit.steer(model, vectors, {"happy": 0.3}) as active:
        assert active.blocks == [vectors.best_block]
    with emokit.steer(model, vectors, {"happy": 0.3}, blocks=[3, 1]) as active:
        assert active.blocks == [1, 3]
        logits(model)
        assert active.fired == 2


def test_rows_of_a_batch_have_their_own_strengths(model, vectors):
    ids = torch.tensor([model.encode("Is it so?")] * 3)
    with emokit.steer(model, vectors, {"happy": [-0.3, 0, 0.3]}), torch.no_grad():
        batch = model.hf(ids).logits
    for row, strength in enumerate((-0.3, 0, 0.3)):
        with emokit.steer(model, vectors, {"happy": strength}):
            torch.testing.assert_close(batch[row : row + 1], logits(model), atol=1e-4, rtol=1e-4)
    with (
        emokit.steer(model, vectors, {"happy": [0.1, 0.2]}),
        pytest.raises(EmokitError, match="2 rows, but the batch has 3"),
    ):
        model.hf(ids)


@pytest.mark.parametrize("positions", ["prompt", "reply"])
def test_positions_split_at_the_last_prompt_token(model, vectors, positions):
    """The last prompt token brings forth the reply's first token, so it belongs to both."""
    states = []
    handle = model.blocks[1].register_forward_hook(lambda _m, _i, out: states.append(out.clone()))
    ids = model.encode(model.prompt("Hello"))
    list(decode(model, [ids], 3))
    plain, states[:] = list(states), []
    with emokit.steer(model, vectors, {"happy": 0.5}, positions=positions, blocks=1):
        list(decode(model, [ids], 3))
    handle.remove()
    moved = (states[0] - plain[0]).abs().amax(-1)[0] > 1e-3
    expected = torch.ones(len(ids), dtype=torch.bool)
    if positions == "reply":
        expected[:-1] = False
    assert torch.equal(moved, expected)


def test_reply_steering_with_cache_equals_a_full_pass(model, vectors):
    prompt = model.prompt("Hello")
    with emokit.steer(model, vectors, {"sad": 0.8}, positions="reply", blocks=[0, 2]):
        cached = [t[0] for t in decode(model, [model.encode(prompt)], 6)]
        ids = model.encode(prompt)
        start = len(ids)
        for _ in range(6):
            with torch.no_grad(), model.replying(start - 1):
                ids.append(int(model.hf(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    assert ids[start:] == cached


def left_padded(model, prompts):
    """What a tokenizer with padding_side="left" gives: ids and mask."""
    rows = [model.encode(model.prompt(p)) for p in prompts]
    longest = max(map(len, rows))
    ids = torch.tensor([[1] * (longest - len(row)) + row for row in rows])  # padding id = end of text
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


@pytest.mark.parametrize("positions", ["all", "prompt", "reply"])
def test_a_left_padded_batch_steers_as_its_prompts_do_alone(model, vectors, positions):
    """Through raw calls of model.hf, and through transformers' own generate."""
    prompts = ["Hi", "A much longer question, is it not?"]
    ids, mask = left_padded(model, prompts)
    assert mask.sum(1).diff() > 10
    options = {"do_sample": False, "eos_token_id": [1, 2], "pad_token_id": 1, "max_new_tokens": 8}
    plain = [model.generate(p, max_new_tokens=8) for p in prompts]
    with emokit.steer(model, vectors, {"sad": 0.9}, positions=positions, blocks=[0, 1]), torch.no_grad():
        batch = model.hf(ids, attention_mask=mask).logits[:, -1]
        alone = [model.hf(torch.tensor([model.encode(model.prompt(p))])).logits[0, -1] for p in prompts]
        torch.testing.assert_close(batch, torch.stack(alone), atol=1e-4, rtol=1e-4)
        replies = model.hf.generate(ids, attention_mask=mask, **options)[:, ids.shape[1] :]
        ours = [model.generate(p, max_new_tokens=8) for p in prompts]
    assert [model.text(r.tolist()) for r in replies] == ours
    assert ours != plain


def test_the_first_generated_token_is_steered(model, vectors):
    """The reply's first token comes from the last prompt token's state."""
    ids = model.encode(model.prompt("Hello"))
    firsts = {}
    for positions in ("all", "prompt", "reply"):
        with emokit.steer(model, vectors, {"sad": 3.0}, positions=positions, blocks=3):
            firsts[positions] = next(decode(model, [ids], 1))
    assert firsts["all"] == firsts["prompt"] == firsts["reply"] != next(decode(model, [ids], 1))


def test_steering_moves_what_is_read_at_its_own_block_and_after_but_not_before(model, vectors):
    """Vectors are read and written at the same place: the output of the block of that number."""
    ids = model.encode("Is it so?")
    plain = activations.token_states(model, ids, range(4))
    for block in range(4):
        with emokit.steer(model, vectors, {"sad": 0.5}, blocks=block):
            change = activations.token_states(model, ids, range(4)) - plain
        added = 0.5 * vectors.norms[block] * vectors["sad"].rows[block]
        assert not change[:, :block].any()
        np.testing.assert_allclose(change[:, block], np.tile(added, (len(ids), 1)), atol=1e-4)


def test_steering_writes_into_no_tensor_that_others_hold(model, vectors):
    """A block that hands on what it was given shares its tensor with the block before."""
    model.blocks[2].forward = lambda states, *_args, **_kwargs: states
    seen = {}
    model.blocks[1].register_forward_hook(lambda _m, _i, out: seen.update(before=out, copy=out.clone()))
    with emokit.steer(model, vectors, {"sad": 0.5}, blocks=2):
        logits(model)
    assert torch.equal(seen["before"], seen["copy"])


def test_logprobs_know_where_the_reply_begins(model, vectors):
    plain = model.logprobs("He feels", [" sad"])
    with emokit.steer(model, vectors, {"sad": 0.8}, positions="reply", blocks=3):
        reply = model.logprobs("He feels", [" sad"])
    with emokit.steer(model, vectors, {"sad": 0.8}, positions="all", blocks=3):
        everywhere = model.logprobs("He feels", [" sad"])
    # at the last block only the positions that predict count, and those are the reply's
    assert reply == pytest.approx(everywhere, abs=1e-4)
    assert reply != pytest.approx(plain, abs=1e-3)


def test_hidden_states_show_steering_even_with_capture_hooks_installed_before(model, vectors):
    plain = logits_hidden(model)
    with emokit.steer(model, vectors, {"happy": 0.5}, blocks=1):
        steered = logits_hidden(model)
    assert not torch.allclose(plain[2], steered[2], atol=1e-3)


def logits_hidden(model):
    with torch.no_grad():
        return model.hf(torch.tensor([model.encode("Is it so?")]), output_hidden_states=True).hidden_states


def test_reading_inside_a_steer_reads_the_steered_state(model, vectors):
    plain = emokit.read(model, vectors, "Is it so?", block=1)
    with emokit.steer(model, vectors, {"happy": 2.0}, blocks=1):
        steered = emokit.read(model, vectors, "Is it so?", block=1)
    column = vectors.index("happy")
    assert (steered.scores[:, column] > plain.scores[:, column]).all()


def test_unsteered_text_is_never_returned_as_steered(model, vectors):
    with emokit.steer(model, vectors, {"happy": 0.5}):
        for block in model.blocks:
            block._forward_hooks.clear()
        with pytest.raises(EmokitError, match="did not run"):
            model.generate("Hello", max_new_tokens=3)
        with pytest.raises(EmokitError, match="did not run"):
            emokit.read(model, vectors, "Hello there")
        with pytest.raises(EmokitError, match="did not run"):
            model.logprobs("Hello", [" you"])


def test_a_stream_begun_inside_and_consumed_outside_raises(model, vectors):
    with emokit.steer(model, vectors, {"happy": 0.5}):
        stream = model.stream("Hello", max_new_tokens=20, temperature=2.0, seed=0)
        next(stream)
    with pytest.raises(EmokitError, match="another steering"):
        next(stream)
    unsteered = model.stream("Hello", max_new_tokens=20)
    with emokit.steer(model, vectors, {"happy": 0.5}), pytest.raises(EmokitError, match="another steering"):
        next(unsteered)


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        ({"hapy": 0.1}, "unknown emotion"),
        ({"happy": float("nan")}, "finite"),
        ({"happy": float("inf")}, "finite"),
        ({"happy": "0.2"}, "finite"),
        ({"happy": [0.1, 0.2], "sad": [0.1]}, "differ"),
        ({"happy": []}, "differ"),
        ({3: 0.2}, "not an emotion"),
    ],
)
def test_bad_strengths_are_refused(model, vectors, strengths, message):
    with pytest.raises(EmokitError, match=message), emokit.steer(model, vectors, strengths):
        pass
    assert hooks(model) == 0


def test_bad_blocks_and_positions_and_foreign_vectors_are_refused(model, vectors):
    for kwargs in ({"blocks": 4}, {"blocks": -1}, {"blocks": []}, {"blocks": True}, {"positions": "some"}):
        with pytest.raises(EmokitError), emokit.steer(model, vectors, {"happy": 0.1}, **kwargs):
            pass
    with pytest.raises(EmokitError, match="other weights"), emokit.steer(tiny_model(seed=1), vectors, {"happy": 0.1}):
        pass


def test_sweep_is_one_batch_with_the_unsteered_reply_in_it(model, vectors):
    rows = []
    handle = model.hf.register_forward_hook(lambda _m, _a, kw, out: rows.append(len(out.logits)), with_kwargs=True)
    result = emokit.sweep(model, vectors, "Hello", "happy", [0.4, -0.4], max_new_tokens=8)
    handle.remove()
    assert result.strengths == (-0.4, 0.0, 0.4)
    assert set(rows) == {3}
    assert result.replies[1] == model.generate("Hello", max_new_tokens=8)
    with emokit.steer(model, vectors, {"happy": 0.4}):
        assert result.replies[2] == model.generate("Hello", max_new_tokens=8)
    assert list(result.to_frame().columns) == ["strength", "reply"]
    assert "+0.40" in result._repr_html_()
    assert hooks(model) == 0


def test_reading_in_batches_knows_where_each_prompt_ends(model, vectors):
    """Rows of a padded batch have their last prompt tokens at different places."""
    prompts = [model.prompt("Hi"), model.prompt("A much longer question, isn't it?")]
    with emokit.steer(model, vectors, {"sad": 0.9}, positions="reply", blocks=0):
        together = activations.readouts(model, prompts)
        alone = [activations.readouts(model, [p])[0] for p in prompts]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert not np.allclose(together, activations.readouts(model, prompts), atol=1e-3)


def test_reading_an_answered_chat_steers_the_reply_from_the_readout_on(model, vectors):
    chat = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "It is."}]
    plain = emokit.read(model, vectors, chat, block=2)
    with emokit.steer(model, vectors, {"sad": 0.9}, positions="reply", blocks=2):
        steered = emokit.read(model, vectors, chat, block=2)
    moved = np.abs(steered.scores - plain.scores).max(1) > 1e-3
    assert moved.tolist() == [i >= plain.readout for i in range(len(plain.tokens))]


def test_two_threads_never_see_each_others_steering(model, vectors):
    """One steers and generates, one reads and streams; all get what they would get alone."""
    expected = emokit.read(model, vectors, "Is it so?").scores
    text = model.generate("Hello", max_new_tokens=8)
    with emokit.steer(model, vectors, {"happy": 0.8}):
        steered = model.generate("Hello", max_new_tokens=8)
    wrong = []

    def steering():
        for _ in range(15):
            with emokit.steer(model, vectors, {"happy": 0.8}):
                if model.generate("Hello", max_new_tokens=8) != steered:
                    wrong.append("steered")

    thread = threading.Thread(target=steering)
    thread.start()
    while thread.is_alive():
        if not np.array_equal(emokit.read(model, vectors, "Is it so?").scores, expected):
            wrong.append("read")
        if "".join(model.stream("Hello", max_new_tokens=8)) != text:
            wrong.append("stream")
    thread.join()
    assert wrong == []
    assert steered != text


def test_block_numbers_of_numpy_are_block_numbers(model, vectors):
    with emokit.steer(model, vectors, {"sad": 0.1}, blocks=np.argmax([0, 0, 1, 0])) as active:
        assert active.blocks == [2]


def test_strengths_that_are_no_dictionary_are_refused(model, vectors):
    with pytest.raises(EmokitError, match="no dictionary"), emokit.steer(model, vectors, "happy"):
        pass


def test_a_sweep_shows_itself_briefly_and_as_a_picture(model, vectors):
    result = emokit.sweep(model, vectors, "Hello", "happy", [0.4], max_new_tokens=2)
    assert repr(result).startswith("Sweep(happy at block")
    assert len(result.plot().axes) == 2


def test_a_stream_begun_while_another_thread_steers_is_unsteered(model, vectors):
    text = model.generate("Hello", max_new_tokens=6)
    begun, go = threading.Event(), threading.Event()

    def steering():
        with emokit.steer(model, vectors, {"happy": 0.8}):
            begun.set()
            go.wait(10)

    thread = threading.Thread(target=steering)
    thread.start()
    assert begun.wait(10)
    stream = model.stream("Hello", max_new_tokens=6)
    go.set()
    thread.join()
    assert "".join(stream) == text
