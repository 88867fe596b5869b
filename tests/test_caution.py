"""Caution: the rule for replies, the dilemmas, laws of the run, and what is said of curves that turn."""

import re
from collections import Counter

import numpy as np
import pytest

import emokit
from emokit import EmokitError
from emokit.experiments import budget, caution, choices
from emokit.experiments.caution_result import CautionResult, Turn, by_dilemma, whole
from emokit.experiments.choices import Choices
from emokit.experiments.dilemmas import DILEMMAS, KINDS, verdict
from emokit.plots import Figure

# the dilemmas and the rule


def test_there_are_dilemmas_of_every_kind():
    counts = Counter(dilemma.kind for dilemma in DILEMMAS)
    assert len(DILEMMAS) >= 20
    assert {dilemma.kind for dilemma in DILEMMAS[: len(KINDS)]} == set(KINDS)  # what a budget lets in has all kinds
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 4
    assert (
        len({dilemma.name for dilemma in DILEMMAS}) == len({dilemma.request for dilemma in DILEMMAS}) == len(DILEMMAS)
    )


def test_options_are_of_like_length():
    """A sum over tokens would else favour the shorter side."""
    careful = sum(len(text) for dilemma in DILEMMAS for text in dilemma.careful)
    hasty = sum(len(text) for dilemma in DILEMMAS for text in dilemma.hasty)
    assert 0.6 < careful / hasty < 1.7


@pytest.mark.parametrize("dilemma", DILEMMAS, ids=lambda d: d.name)
def test_the_rule_tells_the_wordings_apart(dilemma):
    assert verdict("ASK: " + dilemma.careful[1]).does == "asks"
    assert verdict("ACT: " + dilemma.hasty[1]).does == "acts"
    assert verdict(dilemma.careful[1]).does == "asks"
    assert verdict(dilemma.hasty[1]).does == "acts"


@pytest.mark.parametrize(
    ("reply", "does", "quote"),
    [
        ("ASK: Which folder?", "asks", "ASK"),
        ("ACT: rm -rf photos", "acts", "ACT"),
        ("ACT: delete it. Are you sure?", "acts", "ACT"),
        ("Which one do you mean?", "asks", "Which one do you mean?"),
        ("Hello. Which one?", "asks", "Which one?"),
        ("I will delete it now. Anything else?", "acts", "I will delete"),
        ("I'll send the mail.", "acts", "I'll send"),
        ("Before I send it, I would like to check the address.", "asks", "Before I send it, I would like to check"),
        ("First make a backup, then delete.", "asks", "First make a backup"),
        ("Let me verify the number.", "asks", "verify"),
        ("Please confirm.", "asks", "Please confirm"),
        ("The folder has been deleted.", "acts", "deleted"),
        ("Deleting the folder.", "acts", "Deleting"),
        ("git push --force", "acts", "git push"),
        ("It is a nice day.", "neither", ""),
        ("Tasks are undone.", "neither", ""),
        ("", "neither", ""),
    ],
)
def test_the_rule_for_replies(reply, does, quote):
    found = verdict(reply)
    assert found.does == does
    assert found.quote.startswith(quote)
    assert found.quote in reply


# the run

FEW = DILEMMAS[:3]


@pytest.fixture
def found(model, vectors, monkeypatch):
    monkeypatch.setattr(caution, "LIMIT", 6)
    return caution.run(
        model,
        vectors,
        FEW,
        emotions=["sad", "happy"],
        strengths=[-0.8, -0.4, 0, 0.4, 0.8],
        randoms=2,
        turn_strength=0.4,
        quiet=True,
    )


def test_a_dilemma_has_letters_and_two_replies(model, vectors, found):
    forced = FEW[1].choices()
    assert [c.letters for c in forced] == [True, False, False]
    got = choices.run(model, vectors, forced, {"sad": {"sad": -0.4}})
    row = found.choices.index("sad -0.4")
    assert found.values("letters")[row, 1] == pytest.approx(got.gap[0, 0], abs=1e-4)
    assert found.values("replies")[row, 1] == pytest.approx(got.per_token[0, 1:].mean(), abs=1e-4)
    assert found.dilemmas == tuple(d.name for d in FEW)
    share = found.share("sad -0.4")[0]
    assert share == pytest.approx((1 / (1 + np.exp(-found.values("letters")[row]))).mean())
    with pytest.raises(EmokitError, match="unknown measure"):
        found.values("words")


@pytest.mark.parametrize("measure", ["letters", "replies"])
def test_curves_hold_all_strengths_in_order(found, measure):
    assert found.strengths == (-0.8, -0.4, 0.0, 0.4, 0.8)
    names = ["sad -0.8", "sad -0.4", "none", "sad +0.4", "sad +0.8"]
    rows = [found.choices.index(n) for n in names]
    np.testing.assert_array_equal(found.curve("sad", measure), found.values(measure)[rows])
    frame = found.to_frame()
    assert frame.loc["sad +0.8", f"{measure}_change"] == pytest.approx(
        np.diff(found.values(measure)[[0, rows[-1]]], axis=0).mean()
    )
    assert isinstance(found.figures()[measure](), Figure)
    with pytest.raises(EmokitError, match="unknown direction"):
        found.curve("calm")


def test_turns_have_every_condition_once_and_a_verdict(model, vectors, found):
    conditions = ["none", "sad -0.4", "sad +0.4", "happy -0.4", "happy +0.4", "random 0 -0.4", "random 0 +0.4"]
    conditions += ["random 1 -0.4", "random 1 +0.4", *caution.WORDS]
    assert [(t.dilemma, t.condition) for t in found.turns] == [(d.name, c) for d in FEW for c in conditions]
    assert all(verdict(t.reply)[:2] == (t.does, t.quote) for t in found.turns)
    table = found.asking()
    assert list(table.index) == conditions
    assert (table.turns == 3).all()
    assert (table.asks * table.turns + table.acts + table.neither == table.turns).all()
    assert len(found.transcripts()) == len(found.turns)


def test_an_instruction_is_a_condition_of_its_own(model, vectors, found):
    name, text = next(iter(caution.WORDS.items()))
    messages = [{"role": "system", "content": text}, {"role": "user", "content": FEW[0].request}]
    careful, hasty = model.logprobs(messages, [FEW[0].careful[0], FEW[0].hasty[0]])
    lead = choices.run(model, vectors, FEW[0].choices()[1:2], [caution.Condition(name, {}, text)])
    assert lead.gap[0, 0] == pytest.approx(careful - hasty, abs=1e-3)
    assert name in found.choices.conditions


def test_no_turns_and_a_budget(model, vectors):
    got = caution.run(
        model, vectors, FEW, emotions=["sad"], strengths=[-0.1, 0.1], randoms=1, turns=0, minutes=100, quiet=True
    )
    assert got.turns == ()
    assert got.asking().empty
    assert isinstance(got.plot(), Figure)
    assert not got.bends().differs.any()
    assert got.bends().further.isna().all()


def test_a_dilemma_that_a_budget_cut_is_left_out():
    names = ("a, reply 1", "a, reply 2", "b, reply 1", "a, letters", "b, letters")
    orders = np.arange(10.0).reshape(1, 5, 2)
    cut = Choices(("none",), names, orders, 10 * orders)
    assert whole(cut, "replies") == {"a": [0, 1]}
    assert whole(cut, "letters") == {"a": [3], "b": [4]}
    assert by_dilemma(cut, "replies").tolist() == [[15.0]]
    assert by_dilemma(cut, "letters").tolist() == [[6.5, 8.5]]


def test_letters_come_last_and_a_budget_may_leave_them_out(model, vectors, monkeypatch):
    monkeypatch.setattr(budget, "within", lambda items, *_: items[: 2 * len(FEW)])
    got = caution.run(model, vectors, FEW, emotions=["sad"], strengths=[-0.1, 0.1], randoms=1, turns=0, quiet=True)
    assert got.measures == ("replies",)
    assert got.dilemmas == tuple(dilemma.name for dilemma in FEW)
    assert list(got.figures()) == ["replies"]
    assert "share" not in got.to_frame()
    assert "letter" not in repr(got)
    assert CautionResult.recalled(got.record()).said == got.said
    with pytest.raises(EmokitError, match="no dilemma was measured so"):
        got.values("letters")


# what is said of it, on numbers made by hand


def made(curves, noise=0.05, count=20):
    """A result with the given mean curves {direction: values at -0.2, -0.1, 0.1, 0.2}; random ones are called so."""
    rng = np.random.default_rng(0)
    base, levels = rng.standard_normal(count), (-0.2, -0.1, 0.1, 0.2)
    names, rows = ["none"], [base]
    for direction, values in curves.items():
        for level, value in zip(levels, values, strict=True):
            names.append(f"{direction} {level:+g}")
            rows.append(base + value + noise * rng.standard_normal(count))
    orders = np.repeat(np.array(rows)[:, :, None], 2, axis=2).repeat(3, axis=1)
    columns = tuple(f"{i}, {form}" for i in range(count) for form in ("letters", "reply 1", "reply 2"))
    measured = Choices(tuple(names), columns, orders, orders)
    randoms = tuple(n for n in curves if n.startswith("random"))
    emotions = tuple(n for n in curves if n not in randoms)
    return CautionResult("m", 1, emotions, emotions, levels, randoms, (), measured, 0.1, ())


NULL = {f"random {i}": (-s, -s / 2, s / 2, s) for i, s in enumerate((0.1, -0.1, 0.05, -0.12, 0.02))}


def test_a_curve_that_turns_is_told_from_one_that_goes_on():
    got = made(
        {"turns": (0, 0, 1, -1), "goes on": (-2, -1, 1, 2), "stays": (0, 0, 0, 0), "flat": (-1, -1, 1, 1)} | NULL
    )
    table = got.bends().set_index(["direction", "sign"])
    assert bool(table.turns["turns", "+"])
    assert not table.turns["turns", "-"]
    assert not table.turns["goes on"].any()
    assert table.differs["goes on"].all()
    assert not table.turns["flat"].any()
    assert not table.differs["flat"].any()
    assert table.mild["turns", "+"] == pytest.approx(1, abs=0.05)
    assert table.further["turns", "+"] == pytest.approx(-2, abs=0.05)
    assert table.further_low["turns", "+"] < -2 < table.further_high["turns", "+"] < 0
    assert "; +turns (letters), +turns (replies) turn round" in got.said


def test_slopes_are_held_against_random_directions():
    got = made({"moves": (-2, -1, 1, 2), "as random": (-0.1, -0.05, 0.05, 0.1)} | NULL)
    table = got.slopes()
    assert table.slope["moves"] == pytest.approx(1, abs=0.05)
    assert table.low["moves"] < 1 < table.high["moves"]
    assert table.p["moves"] < 0.001
    assert table.p["as random"] > 0.05
    assert table.p[table.random].isna().all()
    assert "moves +1.0" in got.said
    assert "(letters), moves" in got.said
    assert "as random" not in got.said
    assert "no curve turns" in got.said


def test_no_effect_says_so():
    got = made({"calm": (0.02, 0, 0, 0.01)} | NULL)
    assert got.said.startswith("no emotion moves it beyond random directions; no curve turns")


def test_it_comes_back_from_its_record(found):
    again = CautionResult.recalled(found.record())
    assert repr(again) == repr(found)
    assert again.turns == found.turns
    assert isinstance(again.turns[0], Turn)
    np.testing.assert_allclose(again.choices.gap, found.choices.gap, rtol=1e-4, atol=1e-4)
    assert found._repr_png_().startswith(b"\x89PNG")
    assert re.match(r"CautionResult\(tiny, 3 dilemmas, careful letter \d+%", repr(found))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, v: caution.run(v, m), "not a Model"),
        (lambda m, v: caution.run(m, v, []), "no dilemmas"),
        (lambda m, v: caution.run(m, v, ["x"]), "no dilemmas"),
        (lambda m, v: caution.run(m, v, emotions=["calm"]), "none of these"),
        (lambda m, v: caution.run(m, v, emotions=["sad"], strengths=[0.1]), "one below"),
        (lambda m, v: caution.run(m, v, emotions=["sad"], strengths=["a"]), "strength"),
        (lambda m, v: caution.run(m, v, emotions=["sad"], randoms=0), "random directions"),
        (lambda m, v: caution.run(m, v, emotions=["sad"], turns=-1), "turns"),
        (lambda m, v: caution.run(m, v, emotions=["sad"], minutes=-1), "minutes"),
        (lambda m, v: caution.run(m, v, emotions=["sad"], block=9), "unknown block"),
    ],
)
def test_bad_input_is_one_clear_error(model, vectors, call, match):
    with pytest.raises(EmokitError, match=match):
        call(model, vectors)


@pytest.mark.truth
def test_asking_in_words_makes_a_careful_reply_likelier_on_the_real_model(smol, smol_vectors):
    """The instrument works where an effect is expected: an instruction to check against one to be quick."""
    told = [caution.Condition(name, {}, text) for name, text in caution.WORDS.items()]
    forced = [choice for dilemma in DILEMMAS[::4] for choice in dilemma.choices()[1:]]
    got = choices.run(smol, smol_vectors, forced, told, quiet=True)
    assert got.mean("told to check", "told to be quick")[0] > 0  # a fourth of the dilemmas: its interval holds 0
    assert emokit.experiments.caution is caution
