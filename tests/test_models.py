import pytest
import torch
from conftest import byte_tokenizer, hooks, tiny_model
from torch import nn

import emokit
from emokit import EmokitError
from emokit.structure import find_blocks

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}, {"role": "user", "content": "So?"}]


def test_blocks_are_the_list_as_long_as_the_config_says(model):
    assert model.blocks is model.hf.model.layers
    assert (model.n_blocks, model.width) == (4, 32)
    assert model.norm is model.hf.model.norm


def test_blocks_that_cannot_be_told_apart_are_refused_and_can_be_named():
    two = nn.ModuleDict({"a": nn.ModuleList([nn.Identity()] * 3), "b": nn.ModuleList([nn.Identity()] * 3)})
    with pytest.raises(EmokitError, match=r"a \(3\), b \(3\)"):
        find_blocks(two, 3)
    assert find_blocks(two, 3, "b") is two["b"]
    with pytest.raises(EmokitError):
        find_blocks(two, 4, "b")


def test_a_model_whose_last_block_does_not_lead_to_its_output_is_refused(model):
    def flipped(_m, _i, out):
        out.logits = out.logits.flip(-1)
        return out

    handle = model.hf.register_forward_hook(flipped)
    with pytest.raises(EmokitError, match="not the model's own output"):
        emokit.Model(model.hf, model.tokenizer)
    handle.remove()
    assert hooks(model) == 0


def test_blocks_and_config_that_disagree_are_refused(model):
    model.hf.model.layers.append(nn.Identity())
    with pytest.raises(EmokitError, match="decoder layers"):
        emokit.Model(model.hf, model.tokenizer)


def test_logits_are_head_of_norm_of_last_block(model):
    seen = {}
    handle = model.blocks[-1].register_forward_hook(lambda _m, _i, out: seen.update(h=out))
    ids = torch.tensor([model.encode("What is it?")])
    with torch.no_grad():
        logits = model.hf(ids).logits
        assert torch.allclose(model.hf.lm_head(model.norm(seen["h"])), logits, atol=1e-6)
    handle.remove()


def test_prompt_has_exactly_one_bos_with_and_without_template():
    for chat in (True, False):
        model = tiny_model(chat=chat)
        ids = model.encode(model.prompt("Hello"))
        assert ids.count(0) == 1
        assert ids[0] == 0


def test_prompt_without_template_is_human_assistant():
    model = tiny_model(chat=False)
    assert model.prompt("Hello") == "Human: Hello\n\nAssistant:"
    assert model.prompt(CHAT) == "Human: Hi\n\nAssistant: Yo\n\nHuman: So?\n\nAssistant:"


def test_prompt_refuses_what_is_no_message(model):
    for bad in ("", "  ", [], [{"role": "user"}], ["hello"]):
        with pytest.raises(EmokitError):
            model.prompt(bad)


def test_greedy_text_equals_transformers_generate(model):
    ids = model.encode(model.prompt("Tell me."))
    expected = model.hf.generate(
        torch.tensor([ids]), max_new_tokens=20, do_sample=False, eos_token_id=[1, 2], pad_token_id=1
    )
    assert model.generate("Tell me.", max_new_tokens=20) == model.text(expected[0, len(ids) :].tolist())


def test_stream_joins_to_generate_and_is_a_function_of_the_seed(model):
    kwargs = {"max_new_tokens": 30, "temperature": 1.5}
    text = model.generate("Go on", **kwargs, seed=1)
    assert "".join(model.stream("Go on", **kwargs, seed=1)) == text
    torch.manual_seed(5)
    assert model.generate("Go on", **kwargs, seed=1) == text
    assert model.generate("Go on", **kwargs, seed=2) != text


def test_sampling_leaves_the_global_random_state_alone(model):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    model.generate("Go on", max_new_tokens=5, temperature=1.0, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_closing_a_stream_stops_the_model(model):
    calls = []
    handle = model.hf.register_forward_hook(lambda *_: calls.append(1))
    stream = model.stream("Count", max_new_tokens=50, temperature=1.0, seed=0)
    next(stream)
    stream.close()
    count = len(calls)
    assert count < 10
    assert list(stream) == []
    assert len(calls) == count
    handle.remove()


def test_generation_stops_at_every_turn_end_of_the_vocabulary(model):
    assert model.stop_tokens == {1, 2}  # </s> by the config, <|end|> by the vocabulary

    def always_end(_m, _i, out):
        out.logits[..., 2] = 1e9
        return out

    handle = model.hf.register_forward_hook(always_end)
    assert model.generate("Hello", max_new_tokens=5) == ""
    handle.remove()


def test_pieces_of_a_stream_are_whole_characters(model):
    text = "a😀é"
    ids = iter(model.tokenizer(text, add_special_tokens=False)["input_ids"] + [1])

    def scripted(_m, _i, out):
        out.logits[..., next(ids)] = 1e9
        return out

    handle = model.hf.register_forward_hook(scripted)
    assert list(model.stream("x", max_new_tokens=20)) == ["a", "😀", "é"]
    handle.remove()


def test_logprobs_sum_the_log_softmax_of_the_continuation(model):
    prompt, continuations = "He feels", [" sad", " quite happy"]
    got = model.logprobs(prompt, continuations)
    for value, continuation in zip(got, continuations, strict=True):
        ids = model.encode(prompt + continuation)
        with torch.no_grad():
            logp = model.hf(torch.tensor([ids])).logits[0].log_softmax(-1)
        start = len(model.encode(prompt))
        assert value == pytest.approx(sum(float(logp[t - 1, ids[t]]) for t in range(start, len(ids))), abs=1e-4)
    assert model.logprobs(prompt, []) == []


def test_bad_generation_requests_are_refused(model):
    for kwargs in ({"max_new_tokens": 0}, {"temperature": -1.0}):
        with pytest.raises(EmokitError):
            model.generate("x", **kwargs)
    with pytest.raises(EmokitError, match="context"):
        model.generate("x" * 600)
    with pytest.raises(EmokitError):
        model.logprobs("He", [""])
    bare = tiny_model(bos=False)
    with pytest.raises(EmokitError, match="empty"):
        bare.logprobs("", ["x"])


def test_generation_ends_where_the_context_does(model):
    prompt = "x" * 480
    assert len(model.encode(model.prompt(prompt))) < 500
    stream = model.stream(prompt, max_new_tokens=500, temperature=2.0, seed=0)
    assert sum(1 for _ in stream) <= 512


def test_fingerprint_follows_the_weights(model):
    before = model.fingerprint
    assert tiny_model().fingerprint == before
    assert tiny_model(seed=1).fingerprint != before
    with torch.no_grad():
        model.blocks[2].mlp.up_proj.weight[3, 5] += 1e-3
    assert model.fingerprint != before


def test_saved_folder_loads_again(model, tmp_path, monkeypatch):
    model.hf.save_pretrained(tmp_path / "m")
    model.tokenizer.save_pretrained(tmp_path / "m")
    again = emokit.load_model(tmp_path / "m")
    assert again.fingerprint == model.fingerprint
    assert again.name == "m"
    monkeypatch.setenv("EMOKIT_MODEL", str(tmp_path / "m"))
    assert emokit.load_model().fingerprint == model.fingerprint


def test_a_name_that_is_no_model_is_one_clear_error(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in (tmp_path / "empty", tmp_path / "none.gguf"):
        with pytest.raises(EmokitError, match="empty|none"):
            emokit.load_model(name)


def test_half_precision_models_generate_and_read(stories):
    model = tiny_model()
    model.hf.to(torch.bfloat16)
    vectors = emokit.extract(model, stories)
    assert vectors.mean.dtype.name == "float32"
    with emokit.steer(model, vectors, {"happy": 0.3}):
        assert isinstance(model.generate("x", max_new_tokens=3), str)
    assert hooks(model) == 0


def test_tokenizer_without_bos_adds_none():
    assert tiny_model(bos=False).encode("ab") == byte_tokenizer(bos=False)("ab")["input_ids"]


def test_fingerprint_follows_config_and_order_of_weights(model):
    assert tiny_model(rope_parameters={"rope_theta": 5000.0, "rope_type": "default"}).fingerprint != model.fingerprint
    before = model.fingerprint
    weight = model.blocks[1].mlp.up_proj.weight
    weight.data.copy_(weight.data.flip(0))  # the same values elsewhere, and behind autograd's back
    assert model.fingerprint != before


def test_a_model_in_training_mode_is_put_to_evaluation():
    model = tiny_model()
    model.hf.train()
    assert not emokit.Model(model.hf, model.tokenizer).hf.training


def test_an_eos_that_the_tokenizer_adds_is_left_out():
    from tokenizers import processors

    model = tiny_model()
    plain = model.encode("ab")
    model.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    assert model.encode("ab") == plain


def test_logprobs_beyond_the_context_are_refused(model):
    with pytest.raises(EmokitError, match="context"):
        model.logprobs("x" * 510, [" and on and on"])


def test_a_device_that_is_not_there_is_one_clear_error(model, tmp_path):
    model.hf.save_pretrained(tmp_path / "m")
    model.tokenizer.save_pretrained(tmp_path / "m")
    with pytest.raises(EmokitError, match="cannot load"):
        emokit.load_model(tmp_path / "m", device="banana")


def test_fingerprint_does_not_follow_the_version_of_transformers(model, monkeypatch):
    before = model.fingerprint
    monkeypatch.setattr("transformers.configuration_utils.__version__", "99.0.0")
    assert "99.0.0" in model.hf.config.to_json_string()
    assert emokit.Model(model.hf, model.tokenizer, "again").fingerprint == before


def test_a_cpu_by_any_name_gets_float32(model, tmp_path):
    model.hf.bfloat16().save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    for device in ("cpu", "cpu:0"):
        assert emokit.load_model(tmp_path, device=device).dtype == torch.float32
