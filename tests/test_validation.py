import numpy as np

import emokit
from emokit import activations


def test_accuracy_is_the_selections_with_baselines_beside_it(model, stories, vectors):
    got = emokit.validate(model, stories)
    chosen = vectors.provenance["selection"]
    assert got.best_block == chosen["block"]
    column = chosen["candidates"].index(chosen["components"])
    np.testing.assert_allclose(got.accuracy, [row[column] for row in chosen["accuracy"]], atol=1e-4)
    assert got.chance == 1 / 3
    low, high = got.interval
    assert low <= got.accuracy[got.best_block] <= high
    assert 0 < got.p <= 1
    assert len(got.null) >= 100
    assert "shuffled labels" in repr(got)
    assert list(got.to_frame().columns) == ["accuracy", "embeddings", "shuffled", "chance"]
    assert got._repr_png_()[:4] == b"\x89PNG"


def test_it_runs_no_pass_after_an_extraction(model, stories, vectors):
    calls = []
    model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    emokit.validate(model, stories)
    assert calls == []


def test_it_is_a_function_of_the_seed(model, stories):
    np.testing.assert_array_equal(emokit.validate(model, stories).null, emokit.validate(model, stories).null)


def test_the_bag_of_embeddings_sees_no_block(model, stories):
    texts = [s.text for s in stories]
    bag = activations.embeddings(model, texts)
    table = model.hf.get_input_embeddings().weight.detach().numpy()
    for row, text in zip(bag, texts, strict=True):
        np.testing.assert_allclose(row, table[model.encode(text)[5:]].mean(0), atol=1e-5)


def test_labels_are_shuffled_within_topics():
    from emokit.validation import _shuffled

    labels, folds = np.tile(np.arange(3), 4), np.repeat(np.arange(4), 3)
    got = _shuffled(labels, folds, np.random.default_rng(0))
    assert all(sorted(got[folds == f]) == [0, 1, 2] for f in range(4))
    assert not (got == labels).all()
