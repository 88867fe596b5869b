"""Forced choices: laws of the shared prefix, of steered rows, and of the means over orders and choices."""

import numpy as np
import pytest
import torch
from conftest import hooks, tiny_model
from test_architectures import CONFIGS, built, byte_tokenizer, logits, random_vectors

import emokit
from emokit import EmokitError, activations, chances
from emokit.experiments import budget, choices, choices_result
from emokit.experiments.choices import Choice
from emokit.experiments.conditions import Condition

PROMPT = "The folder holds letters of three years, and nobody has a copy of them. "  # longer than the tiny windows
NARROW = {"bloom", "qwen3_next"}
TAILS = ["I would ask.", " No", "x", "I would delete it all, at once, and tell nobody."]


@pytest.fixture(scope="module", params=CONFIGS)
def arch(request):
    return emokit.Model(built(*CONFIGS[request.param]), byte_tokenizer(chat=False), request.param)


def alone(model, prompt, tail):
    ids, start = model.encode(prompt + tail), len(model.encode(prompt))
    table = logits(model, ids).log_softmax(-1)
    return sum(float(table[t - 1, ids[t]]) for t in range(start, len(ids)))


def passes(model):
    """The shapes of all batches that the model reads from now on."""
    seen = []
    _ = model.widens  # found out once, by passes of its own
    model.hf.get_input_embeddings().register_forward_hook(lambda _m, i, _o: seen.append(tuple(i[0].shape)))
    return seen


# the shared prefix


def test_a_prefix_that_is_read_once_changes_no_log_probability(arch):
    assert len(arch.encode(PROMPT)) >= chances.SHARED
    assert arch.logprobs(PROMPT, TAILS) == pytest.approx([alone(arch, PROMPT, t) for t in TAILS], abs=2e-3)


def test_a_prefix_is_read_once_where_the_cache_takes_several_tokens(arch):
    seen = passes(arch)
    arch.logprobs(PROMPT, TAILS)
    length = len(arch.encode(PROMPT))
    assert arch.shares_prefix == (arch.name != "qwen3_next")
    expected = [(1, length), (4, len(TAILS[3]) - 1)] if arch.shares_prefix else [(4, length + len(TAILS[3]))]
    assert seen == expected


def test_replies_behind_a_prompt_are_those_of_one_pass_over_both(arch):
    """The oracle: one pass over prompt and reply, without a cache; the last architecture can't read behind one."""
    start = len(arch.encode(PROMPT))
    for reply, (states, nats) in zip(TAILS, activations.reply_states(arch, PROMPT, TAILS, 1), strict=True):
        whole = activations.token_states(arch, arch.encode(PROMPT + reply), [1])[start:, 0]
        np.testing.assert_allclose(states, whole, atol=2e-3)
        assert nats.sum() == pytest.approx(alone(arch, PROMPT, reply), abs=2e-3)


def test_single_tokens_need_one_row_alone(model):
    seen = passes(model)
    got = model.logprobs(PROMPT, ["a", "b", "c"])
    assert seen == [(1, len(model.encode(PROMPT)))]
    assert got == pytest.approx([alone(model, PROMPT, t) for t in "abc"], abs=1e-4)


def test_a_short_prompt_and_a_single_continuation_are_read_whole(model):
    seen = passes(model)
    model.logprobs("He", TAILS[:2])
    model.logprobs(PROMPT, TAILS[:1])
    assert [rows for rows, _ in seen] == [2, 1]


def test_many_continuations_come_in_batches(model, monkeypatch):
    expected = model.logprobs(PROMPT, TAILS)
    monkeypatch.setattr(chances, "ROWS", 3)
    seen = passes(model)
    assert model.logprobs(PROMPT, TAILS) == pytest.approx(expected, abs=1e-4)
    assert [rows for rows, _ in seen] == [1, 3, 1]


@pytest.mark.parametrize("positions", ["all", "prompt", "reply"])
def test_steering_acts_alike_on_a_prefix_read_once(model, vectors, positions, monkeypatch):
    with emokit.steer(model, vectors, {"sad": 0.8}, positions=positions):
        shared = model.logprobs(PROMPT, TAILS)
        monkeypatch.setattr(model, "shares_prefix", False)
        whole = model.logprobs(PROMPT, TAILS)
    assert shared == pytest.approx(whole, abs=1e-3)
    assert shared != pytest.approx(model.logprobs(PROMPT, TAILS), abs=1e-2)


def test_rows_that_are_steered_differently_are_not_read_as_one(model, vectors):
    with emokit.steer(model, vectors, {"sad": [0.0, 0.9]}):
        got = model.logprobs(PROMPT, ["I ask", "I ask"])
    with emokit.steer(model, vectors, {"sad": 0.9}):
        steered = model.logprobs(PROMPT, ["I ask"])
    assert got == pytest.approx(model.logprobs(PROMPT, ["I ask"]) + steered, abs=1e-3)
    assert got[0] != pytest.approx(got[1], abs=1e-2)


def test_the_bounds_on_a_batch_hold(model, monkeypatch):
    tails = [[1] * 10]
    assert chances.room(model, 20, tails) == chances.ROWS
    assert chances.room(model, 1014, tails) == 16
    assert chances.room(model, 10**6, tails) == 1
    monkeypatch.setattr(model.hf, "get_output_embeddings", lambda: torch.nn.Linear(1, 1_000_000))
    assert chances.room(model, 20, tails) == 5


# rows of steering


@pytest.mark.parametrize("positions", ["all", "prompt", "reply"])
@pytest.mark.parametrize("way", ["wide", "shared", "whole"])
def test_steered_rows_equal_single_steers(model, vectors, positions, way, monkeypatch):
    monkeypatch.setattr(model, "shares_prefix", way != "whole")
    monkeypatch.setattr(model, "widens", way == "wide")
    rows = [{}, {"sad": 0.7}, {"happy": -0.4, "sad": 0.1}, {vectors.random(0): 0.5}, {}]
    got = choices.logprobs(model, vectors, PROMPT, TAILS, rows, positions=positions, block=1)
    for row, strengths in zip(got, rows, strict=True):
        with emokit.steer(model, vectors, strengths, positions=positions, blocks=1):
            np.testing.assert_allclose(row, [model.logprobs(PROMPT, [t])[0] for t in TAILS], atol=1e-3)
    assert not model.steers
    assert np.abs(got[1] - got[0]).max() > 0.01


def test_every_architecture_scores_steered_rows_as_single_ones(arch):
    aimed = random_vectors(arch)
    got = choices.logprobs(arch, aimed, PROMPT, TAILS, [{"a": 0.6}, {}, {"b": -0.5}])
    for row, strengths in zip(got, [{"a": 0.6}, {}, {"b": -0.5}], strict=True):
        with emokit.steer(arch, aimed, strengths):
            np.testing.assert_allclose(row, [alone(arch, PROMPT, t) for t in TAILS], atol=2e-3)


def test_blocks_before_the_steered_one_read_what_all_steerings_share_once(model, vectors):
    assert model.widens  # found out once, by passes of its own
    seen = [[] for _ in model.blocks]
    for i, block in enumerate(model.blocks):
        block.register_forward_hook(lambda _m, inputs, _o, i=i: seen[i].append(tuple(inputs[0].shape[:2])))
    choices.logprobs(model, vectors, PROMPT, TAILS[:2], [{"sad": s} for s in (0, 0.2, 0.4)], block=2)
    lengths = [len(model.encode(PROMPT)), len(TAILS[0]) - 1, len(TAILS[1]) - 1]
    assert seen[:3] == [[(1, n) for n in lengths]] * 3
    assert seen[3] == [(3, n) for n in lengths]
    assert hooks(model) == len(model.blocks)


def test_what_a_model_allows_is_tried_when_first_asked_and_without_steering(model, vectors):
    assert not {"shares_prefix", "widens"} & set(vars(model))
    with emokit.steer(model, vectors, {"sad": [0.0, 5.0, 9.0]}) as active:
        assert model.widens
        assert model.shares_prefix
        assert not active.paused
    assert active.fired == 0


def test_inside_another_steer_rows_add_to_it(model, vectors):
    with emokit.steer(model, vectors, {"happy": 0.6}, blocks=0):
        got = choices.logprobs(model, vectors, PROMPT, TAILS, [{}, {"sad": 0.4}], block=2)
        with emokit.steer(model, vectors, {"sad": 0.4}, blocks=2):
            np.testing.assert_allclose(got[1], [model.logprobs(PROMPT, [t])[0] for t in TAILS], atol=1e-3)


def test_which_architectures_widen(arch):
    """Those that don't are read row by row; that a new one drops out unnoticed would only cost time."""
    assert arch.widens == (arch.name not in NARROW)


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("wide", [True, False])
def test_a_batch_has_no_more_rows_than_allowed_and_gives_the_same(model, vectors, size, wide, monkeypatch):
    monkeypatch.setattr(model, "widens", wide)
    rows = [{"sad": s} for s in (0, 0.2, 0.4, 0.6)]
    expected = choices.logprobs(model, vectors, PROMPT, TAILS, rows)
    monkeypatch.setattr(chances, "ROWS", size)
    seen = passes(model)
    np.testing.assert_allclose(choices.logprobs(model, vectors, PROMPT, TAILS, rows), expected, atol=1e-3)
    assert max(count for count, _ in seen) <= size


def test_no_rows_and_no_continuations_are_empty(model, vectors):
    assert choices.logprobs(model, vectors, PROMPT, [], [{}]).shape == (1, 0)
    assert choices.logprobs(model, vectors, PROMPT, TAILS, []).shape == (0, 4)


# choices


CHOICES = [
    Choice("folder", "Shall I empty it?", ("Let me check.", "It is done, all of it.")),
    Choice("letters", "Shall I send it?", ("ask first", "send it"), letters=True),
]


def test_a_choice_is_the_difference_of_two_log_probabilities(model, vectors):
    got = choices.run(model, vectors, CHOICES, {"none": {}, "sad": {"sad": 0.5}})
    check, done = (alone(model, model.prompt(CHOICES[0].content), o) for o in CHOICES[0].options)
    lengths = [len(o) for o in CHOICES[0].options]
    assert got.gap[0, 0] == pytest.approx(check - done, abs=1e-3)
    assert got.per_token[0, 0] == pytest.approx(check / lengths[0] - done / lengths[1], abs=1e-3)
    assert got.gap[1, 0] != pytest.approx(got.gap[0, 0], abs=1e-3)
    assert got.share[0] == pytest.approx(1 / (1 + np.exp(-got.gap[0])))


def test_letters_are_shown_in_both_orders(model, vectors):
    got = choices.run(model, vectors, CHOICES, {"none": {}})
    shown = "Shall I send it?\n\n(A) {}\n(B) {}\n\nAnswer with one letter."
    first = model.prompt(shown.format("ask first", "send it")) + "("
    second = model.prompt(shown.format("send it", "ask first")) + "("
    gaps = [alone(model, first, "A") - alone(model, first, "B"), alone(model, second, "B") - alone(model, second, "A")]
    assert got.orders[0, 1] == pytest.approx(gaps, abs=1e-3)
    assert got.gap[0, 1] == pytest.approx(np.mean(gaps), abs=1e-3)
    assert got.orders[0, 0, 0] == got.orders[0, 0, 1]


def test_exchanged_options_change_the_sign(model, vectors):
    turned = [Choice(c.name, c.content, c.options[::-1], c.letters) for c in CHOICES]
    conditions = {"none": {}, "sad": {"sad": 0.3}}
    there, back = (choices.run(model, vectors, c, conditions).gap for c in (CHOICES, turned))
    np.testing.assert_allclose(there, -back, atol=1e-3)


def test_conditions_may_have_an_instruction_and_a_block(model, vectors):
    told = [Condition("none"), Condition("told", system="Be calm."), Condition("block", {"sad": 0.5}, block=0)]
    got = choices.run(model, vectors, CHOICES[:1], told)
    messages = [{"role": "system", "content": "Be calm."}, {"role": "user", "content": CHOICES[0].content}]
    check, done = (alone(model, model.prompt(messages), o) for o in CHOICES[0].options)
    assert got.gap[1, 0] == pytest.approx(check - done, abs=1e-3)
    assert got.gap[2] == pytest.approx(
        choices.run(model, vectors, CHOICES[:1], {"sad": {"sad": 0.5}}, block=0).gap[0], abs=1e-3
    )


def test_an_instruction_goes_into_the_message_where_the_template_takes_no_system_message(model):
    model.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    ((prompt, _),) = CHOICES[0].prompts(model, "Be calm.")
    assert prompt == "Be calm.\n\nShall I empty it?"


def test_means_intervals_and_the_table(model, vectors):
    many = [Choice(f"c{i}", "ab"[i % 2] * (i + 1), ("yes", "no")) for i in range(6)]
    got = choices.run(model, vectors, many, {"none": {}, "sad": {"sad": 0.5}})
    value, low, high = got.mean("sad", "none")
    assert value == pytest.approx((got.gap[1] - got.gap[0]).mean())
    assert low < value < high
    assert got.mean("none", "none") == (0, 0, 0)
    frame = got.to_frame()
    assert frame.loc["sad", "gap_change"] == pytest.approx(value)
    assert frame.loc["sad", "gap_change_low"] == pytest.approx(low)
    assert list(frame.index) == ["none", "sad"]
    assert "6 choices" in repr(got)
    assert choices_result.recalled(choices_result.record(got)).gap == pytest.approx(got.gap)
    assert got._repr_png_().startswith(b"\x89PNG")


def test_what_was_measured_is_kept_and_more_conditions_cost_only_themselves(model, vectors):
    first = choices.run(model, vectors, CHOICES, {"none": {}, "sad": {"sad": 0.5}})
    seen = passes(model)
    again = choices.run(model, vectors, CHOICES, {"same": {"happy": 0.0}, "sad": {"sad": 0.5}})
    np.testing.assert_array_equal(first.orders, again.orders)  # strength 0 is no steering
    assert seen == []
    more = choices.run(model, vectors, CHOICES, {"sad": {"sad": 0.5}, "other": {"sad": 0.25}})
    assert {rows for rows, _ in seen} == {1, 2}  # a prefix, and two options behind it
    np.testing.assert_array_equal(more.orders[0], first.orders[1])
    assert not np.allclose(more.orders[1], first.orders[1], atol=1e-3)


@pytest.mark.parametrize("change", [{"block": 1}, {"positions": "reply"}])
def test_what_is_kept_is_not_mixed_up(model, vectors, change):
    usual = choices.run(model, vectors, CHOICES, {"sad": {"sad": 0.5}}, block=2)
    other = choices.run(model, vectors, CHOICES, {"sad": {"sad": 0.5}}, **({"block": 2} | change))
    assert not np.allclose(usual.gap, other.gap, atol=1e-3)


def test_inside_a_steer_nothing_is_kept(model, vectors):
    with emokit.steer(model, vectors, {"happy": 0.5}):
        steered = choices.run(model, vectors, CHOICES, {"none": {}})
    assert not np.allclose(steered.gap, choices.run(model, vectors, CHOICES, {"none": {}}).gap, atol=1e-3)


def test_a_budget_ends_it_after_whole_choices(model, vectors, monkeypatch):
    many = [Choice(f"c{i}", f"Shall I, {i}?", ("yes", "no")) for i in range(6)]
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr(budget.time, "monotonic", lambda: next(clock))
    got = choices.run(model, vectors, many, {"none": {}, "sad": {"sad": 0.5}}, budget_minutes=3)
    assert got.names == ("c0", "c1", "c2")[: len(got.names)]
    assert 0 < len(got.names) < 6
    assert got.gap.shape == (2, len(got.names))
    assert choices.run(model, vectors, many, {"none": {}}, budget_minutes=0).names == ("c0",)


def test_a_long_run_says_how_long_it_takes(capsys, monkeypatch):
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr(budget.time, "monotonic", lambda: next(clock))
    assert list(budget.within("abc", None, "letters")) == ["a", "b", "c"]
    assert "3 letters, about 6 min" in capsys.readouterr().out
    assert list(budget.within("abc", None, "letters", quiet=True)) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, v: Choice("a", "b", ("x", "x")), "two different"),
        (lambda m, v: Choice("a", "b", ("x",)), "two different"),
        (lambda m, v: Choice("a", "b", "xy"), "list"),
        (lambda m, v: Choice("a", " ", ("x", "y")), "empty"),
        (lambda m, v: Choice(1, "b", ("x", "y")), "name"),
        (lambda m, v: choices.run(m, v, [], {"none": {}}), "no choices"),
        (lambda m, v: choices.run(m, v, CHOICES[:1] * 2, {"none": {}}), "name of its own"),
        (lambda m, v: choices.run(m, v, ["x"], {"none": {}}), "name of its own"),
        (lambda m, v: choices.run(m, v, CHOICES, {}), "no conditions"),
        (lambda m, v: choices.run(m, v, CHOICES, ["none"]), "not a condition"),
        (lambda m, v: choices.run(m, v, CHOICES, {"x": {"glad": 1}}), "unknown emotion"),
        (lambda m, v: choices.run(m, v, CHOICES, {"x": {"sad": [1, 2]}}), "list of strengths"),
        (lambda m, v: choices.run(v, m, CHOICES, {"x": {}}), "not a Model"),
        (lambda m, v: choices.logprobs(m, v, "x" * 600, ["a"], [{}]), "context"),
        (lambda m, v: choices.logprobs(m, v, PROMPT, [""], [{}]), "no token"),
        (lambda m, v: choices.run(m, v, CHOICES, {"none": {}}).mean("calm"), "unknown condition"),
    ],
)
def test_bad_input_is_one_clear_error(model, vectors, call, match):
    with pytest.raises(EmokitError, match=match):
        call(model, vectors)


def test_the_prefix_is_left_as_it_is():
    model = tiny_model()
    ids, tails = chances.tails(model, PROMPT, TAILS)
    prefix = chances.read(model, ids)
    first = chances.behind(model, prefix, tails)
    np.testing.assert_array_equal(chances.behind(model, prefix, tails), first)
    assert torch.isfinite(prefix.logits).all()
