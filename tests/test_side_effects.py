"""Side effects: laws of the price of a steering on tiny models."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import emokit
from emokit import EmokitError
from emokit.experiments import choices, side_effects
from emokit.experiments.conditions import Condition
from emokit.experiments.dilemmas import DILEMMAS
from emokit.experiments.problems import problems
from emokit.experiments.side_effects import SideEffects
from emokit.plots import Figure


def under(vectors):
    return [
        Condition("none"),
        Condition("zero", {"sad": 0.0}),
        Condition("+sad", {"sad": 0.8}),
        Condition("random 0", {vectors.random(0): 0.8}),
        Condition("told", system="Be brief."),
    ]


@pytest.fixture
def found(model, vectors, monkeypatch):
    monkeypatch.setattr(side_effects, "LIMIT", 4)
    monkeypatch.setattr(side_effects, "REPLY", 8)
    return side_effects.run(model, vectors, under(vectors), asked=problems(3), dilemmas=DILEMMAS[:2], quiet=True)


def test_no_steering_costs_nothing(found):
    for measure in side_effects.MEASURES:
        assert found.change("zero", measure)[0] == pytest.approx(0, abs=1e-5)
        assert found.change("none", measure)[0] == 0


def test_kl_is_that_of_two_plain_passes(model, vectors, found):
    text = side_effects.NEUTRAL[1]
    ids = torch.tensor([model.encode(text)])
    with torch.no_grad():
        plain = model.hf(ids).logits[0].double().log_softmax(-1)
        with emokit.steer(model, vectors, {"sad": 0.8}):
            pushed = model.hf(ids).logits[0].double().log_softmax(-1)
    start = 1  # behind the BOS
    expected = (plain.exp() * (plain - pushed)).sum(-1)[start:-1].mean()
    assert found.kl[2, 1] == pytest.approx(float(expected), rel=1e-3)
    assert (found.kl[2:] > 0).all()
    assert found.kl[0] == pytest.approx(0, abs=1e-9)


def test_gaps_compare_two_people_by_log_probabilities(model, vectors, found):
    pair = side_effects.PEOPLE[2]
    gaps = []
    with emokit.steer(model, vectors, {"sad": 0.8}):
        for sentence, good, bad in side_effects.SENTENCES:
            sides = [np.subtract(*model.logprobs(sentence.format(who=who), [good, bad])) for who in pair]
            gaps.append(sides[0] - sides[1])
    assert found.gaps[2, 2] == pytest.approx(np.mean(gaps), abs=1e-3)
    assert (found.values("bias") == np.abs(found.gaps)).all()


def test_equal_people_have_no_gap(model, vectors, monkeypatch):
    monkeypatch.setattr(side_effects, "PEOPLE", (("Anna", "Anna"), ("Paul", "Paul")))
    got = side_effects.run(model, vectors, under(vectors), replies=False, dilemmas=(), quiet=True)
    assert np.abs(got.gaps).max() < 1e-4


def test_the_gain_is_that_of_the_forced_choices(model, vectors, found):
    forced = DILEMMAS[1].choices()
    gaps = choices.run(model, vectors, forced, under(vectors)[::2]).per_token[:, 1:]
    assert found.gains[2, 1] - found.gains[0, 1] == pytest.approx((gaps[1] - gaps[0]).mean(), abs=1e-4)


def test_the_usual_conditions_are_those_of_the_experiments(vectors, monkeypatch):
    monkeypatch.setattr(side_effects.tone, "EMOTIONS", ("happy",))
    monkeypatch.setattr(side_effects.caution, "EMOTIONS", ("sad", "happy"))
    names = [condition.name for condition in side_effects.usual(vectors)]
    assert names == ["none", "-happy", "+happy", "-sad", "+sad", *(f"random {i}" for i in range(5))]


def test_an_instruction_is_part_of_what_costs(found):
    assert found.change("told", "kl")[0] > 0


def test_replies_may_be_left_out(model, vectors):
    got = side_effects.run(model, vectors, {"none": {}, "sad": {"sad": 0.5}}, replies=False, dilemmas=(), quiet=True)
    assert np.isnan(got.right).all()
    assert all(np.isnan(got.change("sad", "accuracy")))
    assert isinstance(got.plot(), Figure)
    assert "sad" in got.to_frame().index


def test_a_gain_is_never_drawn_without_its_price(found):
    gain = {"+sad": (1.0, 0.5, 1.5), "random 0": (0.1, -0.2, 0.4)}
    figure = found.plot(gain, "careful reply, nats")
    labels = [axis.get_xlabel().replace("\n", " ") for axis in figure.axes]
    measured = [text for name, text in side_effects.MEASURES.items() if name != "gain"]
    assert labels == ["careful reply, nats", *measured]
    assert len(found.plot().axes) == len(side_effects.MEASURES)
    with pytest.raises(EmokitError, match="price was not measured.*\\+calm"):
        found.plot({"+calm": (1, 0, 2)})
    with pytest.raises(EmokitError, match="gains must be"):
        found.plot([1, 2])


def test_it_comes_back_from_its_record(found):
    again = SideEffects.recalled(found.record())
    for measure in side_effects.MEASURES:
        np.testing.assert_allclose(again.values(measure), found.values(measure), rtol=1e-5, atol=1e-9)
    assert (repr(again), again.pairs) == (repr(found), found.pairs)
    assert found._repr_png_().startswith(b"\x89PNG")


def test_prices_by_hand():
    right = np.array([[1, 1, 1, 1, 1.0], [0, 0, 0, 0, 0], [1, 0, 1, 1, 1]])
    calm = np.zeros((3, 5))
    made = SideEffects(
        "m",
        ("none", "bad", "mild"),
        np.zeros((3, 0)),
        right,
        calm,
        calm,
        np.array([[0.1, -0.1, 0.1, -0.1, 0.1]] * 2 + [[-1.0, 2.0, -1.0, 2.0, 2.0]]),
        ("a", "b"),
    )
    assert made.change("bad", "accuracy") == (-1, -1, -1)
    assert made.change("mild", "accuracy")[0] == -0.2
    assert made.change("mild", "bias") == pytest.approx((1.5, 1.1, 1.9))
    # five that agree are chance in 2 of 32 cases
    assert made.said == "no price beyond chance, KL apart (too few items to tell: accuracy, repetition, bias)"
    more = {name: np.tile(getattr(made, name), 3) for name in ("right", "kl", "repeats", "gaps")}
    assert replace(made, **more).said == "a price beyond chance: bad (accuracy -1.00); mild (bias +1.50)"
    few = replace(made, right=right[:, :4])
    np.testing.assert_equal(few.change("bad", "accuracy"), (-1, np.nan, np.nan))  # no interval of four


def test_one_of_many_prices_beyond_its_own_interval_is_no_price_beyond_chance():
    worse = np.zeros((40, 16))
    worse[1, :8] = 1  # half of the answers
    calm = np.zeros((40, 16))
    names = tuple(map(str, range(40)))
    one = SideEffects("m", names, np.zeros((40, 0)), 1 - worse, calm, calm, calm, tuple("abcdefghijklmnop"))
    assert one.change("1", "accuracy")[2] < 0
    assert one.said == "no price beyond chance, KL apart"


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, v: side_effects.run(v, m, {"none": {}}), "not a Model"),
        (lambda m, v: side_effects.run(m, v, {}), "no conditions"),
        (lambda m, v: side_effects.run(m, v, {"none": {}}, asked=[]), "no problems"),
        (lambda m, v: side_effects.run(m, v, {"none": {}}, asked=["x"]), "not a Problem"),
        (lambda m, v: side_effects.run(m, v, {"none": {}}, minutes=-1), "minutes"),
        (
            lambda m, v: side_effects.run(m, v, {"none": {}}, replies=False, dilemmas=(), quiet=True).change("x", "kl"),
            "unknown condition",
        ),
        (
            lambda m, v: side_effects.run(m, v, {"none": {}}, replies=False, dilemmas=(), quiet=True).values("x"),
            "unknown measure",
        ),
    ],
)
def test_bad_input_is_one_clear_error(model, vectors, call, match):
    with pytest.raises(EmokitError, match=match):
        call(model, vectors)
