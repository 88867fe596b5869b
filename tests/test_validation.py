from dataclasses import replace

import numpy as np
import pytest

import emokit
from emokit import activations, selection
from emokit.stories import Story, StorySet


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
    columns = "accuracy embeddings words shuffled chance messages_first messages_three stability anisotropy".split()
    assert list(got.to_frame().columns) == columns
    assert len(got.to_frame()) == model.n_blocks
    assert got.words == pytest.approx(emokit.lint.leaks(stories).told.mean())
    assert got._repr_png_()[:4] == b"\x89PNG"


def test_after_an_extraction_only_the_messages_are_read_and_a_second_run_reads_nothing(model, stories, vectors):
    rows = []
    model.blocks[0].register_forward_hook(lambda _m, inputs, _o: rows.append(len(inputs[0])))
    emokit.validate(model, stories)
    assert sum(rows) == len(emokit.load_messages(stories.emotions))
    rows.clear()
    emokit.validate(model, stories)
    assert rows == []


def test_it_is_a_function_of_the_seed(model, stories):
    one, two, other = (emokit.validate(model, stories, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.null, two.null)
    np.testing.assert_array_equal(one.stability.low, two.stability.low)
    np.testing.assert_array_equal(one.needed.accuracy, two.needed.accuracy)
    assert one._repr_png_() == two._repr_png_()
    assert not np.array_equal(one.null, other.null)


def test_the_bag_of_embeddings_sees_no_block(model, stories):
    texts = [s.text for s in stories]
    bag = activations.embeddings(model, texts)
    table = model.hf.get_input_embeddings().weight.detach().numpy()
    for row, text in zip(bag, texts, strict=True):
        np.testing.assert_allclose(row, table[model.encode(text)[5:]].mean(0), atol=1e-5)


def test_labels_are_shuffled_within_topics():
    from emokit.selection import shuffled

    labels, folds = np.tile(np.arange(3), 4), np.repeat(np.arange(4), 3)
    got = shuffled(labels, folds, np.random.default_rng(0))
    assert all(sorted(got[folds == f]) == [0, 1, 2] for f in range(4))
    assert not (got == labels).all()


def test_it_passes_only_if_the_whole_interval_is_above_every_bar(model, stories):
    got = replace(
        emokit.validate(model, stories), interval=(0.5, 0.7), embeddings=0.4, words=0.3, null=np.full(100, 0.2)
    )
    assert got.passes
    assert got.verdict == "passes"
    for change, name in (
        ({"embeddings": 0.5}, "bag of embeddings"),
        ({"words": 0.6}, "bag of words"),
        ({"null": np.linspace(0, 0.55, 100)}, "shuffled labels"),
    ):
        beaten = replace(got, **change)
        assert not beaten.passes
        assert beaten.verdict == f"does not pass: not clearly above {name}"
        assert name in beaten.plot().get_suptitle()
    assert replace(got, null=np.r_[np.full(98, 0.2), 0.9, 0.9]).passes  # the 97.5 % quantile, not the largest


def test_messages_are_scored_by_the_directions_and_centred_over_the_messages(model, stories, vectors):
    got = emokit.validate(model, stories)
    messages = emokit.load_messages(stories.emotions)
    block = got.best_block
    states = activations.story_means(model, [m.text for m in messages])[:, block] - vectors.mean[block]
    scores = states / np.linalg.norm(states, axis=1, keepdims=True) @ vectors.at(block).T
    scores -= scores.mean(0)
    order = np.argsort(-scores, axis=1)
    own = np.array([vectors.index(m.emotion) for m in messages])
    assert got.messages.first[block] == pytest.approx((order[:, 0] == own).mean())
    assert got.messages.three[block] == 1  # of three emotions
    assert (got.messages.count, got.messages.emotions) == (12, 3)
    assert got.messages.interval[0] <= got.messages.first[block] <= got.messages.interval[1]


def test_emotions_without_messages_are_not_read(model, stories):
    other = StorySet(tuple(Story(f"very {s.emotion}", s.topic, s.text) for s in stories), stories.neutral)
    got = emokit.validate(model, other)
    assert got.messages is None
    assert "messages_first" not in got.to_frame()
    assert got._repr_png_().startswith(b"\x89PNG")


def test_names_of_emotions_and_the_order_of_stories_do_not_matter(model, stories):
    turned = StorySet(tuple(reversed(stories.stories)), stories.neutral)
    one, two = emokit.validate(model, stories), emokit.validate(model, turned)
    np.testing.assert_allclose(one.accuracy, two.accuracy)
    np.testing.assert_allclose(one.anisotropy, two.anisotropy, rtol=1e-5)
    np.testing.assert_allclose(one.messages.first, two.messages.first)
    assert one.words == pytest.approx(two.words)


def test_stories_of_two_topics_can_be_validated(model, stories):
    few = StorySet(tuple(s for s in stories if s.topic in ("garden", "office")), stories.neutral)
    got = emokit.validate(model, few)
    assert got.needed.topics == (1,)
    assert got._repr_png_().startswith(b"\x89PNG")
    assert selection.codes(few.topics).max() == 1


def test_the_interval_is_of_the_share_of_stories_with_whole_topics_drawn():
    """The oracle: the share itself, where a topic has many stories and the others few."""
    from emokit.validation import _interval

    hits, topics = np.repeat([True, False], [40, 6]), np.repeat([0, 1, 2, 3], [40, 2, 2, 2])
    low, high = _interval(hits, topics, np.random.default_rng(0))
    assert low == 0  # the large topic is not drawn in a third of all cases
    assert high > hits.mean()
    assert _interval(np.tile([True, False], 8), np.repeat(np.arange(8), 2), np.random.default_rng(0)) == (0.5, 0.5)


def test_words_count_each_story_once(model, stories):
    last = stories.emotions[-1]
    wrong = [Story(last, f"more {i}", s.text) for i, s in enumerate(s for s in stories if s.emotion != last)]
    more = StorySet((*stories, *wrong), stories.neutral)
    told = emokit.lint.leaks(more).set_index("emotion").told
    got = emokit.validate(model, more)
    assert got.words == pytest.approx(np.mean([told[s.emotion] for s in more]))
    assert got.words != pytest.approx(told.mean())
