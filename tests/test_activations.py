import tracemalloc

import numpy as np
import pytest
import torch
from conftest import hooks, tiny_model

import emokit
from emokit import EmokitError, activations

TEXTS = [
    "A short story, really.",
    "A second one that is rather longer than the first; it goes on and on.",
    "Third of all.",
]


def naive(model, text):
    """Plain loop: one text, all hidden states, mean over the tokens behind the left-out ones."""
    ids = model.encode(text)
    seen = []
    handles = [b.register_forward_hook(lambda _m, _i, out: seen.append(out[0].float())) for b in model.blocks]
    with torch.no_grad():
        model.hf(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    start = 20 if len(ids) > 80 else 5
    return torch.stack([h[start:].mean(0) for h in seen]).numpy()


def test_story_means_equal_a_plain_loop(model):
    texts = [*TEXTS, "long " * 30]
    assert len(model.encode(texts[-1])) > 80
    got = activations.story_means(model, texts)
    np.testing.assert_allclose(got, [naive(model, t) for t in texts], atol=1e-5)
    assert got.dtype == np.float32


def test_block_outputs_are_hidden_states_one_later_but_for_the_last(model):
    ids = model.encode(TEXTS[0])
    states = activations.token_states(model, ids, range(4))
    with torch.no_grad():
        hidden = model.hf(torch.tensor([ids]), output_hidden_states=True).hidden_states
    for block in range(3):
        np.testing.assert_allclose(states[:, block], hidden[block + 1][0], atol=1e-5)
    assert not np.allclose(states[:, 3], hidden[4][0], atol=1e-2)  # transformers has applied the final norm there


def test_batches_do_not_change_results(model, monkeypatch):
    together = activations.story_means(model, TEXTS, cache=False)
    monkeypatch.setitem(activations.TOKEN_BUDGET, "cpu", 1)
    alone = activations.story_means(model, TEXTS, cache=False)
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_side_of_the_tokenizer_does_not_matter(model, side):
    expected = activations.story_means(model, TEXTS, cache=False)
    model.tokenizer.padding_side = side
    np.testing.assert_array_equal(activations.story_means(model, TEXTS, cache=False), expected)


def test_a_giant_first_token_does_not_reach_the_mean():
    model = tiny_model(bos=False)
    before = activations.story_means(model, ["Zebra crossing here."], cache=False)
    layer = model.blocks[0]

    def giant(_m, _i, out):  # only the first position, as the attention sink of real models
        out = out.clone()
        out[:, 0] += 1e4
        return out

    model.blocks[3].register_forward_hook(giant, prepend=True)
    after = activations.story_means(model, ["Zebra crossing here."], cache=False)
    np.testing.assert_array_equal(before[:, 3], after[:, 3])
    assert layer is model.blocks[0]
    assert activations.story_stats(model, ["Zebra crossing here."], cache=False)[1].max() < 1e4


def test_the_length_of_a_text_does_not_turn_its_mean(model):
    """A toy residual that knows only each token's word, with a first token a thousand times as large."""
    seen = {}
    table = model.hf.get_input_embeddings()
    table.register_forward_hook(lambda _m, _i, out: seen.update(words=out))

    def toy(_m, _i, _out):
        words = seen["words"].clone()
        words[:, 0] *= 1000
        return words

    model.blocks[3].register_forward_hook(toy, prepend=True)
    texts = ["a" * n for n in (6, 30, 79, 80, 200)]  # pooled as one batch
    word = table.weight[model.encode("a")[-1]].detach().numpy()
    means, norms = activations.story_stats(model, texts, cache=False)
    np.testing.assert_allclose(means[:, 3], np.tile(word, (5, 1)), atol=1e-5)
    np.testing.assert_allclose(norms[3], np.linalg.norm(word), rtol=1e-5)
    assert norms.shape[1] == sum(len(t) for t in texts)  # no padding, no first token


def test_second_run_needs_no_forward_pass(model):
    first = activations.story_means(model, TEXTS)
    calls = []
    model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    np.testing.assert_array_equal(activations.story_means(model, TEXTS), first)
    np.testing.assert_array_equal(activations.story_means(model, TEXTS[::-1]), first[::-1])
    assert calls == []
    activations.story_means(model, [*TEXTS, "One new text here."])
    assert len(calls) == 1


def test_equal_texts_are_read_once_and_no_text_at_all_is_fine(model):
    calls = []
    model.blocks[0].register_forward_hook(lambda _m, i, _o: calls.append(len(i[0])))
    means = activations.story_means(model, [TEXTS[0]] * 3)
    assert calls == [1]
    np.testing.assert_array_equal(means[0], means[2])
    assert activations.story_means(model, []).shape == (0, 4, 32)
    assert activations.readouts(model, []).shape == (0, 4, 32)


def test_memory_beyond_the_returned_array_does_not_grow_with_the_number_of_texts():
    model, beyond = tiny_model(hidden_size=512), []
    for count in (100, 400):
        texts = [f"{TEXTS[0]} {i:03}" for i in range(count)]
        activations.story_means(model, texts)
        tracemalloc.start()  # which sees numpy's memory and not torch's: from the cache, as behind a model
        means = activations.story_means(model, texts)
        beyond.append(tracemalloc.get_traced_memory()[1] - means.nbytes)
        tracemalloc.stop()
    assert beyond[1] - beyond[0] < means.nbytes / 2  # token ids and norms grow; no second array does


def test_an_interrupt_loses_at_most_one_batch(model, monkeypatch):
    monkeypatch.setitem(activations.TOKEN_BUDGET, "cpu", 1)
    done = []

    def stop(*_):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)

    handle = model.blocks[0].register_forward_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        activations.story_means(model, TEXTS)
    handle.remove()
    assert hooks(model) == 0
    calls = []
    model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    activations.story_means(model, TEXTS)
    assert len(calls) == 1


def test_other_weights_have_another_cache(model):
    means = activations.story_means(model, TEXTS)
    with torch.no_grad():
        model.blocks[0].mlp.up_proj.weight.mul_(2)
    assert not np.allclose(activations.story_means(model, TEXTS), means)


def test_a_damaged_cache_entry_is_read_again(model, tmp_path):
    means = activations.story_means(model, TEXTS)
    files = [f for f in (tmp_path / "cache" / "means").rglob("*") if f.is_file()]
    assert len(files) == len(TEXTS)
    data = bytearray(files[0].read_bytes())
    data[100] ^= 1
    files[0].write_bytes(data)
    files[1].write_bytes(files[1].read_bytes()[:-7])
    np.testing.assert_allclose(activations.story_means(model, TEXTS), means, atol=1e-5)
    assert files[0].read_bytes() != bytes(data)


def test_what_is_read_while_steering_is_not_cached(model, vectors):
    means = activations.story_means(model, TEXTS[:1])
    with emokit.steer(model, vectors, {"happy": 1.0}, blocks=0):
        steered = activations.story_means(model, TEXTS[:1])
    assert not np.allclose(steered, means)
    np.testing.assert_array_equal(activations.story_means(model, TEXTS[:1]), means)


def test_the_head_and_later_blocks_are_never_run(model):
    calls = []
    model.hf.lm_head.register_forward_hook(lambda *_: calls.append("head"))
    model.blocks[3].register_forward_hook(lambda *_: calls.append("last"))
    activations.story_means(model, TEXTS)
    assert "head" not in calls
    calls.clear()
    activations.token_states(model, model.encode("Hello"), [0, 1])
    assert calls == []


def test_a_wrapper_that_catches_exceptions_does_not_swallow_the_early_stop(model):
    expected = activations.token_states(model, model.encode("Hello"), [0, 1])
    inner = model.blocks[1].forward

    def careful(*args, **kwargs):
        try:
            return inner(*args, **kwargs)
        except Exception:
            raise RuntimeError("wrapped") from None

    base = model.hf.base_model.forward

    def tolerant(*args, **kwargs):
        try:
            return base(*args, **kwargs)
        except Exception:
            return base(*args, **kwargs)

    calls = []
    model.blocks[2].register_forward_hook(lambda *_: calls.append(1))
    model.blocks[0].register_forward_hook(lambda *_: calls.append(0))
    model.blocks[1].forward, model.hf.base_model.forward = careful, tolerant
    np.testing.assert_array_equal(activations.token_states(model, model.encode("Hello"), [0, 1]), expected)
    assert calls == [0]


def test_a_tokenizer_without_padding_token_reads_in_batches_and_its_padding_may_stand_in_a_text(model):
    """Masks come from lengths, never from ids: the padding token is often the end of text, too."""
    texts = [*TEXTS, "<s>The end.<s></s> And then</s> again"]
    model.tokenizer.pad_token = None
    got = activations.story_means(model, texts, cache=False)
    np.testing.assert_allclose(got, [naive(model, t) for t in texts], atol=1e-5)


def test_readouts_are_the_last_tokens_states(model):
    got = activations.readouts(model, TEXTS)
    for text, row in zip(TEXTS, got, strict=True):
        np.testing.assert_allclose(row, activations.token_states(model, model.encode(text), range(4))[-1], atol=1e-5)


def test_texts_too_short_or_too_long_are_refused(model):
    with pytest.raises(EmokitError, match="tokens and needs 6"):
        activations.story_means(model, ["fine, this one is", "no"])
    with pytest.raises(EmokitError, match="context of 512"):
        activations.story_means(model, ["x" * 600])


def test_a_cache_that_cannot_be_written_only_warns(model, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EMOKIT_CACHE", str(tmp_path / "file" / "below"))
    assert activations.story_means(model, TEXTS).shape == (3, 4, 32)
    captured = capsys.readouterr()
    assert "nothing more is cached" in captured.out + captured.err


def test_states_that_are_not_finite_are_refused_with_their_block(model):
    with torch.no_grad():
        model.blocks[2].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(EmokitError, match="from block 2 on"):
        activations.story_means(model, TEXTS)


def test_a_pass_up_to_a_block_gives_the_first_rows_and_has_a_cache_of_its_own(model, monkeypatch, tmp_path):
    monkeypatch.setenv("EMOKIT_CACHE", str(tmp_path))
    part = activations.story_means(model, TEXTS, last=1)
    whole = activations.story_means(model, TEXTS)
    assert part.shape == (len(TEXTS), 2, model.width)
    assert np.allclose(part, whole[:, :2], atol=1e-6)
    assert np.array_equal(activations.story_means(model, TEXTS, last=1), part)
    assert np.array_equal(activations.story_means(model, TEXTS), whole)


@pytest.mark.parametrize("last", [-1, 99, 1.5, True, "3"])
def test_a_last_block_that_is_not_there_is_refused(model, last):
    with pytest.raises(EmokitError, match="unknown block"):
        activations.story_means(model, TEXTS, last=last)


def test_blocks_behind_the_last_one_do_not_run(model):
    ran = []
    handles = [b.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, b in enumerate(model.blocks)]
    try:
        activations.story_means(model, TEXTS[:1], cache=False, last=1)
    finally:
        for handle in handles:
            handle.remove()
    assert max(ran, default=0) <= 1
