"""Tone: the generator and the checker of problems, and laws of the run, its intervals and what the directions explain."""

import numpy as np
import pytest
from scipy.special import logsumexp

import emokit
from emokit import EmokitError, activations
from emokit.experiments import names, tone
from emokit.experiments.problems import FACTS, KINDS, Problem, checked, problems
from emokit.experiments.tone_result import ToneResult
from emokit.plots import Figure

# problems


def test_the_generator_is_seeded_and_takes_the_kinds_by_turns():
    made = problems(72)
    assert made == problems(72)
    assert made[:9] == problems(9)
    assert made != problems(72, seed=1)
    assert [p.kind for p in made[:6]] == [*KINDS, *KINDS]
    assert len({p.question for p in made}) == 72


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_right_and_the_others_wrong(seed):
    for problem in problems(72, seed):
        assert problem.answer not in problem.others
        assert len(set(problem.others)) == len(problem.others) == 3
        words = problem.question.rstrip("?").split()
        if problem.kind == "arithmetic":
            a, sign, b = int(words[2]), words[3], int(words[4])
            assert int(problem.answer) == {"+": a + b, "-": a - b, "x": a * b}[sign]
        quoted = problem.question.split('"')
        if "How many letters" in problem.question:
            assert int(problem.answer) == len(quoted[1])
        elif "letter of the word" in problem.question:
            assert problem.answer == quoted[1][0 if "first" in problem.question else -1]
        elif "of this list" in problem.question:
            listed = problem.question.split(": ")[1].rstrip("?").split(", ")
            place = {"first": 0, "second": 1, "third": 2, "last": 3}[words[3]]
            assert listed[place] == problem.answer


def test_facts_do_not_name_an_answer_in_the_question():
    for question, *options in FACTS:
        assert not [o for o in options if o.casefold() in question.casefold().split()]
    assert len({f[0] for f in FACTS}) == len(FACTS)


@pytest.mark.parametrize(
    ("answer", "others", "reply", "right"),
    [
        ("68", ("69",), "68", True),
        ("68", ("69",), "The answer is 68.", True),
        ("68", ("69",), "23 + 45 = 68", True),
        ("68", ("69",), "68 = 23 + 45 and 45 is odd", False),  # the last number of the line
        ("68", ("69",), "It is 68.\nOr is it 69?", True),
        ("68", ("69",), "I think:\n\n68", True),
        ("68", ("69",), "168", False),
        ("68", ("69",), "68.5", False),
        ("68", ("69",), "-68", False),
        ("-5", ("5",), "−5", True),
        ("1234", ("1",), "1,234", True),
        ("68", ("69",), "sixty-eight", False),
        ("68", ("69",), "", False),
        ("Paris", ("Rome",), "The capital of France is Paris.", True),
        ("Paris", ("Rome",), "paris", True),
        ("Paris", ("Rome",), "Rome, not Paris.", False),
        ("Paris", ("Rome",), "Parisian", False),
        ("South America", ("Asia",), "In south america", True),
        ("t", ("e",), 'The last letter is "t".', True),
        ("t", ("e",), "The last letter of market is 't'", True),
        ("t", ("e",), "It isn't e", False),
        ("s", ("e",), "It's e", False),
        ("a", ("b",), "It is a b", False),
        ("a", ("b",), 'It is "a"', True),
        ("a", ("b",), "A", True),
        ("a", ("b",), "(a)", True),
    ],
)
def test_the_checker(answer, others, reply, right):
    assert Problem("string", "q?", answer, others).right(reply) is right


@pytest.mark.parametrize("problem", problems(72), ids=lambda p: p.question[:30])
def test_an_answer_alone_is_right_and_every_other_is_wrong(problem):
    assert problem.right(problem.answer)
    assert problem.right(f"{problem.answer}.")
    assert problem.right(f'The answer is "{problem.answer}".')
    assert not any(problem.right(other) or problem.right(f"The answer is {other}.") for other in problem.others)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: problems(0), "number of problems"),
        (lambda: problems(73), "too many"),
        (lambda: problems(3, -1), "seed"),
        (lambda: checked([]), "no problems"),
        (lambda: checked(problems(1) * 2), "one question"),
        (lambda: checked("ab"), "list"),
        (lambda: checked([Problem("fact", "q", "a", ())]), "other answers"),
        (lambda: checked([Problem("fact", "q", "a", ("a",))]), "other answers"),
        (lambda: checked([Problem("fact", "q", 5, ("a",))]), "string"),
    ],
)
def test_bad_problems_are_one_clear_error(call, match):
    with pytest.raises(EmokitError, match=match):
        call()


# names


def test_the_nearest_emotion_is_named(vectors, monkeypatch):
    monkeypatch.setitem(names.NEAR, "calm", ("serene", "happy"))
    assert names.nearest(vectors, ["sad", "calm"]) == {"sad": "sad", "calm": "happy"}
    assert names.nearest(vectors, ["happy", "calm"]) == {"happy": "happy"}  # each once
    with pytest.raises(EmokitError, match="none of these"):
        names.nearest(vectors, ["nervous"])
    with pytest.raises(EmokitError, match="unknown emotion"):
        names.nearest(vectors, ["hapy"])


# the run


@pytest.fixture
def found(model, vectors, monkeypatch):
    monkeypatch.setattr(tone, "LIMIT", 4)
    return tone.run(model, vectors, problems(5), emotions=["happy", "sad"], strength=0.6, randoms=2, quiet=True)


def test_every_tone_has_four_wordings_of_its_own():
    wordings = [w for group in tone.TONES.values() for w in group]
    assert {len(group) for group in tone.TONES.values()} == {4}
    assert len(set(wordings)) == 16
    assert next(iter(tone.TONES)) == "neutral"


def test_conditions_stand_in_order(found):
    assert found.conditions[:4] == ("neutral", "encouragement", "pressure", "threat")
    assert found.conditions[4:10] == ("-happy", "+happy", "-sad", "+sad", "random 0", "random 1")
    assert found.conditions[10:13] == ("as encouragement", "random 0 as encouragement", "random 1 as encouragement")
    assert found.confidence.shape == found.right.shape == found.length.shape == (19, 5)
    assert found.randoms() == ["random 0", "random 1"]
    assert found.randoms("threat") == ["random 0 as threat", "random 1 as threat"]


@pytest.mark.parametrize(
    ("condition", "put", "strengths"),
    [
        ("neutral", "neutral", {}),
        ("threat", "threat", {}),
        ("+sad", "neutral", {"sad": 0.6}),
        ("-happy", "neutral", {"happy": -0.6}),
    ],
)
def test_confidence_is_the_log_odds_of_the_right_answer(model, vectors, found, condition, put, strengths):
    for i in (0, 4):
        problem = problems(5)[i]
        text = model.prompt(f"{tone.TONES[put][i % 4]}\n\n{problem.question} Answer with the answer alone.")
        with emokit.steer(model, vectors, strengths):
            right, *others = model.logprobs(text, [problem.answer, *problem.others])
        got = found.confidence[found.conditions.index(condition), i]
        assert got == pytest.approx(right - logsumexp(others), abs=2e-3)


def test_replies_are_those_of_generate(model, vectors, found):
    problem, text = problems(5)[1], f"{tone.TONES['neutral'][1]}\n\n{problems(5)[1].text}"
    with emokit.steer(model, vectors, {"sad": 0.6}):
        reply = model.generate(text, max_new_tokens=4).strip()
    row = found.conditions.index("+sad")
    assert found.replies["+sad"][1] == reply
    assert found.right[row, 1] == problem.right(reply)
    assert 0 <= found.length[row].min() <= found.length[row].max() <= 4
    assert np.isnan(found.right[found.conditions.index("random 0 as threat")]).all()


def test_shifts_are_differences_of_scores_at_the_readout(model, vectors, found):
    block = vectors.best_block
    shifts = []
    for i, problem in enumerate(problems(5)):
        told = [[{"role": "user", "content": tone.put(problem, t, i)}] for t in ("neutral", "threat")]
        before, after = (emokit.read(model, vectors, m) for m in told)
        shifts.append(after.scores[after.readout] - before.scores[before.readout])
    column = vectors.index("sad")
    np.testing.assert_allclose(found.shift[:, 2, 1], np.array(shifts)[:, column], atol=1e-4)
    row = found.shifts().set_index(["tone", "emotion"]).loc["threat", "sad"]
    assert row["shift"] == pytest.approx(found.shift[:, 2, 1].mean())
    assert row.low <= row["shift"] <= row.high
    assert block == found.block


def test_a_push_is_the_part_of_the_shift_along_the_directions(model, vectors):
    """A shift made of the directions is found again, though they are not at right angles."""
    rng = np.random.default_rng(0)
    block = 1
    rows = np.stack([vectors[e].rows[block] for e in ("happy", "sad")])
    base = rng.standard_normal((4, 1, vectors.width))
    wanted = np.array([[0.3, -0.1], [0.0, 0.2]])
    moved = base + (wanted @ rows * vectors.norms[block])[None]
    got = tone.pushes(np.concatenate([base, moved], axis=1), vectors, block, ("happy", "sad"))
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    likes = tone.alike(vectors, block, ("happy", "sad"), {"a": wanted[0], "b": wanted[1]}, [vectors.random(3)])
    assert list(likes) == ["as a", "random 3 as a", "as b", "random 3 as b"]
    added = [sum(s * vectors.direction(k).rows[block] for k, s in likes[n].items()) for n in ("as a", "random 3 as a")]
    assert np.linalg.norm(added[0]) == pytest.approx(np.linalg.norm(added[1]), rel=1e-5)


def test_the_same_run_again_asks_the_model_nothing(model, vectors, found, monkeypatch):
    monkeypatch.setattr(type(model), "forward", None)
    again = tone.run(model, vectors, problems(5), emotions=["happy", "sad"], strength=0.6, randoms=2, quiet=True)
    np.testing.assert_array_equal(again.confidence, found.confidence)
    assert again.replies == found.replies


def test_without_replies_confidence_stands_alone(model, vectors):
    got = tone.run(model, vectors, problems(3), emotions=["sad"], randoms=1, replies=False, quiet=True)
    assert np.isnan(got.right).all()
    assert all(np.isnan(got.change("threat", "accuracy")))
    assert isinstance(got.plot(), Figure)
    assert len(got.plot().axes) == 1


def test_a_budget_reports_what_is_there(model, vectors):
    got = tone.run(model, vectors, problems(6), emotions=["sad"], randoms=1, minutes=0, quiet=True)
    assert len(got.problems) == 1
    assert got.confidence.shape[1] == 1


# what is said of it, on numbers made by hand


def made(effect, pushed, random, noise=0.01, count=40, **more):
    """A result in which a threat changes confidence by `effect`, its push by `pushed`, a random push by `random`."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal(count)
    rows = [base, *(base + v + noise * rng.standard_normal(count) for v in (effect, pushed, random))]
    blank = np.full((4, count), np.nan)
    settings = dict(
        model="m", block=1, strength=0.1, emotions=("sad",), wanted=("sad",), tones=("neutral", "threat"),
        problems=tuple(map(str, range(count))), kinds=("fact",) * count,
        conditions=("neutral", "threat", "as threat", "random 0 as threat"), confidence=np.array(rows), right=blank,
        length=blank, shift=np.zeros((count, 1, 1)), shift_null=np.zeros(1), pushes=np.zeros((1, 1)),
    )  # fmt: skip
    return ToneResult(**settings | more)


@pytest.mark.parametrize(
    ("numbers", "says", "share"),
    [
        ((0.0, 0.5, 0.1), "no effect of the tone", None),
        ((-1.0, 0.0, 0.1), "none of it shown", None),
        ((-1.0, -0.2, 0.4), "no more than random", None),
        ((-1.0, 0.5, 0.01), "the other way", None),
        ((-1.0, -0.5, 0.1), "no more than random ones might (p 0.12)", None),  # five times one random push
        ((-1.0, -0.5, 0.01), "50% [50%, 50%] of the effect", 0.5),
    ],
)
def test_what_is_explained_stops_where_the_data_stop(numbers, says, share):
    row = made(*numbers).explained().loc["threat"]
    assert says in row.says
    if share is None:
        assert np.isnan([row.share, row.share_low, row.share_high]).all()
    else:
        assert row.share == pytest.approx(share, abs=0.02)
        assert row.share_low < row.share < row.share_high


def test_nothing_measured_says_so():
    assert made(1, 1, 0).explained("accuracy").loc["threat"].says == "nothing measured"
    assert made(1, 1, 0, count=4).explained().loc["threat"].says == "too few problems to say"
    assert made(1, 1, np.nan).explained().loc["threat"].says.startswith("an effect; random pushes were not measured")


def test_changes_are_paired():
    """Problems differ by much, tones by little: unpaired, the interval would hide it."""
    value, low, high = made(0.1, 0, 0).change("threat")
    assert value == pytest.approx(0.1, abs=0.01)
    assert 0 < low < high < 0.2
    assert "threat changes confidence by +0.10" in made(0.1, 0, 0).said
    assert made(0.0, 0, 0, noise=0.5).said.startswith("no tone changes")


def test_it_comes_back_from_its_record(found):
    again = ToneResult.recalled(found.record())
    assert repr(again) == repr(found)
    np.testing.assert_allclose(again.confidence, found.confidence, rtol=1e-5)
    assert again.conditions == found.conditions
    assert again.to_frame().shape == found.to_frame().shape
    assert found._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, v: tone.run(v, m), "not a Model"),
        (lambda m, v: tone.run(m, v, ["x"]), "not a Problem"),
        (lambda m, v: tone.run(m, v, emotions=["nervous"]), "none of these"),
        (lambda m, v: tone.run(m, v, emotions=["sad"], strength=-1), "strength"),
        (lambda m, v: tone.run(m, v, emotions=["sad"], randoms=0), "random directions"),
        (lambda m, v: tone.run(m, v, emotions=["sad"], minutes=-1), "minutes"),
        (lambda m, v: tone.run(m, v, emotions=["sad"], block=9), "unknown block"),
        (lambda m, v: made(1, 1, 1).change("pressure"), "unknown condition"),
        (lambda m, v: made(1, 1, 1).change("threat", "speed"), "unknown measure"),
    ],
)
def test_bad_input_is_one_clear_error(model, vectors, call, match):
    with pytest.raises(EmokitError, match=match):
        call(model, vectors)


def test_readouts_are_read_unsteered(model, vectors):
    """The pushes are fitted to what the model does by itself."""
    prompts = [model.prompt("x"), model.prompt("y")]
    with emokit.steer(model, vectors, {"sad": 2.0}), pytest.raises(EmokitError, match="steer"):
        tone.run(model, vectors, problems(1), emotions=["sad"], randoms=1, quiet=True)
    assert activations.readouts(model, prompts).shape == (2, model.n_blocks, model.width)
