"""The same laws for every family of models, on tiny random ones built from configs."""

import numpy as np
import pytest
import torch
import transformers
from conftest import byte_tokenizer, hooks

import emokit
from emokit import activations
from emokit.structure import hidden

SIZE = dict(vocab_size=272, bos_token_id=0, eos_token_id=1, pad_token_id=1, initializer_range=0.2)
LAYERS = dict(
    hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=512
)
GROUPED = dict(num_key_value_heads=2, head_dim=8)
GPT = dict(n_embd=32, n_layer=3, n_head=4, n_positions=512)
FAMILIES = {
    "Llama": LAYERS | GROUPED,
    "Gemma3": LAYERS | GROUPED | dict(sliding_window=8, query_pre_attn_scalar=8, final_logit_softcapping=None),
    "Gemma2": LAYERS | GROUPED | dict(sliding_window=8, query_pre_attn_scalar=8),
    "Qwen3": LAYERS | GROUPED,
    "Qwen2": LAYERS | dict(num_key_value_heads=2),
    "GPT2": GPT,
    "GPTNeoX": LAYERS,
    "OPT": LAYERS | dict(ffn_dim=64, word_embed_proj_dim=32),
    "Bloom": dict(hidden_size=32, n_layer=3, n_head=4),
    "Phi": LAYERS,
    "Mistral": LAYERS | GROUPED | dict(sliding_window=None),
    "Falcon": LAYERS | dict(new_decoder_architecture=False, alibi=False),
    "GPTJ": GPT | dict(rotary_dim=4),
    "tuples": LAYERS | GROUPED,
}
STORIES = ["The sun came out and she laughed.", "He dropped the cup, and nobody said one word to him all day.", "Rain."]


class Pair(torch.nn.Module):
    """A block whose output is a tuple, as many models' are."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, *args, **kwargs):
        return (hidden(self.block(*args, **kwargs)), "something else")


def built(family, dtype=torch.float32):
    torch.manual_seed(0)
    kind = "Llama" if family == "tuples" else family
    name = {"Gemma3": "Gemma3TextConfig", "GPTNeoX": "GPTNeoXConfig"}.get(kind, f"{kind}Config")
    config = getattr(transformers, name)(**SIZE | FAMILIES[family])
    hf = transformers.AutoModelForCausalLM.from_config(config).eval().to(dtype)
    return emokit.Model(tupled(hf) if family == "tuples" else hf, byte_tokenizer(), family)


def tupled(hf):
    """A Llama whose blocks return tuples; its loop takes their first item."""

    base = hf.model
    base.layers = torch.nn.ModuleList(Pair(block) for block in base.layers)

    def forward(input_ids=None, attention_mask=None, past_key_values=None, use_cache=None, **kwargs):
        from transformers.masking_utils import create_causal_mask
        from transformers.modeling_outputs import BaseModelOutputWithPast

        states = base.embed_tokens(input_ids)
        seen = past_key_values.get_seq_length() if past_key_values is not None else 0
        positions = torch.arange(seen, seen + states.shape[1])[None]
        mask = create_causal_mask(
            config=base.config, inputs_embeds=states, attention_mask=attention_mask, past_key_values=past_key_values,
            position_ids=positions,
        )  # fmt: skip
        rope = base.rotary_emb(states, position_ids=positions)
        every = []
        for block in base.layers:
            every.append(states)
            states, _ = block(
                states, attention_mask=mask, position_ids=positions, past_key_values=past_key_values,
                position_embeddings=rope,
            )  # fmt: skip
        states = base.norm(states)
        return BaseModelOutputWithPast(
            last_hidden_state=states, past_key_values=past_key_values, hidden_states=(*every, states)
        )

    base.forward = forward
    return hf


@pytest.fixture(params=FAMILIES)
def family(request):
    return built(request.param)


@pytest.fixture
def made(family):
    """Vectors of the family's model, from two emotions over three topics."""
    rows = [
        emokit.Story(e, t, f"{t}: {w} and {w} again at the {t}, {w}!")
        for e, w in (("happy", "sun"), ("sad", "rain"), ("angry", "slam"))
        for t in ("garden", "office", "school")
    ]
    return emokit.extract(family, emokit.StorySet(tuple(rows)))


def states_by_transformers(model, text):
    """Residual stream after each block but the last, by `output_hidden_states`: [blocks - 1, tokens, width]."""
    ids = torch.tensor([model.encode(text)])
    with torch.inference_mode():
        return torch.stack(model.hf(ids, output_hidden_states=True).hidden_states[1:-1])[:, 0].float().numpy()


def test_there_are_the_families_that_the_kit_names():
    assert set("Llama Gemma3 Qwen3 GPT2 GPTNeoX OPT Bloom Phi Mistral tuples".split()) <= set(FAMILIES)


def test_story_means_equal_a_plain_loop_and_batches_do_not_matter(family, monkeypatch):
    means = activations.story_means(family, STORIES[:2], cache=False)
    for text, mean in zip(STORIES, means, strict=False):
        states = states_by_transformers(family, text)
        np.testing.assert_allclose(mean[:-1], states[:, 5:].mean(1), rtol=1e-3, atol=1e-4 * np.abs(states).max())
    monkeypatch.setitem(activations.TOKEN_BUDGET, "cpu", 1)
    alone = activations.story_means(family, STORIES[:2], cache=False)
    np.testing.assert_allclose(alone, means, rtol=1e-3, atol=1e-4 * np.abs(means).max())


def test_reading_scores_are_cosines(family, made):
    text = STORIES[1]
    reading = emokit.read(family, made, text, block=1)
    states = states_by_transformers(family, text)[1] - made.mean[1]
    cosines = states / np.linalg.norm(states, axis=1, keepdims=True) @ made.at(1).T
    np.testing.assert_allclose(reading.scores, cosines[-len(reading.tokens) :], atol=1e-4)


def test_steering_adds_exactly_its_delta_and_leaves_nothing(family, made):
    ids = torch.tensor([family.encode(STORIES[1])])
    caught = []
    before = states_by_transformers(family, STORIES[1])[1]
    installed = hooks(family)  # those of transformers, which stay once hidden states were asked for
    with torch.inference_mode():
        plain = family.hf(ids).logits
        with emokit.steer(family, made, {"happy": 0.0}, blocks=1):
            assert torch.equal(family.hf(ids).logits, plain)
        with emokit.steer(family, made, {"happy": 0.3}, blocks=1):
            handle = family.blocks[1].register_forward_hook(lambda m, i, o: caught.append(hidden(o)))
            assert not torch.equal(family.hf(ids).logits, plain)
            handle.remove()
        assert torch.equal(family.hf(ids).logits, plain)
    delta = 0.3 * made.norms[1] * made["happy"].rows[1]
    added = caught[0][0].numpy() - before
    np.testing.assert_allclose(added, np.tile(delta, (len(before), 1)), atol=1e-5 * np.abs(before).max())
    assert hooks(family) == installed


def test_greedy_text_equals_transformers_own(family):
    ids = torch.tensor([family.encode(family.prompt("Hello there"))])
    settings = dict(max_new_tokens=8, do_sample=False, eos_token_id=list(family.stop_tokens), pad_token_id=1)
    if isinstance(family.blocks[0], Pair):
        expected = without_cache(family, ids[0].tolist(), 8)
    else:
        expected = family.hf.generate(ids, attention_mask=torch.ones_like(ids), **settings)[0, ids.shape[1] :].tolist()
    assert family.generate("Hello there", max_new_tokens=8) == family.text(expected)


def without_cache(model, ids, count):
    """Greedy tokens by a full pass a step."""
    ids, start = list(ids), len(ids)
    with torch.inference_mode():
        for _ in range(count):
            ids.append(int(model.hf(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
            if ids[-1] in model.stop_tokens:
                break
    return ids[start:]


def test_steered_text_with_the_cache_equals_full_passes(family, made):
    ids = family.encode(family.prompt("Hello there"))
    with emokit.steer(family, made, {"sad": 0.5}):
        expected = family.text(without_cache(family, ids, 6))
        assert family.generate("Hello there", max_new_tokens=6) == expected


def test_the_first_token_of_the_reply_is_steered(family, made):
    ids = family.encode(family.prompt("Hello there"))
    strong = {"sad": 5.0}
    with emokit.steer(family, made, strong, positions="reply", blocks=1):
        steered = next(family.decode(ids, 1, 1, 0, None))
    with torch.inference_mode(), emokit.steer(family, made, strong, positions="reply", blocks=1):
        assert family.hf(torch.tensor([ids])).logits[0, -1].argmax() == steered[0]
    states = {}
    for strength in (0.0, 5.0):
        with (
            emokit.watch(family, made, block=1) as seen,
            emokit.steer(family, made, {"sad": strength}, positions="reply", blocks=1),
        ):
            list(family.decode(ids, 1, 1, 0, None))
        states[strength] = seen.reading.scores[0, made.index("sad")]
    assert states[5.0] > states[0.0] + 0.1


def test_logprobs_are_the_log_softmax(family):
    prompt, tail = "The sky", " is blue"
    whole = torch.tensor([family.encode(prompt + tail)])
    start = len(family.encode(prompt))
    with torch.inference_mode():
        chances = family.hf(whole).logits.float().log_softmax(-1)
    expected = sum(float(chances[0, i - 1, whole[0, i]]) for i in range(start, whole.shape[1]))
    assert family.logprobs(prompt, [tail, " is"])[0] == pytest.approx(expected, rel=1e-3, abs=1e-3)


# half precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", ["Llama", "Gemma3", "GPT2"])
def test_means_of_half_precision_models_are_taken_in_fp32(kind, dtype):
    """Of the model's own rounded states, so that only they are rounded and not the sum."""
    model = built(kind, dtype)
    means = activations.story_means(model, [STORIES[1]], cache=False)[0]
    assert means.dtype == np.float32
    ids = torch.tensor([model.encode(STORIES[1])])
    with torch.inference_mode():
        states = torch.stack(model.hf(ids, output_hidden_states=True).hidden_states[1:-1])[:, 0]
    np.testing.assert_allclose(means[:-1], states[:, 5:].double().mean(1), rtol=1e-4, atol=1e-6)


def test_fp16_norms_beyond_65504_are_finite():
    """32 states of 20,000 have a norm of 113,137, which fp16 cannot hold."""
    model = built("Llama", torch.float16)
    handle = model.blocks[1].register_forward_hook(lambda m, i, o: torch.full_like(hidden(o), 20_000))
    means, norms = activations.story_stats(model, STORIES[:2], cache=False)
    handle.remove()
    assert torch.isinf(torch.full((32,), 20_000, dtype=torch.float16).norm())
    np.testing.assert_allclose(norms[1], 20_000 * np.sqrt(32), rtol=1e-5)
    np.testing.assert_allclose(means[:, 1], 20_000, rtol=1e-5)
    assert np.isfinite(norms).all()


def test_steering_a_half_precision_model_keeps_its_dtype():
    model = built("Llama", torch.bfloat16)
    stories = emokit.StorySet(
        tuple(
            emokit.Story(e, t, f"{t}: {w} and {w} again at the {t}.")
            for e, w in (("happy", "sun"), ("sad", "rain"))
            for t in ("garden", "office", "school")
        )
    )
    vectors = emokit.extract(model, stories)
    assert vectors.directions.dtype == vectors.norms.dtype == np.float32
    seen = []
    with emokit.steer(model, vectors, {"sad": 0.3}, blocks=1):
        handle = model.blocks[1].register_forward_hook(lambda m, i, o: seen.append(hidden(o).dtype))
        model.generate("Hello", max_new_tokens=2)
        handle.remove()
    assert set(seen) == {torch.bfloat16}


# what is refused


def test_recurrent_models_are_refused_since_they_keep_no_key_value_cache():
    config = transformers.MambaConfig(vocab_size=272, hidden_size=32, num_hidden_layers=3, state_size=4)
    hf = transformers.MambaForCausalLM(config)
    with pytest.raises(emokit.EmokitError, match="recurrent") as caught:
        emokit.Model(hf, byte_tokenizer(), "mamba")
    assert "mamba" in str(caught.value)


def test_models_with_an_encoder_are_refused():
    config = transformers.T5Config(vocab_size=272, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    with pytest.raises(emokit.EmokitError, match="encoder"):
        emokit.Model(transformers.T5ForConditionalGeneration(config), byte_tokenizer(), "t5")


def test_a_vision_tower_as_deep_as_the_text_model_is_not_mistaken_for_it():
    text = LAYERS | GROUPED | SIZE | dict(sliding_window=8, query_pre_attn_scalar=8)
    vision = dict(
        hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1)
    torch.manual_seed(0)
    hf = transformers.Gemma3ForConditionalGeneration(config)
    model = emokit.Model(hf, byte_tokenizer(), "both")
    assert model.width == 32
    assert activations.story_means(model, STORIES[:1], cache=False).shape == (1, 3, 32)
    assert isinstance(model.generate("Hello", max_new_tokens=3), str)
