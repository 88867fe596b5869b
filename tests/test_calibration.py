import dataclasses
import json

import numpy as np
import pytest
from conftest import hooks, tiny_model
from matplotlib.figure import Figure

import emokit
from emokit import EmokitError, activations, calibration, plots, trials
from emokit.calibration import Calibration
from emokit.changes import Effects
from emokit.files import cache_dir
from emokit.widgets import SteeringConsole

FAST = dict(blocks=[1, 2], strengths=[-0.3, 0, 0.3], max_new_tokens=6)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """Model, vectors and a calibration, made once."""
    from conftest import stories

    patch = pytest.MonkeyPatch()
    patch.setenv("EMOKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    model = tiny_model()
    vectors = emokit.extract(model, stories.__wrapped__())
    result = emokit.calibrate(model, vectors, **FAST)
    patch.undo()
    return model, vectors, result


def test_strength_zero_does_nothing(kit):
    frame = kit[2].to_frame()
    none = frame[frame.strength == 0]
    assert len(none) == 4
    np.testing.assert_allclose(none[["gain", "kl", "reread", "low", "high", "repeats"]], 0, atol=1e-5)
    np.testing.assert_allclose(none[["ratio", "ratio_random"]], 1, atol=1e-5)
    assert not none.beats.any()
    some = frame[frame.strength != 0]
    assert (some.kl > 1e-4).all()
    assert (some.gain.abs() > 1e-4).all()


def test_the_controls_push_as_far_as_the_emotions(kit, monkeypatch):
    model, vectors, _ = kit
    sizes = []
    steer = trials.steer

    def spy(model, vectors, strengths, blocks):
        rows = sum(np.asarray(s)[:, None] * vectors.direction(k).rows[blocks] for k, s in strengths.items())
        sizes.append(np.linalg.norm(rows, axis=1))
        return steer(model, vectors, strengths, blocks=blocks)

    monkeypatch.setattr(trials, "steer", spy)
    emokit.calibrate(model, vectors, blocks=[2], strengths=[0.3], max_new_tokens=2)
    pushed = np.concatenate([size for size in sizes if size.max() > 0])
    assert len(pushed) > 50
    np.testing.assert_allclose(pushed, 0.3, rtol=1e-4)


def test_the_order_of_emotions_blocks_and_strengths_does_not_matter(kit):
    model, vectors, result = kit
    turned = emokit.calibrate(
        model, vectors, ["angry", "sad", "happy"], [2, 1], strengths=(0.3, 0, -0.3), max_new_tokens=6
    )
    assert turned.emotions == result.emotions
    assert turned.to_frame().equals(result.to_frame())
    assert turned.prompts().equals(result.prompts())


@pytest.mark.parametrize("stop", [3, 20])
def test_resumed_equals_uninterrupted_and_repeats_nothing(kit, monkeypatch, stop):
    model, vectors, result = kit
    log, add = [], trials.Log.add

    def count(self, rows):
        log.append(1)
        if len(log) == stop:
            raise KeyboardInterrupt
        add(self, rows)

    monkeypatch.setattr(trials.Log, "add", count)
    with pytest.raises(KeyboardInterrupt):
        emokit.calibrate(model, vectors, **FAST)
    assert (model.steers, hooks(model)) == ([], 0)
    resumed = emokit.calibrate(model, vectors, **FAST)
    assert len(log) == 1 + 7 + 7 + 2 * 8 + 1  # all once, and the one that was lost again
    assert resumed.to_frame().equals(result.to_frame())
    emokit.calibrate(model, vectors, **FAST)
    assert len(log) == 32


def test_a_damaged_row_on_disk_is_measured_again(kit):
    model, vectors, result = kit
    emokit.calibrate(model, vectors, **FAST)
    (path,) = (cache_dir() / "calibrated").iterdir()
    lines = path.read_text().split("\n")
    lines[1] = lines[1][:40]
    path.write_text("\n".join(lines))
    assert emokit.calibrate(model, vectors, **FAST).to_frame().equals(result.to_frame())


def test_other_vectors_settings_and_seeds_are_measured_anew(kit):
    model, vectors, _ = kit
    few = FAST | {"blocks": [2], "strengths": [0.2]}
    seen = [emokit.calibrate(model, vectors, **few)]
    turned = dataclasses.replace(vectors, directions=-vectors.directions)
    for v, how in (
        (turned, {}),
        (vectors, {"seed": 9}),
        (vectors, {"temperature": 0}),
        (vectors, {"max_new_tokens": 5}),
    ):
        seen.append(emokit.calibrate(model, v, **(few | how)))
    assert len({json.dumps(c.prompts().reply.tolist()) for c in seen}) == len(seen)


def test_steering_is_off_while_replies_are_read_again_and_nothing_stays_hooked(kit, monkeypatch):
    model, vectors, _ = kit
    reply_states, seen = activations.reply_states, []

    def spy(model, *rest):
        seen.append((list(model.steers), hooks(model)))
        return reply_states(model, *rest)

    monkeypatch.setattr(activations, "reply_states", spy)
    emokit.calibrate(model, vectors, blocks=[2], strengths=[0.3], max_new_tokens=3)
    assert seen == [([], 0)] * 21
    assert (model.steers, hooks(model)) == ([], 0)


def test_replies_are_read_as_a_chat_is_and_cost_what_logprobs_say(kit):
    """The oracle: `read` of the conversation, and `logprobs` of the reply, one at a time."""
    model, vectors, _ = kit
    texts = ["Yes, of course it is.", "no", "Yes, of course it is.", "A third one, longer than the others are."]
    prompt = model.prompt("Is it?")
    found = activations.reply_states(model, prompt, texts, vectors.best_block)
    for text, (states, chances) in zip(texts, found, strict=True):
        chat = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": text}]
        reading = emokit.read(model, vectors, chat)
        behind = reading.scores[reading.readout + 1 :][: len(states)]
        bench = trials.token_scores(states, vectors, vectors.best_block)
        np.testing.assert_allclose(bench, behind, atol=1e-4)
        assert chances.sum() == pytest.approx(model.logprobs(prompt, [text])[0], abs=1e-3)
    assert len(activations.reply_states(model, prompt, [""], 0)[0][0]) == 0


def test_words_and_next_tokens_are_those_of_one_push_at_a_time(kit):
    model, vectors, _ = kit
    pushes = [("happy", 0.3), ("sad", -0.2), (vectors.random(1), 0.3), ("happy", 0.0)] * 17  # more than one batch
    words = trials.words(model, vectors, 2, pushes, "He feels", ["happy", "angry"])
    tokens = trials.next_tokens(model, vectors, 2, pushes, "He feels")
    for i in (0, 1, 3, 64, 67):
        with emokit.steer(model, vectors, dict([pushes[i]]), blocks=2):
            np.testing.assert_allclose(words[i], model.logprobs("He feels", [" happy", " angry"]), atol=1e-4)
    assert trials.divergence(tokens[3], tokens[[3, 0]])[0] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(np.exp(tokens).sum(1), 1, atol=1e-6)
    p, q = np.exp(tokens[3]), np.exp(tokens[0])
    assert trials.divergence(tokens[3], tokens[:1])[0] == pytest.approx((p * np.log(p / q)).sum())


def test_repetition_is_the_share_of_three_token_runs_had_before(model):
    assert trials.repeated(model, "abcdef") == 0
    assert trials.repeated(model, "aaaaa") == pytest.approx(2 / 3)
    assert trials.repeated(model, "a") == 0


def test_an_empty_reply_is_not_coherent_and_an_unsteered_one_counts_as_the_others():
    nan = float("nan")
    plain = {
        "replies": ["a", "", "b"],
        "scores": [[1.0], [nan], [3.0]],
        "nats": [1.0, nan, 2.0],
        "repeats": [0, 0, 0.5],
    }
    steered = {
        "replies": ["a", "", "c", "", "b", "d"], "scores": [[1.0], [nan], [5.0], [nan], [3.0], [4.0]],
        "nats": [1.0, nan, 2.5, nan, 2.0, 3.0], "repeats": [0, 0, 0, 0, 0.5, 1],
    }  # fmt: skip
    effects = Effects.of(np.zeros((2, 6, 1)), np.zeros(6), [steered], [plain], (3, 2))
    assert effects.nats[0].tolist() == [[0, np.inf], [1, 0], [0, 1]]
    assert effects.scores[0, :, :, 0].tolist() == [[0, 0], [3, 0], [0, 1]]
    assert effects.repeats[0].tolist() == [[0, 0], [0, 0], [0, 0.5]]


def made(own, random, nats, repeats=0.0, reported=None):
    """A calibration with one emotion and three random directions whose effects at 0.1, 0.2, 0.3 are given."""
    strengths = (0.1, 0.2, 0.3)
    scores = np.zeros((7, 4, 3, 1))
    scores[:3, 0, :, 0], scores[3:, 0, :, 0], scores[:, 1:, :, 0] = own, own if reported is None else reported, random
    cost = np.zeros((7, 4, 3))
    cost[:, 0] = nats
    effects = Effects(
        scores.mean(0)[None].repeat(2, 0) * 10, np.zeros((4, 3)), scores, cost, np.full((7, 4, 3), repeats),
        np.full((7, 4, 3), "", object),
    )  # fmt: skip
    asked = Effects(np.zeros((2, 1, 1, 1)), np.zeros((1, 1)), np.zeros((7, 1, 1, 1)), *[np.zeros((7, 1, 1))] * 3)
    return Calibration(("sad",), (4,), strengths, 4, (effects,), asked, (("",) * 4,) * 7)


UP = [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("given", "works", "why"),
    [
        (made(UP, 0.05, [0, 0.1, 0.4]), (0.1, 0.3), "coherent up to"),
        (made(UP, 0.05, [0, 0.1, 0.41]), (0.1, 0.2), "odd at +0.3"),
        (made(UP, 0.05, [0, 0.5, 0.1]), (0.1, 0.1), "odd at +0.2"),  # coherence must last up to the strength
        (made(UP, 0.15, 0), (0.2, 0.3), "coherent up to"),
        (made([0.2, 0.1, 0.2], 0.15, 0), (0.3, 0.3), "coherent up to"),  # the run that ends with the largest
        (made(UP, 0.5, 0), None, "random directions do as much"),
        (made(UP, 0.05, 1), None, "odd at +0.1"),
        (made(UP, 0.05, np.inf), None, "odd at +0.1"),
        (made(UP, 0.05, 0, repeats=0.21), None, "odd at +0.1"),
        (made([-0.1, -0.2, -0.3], -0.05, 0), None, "random directions do as much"),
    ],
)
def test_the_rule_of_the_working_strength(given, works, why):
    assert given.range() == works
    assert given.strength() == (works and works[1])
    assert why in given.why()
    assert given.strength(down=True) is None
    assert given.holds() == (True if works else None)
    assert given.by_block()["to"].isna().tolist() == [works is None]


def test_a_strength_that_does_not_hold_on_unlike_prompts_says_so():
    given = made(UP, 0.05, 0, reported=[0.1, 0.2, 0.04])
    assert given.strength() == 0.3
    assert given.holds() is False
    assert "does not hold on unlike prompts" in repr(given)
    rows = given.prompts()
    assert not rows.other_way.any()
    assert made([-0.1, 0.2, 0.3], 0, 0).prompts().other_way.sum() == 3 + 4


def test_by_default_emotions_are_at_the_corners_and_blocks_spread(kit):
    class V:
        emotions = ("afraid", "angry", "bored", "calm", "excited", "happy", "hopeless", "sad")
        blocks, best_block = range(30), 18

    assert calibration._emotions(V, None) == ("afraid", "calm", "excited", "hopeless")
    assert calibration._blocks(V, None) == (4, 9, 14, 18, 24)
    assert kit[2].emotions == ("happy", "sad", "angry")
    assert calibration._blocks(kit[1], None)


def test_it_shows_itself(kit):
    result = kit[2]
    assert repr(result).startswith("Calibration(block ")
    assert isinstance(result.plot(1), Figure)
    assert result._repr_png_() == plots.png(result.plot(result.best_block if result.best_block in (1, 2) else 1))
    assert len(result.to_frame()) == 2 * 2 * 3
    assert len(result.prompts()) == 7 * 3 * (2 * 3 + 1)
    assert list(result.by_block().index) == [1, 2]


def test_the_console_takes_its_limits_from_a_calibration(kit):
    model, vectors, _ = kit
    at = dataclasses.replace(made(UP, 0.15, [0, 0.1, 0.5]), blocks=(vectors.best_block,), best_block=vectors.best_block)
    board = SteeringConsole(model, vectors, "Hi", emotions=["happy"], max_new_tokens=2, calibration=at)
    assert tuple(board.limits) == (-0.3, 0.2)
    with pytest.raises(EmokitError, match="beyond the slider.*0.3.*Use -0.3 to 0.2"):
        board.set(happy=0.3)
    board.close()


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"emotions": ["hapy"]}, "unknown emotion: 'hapy'.*happy"),
        ({"emotions": "happy"}, "emotions must be a list"),
        ({"emotions": []}, "no emotion"),
        ({"blocks": [4]}, "unknown block: 4.*0 to 3"),
        ({"blocks": 2}, "blocks must be a list"),
        ({"blocks": []}, "no block"),
        ({"strengths": 0.2}, "strengths must be a list"),
        ({"strengths": []}, "no strength"),
        ({"strengths": [float("nan")]}, "finite number"),
        ({"strengths": ["0.2"]}, "finite number"),
        ({"strengths": [30]}, "beyond all use: 30"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_bad_input_is_named(kit, how, match):
    with pytest.raises(EmokitError, match=match):
        emokit.calibrate(*kit[:2], **how)


def test_other_bad_calls_are_named(kit, monkeypatch):
    model, vectors, result = kit
    with pytest.raises(EmokitError, match="not a Model"):
        emokit.calibrate(vectors, model)
    with emokit.steer(model, vectors, {"happy": 0.1}), pytest.raises(EmokitError, match="Leave the `with`"):
        emokit.calibrate(model, vectors)
    for call in (result.strength, result.range, result.why, result.holds, result.plot):
        with pytest.raises(EmokitError, match="not calibrated: 3. There are: 1, 2"):
            call(3)
    with pytest.raises(EmokitError, match="not a Calibration: 0.3"):
        SteeringConsole(model, vectors, emotions=["happy"], calibration=0.3)
    monkeypatch.setattr(trials.generation, "replies", lambda *a, **k: [""] * len(a[1]))
    with pytest.raises(EmokitError, match="no reply to a prompt: 'Tell me about your day.'"):
        emokit.calibrate(model, vectors)


def test_where_there_is_no_system_role_the_instruction_stands_before_the_prompt(model):
    assert trials.told(model, "sad", "Hi")[0]["role"] == "system"
    for template in (
        "{{ raise_exception('no system') }}",
        "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
    ):
        model.tokenizer.chat_template = template
        if "raise" in template:
            template = "{% if messages[0].role == 'system' %}" + template + "{% endif %}x"
            model.tokenizer.chat_template = template
        assert trials.told(model, "sad", "Hi") == [{"role": "user", "content": "Answer as somebody who is sad. Hi"}]


@pytest.mark.truth
def test_at_a_working_strength_words_move_further_than_under_random_directions(smol, smol_vectors):
    emotions = calibration._emotions(smol_vectors, None)
    assert emotions == ("afraid", "calm", "excited", "hopeless")
    pushes = [(key, 0.2) for key in (*emotions, *map(smol_vectors.random, range(3)))]
    for stem in trials.STEMS:
        words = trials.words(smol, smol_vectors, 18, pushes, stem, emotions) - smol.logprobs(
            stem, [f" {e}" for e in emotions]
        )
        gains = words - (words.sum(1, keepdims=True) - words) / 3
        assert np.diag(gains[:4]).mean() > 1
        assert np.diag(gains[:4]).mean() > gains[4:].max(0).mean()


def test_an_instruction_joins_the_system_message_that_is_there(model):
    messages = [{"role": "system", "content": "Be brief. "}, {"role": "user", "content": "Hi"}]
    assert trials.instructed(model, "Be calm.", messages) == [
        {"role": "system", "content": "Be brief. \nBe calm."},
        {"role": "user", "content": "Hi"},
    ]
    assert trials.instructed(model, "Be calm.", messages[:1])[1:] == messages[:1]


def test_what_was_measured_with_another_chat_template_is_measured_again(kit):
    model, vectors, _ = kit
    bench = trials.Bench(model, vectors, ["happy"], [], [0.1], 4, 0.0, 0)
    seen = []

    def look(prompt):
        seen.append(prompt)
        return {}

    template = model.tokenizer.chat_template
    try:
        for _ in range(2):
            bench.measured(look, "Hello")
        model.tokenizer.chat_template = template + " "
        bench.measured(look, "Hello")
    finally:
        model.tokenizer.chat_template = template
    assert len(seen) == 2
