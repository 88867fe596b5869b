"""Control vectors for llama.cpp: the file's form, what it adds, and what is refused when one is read."""

import numpy as np
import pytest
import torch
from conftest import tiny_model

import emokit
from emokit import EmokitError

gguf = pytest.importorskip("gguf")
IDS = torch.arange(5, 45)[None]
MIX = {"happy": 0.5, "sad": -0.2}


def logits(model):
    with torch.inference_mode():
        return model.hf(IDS).logits


def as_llama_cpp(model, path):
    """Logits where each `direction.N` is added to the output of the decoder layer N, counted from 0, as llama.cpp does it."""
    handles = []
    for tensor in gguf.GGUFReader(path).tensors:
        row = torch.from_numpy(np.array(tensor.data))
        layer = model.hf.model.layers[int(tensor.name.removeprefix("direction."))]
        handles.append(layer.register_forward_hook(lambda _m, _i, output, row=row: output + row))
    try:
        return logits(model)
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("blocks", [1, 2, 3, [1, 3], [1, 2, 3]])
def test_what_the_file_adds_equals_what_steer_adds_at_each_block(model, vectors, tmp_path, blocks):
    path = tmp_path / "mix.gguf"
    vectors.to_gguf(path, MIX, blocks=blocks)
    with emokit.steer(model, vectors, MIX, blocks=blocks) as active:
        steered = logits(model)
    torch.testing.assert_close(as_llama_cpp(model, path), steered, atol=1e-5, rtol=1e-5)
    assert (steered - logits(model)).abs().max() > 0.1
    found = {t.name: np.array(t.data) for t in gguf.GGUFReader(path).tensors}
    assert found.keys() == {f"direction.{block}" for block in active.blocks}
    for block in active.blocks:
        wanted = vectors.norms[block] * (np.float32(0.5) * vectors["happy"].rows[block] - np.float32(0.2) * vectors["sad"].rows[block])  # fmt: skip
        np.testing.assert_allclose(found[f"direction.{block}"], wanted, atol=1e-6)


def test_a_file_shifted_by_one_block_would_be_noticed(model, vectors, tmp_path):
    for block in (1, 2, 3):
        vectors.to_gguf(tmp_path / "v.gguf", MIX, blocks=block)
        as_file = as_llama_cpp(model, tmp_path / "v.gguf")
        for other in (0, 1, 2, 3):
            with emokit.steer(model, vectors, MIX, blocks=other):
                far = (logits(model) - as_file).abs().max()
            assert (far < 1e-4) == (other == block)


def test_the_file_has_the_form_that_llama_cpp_reads(vectors, tmp_path):
    path = tmp_path / "happy.gguf"
    vectors.to_gguf(path, {"happy": 0.2}, blocks=range(1, 4))
    reader = gguf.GGUFReader(path)
    text = {name: reader.get_field(name).contents() for name in reader.fields if not name.startswith("GGUF.")}
    assert text == {
        "general.architecture": "controlvector",
        "general.name": "0.2 happy",
        "controlvector.model_hint": "llama",
        "controlvector.layer_count": 3,
        "emokit.model_fingerprint": vectors.fingerprint,
    }
    assert [t.name for t in reader.tensors] == ["direction.1", "direction.2", "direction.3"]
    assert {(t.tensor_type.name, tuple(t.shape)) for t in reader.tensors} == {("F32", (32,))}


def test_without_blocks_it_is_the_best_one(vectors, tmp_path):
    vectors.to_gguf(tmp_path / "v.gguf", {"happy": 0.2})
    (tensor,) = gguf.GGUFReader(tmp_path / "v.gguf").tensors
    assert tensor.name == f"direction.{vectors.best_block}"


def test_a_file_read_back_steers_as_what_was_written(model, vectors, tmp_path):
    vectors.to_gguf(tmp_path / "mix.gguf", MIX, blocks=[1, 3])
    mix = vectors.from_gguf(tmp_path / "mix.gguf")
    assert (mix.name, mix.blocks) == ("mix", [1, 3])
    with emokit.steer(model, vectors, {mix: 1.0}, blocks=mix.blocks):
        again = logits(model)
    with emokit.steer(model, vectors, MIX, blocks=[1, 3]):
        torch.testing.assert_close(again, logits(model), atol=1e-5, rtol=1e-5)
    vectors.to_gguf(tmp_path / "twice.gguf", {mix: 1.0}, blocks=mix.blocks)
    np.testing.assert_allclose(vectors.from_gguf(tmp_path / "twice.gguf").rows, mix.rows, atol=1e-6)


def test_directions_have_all_blocks(vectors):
    assert vectors["happy"].blocks == [0, 1, 2, 3]
    assert (vectors["happy"] - vectors["happy"]).blocks == []


# refused


@pytest.mark.parametrize(
    ("strengths", "blocks", "told"),
    [
        ({"happy": 0.2}, 0, "block 0.* begin with block 1"),
        ({"happy": 0.2}, [0, 1], "block 0"),
        ({"happy": [0.1, 0.2]}, 1, "lists of strengths.*several files"),
        ({"happy": 0.2}, 4, "unknown block"),
        ({"happy": 0.2}, [], "no block"),
        ({"hapy": 0.2}, 1, "unknown emotion"),
        ({"happy": float("nan")}, 1, "no finite number"),
        ("happy", 1, "no dictionary"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_and_nothing_written(vectors, tmp_path, strengths, blocks, told):
    with pytest.raises(EmokitError, match=told):
        vectors.to_gguf(tmp_path / "v.gguf", strengths, blocks=blocks)
    assert list(tmp_path.glob("*gguf*")) == []


def write(path, rows, kind="controlvector", **named):
    writer = gguf.GGUFWriter(str(path), kind)
    for key, value in named.items():
        writer.add_string(key, value)
    for name, row in rows.items():
        writer.add_tensor(name, row)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_file_of_another_tool_is_read(vectors, tmp_path):
    row = np.arange(32, dtype=np.float32)
    write(tmp_path / "theirs.gguf", {"direction.2": row})
    found = vectors.from_gguf(tmp_path / "theirs.gguf")
    np.testing.assert_allclose(found.rows[2] * vectors.norms[2], row, rtol=1e-6)
    assert found.blocks == [2]


ROW = np.ones(32, np.float32)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"direction.0": ROW}, "direction.0 .*blocks 1 to 3"),
        ({"direction.4": ROW}, "direction.4 "),
        ({"direction.1": ROW[:31]}, r"direction.1 is F32 \[31\]"),
        ({"direction.1": np.ones((2, 16), np.float32)}, "direction.1"),
        ({"direction.1": ROW.astype(np.float16)}, "F16"),
        ({"direction.1": ROW * np.float32("nan")}, "not finite"),
        ({"other.1": ROW}, "without a direction"),
    ],
)
def test_directions_that_do_not_fit_the_model_are_refused(vectors, tmp_path, rows, told):
    write(tmp_path / "v.gguf", rows)
    with pytest.raises(EmokitError, match=told):
        vectors.from_gguf(tmp_path / "v.gguf")


def test_a_missing_a_foreign_and_a_damaged_file_are_told_apart(vectors, tmp_path):
    with pytest.raises(EmokitError, match="no such control vector"):
        vectors.from_gguf(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("hello" * 100)
    with pytest.raises(EmokitError, match="truncated or no GGUF file"):
        vectors.from_gguf(tmp_path / "text.gguf")
    write(tmp_path / "model.gguf", {"token_embd.weight": ROW}, kind="llama")
    with pytest.raises(EmokitError, match="but of llama.*models go to load_model"):
        vectors.from_gguf(tmp_path / "model.gguf")
    vectors.to_gguf(tmp_path / "v.gguf", {"happy": 0.2})
    data = (tmp_path / "v.gguf").read_bytes()
    for size in (0, 3, 10, len(data) // 2, len(data) - 100):
        (tmp_path / "half.gguf").write_bytes(data[:size])
        with pytest.raises(EmokitError, match="truncated or no GGUF file"):
            vectors.from_gguf(tmp_path / "half.gguf")


def test_a_control_vector_of_another_model_is_refused(stories, vectors, tmp_path):
    other = emokit.extract(tiny_model(seed=1), stories)
    other.to_gguf(tmp_path / "v.gguf", {"happy": 0.2})
    with pytest.raises(EmokitError, match="other weights"):
        vectors.from_gguf(tmp_path / "v.gguf")
