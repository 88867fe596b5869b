import json

import numpy as np
import pytest
import torch
from conftest import hooks, tiny_model

import emokit
from emokit import EmokitError, activations, batches, generation
from emokit.experiments import rollouts
from emokit.experiments.rollouts import Condition, Script, conditions, instructed, play, runs, turn_seed, wilson
from emokit.reading import token_scores

TEXTS = ["Make a hundred.", "No. Once more.", "Still not it!"]


def script(name="three", turns=3, **more):
    def turn(messages, state):
        state["seen"] = [m["role"] for m in messages]
        return TEXTS[len(messages) // 2] if len(messages) // 2 < turns else None

    return Script(name, turn, {"turns": turns, "texts": TEXTS}, **more)


def simple(model, vectors, run, limit=12):
    """A rollout as a plain loop over `generate` with the chat made anew at each turn."""
    messages = []
    for turn, text in enumerate(TEXTS):
        messages.append({"role": "user", "content": text})
        shown = instructed(model, run.condition.system, messages)
        with emokit.steer(model, vectors, run.condition.strengths, blocks=run.condition.block):
            reply = model.generate(shown, limit, 1.0, turn_seed(run.seed, turn))
        messages.append({"role": "assistant", "content": reply.strip()})
    return messages


@pytest.fixture
def wanted(vectors):
    under = conditions(vectors, ["happy"], 0.9, words={"told": "Be brief."})
    return runs([script(), script("two", 2)], under, [0])


def played(model, vectors, wanted, **more):
    return play(model, vectors, wanted, **({"max_new_tokens": 12, "quiet": True} | more))


@pytest.mark.parametrize("padding", ["holes", "left", "none"])
def test_rollouts_of_a_batch_are_those_of_a_plain_loop(model, vectors, wanted, monkeypatch, padding):
    monkeypatch.setattr(batches, "_KNOWN", {model.hf: padding})
    found = played(model, vectors, wanted)
    assert [(r.script, r.condition, r.seed) for r in found] == [
        (w.script.name, w.condition.name, w.seed) for w in wanted
    ]
    for rollout, run in zip(found, wanted, strict=True):
        expected = simple(model, vectors, run)[: len(rollout.messages)]
        assert rollout.messages == expected
        assert len(rollout.replies) == len(rollout.tokens) == (3 if rollout.script == "three" else 2)
        assert rollout.ended == "script"
        assert rollout.state["seen"] == ["user", "assistant"] * len(rollout.replies)
    assert len({json.dumps(r.messages) for r in found if r.script == "three"}) == 5  # conditions matter
    assert hooks(model) == 0


def test_how_many_run_together_does_not_matter(model, vectors, wanted, tmp_path):
    one = played(model, vectors, wanted, rows=1, log=tmp_path / "a.jsonl")
    many = played(model, vectors, wanted, rows=7, log=tmp_path / "b.jsonl")
    assert [r.messages for r in one] == [r.messages for r in many]


def test_scores_are_those_of_reading_the_conversation_without_the_push(model, vectors, wanted, monkeypatch):
    real, seen = generation.reply_tokens, {}

    def noted(model, prompts, *args, **kwargs):
        rows = real(model, prompts, *args, **kwargs)
        seen.update(((tuple(p), model.text(r).strip()), r) for p, r in zip(prompts, rows, strict=True))
        return rows

    monkeypatch.setattr(generation, "reply_tokens", noted)
    names, block = list(vectors.emotions), vectors.best_block
    chosen = [w for w in wanted if w.script.name == "three"]
    for rollout, run in zip(played(model, vectors, chosen, read=names), chosen, strict=True):
        for turn in range(3):
            head = instructed(model, run.condition.system, rollout.messages[: 2 * turn + 1])
            prompt = model.encode(model.prompt(head))
            reply = seen[tuple(prompt), rollout.replies[turn]]
            assert rollout.tokens[turn] == len(reply)
            states = activations.token_states(model, prompt + reply, [block])[:, 0]
            scores = token_scores(states, vectors, block)[len(prompt) - 1 :]
            np.testing.assert_allclose([rollout.readouts[e][turn] for e in names], scores[0], atol=1e-4)
            last = len(reply) - (len(reply) == 12)  # at the limit, the last token is not taken in
            got = [rollout.scores[e][turn] for e in names]
            np.testing.assert_allclose(got, scores[1 : last + 1].mean(0) if last else [np.nan] * 3, atol=1e-4)


def test_steering_below_the_block_that_is_read_leaves_no_score(model, vectors):
    below = [b for b in vectors.blocks if b < vectors.best_block] or pytest.skip("nothing is below")
    under = [Condition("low", {"happy": 0.5}, block=below[0]), Condition("none")]
    low, none = played(model, vectors, runs([script()], under, [0]), read=["sad"])
    assert np.isnan(low.scores["sad"]).all()
    assert np.isfinite(none.scores["sad"]).all()


def test_the_same_call_again_generates_nothing_and_another_does(model, vectors, wanted, monkeypatch):
    def forbidden(*_args, **_kwargs):
        raise AssertionError("generated again")

    first = played(model, vectors, wanted)
    with monkeypatch.context() as patch:
        patch.setattr(generation, "decode", forbidden)
        assert [r.messages for r in played(model, vectors, wanted)] == [r.messages for r in first]
        for change in (dict(max_new_tokens=13), dict(temperature=0.5), dict(read=["sad"])):
            with pytest.raises(AssertionError):
                played(model, vectors, wanted, **change)
        other = Script("three", script().turn, {"turns": 3, "texts": ["else"]})
        for run in (*runs([script()], [Condition("none")], [7]), *runs([other], [Condition("none")], [0])):
            with pytest.raises(AssertionError):
                played(model, vectors, [run])
        changed = Condition("+happy", {"happy": 0.8})
        with pytest.raises(AssertionError):
            played(model, vectors, runs([script()], [changed], [0]))


def test_after_a_stop_only_what_is_missing_is_played(model, vectors, wanted, monkeypatch):
    real, asked = rollouts.Player.wave, []

    def stopped(self, wave):
        asked.append(len(wave))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(self, wave)

    with monkeypatch.context() as patch:
        patch.setattr(rollouts.Player, "wave", stopped)
        with pytest.raises(KeyboardInterrupt):
            played(model, vectors, wanted, rows=4)
    assert hooks(model) == 0
    monkeypatch.setattr(rollouts.Player, "wave", lambda self, wave: asked.append(len(wave)) or real(self, wave))
    found = played(model, vectors, wanted, rows=20)
    assert (asked, len(found)) == ([4, 4, 6], 10)


def test_a_batch_is_as_large_as_ends_within_the_limit():
    assert rollouts.fitting(16, 10.0, 7.0, float("inf")) == rollouts.fitting(16, 10.0, 7.0, 10.0) == 16
    assert rollouts.fitting(16, 10.0, 7.0, 9.0) == 11  # 7 s and 0.2 s for each row more
    assert rollouts.fitting(16, 10.0, 7.0, 7.0) == rollouts.fitting(16, 10.0, 7.0, -1.0) == 1
    assert rollouts.fitting(16, 10.0, 10.0, 5.0) == rollouts.fitting(1, 10.0, 10.0, 5.0) == 1
    assert rollouts.fitting(0, 0.0, 0.0, 5.0) == 0


def test_a_budget_stops_between_batches_and_returns_what_is_there(model, vectors, wanted, capsys):
    some = play(model, vectors, wanted, max_new_tokens=12, rows=4, budget_minutes=1e-4)
    assert 1 <= len(some) < len(wanted)
    assert "10 rollouts, about" in capsys.readouterr().out
    assert [(r.script, r.condition) for r in some] == [(w.script.name, w.condition.name) for w in wanted[: len(some)]]


def test_a_rollout_ends_where_the_context_does(stories):
    model = tiny_model(max_position_embeddings=80)
    vectors = emokit.extract(model, stories)
    (found,) = played(model, vectors, runs([script()], [Condition("none")], [0]))
    assert found.ended == "context"
    assert 1 <= len(found.replies) < 3
    assert found.messages[-1]["role"] == "assistant"
    long = Script("long", lambda messages, state: "x" * 90, {})
    with pytest.raises(EmokitError, match="beyond the context"):
        played(model, vectors, runs([long], [Condition("none")], [0]))


def test_a_view_changes_what_the_model_is_shown_and_not_what_is_kept(model, vectors):
    hidden = script(view=lambda messages: [m | {"content": "..."} if m["role"] == "assistant" else m for m in messages])
    plain, other = (played(model, vectors, runs([s], [Condition("none")], [0]), log=n)[0] for s, n in ((script(), "a"), (hidden, "b")))  # fmt: skip
    assert other.replies[0] == plain.replies[0]
    assert other.replies[1] != plain.replies[1]
    assert all(r != "..." for r in other.replies)


def test_conditions_have_controls_of_the_same_norm(vectors):
    found = conditions(vectors, ["happy", "sad"], {"happy": 0.2, "sad": 0.3}, randoms=2, words={"a": "b"})
    names = "none -happy +happy -sad +sad".split() + ["random 0", "random 1", "a"]
    assert [c.name for c in found] == names
    norms = [np.linalg.norm(c.added(vectors)) / vectors.norms[vectors.best_block] for c in found]
    np.testing.assert_allclose(norms, [0, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3, 0], atol=1e-5)
    np.testing.assert_allclose(found[1].added(vectors), -found[2].added(vectors))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (dict(max_new_tokens=0), "max_new_tokens"),
        (dict(rows=0), "rows"),
        (dict(temperature=-1), "temperature"),
        (dict(read=["hapy"]), "Did you mean happy"),
        (dict(budget_minutes="x"), "budget_minutes"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, vectors, wanted, change, match):
    with pytest.raises(EmokitError, match=match):
        played(model, vectors, wanted, **change)


def test_rollouts_inside_a_steer_and_abouts_that_are_no_data_are_refused(model, vectors, wanted):
    with emokit.steer(model, vectors, {"happy": 0.1}), pytest.raises(EmokitError, match="Leave the `with`"):
        played(model, vectors, wanted)
    with pytest.raises(EmokitError, match="not plain data"):
        played(model, vectors, runs([Script("x", script().turn, {1j})], [Condition("none")], [0]))
    with pytest.raises(EmokitError, match="unknown emotion"):
        conditions(vectors, ["hapy"])
    with pytest.raises(EmokitError, match="strength"):
        conditions(vectors, ["happy"], -0.1)
    with pytest.raises(EmokitError, match="no strength for"):
        conditions(vectors, ["happy", "sad"], {"sad": 0.1})
    (_, drawn) = conditions(vectors, [], 0.3)
    assert list(drawn.strengths.values()) == [0.3]


def test_instructions_go_before_the_first_message_where_there_is_no_system(model):
    messages = [{"role": "user", "content": "Hi"}]
    assert instructed(model, None, messages) == messages
    assert instructed(model, "Be brief.", messages)[0] == {"role": "system", "content": "Be brief."}
    strict = tiny_model()
    strict.tokenizer.chat_template = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}{% endfor %}"
    assert instructed(strict, "Be brief.", messages) == [{"role": "user", "content": "Be brief.\n\nHi"}]


def test_wilson_is_the_textbook_interval():
    n, k, z = 10, 3, 1.959964
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert tuple(wilson(3, 10)) == pytest.approx((p, centre - half, centre + half, 3, 10))
    assert repr(wilson(3, 10)) == "30% [11%, 60%], 3 of 10"
    assert np.isnan(wilson(0, 0).share)


# batches


def test_replies_of_unequal_prompts_are_one_batch_unless_the_context_may_end(model):
    prompts = [model.encode(p) for p in ("Hi", "A longer one", "Hi", "x" * 500)]
    assert generation.groups(model, prompts, 20) == [[0, 1, 2], [3]]
    assert generation.groups(model, prompts, 8) == [[0, 1, 2, 3]]
    got = generation.replies(model, prompts, 60, 1.0, [1, 2, 3, 4], bar=False)
    alone = [generation.replies(model, [p], 60, 1.0, [i + 1], bar=False)[0] for i, p in enumerate(prompts)]
    assert got == alone


def test_a_model_that_reads_padding_is_found_out_and_its_prompts_are_grouped_by_length(vectors):
    model = tiny_model()
    real = type(model.hf).forward

    class Blind(type(model.hf)):  # as if a model had no use for a mask
        def forward(self, *args, attention_mask=None, position_ids=None, **kwargs):
            return real(self, *args, **kwargs)

    model.hf.__class__ = Blind
    prompts = [model.encode(p) for p in ("Hi", "A longer one", "Ho")]
    with emokit.steer(model, vectors, {"happy": [0.1, 0.2]}):  # found out whatever steering there is
        assert batches.padding(model) == "none"
    assert generation.groups(model, prompts, 5) == [[0, 2], [1]]
    assert generation.replies(model, prompts, 5) == [generation.replies(model, [p], 5)[0] for p in prompts]
    with pytest.raises(EmokitError, match="several lengths"):
        next(generation.decode(model, prompts, 5))


def test_a_memory_computes_only_what_is_new(model):
    seen = []
    handle = model.hf.get_input_embeddings().register_forward_hook(lambda _m, i, _o: seen.append(i[0].shape[1]))
    batches.padding(model)
    memory, seen[:] = batches.Memory(model.hf, 2), []
    prompts = [model.encode("Hello"), model.encode("Hello there")]
    list(generation.decode(model, prompts, 1, memory=memory))
    list(generation.decode(model, [p + [9, 10] for p in prompts], 1, memory=memory))
    handle.remove()
    assert seen == [len(prompts[1]), 2]
    assert torch.equal(memory.mask.sum(1), torch.tensor([len(p) + 2 for p in prompts]))
