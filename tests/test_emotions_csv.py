"""The list of emotion words with clusters and ratings: stories/emotions.csv."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

import emokit
from emokit.stories import corpus

CARD = Path(__file__).parent.parent / "stories" / "README.md"

# the paper's Table 12, and the two core emotions that it has not: confident (pride) and hopeless (despair)
SIZES = {
    "Exuberant Joy": 20, "Peaceful Contentment": 9, "Compassionate Gratitude": 15, "Competitive Pride": 9 + 1,
    "Playful Amusement": 2, "Depleted Disengagement": 15, "Vigilant Suspicion": 3, "Hostile Anger": 25,
    "Fear and Overwhelm": 41, "Despair and Shame": 32 + 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(corpus() / "emotions.csv")


@pytest.fixture(scope="module")
def lexicon():
    return SentimentIntensityAnalyzer().lexicon


def test_the_words_are_173_each_once_in_alphabetical_order(table):
    assert list(table) == ["emotion", "cluster", "valence", "arousal", "vader"]
    words = list(table.emotion)
    assert len(words) == len(set(words)) == 171 + 2
    assert words == sorted(words)
    assert all(re.fullmatch(r"[a-z]+([ -][a-z]+)?", word) for word in words)


def test_every_core_emotion_is_among_the_words(table):
    assert set(emokit.load_stories().emotions) <= set(table.emotion)


def test_the_ten_clusters_have_the_papers_sizes_and_two_more(table):
    assert Counter(table.cluster) == SIZES
    cluster = dict(zip(table.emotion, table.cluster, strict=True))
    assert (cluster["confident"], cluster["hopeless"]) == ("Competitive Pride", "Despair and Shame")


@pytest.mark.parametrize("scale", ["valence", "arousal"])
def test_ratings_have_one_decimal_between_1_and_7(table, scale):
    text = pd.read_csv(corpus() / "emotions.csv", dtype=str)[scale]
    assert all(re.fullmatch(r"[1-7]\.\d", rating) for rating in text)
    assert table[scale].between(1, 7).all()


def test_ratings_use_the_scales_and_the_two_scales_differ(table):
    assert table.valence.min() < 2 < 6 < table.valence.max()
    assert table.arousal.min() < 2 < 6 < table.arousal.max()
    assert abs(table.valence.corr(table.arousal)) < 0.3


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [
        ("valence", "afraid", "relaxed"),
        ("valence", "miserable", "content"),
        ("valence", "resigned", "hopeful"),
        ("valence", "furious", "thrilled"),
        ("arousal", "serene", "euphoric"),
        ("arousal", "listless", "panicked"),
        ("arousal", "annoyed", "enraged"),
        ("arousal", "sleepy", "alert"),
    ],
)
def test_ratings_point_the_right_way(table, scale, low, high):
    rating = dict(zip(table.emotion, table[scale], strict=True))
    assert rating[low] + 1 < rating[high]


def test_vader_says_which_words_its_lexicon_rates(table, lexicon):
    assert list(table.vader) == ["yes" if word in lexicon else "no" for word in table.emotion]


def test_the_card_tells_the_agreement_with_vader_that_comes_out(table, lexicon):
    rated = table[table.vader == "yes"]
    r = np.corrcoef(rated.valence, [lexicon[word] for word in rated.emotion])[0, 1]
    assert f"r = {r:.2f} on the {len(rated)} words that VADER rates" in " ".join(CARD.read_text("utf-8").split())
