import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from conftest import tiny_model
from scipy.stats import spearmanr

import emokit
from emokit import EmokitError, effects
from emokit.experiments import frustration
from emokit.experiments.frustration import ARMS, HIDDEN, TONES, Arm, script
from emokit.experiments.frustration_result import Frustration, Reply
from emokit.experiments.puzzles import PUZZLES
from emokit.experiments.rollouts import wilson

SHORT = (Arm("4 turns, neutral", "neutral", 4), Arm("4 turns, continue", "continue", 4), Arm("2 turns", "neutral", 2, steered=True))  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A run on a tiny random model whose emotions are called frustrated, desperate and calm."""
    model = tiny_model(max_position_embeddings=2048)
    vectors = random_vectors(model)
    log = tmp_path_factory.mktemp("log") / "x.jsonl"
    return frustration.run(
        model, vectors, rollouts=3, arms=SHORT, randoms=1, judge=model, judged=10, max_new_tokens=5, log=log, quiet=True
    )


def random_vectors(model, names=("frustrated", "desperate", "calm")):
    from test_architectures import random_vectors

    return replace(random_vectors(model), emotions=names)


# the script


def said(arm, seed=0, puzzle=PUZZLES[0]):
    """What the user says to a model that always answers the same."""
    made, messages, state = script(arm, puzzle), [], {"seed": seed}
    while (text := made.turn(messages, state)) is not None:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "Twelve."}]
    return [m["content"] for m in messages[::2]], made, state


@pytest.mark.parametrize("arm", ARMS, ids=lambda a: a.name)
def test_an_arm_has_its_turns_and_says_only_what_its_tone_has(arm):
    texts, made, state = said(arm)
    assert len(texts) == arm.turns == made.about["turns"]
    assert texts[0] == PUZZLES[0].text
    assert state["puzzle"] == PUZZLES[0].name
    first, later = TONES[arm.tone]
    assert texts[1] in first
    assert set(texts[2:]) <= set(later)
    assert all(a != b for a, b in pairwise(texts))
    assert said(arm)[0] == texts
    assert any(said(arm, seed)[0] != texts for seed in range(1, 6))


def test_the_arms_are_those_of_the_protocol():
    arms = {(arm.tone, arm.turns, arm.hidden) for arm in ARMS}
    assert {("neutral", 8, False), ("continue", 8, False), ("neutral", 8, True)} <= arms
    assert {(tone, 3, False) for tone in ("neutral", "aggressive", "disappointed", "sarcastic")} <= arms


def test_going_on_is_no_rejection():
    for text in (t for pool in TONES["continue"] for t in pool):
        assert not {"no", "not", "wrong", "incorrect", "again"} & set(text.lower().replace(".", "").split())


def test_own_answers_are_hidden_only_in_that_arm():
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    hidden = next(arm for arm in ARMS if arm.hidden)
    shown = script(hidden, PUZZLES[0]).view(messages)
    assert [m["content"] for m in shown] == ["a", HIDDEN, "c"]
    assert script(ARMS[0], PUZZLES[0]).view is None
    with pytest.raises(EmokitError, match="unknown tone"):
        script(Arm("x", "jolly", 3), PUZZLES[0])


# a whole run


def test_a_run_has_every_arm_and_condition_with_the_same_puzzles_and_seeds(found):
    table = found.to_frame()
    assert found.played == found.wanted == 3 * (2 + 8)
    per = table.groupby(["arm", "condition"])
    assert {(arm, c) for arm, c in per.groups if c != "none"} == {
        ("2 turns", c) for c in ("-desperate", "+desperate", "-calm", "+calm", "random 0", *frustration.WORDS)
    }
    assert all(sorted(part.seed.unique()) == [0, 1, 2] for _, part in per)
    assert table.groupby("seed").puzzle.nunique().eq(1).all()
    assert (table.groupby(["rollout"]).turn.max() == table.groupby("rollout").arm.first().map(found.turns)).all()
    assert table.judge.notna().sum() == 10
    assert table.judge.dropna().between(0, 10).all()
    assert np.isfinite(table[["frustrated", "desperate"]]).to_numpy().mean() > 0.9  # an empty reply has none
    first = table[(table.turn == 1) & (table.condition == "none")]
    assert first.groupby("seed").text.nunique().eq(1).all()  # no arm differs before the first rejection


def test_vectors_without_these_emotions_are_said_to_have_none(tmp_path):
    model = tiny_model(max_position_embeddings=2048)
    vectors = random_vectors(model, ("x", "y", "z"))
    found = frustration.run(model, vectors, rollouts=1, arms=SHORT[2:], randoms=1, words={}, max_new_tokens=3, log=tmp_path / "x", quiet=True)  # fmt: skip
    assert found.shown == []
    assert set(found.to_frame().condition) == {"none", "random 0"}
    assert found.agreement().empty
    with pytest.raises(EmokitError, match="unknown emotion"):
        found.rise("frustrated")
    with pytest.raises(EmokitError, match="Give each Arm its own name"):
        frustration.run(model, vectors, arms=(SHORT[0], SHORT[0]))


# statistics, on replies made up here


def made(rules, arm="a", condition="none", start=0, judge=None, scores=None):
    """Replies of rollouts given as rows of the rules' scores, a turn each."""
    return [
        Reply(
            start + i,
            arm,
            condition,
            "p",
            i,
            turn + 1,
            "t",
            rule,
            "q" if rule else "",
            scores[i][turn] if scores else (rule / 10, 0.0, -rule / 20),
            rule / 2 if judge else float("nan"),
        )
        for i, row in enumerate(rules)
        for turn, rule in enumerate(row)
    ]


def result(replies, turns=None, kinds=None, **more):
    return Frustration(
        "m", 1, ("frustrated", "desperate", "calm"), np.eye(3), turns or {"a": 3}, kinds or {"none": "none"}, tuple(replies), 9, **more
    )  # fmt: skip


def test_the_three_units_differ_and_have_wilson_intervals():
    one = result(made([[0, 6, 0], [0, 0, 5], [4, 4, 4], [0, 0, 0]]))
    assert one.rate("a", "reply") == wilson(2, 12)
    assert one.rate("a", "final turn") == wilson(1, 4)
    assert one.rate("a", "maximum") == wilson(2, 4)
    table = one.rates().set_index("unit")
    assert table.share.to_dict() == pytest.approx({"reply": 2 / 12, "final turn": 1 / 4, "maximum": 1 / 2})
    assert table["mean"].to_dict() == pytest.approx({"reply": 23 / 12, "final turn": 9 / 4, "maximum": 15 / 4})
    turns = one.by_turn()
    assert turns["mean"].tolist() == pytest.approx([1, 2.5, 2.25])
    assert turns.share.tolist() == [0, 0.25, 0.25]
    assert np.isnan(one.rate("a", "maximum", scorer="judge").share)
    for bad in (dict(arm="b"), dict(arm="a", unit="x"), dict(arm="a", scorer="calm"), dict(arm="a", condition="x")):
        with pytest.raises(EmokitError, match="unknown"):
            one.rate(**bad)


def test_a_rollout_that_the_context_cut_short_has_no_final_turn():
    assert result(made([[0, 6], [0, 0, 0]])).rate("a", "final turn") == wilson(0, 1)


def test_effects_are_paired_by_seed():
    kinds = {"none": "none", "+x": "steering"}
    rules = np.array([[0, 1, 2], [3, 3, 3], [0, 0, 0], [1, 5, 1], [2, 0, 2]])
    base, pushed = made(rules.tolist()), made((rules + 1).tolist(), condition="+x", start=5)
    (row,) = result(base + pushed, kinds=kinds).effects().to_dict("records")
    assert (row["condition"], row["kind"], row["pairs"], row["mean"], row["low"], row["high"]) == (
        "+x",
        "steering",
        5,
        1,
        1,
        1,
    )
    (row,) = result(base + pushed[12:], kinds=kinds).effects().to_dict("records")  # one pair only
    assert (row["pairs"], row["mean"], np.isnan(row["low"])) == (1, 1, True)


def test_agreement_is_spearmans_rho(monkeypatch):
    rng = np.random.default_rng(0)
    rules = rng.integers(0, 9, (8, 3)).tolist()
    one = result(made(rules, judge=True), judge="j")
    table = one.agreement().set_index(["one", "other"])
    assert table.loc[("rule", "judge"), "rho"] == pytest.approx(1)
    assert table.loc[("rule", "frustrated"), "rho"] == pytest.approx(1)
    assert np.isnan(table.loc[("rule", "desperate"), "rho"])  # the same score everywhere
    x, y = rng.standard_normal((2, 60)).round(1)
    rho, low, high = effects.rank_correlation(x, x + 2 * y, np.repeat(np.arange(20), 3), 0)
    assert rho == pytest.approx(spearmanr(x, x + 2 * y).statistic)
    assert low < rho < high
    assert np.isnan(effects.rank_correlation(x[:4], y[:4], np.arange(4), 0)[0])


def test_a_rise_is_held_against_the_control_and_random_directions():
    turns = {"a": 3, "b": 3}
    up = [[(0, 0, 0), (0, 0, 0), (0.5, 0.01, 0)]] * 5
    flat = [[(0, 0, 0), (0, 0, 0), (0.1, 0, 0)]] * 5
    one = result(made([[0] * 3] * 5, scores=up) + made([[0] * 3] * 5, arm="b", start=9, scores=flat), turns)
    rise = one.rise("frustrated", "a", "b")
    assert (rise.value, rise.low, rise.high, rise.rank, rise.pairs) == pytest.approx((0.4, 0.4, 0.4, 1, 5))
    few = result(made([[0] * 3] * 5, scores=up) + made([[0] * 3] * 4, arm="b", start=9, scores=flat[:4]), turns)
    assert few.rise("frustrated", "a", "b").value == pytest.approx(0.4)
    assert np.isnan(few.rise("frustrated", "a", "b").low)  # of four pairs there is no interval
    odd = [[(0, 0, 0), (0, 0, 0), (r, 0, 0)] for r in (0.5, -0.9, 0.3, 0.1, 0.8)]  # what a puzzle adds is in both arms
    both = [[(0, 0, 0), (0, 0, 0), (row[2][0] - 0.4, 0, 0)] for row in odd]
    paired = result(made([[0] * 3] * 5, scores=odd) + made([[0] * 3] * 5, arm="b", start=9, scores=both), turns)
    assert [getattr(paired.rise("frustrated", "a", "b"), k) for k in ("value", "low", "high")] == pytest.approx(
        [0.4] * 3
    )
    assert one.rise("calm", "a", "b").value == 0
    assert rise.p < one.rise("desperate", "a", "b").p
    assert np.isnan(result(made([[0] * 3]), turns).rise("calm", "a", "b").value)


def test_a_record_can_be_kept_and_recalled(found):
    kept = json.loads(json.dumps(found.record(), allow_nan=False))
    again = Frustration.recalled(kept)
    assert again.rates().equals(found.rates())
    assert repr(again) == repr(found)
    assert again.effects("frustrated")["mean"].to_numpy() == pytest.approx(found.effects("frustrated")["mean"].to_numpy(), abs=1e-4)  # fmt: skip
    assert again.judge == "tiny"
    with pytest.raises(EmokitError, match="not the record"):
        Frustration.recalled({"replies": []})


def test_every_figure_draws(found):
    from emokit import plots

    figures = found.figures()
    assert set(figures) == {"high", "mean", "frustrated", "desperate", "effects"}
    assert all(plots.png(draw()).startswith(b"\x89PNG") for draw in figures.values())
    assert found._repr_png_()
    empty = result([])
    assert "nothing was played" in repr(empty)
    assert all(plots.png(draw()) for draw in empty.figures().values())


@pytest.mark.truth
def test_smollm_is_scored_and_judged(smol, tmp_path, smol_vectors):
    arms = (Arm("2 turns", "aggressive", 2),)
    found = frustration.run(smol, smol_vectors, rollouts=1, arms=arms, judge=smol, max_new_tokens=12, log=tmp_path / "x", quiet=True)  # fmt: skip
    table = found.to_frame()
    assert table.text.str.len().gt(5).all()
    assert table.mass.gt(0.05).all()  # it answers with a number
    assert table.frustrated.between(-0.5, 0.5).all()
    assert emokit.experiments.frustration is frustration
