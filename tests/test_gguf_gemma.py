"""A tiny Gemma 3 as a GGUF file: loaded with its own logits; sizes that transformers misreads are refused."""

import gguf
import numpy as np
import pytest
import torch
from test_fetch import write_gguf
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

import emokit

PARTS = {
    "model.embed_tokens.": "token_embd.", "model.norm.": "output_norm.", "model.layers.": "blk.", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm", "input_layernorm": "attn_norm",
}  # fmt: skip


def write(path, **fields):
    """Write a random Gemma 3 of 7 blocks x 32 (the sixth attends to all, the others to 8 tokens); returns the model."""
    torch.manual_seed(0)
    tokens = [
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        *[f"<0x{i:02X}>" for i in range(256)],
        "▁",
        *"abcdefghijklmnopqrstuvwxyz",
    ]
    config = Gemma3TextConfig(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=64, num_hidden_layers=7, num_attention_heads=4,
        num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=256, sliding_window=8, max_position_embeddings=64,
    )  # fmt: skip
    model = Gemma3ForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 0, 0.1 if "norm" in name else 0.2)
    writer = gguf.GGUFWriter(str(path), "gemma3")
    writer.add_vocab_size(len(tokens))
    writer.add_context_length(64)
    writer.add_block_count(fields.pop("blocks", 7))
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(1)
    writer.add_key_length(8)
    writer.add_value_length(8)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_sliding_window(8)
    writer.add_rope_freq_base(1e6)
    if "scaling" in fields:
        writer.add_rope_scaling_type(gguf.RopeScalingType(fields["scaling"]))
        writer.add_rope_scaling_factor(8.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(i) for i in range(len(tokens))])
    writer.add_token_types([3, 3, 3, 2, *[6] * 256, *[1] * 27])
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(3)
    writer.add_pad_token_id(0)
    for name, parameter in model.named_parameters():
        rows = parameter.detach().numpy() + np.float32("norm" in name)  # llama.cpp's norms multiply, Gemma's add 1
        for part, short in PARTS.items():
            name = name.replace(part, short)
        writer.add_tensor(name, rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def test_a_gemma_3_file_loads_with_its_own_logits_and_no_chat_template(tmp_path):
    source = write(tmp_path / "gemma.gguf")
    model = emokit.load_model(tmp_path / "gemma.gguf")
    assert (model.n_blocks, model.width) == (7, 32)
    assert model.tokenizer.chat_template is None
    assert model.prompt("hello") == "Human: hello\n\nAssistant:"
    ids = torch.arange(4, 44)[None]  # longer than the sliding window
    with torch.inference_mode():
        torch.testing.assert_close(model.hf(ids).logits, source(ids).logits, rtol=1e-4, atol=1e-4)
    tokens = model.encode("abc de")
    assert tokens[0] == 2
    assert tokens.count(2) == 1
    assert emokit.activations.story_means(model, ["abc defgh ijkl mno"]).shape == (1, 7, 32)
    assert isinstance(model.generate("abc", max_new_tokens=3), str)


@pytest.mark.parametrize("fields", [{"scaling": "linear"}, {"blocks": 34}], ids=str)
def test_sizes_whose_rope_scaling_transformers_drops_are_refused_with_the_reason(tmp_path, fields):
    write(tmp_path / "big.gguf", **fields)
    with pytest.raises(emokit.EmokitError, match="rope scaling") as caught:
        emokit.load_model(tmp_path / "big.gguf")
    assert "big.gguf" in str(caught.value)
    assert "safetensors" in str(caught.value)


def test_scaling_of_type_none_is_no_scaling(tmp_path):
    write(tmp_path / "same.gguf", scaling="none")
    assert emokit.load_model(tmp_path / "same.gguf").n_blocks == 7


def test_a_llama_with_frequency_factors_is_refused_too(tmp_path, monkeypatch):
    """Llama 3.1 and later carry them as a tensor, which transformers does not read."""
    add = gguf.GGUFWriter.write_header_to_file
    monkeypatch.setattr(
        gguf.GGUFWriter, "write_header_to_file",
        lambda self: (self.add_tensor("rope_freqs.weight", np.ones(4, np.float32)), add(self)),
    )  # fmt: skip
    write_gguf(tmp_path / "llama31.gguf")
    with pytest.raises(emokit.EmokitError, match="rope scaling of this llama"):
        emokit.load_model(tmp_path / "llama31.gguf")
