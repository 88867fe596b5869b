"""Laws that hold for every architecture, on tiny random models built from their configs, and what is refused."""

import os

import gguf
import numpy as np
import pytest
import torch
import transformers as hf_lib
from conftest import byte_tokenizer, hooks, tiny_model
from transformers.convert_slow_tokenizer import bytes_to_unicode

import emokit
from emokit import EmokitError, activations, fetch
from emokit.batches import Memory, padding
from emokit.generation import decode, reply_tokens

IDS = dict(vocab_size=272, bos_token_id=0, eos_token_id=1, pad_token_id=1)
SIZES = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2)
MODERN = IDS | SIZES | dict(max_position_embeddings=256, initializer_range=0.2)
GEMMA = dict(
    head_dim=8, query_pre_attn_scalar=8, sliding_window=8,
    layer_types=["sliding_attention", "full_attention", "sliding_attention"],
)  # fmt: skip
GPT = IDS | dict(n_embd=32, n_layer=3, n_head=4, n_positions=256, initializer_range=0.2)
CONFIGS = {
    "llama": ("LlamaConfig", MODERN),
    "mistral": ("MistralConfig", MODERN | dict(sliding_window=8)),
    "qwen3": ("Qwen3Config", MODERN | dict(head_dim=8)),
    "gemma3": ("Gemma3TextConfig", MODERN | GEMMA),
    "phi": ("PhiConfig", MODERN | dict(num_key_value_heads=4)),
    "gpt2": ("GPT2Config", GPT),
    "gptj": ("GPTJConfig", GPT | dict(rotary_dim=4)),
    "gptneo": (
        "GPTNeoConfig",
        IDS | dict(hidden_size=32, num_layers=4, num_heads=4, attention_types=[[["global", "local"], 2]], window_size=8,
                   max_position_embeddings=256, initializer_range=0.2),
    ),
    "gptneox": (
        "GPTNeoXConfig",
        IDS | dict(hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                   max_position_embeddings=256, initializer_range=0.2),
    ),
    "opt": (
        "OPTConfig",
        IDS | dict(hidden_size=32, ffn_dim=64, num_hidden_layers=3, num_attention_heads=4, word_embed_proj_dim=32,
                   max_position_embeddings=256, init_std=0.2),
    ),
    "bloom": ("BloomConfig", IDS | dict(hidden_size=32, n_layer=3, n_head=4, initializer_range=0.2)),
    "falcon": (
        "FalconConfig",
        IDS | dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, initializer_range=0.2),
    ),
    "mpt": ("MptConfig", IDS | dict(d_model=32, n_heads=4, n_layers=3, max_seq_len=256, initializer_range=0.2)),
    "qwen3_next": (  # linear attention, whose state lies in the cache
        "Qwen3NextConfig",
        MODERN | dict(head_dim=8, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
                      linear_value_head_dim=8, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16,
                      shared_expert_intermediate_size=16,
                      layer_types=["linear_attention", "full_attention", "linear_attention"]),
    ),
    "gemma3 with images": (  # a vision tower of as many layers as the text model
        "Gemma3Config",
        dict(text_config=MODERN | GEMMA, mm_tokens_per_image=4, image_token_index=265, boi_token_index=266,
             eoi_token_index=267,
             vision_config=dict(hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
                                image_size=8, patch_size=4)),
    ),
}  # fmt: skip
TUPLES = {"gptj", "gptneo", "bloom", "falcon", "mpt"}  # their blocks return one
TEXTS = ["It rained.", "A second story, which is rather longer than the first one.", "And a third " * 9]
PROMPT = "Tell me."


def built(config, settings, kind="AutoModelForCausalLM"):
    torch.manual_seed(0)
    return getattr(hf_lib, kind).from_config(getattr(hf_lib, config)(**settings)).eval()


@pytest.fixture(scope="module", params=CONFIGS)
def arch(request):
    """A tiny random model of each architecture, which no test may change."""
    return emokit.Model(built(*CONFIGS[request.param]), byte_tokenizer(chat=False), request.param)


@pytest.fixture(scope="module")
def aimed(arch):
    """Random directions for the model, in the place of extracted ones."""
    return random_vectors(arch)


def random_vectors(model):
    random = np.random.default_rng(0)
    rows = random.standard_normal((model.n_blocks, 3, model.width)).astype(np.float32)
    return emokit.EmotionVectors(
        emotions=("a", "b", "c"),
        directions=rows / np.linalg.norm(rows, axis=2, keepdims=True),
        mean=random.standard_normal((model.n_blocks, model.width)).astype(np.float32),
        norms=random.uniform(5, 10, model.n_blocks).astype(np.float32),
        best_block=1,
    )


def states(model, ids):
    """What transformers says comes out of every block but the last: [blocks - 1, tokens, width]."""
    with torch.no_grad():
        found = model.hf(torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states
    return torch.stack([h[0] for h in found[1:-1]])


def logits(model, ids):
    with torch.no_grad():
        return model.hf(torch.tensor([ids]), use_cache=False).logits[0]


def test_the_norm_behind_the_last_block_leads_to_the_models_own_logits(arch):
    seen = {}
    handle = arch.blocks[-1].register_forward_hook(lambda _m, _i, out: seen.update(out=out))
    expected = logits(arch, arch.encode(PROMPT))
    handle.remove()
    assert isinstance(seen["out"], tuple) == (arch.name in TUPLES)
    last = seen["out"][0] if arch.name in TUPLES else seen["out"][0][None]
    with torch.no_grad():
        again = arch.hf.get_output_embeddings()(arch.norm(last))[0]
    torch.testing.assert_close(again, expected, atol=1e-4, rtol=1e-4)
    config = arch.hf.config.get_text_config()
    assert (arch.n_blocks, arch.width) == (config.num_hidden_layers, config.hidden_size) == (len(arch.blocks), 32)


def test_story_means_are_a_plain_loop_over_the_hidden_states(arch):
    got = activations.story_means(arch, TEXTS, cache=False)
    for row, text in zip(got, TEXTS, strict=True):
        ids = arch.encode(text)
        expected = states(arch, ids)[:, 20 if len(ids) > 80 else 5 :].mean(1)
        np.testing.assert_allclose(row[:-1], expected, atol=1e-4, rtol=1e-4)


def test_texts_read_alone_and_in_a_batch_are_the_same(arch, monkeypatch):
    together = activations.story_stats(arch, TEXTS, cache=False)
    last = activations.readouts(arch, TEXTS, cache=False)
    monkeypatch.setitem(activations.TOKEN_BUDGET, "cpu", 1)
    for got, expected in zip(activations.story_stats(arch, TEXTS, cache=False), together, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(activations.readouts(arch, TEXTS, cache=False), last, atol=1e-4, rtol=1e-4)


def test_a_steer_adds_exactly_its_delta_and_leaves_nothing_behind(arch, aimed):
    ids = arch.encode(PROMPT)
    plain, before = logits(arch, ids), states(arch, ids)
    carried = hooks(arch)  # some architectures bring hooks of their own
    with emokit.steer(arch, aimed, {"a": 0.0}):
        assert torch.equal(logits(arch, ids), plain)
    with emokit.steer(arch, aimed, {"a": 0.7, "b": -0.2}):
        steered = states(arch, ids)
    delta = (0.7 * aimed["a"].rows[1] - 0.2 * aimed["b"].rows[1]) * aimed.norms[1]
    assert torch.equal(steered[0], before[0])
    torch.testing.assert_close(steered[1], before[1] + torch.from_numpy(delta), atol=1e-6, rtol=1e-6)
    assert hooks(arch) == carried
    assert torch.equal(logits(arch, ids), plain)


def test_greedy_replies_are_those_of_transformers(arch):
    ids = arch.encode(arch.prompt(PROMPT))
    expected = arch.hf.generate(
        torch.tensor([ids]), max_new_tokens=8, do_sample=False, eos_token_id=[1, 2], pad_token_id=1
    )
    assert arch.generate(PROMPT, max_new_tokens=8) == arch.text(expected[0, len(ids) :].tolist())


@pytest.mark.parametrize("positions", ["all", "reply"])
def test_steered_decoding_is_a_whole_steered_pass_for_every_token(arch, aimed, positions):
    ids = arch.encode(arch.prompt(PROMPT))
    begin = 0 if positions == "all" else len(ids) - 1  # the last prompt token brings forth the first of the reply
    delta = torch.from_numpy(4 * aimed.norms[1] * aimed["a"].rows[1])

    def add(_module, _inputs, out):
        first = (out if isinstance(out, torch.Tensor) else out[0]).clone()
        first[:, begin:] += delta
        return first if isinstance(out, torch.Tensor) else (first, *out[1:])

    handle = arch.blocks[1].register_forward_hook(add, prepend=True)
    expected = list(ids)
    while len(expected) < len(ids) + 8:
        expected.append(int(logits(arch, expected)[-1].argmax()))
    handle.remove()
    assert expected[len(ids)] != int(logits(arch, ids)[-1].argmax())  # steering decides the first token already
    with emokit.steer(arch, aimed, {"a": 4.0}, positions=positions):
        steps = [token for (token,) in decode(arch, [ids], 8)]
    assert steps == expected[len(ids) :]


UNEQUAL = ["Hi", "A rather longer question, is it not?", "Not so short."]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("positions", ["all", "reply"])
def test_a_batch_of_unequal_prompts_gives_the_replies_that_each_gives_alone(arch, aimed, temperature, positions):
    assert padding(arch) != "none"
    prompts, strengths, seeds = [arch.encode(p) for p in UNEQUAL], [0.0, 2.0, -3.0], [5, 6, 7]
    with emokit.steer(arch, aimed, {"a": strengths}, positions=positions):
        together = reply_tokens(arch, prompts, 16, temperature, seeds, bar=False)
    for row, prompt, strength, seed in zip(together, prompts, strengths, seeds, strict=True):
        with emokit.steer(arch, aimed, {"a": strength}, positions=positions):
            assert reply_tokens(arch, [prompt], 16, temperature, [seed], bar=False) == [row]


def test_a_memory_goes_on_from_turn_to_turn_as_if_all_were_read_anew(arch):
    if padding(arch) != "holes":  # a window, linear attention, or positions that count the holes
        assert arch.name in {"mistral", "gptneo", "mpt", "qwen3_next"} or arch.name.startswith("gemma3")
        return
    memory = Memory(arch.hf, 3)
    told = [arch.encode(p) for p in UNEQUAL]
    for turn in range(3):
        seeds = [10 * turn + row for row in range(len(told))]
        got = reply_tokens(arch, told, 9, 1.0, seeds, bar=False, memory=memory)
        assert got == [reply_tokens(arch, [t], 9, 1.0, [s], bar=False)[0] for t, s in zip(told, seeds, strict=True)]
        # the next turn drops a part of the reply of some rows, and adds more to some than to others
        told = [t + g[: len(g) - row] + arch.encode(" no, again"[: 3 * row + 2]) for row, (t, g) in enumerate(zip(told, got, strict=True))]  # fmt: skip
        if turn == 1:  # the first row leaves
            memory.select([1, 2])
            told = told[1:]


def test_log_probabilities_are_those_of_a_plain_log_softmax(arch):
    continuations = [" sad", " quite a bit happier"]
    for got, continuation in zip(arch.logprobs("He feels", continuations), continuations, strict=True):
        ids, start = arch.encode("He feels" + continuation), len(arch.encode("He feels"))
        chances = logits(arch, ids).log_softmax(-1)
        expected = sum(float(chances[t - 1, ids[t]]) for t in range(start, len(ids)))
        assert got == pytest.approx(expected, abs=1e-3)


def test_scores_are_cosines_with_the_directions(arch, aimed):
    got = emokit.read(arch, aimed, PROMPT)
    here = states(arch, arch.encode(PROMPT))[1].numpy()[1:] - aimed.mean[1]  # the first token is the BOS
    expected = here @ aimed.at(1).T / np.linalg.norm(here, axis=1, keepdims=True)
    np.testing.assert_allclose(got.scores, expected, atol=1e-5)


# what is refused

STATE = IDS | dict(hidden_size=32, num_hidden_layers=3)
RECURRENT = {
    "mamba": ("MambaConfig", STATE | dict(state_size=4, initializer_range=0.2)),
    "mamba2": ("Mamba2Config", STATE | dict(state_size=4, num_heads=4, head_dim=16, n_groups=1)),
    "rwkv": ("RwkvConfig", STATE | dict(attention_hidden_size=32, context_length=256)),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_a_model_that_keeps_its_state_out_of_the_cache_is_refused(name):
    with pytest.raises(EmokitError, match=f"cannot decode with a key-value cache .*'{name}'.* past_key_values"):
        emokit.Model(built(*RECURRENT[name]), byte_tokenizer(), name)


def test_a_model_that_looks_ahead_is_refused():
    """Its texts could not be padded on the right, as is done without a mask."""
    ahead = built("Gemma3TextConfig", MODERN | GEMMA | dict(use_bidirectional_attention=True))
    with pytest.raises(EmokitError, match="cannot decode with a key-value cache"):
        emokit.Model(ahead, byte_tokenizer(), "ahead")


def test_a_model_that_cannot_take_a_cache_is_refused_with_its_own_words(model, monkeypatch):
    plain = type(model.hf).forward

    def forward(self, *args, past_key_values=None, **kwargs):
        if past_key_values is not None:
            raise TypeError("caches are not for me")
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(type(model.hf), "forward", forward)
    with pytest.raises(EmokitError, match="caches are not for me"):
        emokit.Model(model.hf, model.tokenizer)


MISFITS = {
    "a head of another width": ("ElectraConfig", IDS | SIZES | dict(embedding_size=16)),
    "no causal model": ("RobertaConfig", IDS | SIZES),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_head_that_does_not_go_with_the_last_block_is_refused(name):
    with pytest.raises(EmokitError, match=f"not the model's own output .*'{name}'"):
        emokit.Model(built(*MISFITS[name]), byte_tokenizer(), name)


def test_a_projection_behind_the_last_block_is_taken_for_its_norm():
    # as in opt-350m, whose head is narrower than its residual stream
    settings = CONFIGS["opt"][1] | dict(word_embed_proj_dim=16, do_layer_norm_before=False)
    model = emokit.Model(built("OPTConfig", settings), byte_tokenizer(chat=False))
    assert (model.width, model.norm) == (32, model.hf.model.decoder.project_out)


def test_every_model_with_a_longest_text_refuses_a_longer_one(arch):
    if arch.name in {"bloom"}:  # its positions have no end
        assert arch.context is None
        return
    length = arch.context
    assert length is not None
    assert len(arch.encode("x" * (length - 1))) == length
    arch.logprobs("x" * (length - 2), ["x"])
    with pytest.raises(EmokitError, match=f"context of {length}"):
        arch.logprobs("x" * (length - 1), ["x"])


ENCODERS = {
    "T5Config": dict(vocab_size=272, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
    "BartConfig": IDS | dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                             decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64),
}  # fmt: skip


@pytest.mark.parametrize("config", ENCODERS)
def test_an_encoder_decoder_is_refused_as_such(tmp_path, config):
    hf = built(config, ENCODERS[config], "AutoModelForSeq2SeqLM")
    hf.save_pretrained(tmp_path / "m")
    byte_tokenizer().save_pretrained(tmp_path / "m")
    with pytest.raises(EmokitError, match="an encoder-decoder"):
        emokit.load_model(tmp_path / "m")
    with pytest.raises(EmokitError, match="an encoder-decoder"):
        emokit.Model(hf, byte_tokenizer())


def test_a_checkpoint_with_a_vision_tower_loads_from_its_folder(tmp_path):
    hf = built(*CONFIGS["gemma3 with images"])
    hf.save_pretrained(tmp_path / "m")
    byte_tokenizer().save_pretrained(tmp_path / "m")
    model = emokit.load_model(tmp_path / "m")
    assert model.blocks is model.hf.get_decoder().layers
    assert model.n_blocks == len(model.hf.base_model.vision_tower.encoder.layers) == 3


# half precision


def half(dtype, scale=1.0):
    """A tiny Llama whose residual stream is `scale` times as large, in half precision."""
    model = tiny_model()
    with torch.no_grad():
        model.hf.get_input_embeddings().weight.mul_(scale)
    model.hf.to(dtype)
    return model


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_means_and_norms_of_a_half_precision_model_are_those_of_fp32_sums(dtype):
    model = half(dtype)
    seen = []
    handles = [b.register_forward_hook(lambda _m, _i, out: seen.append(out[0])) for b in model.blocks]
    logits(model, model.encode(TEXTS[2]))
    for handle in handles:
        handle.remove()
    assert {h.dtype for h in seen} == {dtype}
    means, norms = activations.story_stats(model, TEXTS[2:], cache=False)
    expected = torch.stack(seen).double()
    np.testing.assert_allclose(means[0], expected[:, 20:].mean(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norms, expected[:, 1:].norm(dim=-1), rtol=1e-5)


def test_norms_beyond_fp16_stay_finite_in_it(stories):
    model = half(torch.float16, scale=7e4)
    assert torch.isfinite(model.hf.get_input_embeddings().weight).all()
    vectors = emokit.extract(model, stories)
    assert vectors.norms.min() > 65504
    assert np.isfinite(vectors.norms).all()
    assert np.isfinite(activations.story_stats(model, TEXTS)[1]).all()


def test_a_delta_beyond_fp16_is_added_where_the_sum_is_within_it():
    model = half(torch.float16)
    vectors = random_vectors(model)
    rows = np.zeros_like(vectors.directions)
    rows[:, 0, 3] = 1
    vectors = emokit.EmotionVectors(vectors.emotions, rows, vectors.mean, np.full(4, 1e5, np.float32), 1)

    def low(_m, _i, out):
        out = out.clone()
        out[..., 3] = -60000
        return out

    with emokit.steer(model, vectors, {"a": 1.0}):
        model.blocks[1].register_forward_hook(low, prepend=True)  # before the steer's
        got = activations.token_states(model, model.encode("Hello"), [1])
    np.testing.assert_array_equal(got[:, 0, 3], 40000)


def test_states_that_are_nan_are_refused_wherever_they_are_met(model, vectors):
    def broken(_m, _i, out):
        out = out.clone()
        out[:, -1] = float("nan")
        return out

    model.blocks[vectors.best_block].register_forward_hook(broken)
    for use in (
        lambda: activations.story_means(model, TEXTS, cache=False),
        lambda: emokit.read(model, vectors, PROMPT),
        lambda: model.generate(PROMPT, max_new_tokens=2),
        lambda: model.logprobs(PROMPT, [" a"]),
    ):
        with pytest.raises(EmokitError, match="NaN.*float32"):
            use()


def test_a_norm_beyond_fp32_is_refused_though_the_states_are_finite():
    model = half(torch.bfloat16)
    model.blocks[3].register_forward_hook(lambda _m, _i, out: out * 1e30, prepend=True)
    with pytest.raises(EmokitError, match="NaN or infinite from block 3 on"):
        activations.story_means(model, TEXTS, cache=False)


# GGUF

NAMES = {
    "model.embed_tokens.": "token_embd.", "model.norm.": "output_norm.", "lm_head.": "output.", "model.layers.": "blk.",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
}  # fmt: skip
NORMS = {
    "llama": {"post_attention_layernorm": "ffn_norm"},
    "gemma3": {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm"},
}  # fmt: skip


def small(name, **settings):
    """A tiny Llama or Gemma 3 whose config a GGUF file can hold whole; Gemma's head has 256 as in its real sizes."""
    tied = {"tie_word_embeddings": name == "gemma3", "bos_token_id": 0, "eos_token_id": 1, "vocab_size": 259}
    gemma = dict(head_dim=256, query_pre_attn_scalar=256, sliding_window=8, num_hidden_layers=6, layer_types=None)
    hf = built(CONFIGS[name][0], MODERN | tied | (gemma if name == "gemma3" else {}) | settings)
    for key, parameter in hf.named_parameters():
        if "norm" in key:
            torch.nn.init.normal_(parameter, 0.0 if name == "gemma3" else 1.0, 0.1)  # Gemma adds the 1 itself
    return hf


def as_gguf(path, hf, **values):
    """Write `hf` as llama.cpp's converter does, with a byte tokenizer; `values` are further metadata or tensors."""
    config, arch = hf.config, "gemma3" if hf.config.model_type == "gemma3_text" else "llama"
    writer = gguf.GGUFWriter(str(path), arch)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_name("tiny")
    if arch == "gemma3":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
        writer.add_sliding_window(config.sliding_window)
        writer.add_rope_freq_base(1e6)
    else:
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model("gpt2" if arch == "llama" else "llama")
    writer.add_token_list(TOKENS[arch])
    writer.add_token_types([3, 3] + [1 if arch == "llama" else 6] * 257)
    if arch == "gemma3":
        writer.add_token_scores([0.0] * 259)
    else:
        writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for key, value in values.items():
        if isinstance(value, np.ndarray):
            writer.add_tensor(f"{key}.weight", value)
        elif isinstance(value, str):
            writer.add_string(f"{arch}.{key.replace('__', '.')}", value)
        else:
            writer.add_float32(f"{arch}.{key.replace('__', '.')}", value)
    for name, parameter in hf.named_parameters():
        rows = parameter.detach().numpy()
        if arch == "gemma3" and "norm" in name:
            rows = rows + 1
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):  # llama.cpp's rotary layout
            rows = rows.reshape(-1, 2, config.head_dim // 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
        for long, short in (NORMS[arch] | NAMES).items():
            name = name.replace(long, short)
        writer.add_tensor(name, np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


TOKENS = {
    "llama": ["<s>", "</s>", "ab", *bytes_to_unicode().values()],
    "gemma3": ["<bos>", "<eos>", "<unk>", *(f"<0x{b:02X}>" for b in range(256))],
}


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_a_gguf_model_is_the_one_it_was_written_from(tmp_path, name):
    hf = small(name)
    as_gguf(tmp_path / "x.gguf", hf)
    model = emokit.load_model(tmp_path / "x.gguf")
    ids = torch.arange(3, 60)[None]
    with torch.no_grad():
        torch.testing.assert_close(model.hf(ids).logits, hf(ids).logits, atol=1e-5, rtol=1e-5)
    vectors = random_vectors(model)
    assert emokit.read(model, vectors, "Hello").scores.shape[1] == 3
    plain = list(decode(model, [model.encode("Hi")], 4))
    with emokit.steer(model, vectors, {"a": 4.0}):
        assert list(decode(model, [model.encode("Hi")], 4)) != plain


LOST = {
    "gemma3 4b and 12b": ("gemma3", dict(rope__scaling__type="linear", rope__scaling__factor=8.0), "scaling.factor=8"),
    "linear, older": ("llama", dict(rope__scale_linear=4.0), "scale_linear=4"),
    "yarn": ("llama", dict(rope__scaling__type="yarn", rope__scaling__factor=4.0), "scaling.type=yarn"),
    "llama 3.1": ("llama", dict(rope_freqs=np.array([1, 1, 4, 8], np.float32)), "rope_freqs"),
}


@pytest.mark.parametrize("case", LOST)
def test_a_gguf_file_whose_scaled_rope_would_be_lost_is_refused(tmp_path, case):
    name, values, reason = LOST[case]
    as_gguf(tmp_path / "x.gguf", small(name), **values)
    with pytest.raises(EmokitError, match=f"transformers loses the .*{reason}.*GGUF"):
        emokit.load_model(tmp_path / "x.gguf")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (dict(head_dim=128, query_pre_attn_scalar=168), "query scale of attention.key_length=128"),  # as the 27b's
        (dict(num_hidden_layers=34), "a Gemma 3 of 34 blocks"),  # a 4b whose writer left the scaling out
    ],
)
def test_a_gguf_gemma3_of_the_larger_sizes_is_refused_without_any_scaling_in_it(tmp_path, settings, reason):
    as_gguf(tmp_path / "x.gguf", small("gemma3", **settings))
    with pytest.raises(EmokitError, match=reason):
        emokit.load_model(tmp_path / "x.gguf")


SCALED = {
    "gemma3 4b and 12b": (
        "gemma3",
        dict(rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
        }),
        dict(rope__scaling__type="linear", rope__scaling__factor=8.0),
    ),
    "gemma3 27b": ("gemma3", dict(head_dim=128, query_pre_attn_scalar=168), {}),
    "llama 3.1": (
        "llama",
        dict(rope_parameters={
            "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        }),
        dict(rope_freqs=np.array([1, 1, 4, 8], np.float32)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SCALED)
def test_such_a_file_would_be_another_model_without_a_warning(tmp_path, monkeypatch, case):
    # fails on the day that transformers maps what it loses: then the refusal can go
    name, settings, values = SCALED[case]
    hf = small(name, **settings)
    as_gguf(tmp_path / "x.gguf", hf, **values)
    monkeypatch.setattr(fetch, "check_mapped", lambda path: None)
    model = emokit.load_model(tmp_path / "x.gguf")
    ids = torch.arange(3, 60)[None]
    with torch.no_grad():
        assert (model.hf(ids).logits - hf(ids).logits).abs().max() > 0.01


def test_a_scaling_that_changes_nothing_is_no_reason_to_refuse(tmp_path):
    hf = small("llama")
    values = dict(rope__scaling__type="linear", rope__scaling__factor=1.0, rope_freqs=np.ones(4, np.float32))
    as_gguf(tmp_path / "x.gguf", hf, **values)
    assert emokit.load_model(tmp_path / "x.gguf").n_blocks == 3


@pytest.mark.skipif("EMOKIT_TEST_GGUF" not in os.environ, reason="EMOKIT_TEST_GGUF names no GGUF file")
def test_a_real_gguf_model_reads_steers_and_writes():
    model = emokit.load_model(os.environ["EMOKIT_TEST_GGUF"])
    blue, cheese = model.logprobs("The colour of the sky is", [" blue", " cheese"])
    assert blue > cheese
    vectors = emokit.extract(model, emokit.load_stories(emotions=["happy", "sad", "angry", "calm"]))
    right = np.max(vectors.provenance["selection"]["accuracy"])
    assert right > 0.6  # four emotions: chance is 0.25
    plain = model.generate("Tell me about your day.", max_new_tokens=10)
    with emokit.steer(model, vectors, {"happy": 0.5}):
        assert model.generate("Tell me about your day.", max_new_tokens=10) != plain
    assert model.generate("Tell me about your day.", max_new_tokens=10) == plain
