import numpy as np
import pytest
import torch
from conftest import byte_tokenizer, hooks

import emokit
from emokit import EmokitError, batches
from emokit.experiments.judge import MARK, QUESTION, judge

REPLIES = ["The answer is 12.", "I am losing my mind over this! Never again.", ""]


@pytest.fixture
def roomy():
    from conftest import tiny_model

    return tiny_model(max_position_embeddings=2048)


def plainly(model, reply):
    """The chances of the numbers by whole passes, one text at a time."""
    ids = model.encode(model.prompt(QUESTION.replace(MARK, reply.strip())))

    def after(more):
        with torch.no_grad():
            return model.hf(torch.tensor([ids + more])).logits[0, -1].double().softmax(-1)

    token = {n: model.tokenizer(str(n), add_special_tokens=False)["input_ids"][0] for n in range(10)}
    first, then = after([]), after([token[1]])
    chances = np.array([float(first[token[n]]) for n in range(10)] + [0.0])
    chances[10] = chances[1] * float(then[token[0]])
    chances[1] *= 1 - float(then[token[0]])
    return chances


@pytest.mark.parametrize("padding", ["holes", "left", "none"])
def test_scores_are_the_numbers_weighted_by_their_chances(roomy, monkeypatch, padding):
    monkeypatch.setattr(batches, "_KNOWN", {roomy.hf: padding})
    found = judge(roomy, REPLIES, rows=2)
    expected = np.array([plainly(roomy, reply) for reply in REPLIES])
    np.testing.assert_allclose(found.mass, expected.sum(1), rtol=1e-3)
    np.testing.assert_allclose(found.scores, expected @ np.arange(11) / expected.sum(1), rtol=1e-3)
    assert ((found.scores >= 0) & (found.scores <= 10)).all()
    assert hooks(roomy) == 0


def test_a_judge_that_always_says_ten_gives_ten(roomy):
    one, zero = (roomy.tokenizer(n, add_special_tokens=False)["input_ids"][0] for n in "10")

    def ten(_module, _inputs, output):  # "1" first, then "0"
        output.logits[:] = -1e4
        output.logits[..., one if not ten.asked else zero] = 10.0
        ten.asked += 1
        return output

    batches.padding(roomy)
    ten.asked = -1  # what all questions begin with is read before
    roomy.hf.register_forward_hook(lambda m, i, o: ten(m, i, o) if ten.asked >= 0 else setattr(ten, "asked", 0))
    found = judge(roomy, REPLIES[:2])
    np.testing.assert_allclose(found.scores, 10)
    np.testing.assert_allclose(found.mass, 1)


def test_after_the_minutes_the_rest_is_not_judged(roomy):
    found = judge(roomy, REPLIES, rows=1, minutes=0)
    assert np.isfinite(found.scores).tolist() == [True, False, False]
    assert len(judge(roomy, []).scores) == 0


def test_judging_under_steering_and_judges_without_digits_are_refused(model, vectors, monkeypatch):
    with emokit.steer(model, vectors, {"happy": 0.1}), pytest.raises(EmokitError, match="Leave the `with`"):
        judge(model, REPLIES)
    with pytest.raises(EmokitError, match="beyond the context"):
        judge(model, REPLIES)
    with pytest.raises(EmokitError, match="must be a list"):
        judge(model, "one")
    tokenizer = byte_tokenizer()
    assert len(tokenizer("10", add_special_tokens=False)["input_ids"]) == 2
