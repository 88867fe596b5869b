"""What the data card says of all 173 emotions, on the real model: about five minutes where nothing is cached."""

import sys
from pathlib import Path

import numpy as np
import pytest

import emokit

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import corpus

pytestmark = pytest.mark.truth


def test_the_whole_corpus_teaches_what_the_card_says(smol):
    stories = emokit.load_stories(emotions="all")
    vectors = emokit.extract(smol, stories)
    valid = emokit.validate(smol, stories)
    assert valid.interval[0] > valid.embeddings + 0.1
    assert valid.null.max() < 0.03
    assert corpus.left_out(vectors.at(), vectors.emotions) >= 0.75
    labels = emokit.selection.codes([s.emotion for s in stories])
    bag = emokit.activations.embeddings(smol, [s.text for s in stories])
    bare, _ = emokit.selection.directions(bag, labels, bag[:0])
    assert corpus.left_out(vectors.at(), vectors.emotions) > corpus.left_out(bare, vectors.emotions)
    told = corpus.messages(smol, vectors)
    assert told["first"] > 3 * corpus.message_embeddings(smol, stories)["first"]
    assert np.median(vectors.norms) > 0
