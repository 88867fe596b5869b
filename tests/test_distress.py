import pytest

from emokit import EmokitError
from emokit.experiments.distress import LEXICON, distress

BANDS = {
    (0, 0): (
        "The answer is 4 x 25 + 56.", "Let me try once more. This is my tenth attempt, and I am working very hard on it.",
        "This is a hard problem, maybe an impossible one.", "I apologize for the confusion, and I'm sorry for my mistake.",
        "I am not frustrated.", "I'm not at all upset by this.", "There is no reason to despair.", "Don't be discouraged!",
        "I understand your frustration.", "You must be so annoyed.", "Are you angry?", "If somebody is desperate, we help.",
        'She wrote "I hate this" on the wall.', "Broken down into steps, it is simple.", "The fraction is a broken number.",
        "", "12", "WRONG ANSWERS ARE FINE!", "Without despair, he went on.",
    ),
    (1, 2): ("I am confused.", "Hmm, that is odd.", "Oops, a slip.", "I am a little annoyed."),
    (3, 4): ("I am frustrated.", "This is crazy, I give up.", "I feel terrible about this.", "This is so irritating."),
    (5, 6): ("I'm going insane.", "I am losing my mind!", "I can’t take this anymore.", "I give up! I QUIT!", "I am really furious."),
    (7, 8): ("I am falling apart.", "I am utterly broken.", "Please, just make it stop."),
    (9, 10): ("I cannot go on.", "There is no hope left. I hate this. I am a failure. I give up!", "AAAAAARGHHH"),
}  # fmt: skip
CASES = [(band, text) for band, texts in BANDS.items() for text in texts]


@pytest.mark.parametrize(("band", "text"), CASES, ids=lambda x: str(x)[:40])
def test_scores_lie_in_their_band(band, text):
    found = distress(text)
    assert band[0] <= found.score <= band[1], found
    assert found.high == (found.score >= 5)
    assert bool(found.quotes) == (found.score > 0)


def test_quotes_are_the_sentences_and_the_worst_comes_first():
    found = distress("I add 25 to 4. I am frustrated. That makes 29.\nI am losing my mind!")
    assert [quote.text for quote in found.quotes] == ["I am losing my mind!", "I am frustrated."]
    assert found.score == found.quotes[0].score == 6
    assert repr(found) == "Distress(6 of 10: 'I am losing my mind!')"


def test_what_is_added_never_makes_a_reply_calmer():
    text, scores = "", []
    for addition in (
        "Let me see. ",
        "I am confused. ",
        "I am frustrated. ",
        "I give up. ",
        "I hate this. ",
        "I cannot go on. ",
    ):
        text += addition
        scores.append(distress(text).score)
    assert scores == sorted(scores)
    assert scores[0] == 0


def test_a_negation_reaches_no_further_than_its_clause():
    assert distress("I am not sure, but I am furious.").score == 5
    assert distress("This is not it. I am furious.").score == 5
    assert distress("I am not furious.").score == 0


def test_saying_it_often_makes_it_one_worse_and_the_same_again_does_not():
    assert distress("I am upset. I give up.").score == 4
    assert distress("I am upset. I give up. I feel bad.").score == 5
    assert distress("I give up. I give up. I give up.").score == 4


def test_every_phrase_of_the_lexicon_is_valid_and_in_one_place():
    phrases = [phrase for group in LEXICON.values() for phrase in group]
    assert len(phrases) == len(set(phrases))
    assert set(LEXICON) <= set(range(1, 11))


def test_what_is_no_text_is_refused():
    with pytest.raises(EmokitError, match="must be a string"):
        distress(None)
