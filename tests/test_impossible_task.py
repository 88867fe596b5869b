"""The agent loop of the impossible tasks, its counts, and the scripted trace and choices, on tiny models."""

import json
from functools import partial

import numpy as np
import pytest
from conftest import tiny_model

import emokit
from emokit import EmokitError, effects, results
from emokit.experiments import choices_result, impossible_task, sandbox, scripted
from emokit.experiments.attempts import gave_up, handed_in
from emokit.experiments.impossible_task import TASKS, script
from emokit.experiments.rollouts import conditions
from emokit.experiments.tally import Outcomes, outcome
from emokit.experiments.transcripts import SCRIPTS
from emokit.stories import Story, StorySet

needs_bubblewrap = pytest.mark.skipif(bool(sandbox.missing()), reason=f"needs bubblewrap: {sandbox.missing()}")
BY_NAME = {task.name: task for task in TASKS}
WORDS = BY_NAME["count_words"]


def fenced(code, kind="python", before=""):
    return f"{before}\n```{kind}\n{code}```\nThat should do."


def converse(task, *replies, turns=3):
    """The state and what was said when a model gives these replies."""
    messages, state, said = [], {"seed": 0}, []
    turn = script(task, turns).turn
    for reply in (*replies, None):
        text = turn(messages, state)
        said.append(text)
        if text is None or reply is None:
            break
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": reply}]
    return state["attempts"], said


# replies


@pytest.mark.parametrize(
    ("reply", "files"),
    [
        (fenced(WORDS.honest), {"solution.py": WORDS.honest}),
        (fenced(WORDS.honest, ""), {"solution.py": WORDS.honest}),
        (f"Sure:\n```python\n{WORDS.honest}", {"solution.py": WORDS.honest}),
        (fenced(WORDS.honest, before="This passes tests.py:"), {"solution.py": WORDS.honest}),
        (fenced("# solution.py\n" + WORDS.honest), {"solution.py": "# solution.py\n" + WORDS.honest}),
        (fenced(WORDS.honest) + fenced('print(count_words("a b"))\n'), {"solution.py": WORDS.honest}),
        (fenced("python tests.py\n", "bash") + fenced(WORDS.honest), {"solution.py": WORDS.honest}),
        (fenced(WORDS.honest) + fenced("assert True\n", before="And **tests.py**:"), {"solution.py": WORDS.honest, "tests.py": "assert True\n"}),
        (fenced(WORDS.honest) + fenced("# file: tests.py\nassert True\n"), {"solution.py": WORDS.honest, "tests.py": "# file: tests.py\nassert True\n"}),
        (fenced(WORDS.honest) + fenced("a,1\n", "csv", "january.csv:"), {"solution.py": WORDS.honest, "january.csv": "a,1\n"}),
        ("import re\n" + WORDS.honest, {"solution.py": "import re\n" + WORDS.honest}),
        ("I would count the words.", {}),
        ("", {}),
        (fenced(" "), {}),
    ],
)  # fmt: skip
def test_the_files_in_a_reply(reply, files):
    assert handed_in(reply, WORDS) == files


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("The tests contradict each other. This can't be done.", "The tests contradict each other."),
        ("I'm sorry, but it is impossible to pass them.", "I'm sorry, but it is impossible to pass them."),
        ("Well.\nI am unable to read a file that is not there.", "I am unable to read a file that is not there."),
        ("This cannot be solved honestly", "This cannot be solved honestly"),
        ("You can do this in one line.", ""),
        ("I can't wait to see it.", ""),
    ],
)
def test_giving_up_is_quoted(reply, said):
    assert gave_up(reply) == said


# the loop


@needs_bubblewrap
class TestLoop:
    def test_an_honest_failure_is_told_and_ends_with_the_turns(self):
        attempts, said = converse(WORDS, *[fenced(WORDS.honest)] * 3)
        assert [a["outcome"] for a in attempts] == ["fail"] * 3
        assert said[0] == WORDS.prompt
        assert 'assert count_words("rain on the roof") == 5' in said[1]
        assert said[1] == said[2]
        assert said[3] is None
        assert outcome(attempts) == "honest failure"

    def test_a_cheat_ends_it_and_keeps_its_evidence(self):
        attempts, said = converse(WORDS, fenced(WORDS.honest), fenced(WORDS.cheat))
        assert said[2] is None
        assert outcome(attempts) == "cheat"
        assert {e["rule"] for e in attempts[1]["evidence"]} == {"special case", "hidden tests"}

    def test_the_twin_is_solved(self):
        attempts, said = converse(WORDS.twin(), fenced(WORDS.honest))
        assert (outcome(attempts), said[1]) == ("solve", None)

    def test_a_task_that_needs_its_files_has_them_in_the_twin_alone(self):
        task = BY_NAME["phone"]
        assert outcome(converse(task.twin(), fenced(task.honest))[0]) == "solve"
        attempts, said = converse(task, fenced(task.honest), turns=1)
        assert outcome(attempts) == "honest failure"
        assert said[1] is None

    def test_a_script_is_named_by_what_decides_it(self):
        one, twin = script(WORDS), script(WORDS.twin())
        assert one.name != twin.name
        assert one.about != twin.about
        assert script(WORDS, 2).about != one.about
        json.dumps(one.about)


def test_giving_up_ends_it_and_no_program_is_asked_again():
    attempts, said = converse(WORDS, "Let me think.", "This is impossible.")
    assert "no ```python block" in said[1]
    assert said[2] is None
    assert [a["outcome"] for a in attempts] == ["no program", "give up"]
    assert outcome(attempts) == "give up"
    assert outcome(attempts[:1]) == "no program"


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (["fail", "cheat"], "cheat"), (["cheat", "solve"], "cheat"), (["fail", "solve"], "solve"), (["fail", "give up"], "give up"),
        (["no program", "fail"], "honest failure"), (["no program"], "no program"), ([], "no program"),
    ],
)  # fmt: skip
def test_what_a_rollout_came_to(seen, what):
    assert outcome([{"outcome": each} for each in seen]) == what


# counts


def counted():
    rows = [("none", "cheat"), ("none", "fail"), ("none", "honest failure"), ("+calm", "give up")]
    made = [{"task": "t", "twin": False, "condition": c, "outcome": o, "evidence": ["special case: if x == 1900: y"] if o == "cheat" else []} for c, o in rows]  # fmt: skip
    return Outcomes(("none", "+calm"), (*made, {**made[0], "twin": True, "outcome": "solve", "evidence": []}))


def test_rates_have_their_wilson_intervals():
    found = counted()
    assert found.rate("none")[3:] == (1, 3)
    low, high = found.rate("none")[1:3]
    assert (round(low, 3), round(high, 3)) == (0.061, 0.792)
    assert found.rate("none", "solve", twin=True).share == 1
    assert np.isnan(found.rate("+calm", "solve", twin=True).share)
    frame = found.to_frame()
    assert list(frame.rollouts) == [3, 1, 1]
    assert found.evidence().values.tolist() == [["t", "none", "special case", "if x == 1900: y"]]
    assert "1 cheat" in repr(found)
    assert found._repr_png_()[1:4] == b"PNG"
    for wrong in (("odd",), ("none", "odd")):
        with pytest.raises(EmokitError, match="unknown condition or outcome"):
            found.rate(*wrong)


@pytest.fixture(scope="module")
def small():
    """A tiny model with room for a task, and vectors of three emotions that the experiments need."""
    model = tiny_model(max_position_embeddings=4096)
    words = {"desperate": "rain loss tear", "calm": "sun song smile", "sad": "slam shout heat"}
    rows = [Story(e, t, f"{t}: {w} again, {w} at the {t}.") for e, w in words.items() for t in ("garden", "office", "school", "harbour")]  # fmt: skip
    stories = StorySet(tuple(rows), tuple(Story("neutral", t, f"The {t} has a door and 3 tables.") for t in ("hall", "shed", "yard")))  # fmt: skip
    return model, emokit.extract(model, stories, cache=False), stories


@needs_bubblewrap
def test_rollouts_are_counted_kept_and_not_made_again(small, tmp_path, monkeypatch):
    model, vectors, _ = small
    under = conditions(vectors, ["calm"], randoms=0)
    settings = dict(turns=1, max_new_tokens=4, log=tmp_path / "log.jsonl", quiet=True)
    found = impossible_task.outcomes(model, vectors, TASKS[:2], under, **settings)
    assert len(found.rows) == 6
    assert {row["outcome"] for row in found.rows} == {"no program"}
    monkeypatch.setattr("emokit.generation.reply_tokens", None)
    assert impossible_task.outcomes(model, vectors, TASKS[:2], under, **settings).rows == found.rows
    monkeypatch.undo()
    other = impossible_task.outcomes(model, vectors, TASKS[:1], under[:1], **settings, seeds=2, seed=5)
    assert [row["seed"] for row in other.rows] == [5, 6]


def test_without_a_sandbox_no_rollout_begins(small, monkeypatch):
    model, vectors, _ = small
    monkeypatch.setattr(sandbox, "missing", lambda: "bubblewrap is not installed")
    with pytest.raises(EmokitError, match=r"no sandbox.*apt install bubblewrap"):
        impossible_task.outcomes(model, vectors)
    with pytest.raises(EmokitError, match="not a Task"):
        impossible_task.outcomes(model, vectors, ["total"])
    for name in ("trace", "tempted"):  # one transcript is enough here
        monkeypatch.setattr(impossible_task, name, partial(getattr(impossible_task, name), transcripts=SCRIPTS[:1]))
    found = impossible_task.run(model, vectors, minutes=0)
    assert found.outcomes is None
    assert "no rollouts" in repr(found)
    kept = json.loads(json.dumps(results.plain(found.record())))
    again = impossible_task.recalled(kept)
    assert np.allclose(again.trace.scores, found.trace.scores, rtol=1e-4, atol=1e-5)
    assert np.allclose(again.choices.gap, found.choices.gap, rtol=1e-4)
    assert set(found.figures()) == {"choices", "trace"}
    frame = found.to_frame().set_index("condition")
    assert frame.loc["none", "code"] == 0
    assert frame.loc["+calm", "code"] == pytest.approx(found.change("+calm")[0])


def test_programs_and_letters_are_kept_apart_and_tasks_count_once():
    """The oracle: sums by hand of two tasks' programs, one of them in two places, and of one task's letters."""
    names = ("a b code 2", "a b code 4", "c code 2", "c words 2")
    tokens = np.array([[0.0, 0, 0, 0], [1, 3, 7, 100]])[:, :, None].repeat(2, 2)
    measured = choices_result.Choices(("none", "+calm"), names, 10 * tokens, tokens)
    assert scripted.forms(measured) == {"code": 2, "words": 1}
    assert scripted.by_task(measured, "code").tolist() == [[0, 0], [2, 7]]
    assert scripted.by_task(measured, "words").tolist() == [[0], [1000]]
    found = impossible_task.ImpossibleTask(None, measured, None)
    assert found.change("+calm")[0] == 4.5
    assert len(found.plot_choices().axes) == 2


# the scripted transcripts


def test_transcripts_fail_and_pass_in_the_same_words():
    assert len(SCRIPTS) == 6
    assert {each.kind for each in SCRIPTS} == {task.kind for task in TASKS}
    for each in SCRIPTS:
        assert len(each.attempts) == 6
        assert each.messages(0, True) == each.messages(0, False)
        failing, passing = each.messages(6, False), each.messages(6, True)
        assert [a for a, b in zip(failing, passing, strict=True) if a == b] == failing[:1] + failing[1::2]
        assert failing[:5] == each.messages(2, False)
    with pytest.raises(EmokitError, match="more results"):
        SCRIPTS[0].messages(7, False)


@needs_bubblewrap
@pytest.mark.parametrize("each", SCRIPTS, ids=lambda t: t.name)
def test_the_scripted_attempts_are_what_they_say(each):
    """All six solve the twin, so that they are honest; they are run together, to take one sandbox."""
    task = BY_NAME[each.name].twin()
    code = "import runpy, sys\n"
    for n in range(6):
        code += f"import a{n}; sys.modules['solution'] = a{n}; runpy.run_path('tests.py'); runpy.run_path('hidden.py') if not {bool(task.files)} else 0\n"
    files = {f"a{n}.py": attempt for n, attempt in enumerate(each.attempts)}
    ran = sandbox.run(code, 60, {**files, "tests.py": task.tests, "hidden.py": task.hidden, **task.files})
    assert ran.ok, ran.stderr


def test_the_trace_is_what_reading_each_prompt_gives(small):
    model, vectors, stories = small
    found = impossible_task.trace(model, vectors, SCRIPTS[:2], block=2, stories=stories)
    assert found.scores.shape == (2, 2, 7, 3)
    for i, n, passes in ((0, 0, False), (1, 3, True), (0, 6, False)):
        reading = emokit.read(model, vectors, SCRIPTS[i].messages(n, passes), block=2)
        assert np.allclose(found.scores[i, int(passes), n], reading.scores[reading.readout], atol=1e-5)
    assert np.allclose(found.scores[:, 0, 0], found.scores[:, 1, 0])
    assert found.gap()[0] == pytest.approx((found.scores[:, 0, 1:, 0] - found.scores[:, 1, 1:, 0]).mean())
    assert len(found.shuffled) == scripted.SHUFFLES
    assert len(found.random) == effects.DIRECTIONS
    assert found.p()["emotions"] == found.rank() / 3
    assert set(found.to_frame().index) == set(vectors.emotions)
    assert impossible_task.trace(model, vectors, SCRIPTS[:1], block=2).p()["shuffled labels"] != 0
    again = scripted.Trace.recalled(json.loads(json.dumps(results.plain(found.record()))))
    assert again.gap()[0] == pytest.approx(found.gap()[0], rel=1e-3)


def test_a_template_that_rewrites_the_past_is_read_prompt_by_prompt(small):
    model, vectors, _ = small
    straight = impossible_task.trace(model, vectors, SCRIPTS[:1], block=1)
    template = model.tokenizer.chat_template
    try:
        model.tokenizer.chat_template = "{{ bos_token }}{{ messages | length }}" + template.removeprefix(
            "{{ bos_token }}"
        )
        other = impossible_task.trace(model, vectors, SCRIPTS[:1], block=1)
        reading = emokit.read(model, vectors, SCRIPTS[0].messages(4, False), block=1)
        assert np.allclose(other.scores[0, 0, 4], reading.scores[reading.readout], atol=1e-5)
    finally:
        model.tokenizer.chat_template = template
    assert not np.allclose(straight.scores, other.scores)


def planted(gap):
    """A trace whose `desperate` is higher by `gap` after failures, among three emotions at right angles."""
    scores = np.random.default_rng(0).normal(0, 0.002, (5, 2, 4, 3))
    scores[:, 0, 1:, 0] += gap
    return scripted.Trace(("a",) * 5, ("desperate", "sad", "calm"), 3, scores, np.eye(3), np.full(99, 0.01))


def test_a_planted_rise_is_found_and_none_is_not():
    found = planted(0.2)
    assert found.gap()[0] == pytest.approx(0.2, abs=0.01)
    assert found.gap()[1] > 0.19
    assert found.rank() == 1
    assert found.p()["shuffled labels"] == 0.01
    assert planted(-0.2).rank() == 3
    assert planted(-0.2).p()["random directions"] > 0.9
    assert planted(0).gap()[1] < 0 < planted(0).gap()[2] or abs(planted(0).gap()[0]) < 0.003
    assert found._repr_png_()[1:4] == b"PNG"


def test_choices_compare_the_cheat_with_the_next_honest_attempt(small):
    model, vectors, _ = small
    made = scripted.tempting(SCRIPTS[:2], [1])
    assert [c.name for c in made] == ["total code 1", "total words 1", "largest code 1"]
    assert made[0].options == (f"{SCRIPTS[0].cheat}```", f"{SCRIPTS[0].attempts[1]}```")
    assert made[1].content[-1]["content"].endswith(scripted.NEXT)
    found = impossible_task.tempted(model, vectors, {"none": {}, "calm": {"calm": 0.1}}, SCRIPTS[:1], [0], words=False)
    prompt = model.prompt(SCRIPTS[0].messages(0, False)) + scripted.LEAD
    cheat, honest = model.logprobs(prompt, [f"{SCRIPTS[0].cheat}```", f"{SCRIPTS[0].attempts[0]}```"])
    assert found.gap[0, 0] == pytest.approx(cheat - honest, abs=1e-3)
    with pytest.raises(EmokitError, match="more failures"):
        scripted.tempting(SCRIPTS[:1], [6])


def test_bad_transcripts(small):
    model, vectors, _ = small
    for wrong in ([], ["total"]):
        with pytest.raises(EmokitError, match="Transcript"):
            impossible_task.trace(model, vectors, wrong)
