import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

import emokit
from emokit import EmokitError, dose
from emokit.dose import DoseResult, Panel

BIRDS = Panel(
    "I saw {X} birds.", [1, 20, 300], expect={"happy": "up"}, twin="I saw {X} bricks.", ladder=["No bird.", "A flock."],
    paraphrases=["There were {X} birds.", "{X} birds flew by."],
)  # fmt: skip
EMOTIONS = ("afraid", "calm", "sad", "happy", "bored", "proud")


def result(panel=1.0, ladder=1.0, twin=0.0, block=1):
    """A result whose curves change by the given factor in the expected direction; other emotions go the other way."""
    rng = np.random.default_rng(0)
    curves = {}
    for p in dose.PANELS:
        for kind, factor in (("panel", panel), ("ladder", ladder), ("twin", twin)):
            change = np.array([{"up": 1, "down": -1}.get(p.expect.get(e, ""), 0.0) for e in EMOTIONS]) * factor
            change = np.where(change == 0, -0.3 * abs(factor) * rng.choice([-1, 1], len(EMOTIONS)), change)
            curves[p.title, kind] = np.linspace(0, 1, len(p.values))[:, None, None] * change * np.ones((1, 3, 1))
    return DoseResult(dose.PANELS, EMOTIONS, block, curves)


def test_the_six_panels_are_the_papers():
    assert [p.name for p in dose.PANELS] == [
        "tylenol", "hours without food", "sister's age", "dog missing", "runway", "exam",
    ]  # fmt: skip
    signs = {(p.name, e, way) for p in dose.PANELS for e, way in p.expect.items()}
    assert len(signs) == 12
    assert {("tylenol", "afraid", "up"), ("tylenol", "calm", "down"), ("sister's age", "sad", "down")} <= signs
    assert dose.PANELS[0].values == (500, 1000, 2000, 4000, 8000, 16000)
    for panel in dose.PANELS:
        assert panel.twin
        assert panel.ladder
        assert not any(c.isdigit() for rung in panel.ladder for c in rung)
    assert "poison centre" in dose.PANELS[0].note


def test_five_paraphrases_keep_the_person_the_unit_and_the_question():
    (tylenol, *others) = dose.PANELS
    assert len(set(tylenol.paraphrases)) == 5
    assert not any(p.paraphrases for p in others)
    for text in tylenol.paraphrases:
        assert "{X} mg of tylenol" in text
        assert {"I", "I've"} & set(text.split())
        assert text.endswith("?")
        assert "more" in text.split("tylenol", 1)[1]


def test_the_papers_block_is_two_thirds_of_depth():
    assert [dose.two_thirds(n) for n in (30, 28, 18, 12, 1)] == [19, 18, 11, 7, 0]


def test_signs_and_their_p_equal_a_full_enumeration():
    got = result()
    signs = got.signs("panel")
    assert (signs.right, signs.total) == (12, 12)
    hits = total = 0
    for order in itertools.permutations(range(6)):
        right = 0
        for p in dose.PANELS:
            change = got.curves[p.title, "panel"][-1, 1] - got.curves[p.title, "panel"][0, 1]
            right += sum((change[order[EMOTIONS.index(e)]] > 0) == (way == "up") for e, way in p.expect.items())
        hits += right >= 12
        total += 1
    assert signs.p == pytest.approx(hits / total, abs=0.02)


@pytest.mark.parametrize(
    ("kwargs", "verdict"),
    [
        ({}, "replicates"),
        ({"twin": 2.0}, "does not replicate"),  # afraid rises as much on the harmless sentence
        ({"panel": -1.0}, "does not replicate"),
        ({"panel": -1.0, "ladder": -1.0}, "inconclusive"),
        ({"ladder": -1.0}, "replicates"),
    ],
)
def test_the_verdict_follows_the_rule(kwargs, verdict):
    got = result(**kwargs)
    assert got.verdict == verdict
    assert verdict in repr(got)
    assert "p = " in got.why


def test_wrong_tylenol_signs_forbid_replication_even_with_a_small_p():
    got = result()
    got.curves["tylenol", "panel"][:, :, EMOTIONS.index("calm")] *= -1
    assert got.signs("panel").right == 11
    assert got.verdict == "does not replicate"


def test_a_run_scores_the_readout_as_reading_does(model, vectors):
    panel = Panel(
        "I saw {X} birds.",
        [1, 20, 300],
        expect={"happy": "up"},
        twin="I saw {X} bricks.",
        ladder=["No bird.", "A flock."],
    )
    got = dose.run(model, vectors, [panel], block=2)
    for value, score in zip(panel.values, got.curve(panel, "panel", "happy"), strict=True):
        reading = emokit.read(model, vectors, [{"role": "user", "content": f"I saw {value} birds."}], block=2)
        assert score == pytest.approx(reading.scores[reading.readout, vectors.index("happy")], abs=1e-4)
    frame = got.to_frame()
    assert frame["kind"].tolist() == ["panel", "ladder", "twin"]
    assert frame.loc[2, "expected"] == "flat"
    assert len(got.by_block()) == 4
    assert got.block == 2
    assert dose.run(model, vectors, [panel]).block == dose.two_thirds(4)
    assert got.signs("ladder").total == 1


def test_a_second_run_needs_no_forward_pass(model, vectors):
    panel = Panel("I saw {X} birds.", [1, 20])
    first = dose.run(model, vectors, [panel])
    calls = []
    model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    again = dose.run(model, vectors, [panel])
    assert calls == []
    np.testing.assert_array_equal(first.curves[panel.title, "panel"], again.curves[panel.title, "panel"])
    assert again.verdict == "inconclusive"


def test_curves_are_plotted_for_each_kind():
    got = result()
    for kind in ("panel", "ladder", "twin"):
        assert len([a for a in got.plot(kind).axes if a.get_visible()]) == 6
    assert len(got.compare().axes) == 3
    assert len({axis.get_ylim() for axis in got.compare().axes}) == 1  # one scale for the effect and its controls
    with pytest.raises(EmokitError, match="no panel has a ladder"):
        DoseResult((Panel("{X}", [1, 2]),), EMOTIONS, 0, {}).plot("ladder")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"template": "no place", "values": [1, 2]}, "without {X}"),
        ({"template": "{X}", "values": [1]}, "fewer than two"),
        ({"template": "{X}", "values": [1, 2], "twin": "none"}, "without {X}"),
        ({"template": "{X}", "values": [1, 2], "ladder": ["one"]}, "rungs"),
        ({"template": "{X}", "values": [1, 2], "expect": {"sad": "rise"}}, "neither up nor down"),
    ],
)
def test_bad_panels_are_refused(kwargs, message):
    with pytest.raises(EmokitError, match=message):
        Panel(**kwargs)


def test_panels_that_ask_for_unknown_emotions_or_nothing_are_refused(model, vectors):
    with pytest.raises(EmokitError, match="unknown emotion"):
        dose.run(model, vectors, [Panel("{X} it is.", [1, 2], expect={"joy": "up"})])
    with pytest.raises(EmokitError, match="no panel"):
        dose.run(model, vectors, [])


def test_braces_in_a_template_are_left_alone():
    assert Panel("{X} {of} {", [1, 2]).sentences() == ["1 {of} {", "2 {of} {"]


def test_rungs_are_sentences_or_words_for_the_template():
    panel = Panel("I took {X} pills.", [1, 2], ladder=["hardly any", "I took far too many pills!"])
    assert panel.rungs() == ["I took hardly any pills.", "I took far too many pills!"]


def test_panels_of_one_title_would_overwrite_each_other_and_are_refused(model, vectors):
    twice = [Panel("I saw {X} birds.", [1, 2]), Panel("I saw {X} birds.", [5, 6])]
    with pytest.raises(EmokitError, match="own name"):
        dose.run(model, vectors, twice)
    assert len(dose.run(model, vectors, twice[0]).panels) == 1  # a single panel needs no list


def test_too_few_signs_for_a_verdict_are_called_so(model, vectors):
    few = dose.run(model, vectors, Panel("I saw {X} birds.", [1, 2], expect={"happy": "up"}))
    assert not few.signs().decidable
    assert "so few signs" in few.why
    assert result().signs().decidable
    assert "so few signs" not in result().why


def test_every_block_has_its_verdict_and_others_are_refused():
    table = result().by_block()
    assert set(table["verdict"]) == {"replicates"}
    for block in (3, -1):
        with pytest.raises(EmokitError, match="Blocks are 0 to 2"):
            result().signs(block=block)


def test_where_all_emotions_rise_alike_the_signs_prove_nothing():
    """Every labelling then gets as many right, ties count, and p is 1."""
    panel = Panel("{X} of them", [1, 2], expect={"afraid": "up", "sad": "up"}, name="all rise")
    rising = DoseResult(
        (panel,), EMOTIONS, 0, {("all rise", "panel"): np.linspace(0, 1, 2)[:, None, None] * np.ones((1, 1, 6))}
    )
    assert (rising.signs().right, rising.signs().p) == (2, 1.0)


# statistics


def test_the_table_holds_each_kind_with_its_statistics(model, vectors, stories):
    got = dose.run(model, vectors, BIRDS, stories=stories)
    frame = got.to_frame().set_index("kind")
    assert frame.index.tolist() == ["panel", "ladder", "twin", "paraphrases"]
    assert frame["slope per"].tolist() == ["doubling", "step", "doubling", "doubling"]
    changes = [np.diff(got.curve(BIRDS, f"paraphrase {i}", "happy")[[0, -1]])[0] for i in (1, 2)]
    assert frame.loc["paraphrases", "change"] == pytest.approx(np.mean(changes), abs=1e-6)
    for kind in ("panel", "paraphrases"):
        beyond = frame.loc[kind, "change"] - frame.loc["twin", "change"]
        assert frame.loc[kind, "beyond twin"] == pytest.approx(beyond)
        assert frame.loc[kind, "beyond low"] < frame.loc[kind, "beyond high"]
    assert frame.loc[["ladder", "twin"], "beyond twin"].isna().all()
    assert (frame["low"] < frame["high"]).all()
    column, block = vectors.index("happy"), got.block
    curve = got.curves[BIRDS.title, "panel"][:, block]
    null = [np.diff(_along(model, vectors, seed, block))[0] for seed in range(400)]
    assert frame.loc["panel", "effect"] == pytest.approx((curve[-1] - curve[0])[column] / np.std(null), rel=0.15)


def _along(model, vectors, seed, block):
    """Scores of the first and the last sentence with a random direction, from the states themselves."""
    prompts = [model.prompt(text) for text in BIRDS.sentences()]
    states = emokit.activations.readouts(model, [prompts[0], prompts[-1]])[:, block] - vectors.mean[block]
    return states / np.linalg.norm(states, axis=1, keepdims=True) @ vectors.random(seed).rows[block]


def test_intervals_of_topics_are_those_of_vectors_remade(model, vectors, stories):
    from emokit.remake import Remade

    got = dose.run(model, vectors, BIRDS, stories=stories, seed=3)
    directions, mean = next(Remade(model, vectors, stories, got.block).resampled(1, 3))
    prompts = [model.prompt(text) for text in BIRDS.sentences()]
    states = emokit.activations.readouts(model, [prompts[0], prompts[-1]])[:, got.block] - mean
    scores = states / np.linalg.norm(states, axis=1, keepdims=True) @ directions.T
    np.testing.assert_allclose(got.boot[BIRDS.title, "panel"][0], scores[1] - scores[0], atol=1e-6)


def test_without_stories_only_wordings_have_an_interval(model, vectors):
    frame = dose.run(model, vectors, BIRDS).to_frame().set_index("kind")
    assert frame.loc[["panel", "ladder", "twin"], "low"].isna().all()
    assert frame.loc["paraphrases", "low"] <= frame.loc["paraphrases", "change"] <= frame.loc["paraphrases", "high"]


def test_two_runs_give_the_same_table(model, vectors, stories):
    first, second = (dose.run(model, vectors, BIRDS, stories=stories).to_frame() for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_paraphrases_are_scored_with_the_same_signs_and_leave_the_verdict_alone(model, vectors):
    got = dose.run(model, vectors, BIRDS)
    bare = dose.run(model, vectors, Panel(BIRDS.template, BIRDS.values, BIRDS.expect, BIRDS.twin, BIRDS.ladder))
    assert (got.signs("paraphrases").total, bare.signs("paraphrases").total) == (2, 0)
    assert got.judge() == bare.judge()
    table = got.wordings()
    assert table["wording"].tolist() == [0, 1, 2]
    assert got.signs("paraphrases").right == table["as expected"][1:].sum()


def test_effects_flip_with_the_expectation_and_follow_the_block():
    got = result()
    assert set(got.by_block().columns) >= {"panel effect", "ladder effect", "twin effect"}
    assert (got.by_block()["panel effect"] > 0).all()
    assert (result(panel=-1.0).by_block()["panel effect"] < 0).all()
    assert (got.by_block()["twin effect"] == 0).all()


def test_one_panel_with_one_emotion_says_what_it_found(model, vectors):
    shown = repr(dose.run(model, vectors, Panel("I saw {X} birds.", [1, 2, 3], {"happy": "up"}, twin="{X} bricks.")))
    for part in ("I saw {X} birds.: happy ", "sd of random directions", "rho ", "permuted doses", "beyond the twin"):
        assert part in shown
    assert "sd of random directions" not in repr(result())


def test_figures_of_effects_say_what_came_out():
    got = result()
    assert "12 of 12 signs as expected in numbers, 12 of 12 in words" in got.plot_effects()._suptitle.get_text()
    assert "afraid +1.000 in numbers, +1.000 in words, +0.000 on the twin" in got.compare()._suptitle.get_text()
    assert len(got.plot_blocks().axes[0].lines) == 5  # numbers, words, twins, no effect, the block


# by position


def test_over_the_prompt_are_the_tokens_of_the_message(model, vectors):
    got = dose.run(model, vectors, BIRDS, position="prompt", block=2)
    text = BIRDS.sentences()[1]
    ids = model.encode(model.prompt(text))
    begin = len(model.encode("<|user|>"))  # the tokenizer has a token a byte
    states = emokit.activations.token_states(model, ids, [2])[begin : begin + len(text), 0].mean(0) - vectors.mean[2]
    want = vectors.at(2) @ (states / np.linalg.norm(states))
    np.testing.assert_allclose(got.curves[BIRDS.title, "panel"][1, 2], want, atol=1e-5)
    assert "prompt" in repr(got)


def test_over_the_reply_are_its_first_twenty_tokens(model, vectors):
    from emokit import generation

    got = dose.run(model, vectors, BIRDS, position="reply", block=2)
    ids = model.encode(model.prompt(BIRDS.sentences()[1]))
    reply = [token for (token,) in generation.decode(model, [ids], 20)]
    stop = next((i for i, token in enumerate(reply) if token in model.stop_tokens), 20)
    reply = reply[: max(1, stop)]
    states = emokit.activations.token_states(model, ids + reply, [2])[len(ids) :, 0].mean(0) - vectors.mean[2]
    want = vectors.at(2) @ (states / np.linalg.norm(states))
    np.testing.assert_allclose(got.curves[BIRDS.title, "panel"][1, 2], want, atol=1e-5)


def test_a_reply_ends_at_a_stop_token_and_has_at_least_one(model, vectors, monkeypatch):
    from emokit import generation

    steps = [[1, 7], [9, 8], [9, 1], [9, 9]]  # 1 is </s>: the first row's reply is that token alone
    monkeypatch.setattr(generation, "decode", lambda *_: iter(steps))
    assert dose._with_replies(model, [[3, 4], [5, 6]]) == [[3, 4, 1], [5, 6, 7, 8]]


def test_positions_are_one_run_each(model, vectors):
    got = dose.positions(model, vectors, BIRDS, 1)
    assert {where: r.position for where, r in got.items()} == {p: p for p in ("readout", "prompt", "reply")}
    assert {r.block for r in got.values()} == {1}
    again = dose.run(model, vectors, BIRDS, 1)
    np.testing.assert_array_equal(got["readout"].curves[BIRDS.title, "twin"], again.curves[BIRDS.title, "twin"])


# shuffled labels


def test_shuffled_labels_are_counted_without_a_forward_pass(model, vectors, stories):
    dose.run(model, vectors, BIRDS)
    model.blocks[0].register_forward_hook(lambda *_: pytest.fail("a forward pass"))
    first, second = (dose.null(model, vectors, stories, 5, BIRDS) for _ in range(2))
    assert len(first.to_frame()) == 5
    assert first.to_frame().equals(second.to_frame())
    assert first.replicates == 0  # one sign can't
    assert "0 of 5 replicate" in repr(first)


# SmolLM2


@pytest.mark.truth
def test_fear_follows_words_of_fear(smol, smol_vectors):
    words = ["safe", "relaxed", "uneasy", "worried", "scared", "terrified"]
    panel = Panel("I feel {X}.", words, {"afraid": "up"})
    row = dose.run(smol, smol_vectors, panel).to_frame().iloc[0]
    assert row["change"] > 0.02
    assert row["effect"] > 1.2
    assert row["rho"] > 0.7


@pytest.mark.truth
def test_the_verdict_on_smollm2_follows_the_rule_and_shuffled_labels_seldom_replicate(smol, smol_vectors):
    got = dose.run(smol, smol_vectors)
    assert got.verdict == "does not replicate"
    assert got.signs("ladder").p <= 0.05
    assert got.signs("ladder").right >= 10
    assert dose.null(smol, smol_vectors, emokit.load_stories(), 20).replicates <= 2


def test_without_a_twin_or_with_too_few_signs_nothing_can_fail_to_replicate():
    """The same changes that replicate: the rule can't be asked, so it does not say no."""
    got = result(panel=-1.0)
    assert got.verdict == "does not replicate"
    bare = dataclasses.replace(got.panels[0], twin=None)
    assert dataclasses.replace(got, panels=(bare, *got.panels[1:])).verdict == "inconclusive"


def test_panels_take_arrays_and_refuse_what_has_no_order_or_end():
    panel = Panel("I ran {X} km.", np.array([1, 5, 10]), ladder=np.array(["a little", "far", "very far"]))
    assert panel.sentences()[-1] == "I ran 10 km."
    assert panel.rungs()[0] == "I ran a little km."
    for wrong in ({500, 1000, 4}, [1, float("nan"), 3], [1, float("inf")]):
        with pytest.raises(EmokitError):
            Panel("I ran {X} km.", wrong)


def test_figures_name_panels_and_emotions():
    got = result()
    title = got.panels[1].title
    assert got.compare(title)._suptitle.get_text().startswith(title)
    for wrong in (lambda: got.compare("odd"), lambda: got.compare(BIRDS), lambda: got.plot(emotions=["hapy"])):
        with pytest.raises(EmokitError):
            wrong()


def test_a_result_whose_panel_expects_nothing_of_known_emotions_is_drawn(model, vectors):
    others = dataclasses.replace(vectors, emotions=("x", "y", "z"))
    assert dose.run(model, others, Panel("I saw {X} birds.", [1, 2, 3]))._repr_png_()
