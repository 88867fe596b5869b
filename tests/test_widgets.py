import json
import threading

import numpy as np
import pytest
from conftest import hooks

import emokit
from emokit import EmokitError
from emokit.widgets import Latest, SteeringConsole, console
from emokit.widgets.console import _told


@pytest.fixture(autouse=True)
def long_sliders(monkeypatch):
    """A random model needs more of a push than the real one, whose sliders end at 0.3."""
    monkeypatch.setattr(console, "LIMIT", 0.5)


def test_the_newest_request_wins_and_the_running_one_is_told_to_stop():
    begun, go, log = threading.Event(), threading.Event(), []

    def work(stop, n):
        if n == 0:
            begun.set()
            go.wait(5)
        log.append((n, stop.is_set()))

    worker = Latest(work, failed=log.append)
    worker.submit(0)
    assert begun.wait(5)
    assert not worker.wait(0.01)
    for n in (1, 2, 3):
        worker.submit(n)
    go.set()
    assert worker.wait(5)
    assert log == [(0, True), (3, False)]
    worker.close()


def test_a_stop_from_another_thread_ends_the_wait_for_what_never_began():
    began, go_on = threading.Event(), threading.Event()

    def work(stop):
        began.set()
        go_on.wait(5)

    worker = Latest(work, failed=print)
    worker.submit()
    assert began.wait(5)
    worker._thread = threading.current_thread()  # no other thread picks up what is submitted now
    with worker._changed:
        worker._running = None
    waiter = threading.Thread(target=worker.wait)
    worker.submit()
    waiter.start()
    worker.stop()
    waiter.join(2)
    assert not waiter.is_alive()
    go_on.set()


def test_errors_are_shown_once_and_raised_by_every_wait():
    seen = []

    def work(stop):
        raise EmokitError("no")

    worker = Latest(work, failed=seen.append)
    worker.submit()
    for _ in range(2):
        with pytest.raises(EmokitError):
            worker.wait(5)
    assert len(seen) == 1
    worker.submit()  # it still works after an error
    with pytest.raises(EmokitError):
        worker.wait(5)
    worker.close()
    worker.submit()  # and after a close
    with pytest.raises(EmokitError):
        worker.wait(5)


def test_the_error_of_a_run_that_another_has_replaced_is_nobodys():
    begun, go, seen = threading.Event(), threading.Event(), []

    def work(stop, n):
        if n == 0:
            begun.set()
            go.wait(5)
            raise EmokitError("too late")

    worker = Latest(work, failed=seen.append)
    worker.submit(0)
    assert begun.wait(5)
    worker.submit(1)
    go.set()
    assert worker.wait(5)
    assert seen == []
    worker.close()


@pytest.fixture
def board(model, vectors):
    board = SteeringConsole(model, vectors, "Hello", emotions=["happy", "sad"], max_new_tokens=6)
    yield board
    board.close()


def from_browser(board, **state):
    """What the front end sends when a control is moved."""
    message = {"method": "update", "state": state, "buffer_paths": []}
    board._handle_msg({"content": {"data": message}, "buffers": []})


def columns(board, part="columns"):
    return {column["name"]: column for column in board.view[part]}


def test_the_console_works_from_python(board, model, vectors):
    board.set(happy=0.5, sad=-0.25)
    assert board.wait(20)
    assert board.replies["unsteered"] == model.generate("Hello", max_new_tokens=6)
    with emokit.steer(model, vectors, {"happy": 0.5, "sad": -0.25}):
        assert board.replies["steered"] == model.generate("Hello", max_new_tokens=6)
    assert board.replies["random direction"] == ""
    assert board.status == "done"
    assert repr(board) == "SteeringConsole(happy=+0.50, sad=-0.25)"
    assert hooks(model) == 0


def test_a_slider_moved_in_the_browser_runs_the_model(board):
    from_browser(board, strengths={"happy": 0.4, "sad": 0.0})
    assert board.wait(20)
    assert board.strengths == {"happy": 0.4, "sad": 0.0}
    assert board.replies["steered"]


@pytest.mark.parametrize("end", [-0.5, 0.5])
def test_a_slider_at_its_end(board, model, vectors, end):
    from_browser(board, strengths={"happy": end, "sad": end})
    assert board.wait(20)
    with emokit.steer(model, vectors, {"happy": end, "sad": end}):
        assert board.replies["steered"] == model.generate("Hello", max_new_tokens=6)


def test_at_zero_all_columns_agree_and_prompting_asks_for_nothing(board):
    board.set(control=True, asked=True)
    assert board.wait(20)
    assert len(set(board.replies.values())) == 1


def test_the_control_is_a_random_direction_of_the_same_size(board, model, vectors):
    board.set(happy=0.3, sad=0.4, control=True, block=1)
    assert board.wait(20)
    pushed = 0.3 * vectors["happy"].rows + 0.4 * vectors["sad"].rows
    size = float(np.linalg.norm(pushed[1]))
    with emokit.steer(model, vectors, {vectors.random(0): size}, blocks=1):
        assert board.replies["random direction"] == model.generate("Hello", max_new_tokens=6)


def test_just_prompting_asks_the_unsteered_model_in_words(board, model):
    board.set(happy=0.3, sad=-0.4, asked=True, system="Be brief.")
    assert board.wait(20)
    wish = "Be brief.\nAnswer as somebody who is happy and not sad."
    messages = [{"role": "system", "content": wish}, {"role": "user", "content": "Hello"}]
    assert board.replies["just prompting"] == model.generate(messages, max_new_tokens=6)


def test_a_template_without_system_role_gets_the_wish_before_the_prompt(model):
    model.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    (message,) = _told(model, [{"role": "user", "content": "Hello"}], {"happy": 0.1, "sad": 0.0})
    assert message == {"role": "user", "content": "Answer as somebody who is happy. Hello"}


def test_sampling_draws_the_same_for_every_column(board, model):
    for seed in (7, 8):
        board.set(temperature=1.0, seed=seed)
        assert board.wait(20)
        assert board.replies["unsteered"] == board.replies["steered"] == model.generate("Hello", 6, 1.0, seed)


def test_every_token_but_the_newest_has_the_score_that_watch_gives(board, model, vectors):
    board.set(happy=0.5, max_new_tokens=10)
    assert board.wait(20)
    with emokit.steer(model, vectors, {"happy": 0.5}), emokit.watch(model, vectors) as seen:
        model.generate("Hello", max_new_tokens=10)
    column = columns(board)["steered"]
    rows = np.frombuffer(column["scores"], np.int8).reshape(-1, len(vectors.emotions)) / 100
    count = min(len(rows), len(seen.reading.tokens) - 1)
    assert count >= 5
    assert "".join(column["tokens"]).startswith("".join(seen.reading.tokens[1 : 1 + count]))
    np.testing.assert_allclose(rows[:count], seen.reading.scores[1 : 1 + count], atol=0.0051)


def test_replies_grow_side_by_side_token_by_token(board):
    lengths = []
    board.observe(lambda change: lengths.append([len(c["tokens"]) for c in change.new.get("columns", [])]), "view")
    board.set(happy=0.2)
    assert board.wait(20)
    assert lengths[0] == [0, 0]
    assert [1, 1] in lengths
    assert lengths == sorted(lengths)


def test_a_known_unsteered_reply_is_not_generated_again(board, model):
    rows = []
    board.set(happy=0.1)
    assert board.wait(20)
    handle = model.hf.get_input_embeddings().register_forward_hook(lambda _m, inputs, _o: rows.append(len(inputs[0])))
    board.set(happy=0.2)
    assert board.wait(20)
    assert set(rows) == {1}
    board.set(prompt="Another")
    assert board.wait(20)
    assert set(rows) == {1, 2}
    handle.remove()
    assert board.replies["unsteered"] == model.generate("Another", max_new_tokens=6)


def test_a_moved_slider_reads_no_prompt_before_the_steered_block(board, model):
    prompts = []
    _ = model.replays  # found out once, by passes of its own
    handle = model.blocks[0].mlp.register_forward_hook(
        lambda _m, inputs, _o: prompts.append(inputs[0].shape[0]) if inputs[0].shape[1] > 1 else None
    )
    for settings, passes in (
        ({"happy": 0.1}, [2]),
        ({"happy": 0.2}, []),
        ({"prompt": "Another"}, [2]),
        ({"seed": 5}, []),
    ):
        prompts.clear()
        board.set(**settings)
        assert board.wait(20)
        assert prompts == passes
    handle.remove()
    with emokit.steer(model, board._vectors, {"happy": 0.2}):
        assert board.replies["steered"] == model.generate("Another", max_new_tokens=6)


def test_a_sweep_is_one_batch_over_the_slider(board, model, vectors):
    board.swept = "sad"
    board._handle_custom_msg({"do": "sweep"}, [])
    assert board.wait(20)
    expected = emokit.sweep(model, vectors, "Hello", "sad", [-0.5, -0.25, 0.25, 0.5], max_new_tokens=6)
    assert [c["text"] for c in board.view["sweep"]] == list(expected.replies)
    assert [c["name"] for c in board.view["sweep"]] == [
        f"sad {s:+.2f}".replace("-", "−") for s in (-0.5, -0.25, 0, 0.25, 0.5)
    ]
    with pytest.raises(EmokitError, match="unknown emotion"):
        board.sweep("joy")


def test_stop_ends_a_long_run_and_the_next_one_is_whole(board, model):
    seen, calls = threading.Event(), []

    def count(*_):
        calls.append(1)
        seen.set()

    handle = model.hf.register_forward_hook(count)
    from_browser(board, max_new_tokens=400)
    assert seen.wait(10)
    board._handle_custom_msg({"do": "stop"}, [])
    assert board.wait(10)
    handle.remove()
    assert board.status == "stopped"
    assert len(calls) < 200
    assert hooks(model) == 0
    assert board.history == []
    board.set(max_new_tokens=6)
    assert board.wait(20)
    assert board.replies["unsteered"] == model.generate("Hello", max_new_tokens=6)


def test_an_error_in_a_run_is_shown_with_what_to_do(board):
    board.set(prompt="x" * 600)
    with pytest.raises(EmokitError):
        board.wait(20)
    assert "beyond the context" in board.error
    board.set(prompt="Hello")
    assert board.wait(20)
    assert (board.status, board.error) == ("done", "")


def test_waiting_inside_a_steer_is_refused_for_it_would_never_end(board, model, vectors):
    with emokit.steer(model, vectors, {"happy": 0.1}), pytest.raises(EmokitError, match="leave the `with`"):
        board.wait()


def test_a_cell_that_generates_while_a_board_streams_gets_its_own_reply(board, model):
    alone = model.generate("Quite another prompt", max_new_tokens=8)
    board.set(happy=0.5, max_new_tokens=60)
    assert model.generate("Quite another prompt", max_new_tokens=8) == alone
    assert board.wait(20)


def test_two_consoles_on_one_model(board, model, vectors):
    other = SteeringConsole(model, vectors, "Hello", emotions=["sad"], max_new_tokens=6)
    board.set(happy=0.5)
    other.set(sad=0.5)
    assert board.wait(20)
    assert other.wait(20)
    for one, plan in ((board, {"happy": 0.5}), (other, {"sad": 0.5})):
        with emokit.steer(model, vectors, plan):
            assert one.replies["steered"] == model.generate("Hello", max_new_tokens=6)
    other.close()


def test_closing_a_board_that_streams_leaves_no_hook_and_no_lock(model, vectors):
    board = SteeringConsole(model, vectors, "Hello", emotions=["happy"], max_new_tokens=400)
    begun = threading.Event()
    handle = model.hf.register_forward_hook(lambda *_: begun.set())
    board.set(happy=0.2)
    assert begun.wait(10)
    handle.remove()
    board.close()
    board._worker.wait(10)
    assert hooks(model) == 0
    assert model.generate("Hello", max_new_tokens=2) is not None


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (dict(angry=0.1), "no slider"),
        (dict(happy=3), "beyond the slider"),
        (dict(happy="much"), "a strength must be a finite number"),
        (dict(happy=float("nan")), "a strength must be a finite number"),
        (dict(max_new_tokens=0), "can't be"),
        (dict(temperature=-1.0), "can't be"),
        (dict(prompt=7), "can't be"),
    ],
)
def test_bad_settings_are_refused_before_they_run(board, settings, match):
    with pytest.raises(EmokitError, match=match):
        board.set(**settings)


def test_bad_boards_are_refused(model, vectors):
    for settings, match in (
        (dict(emotions=["joy"]), "unknown emotion"),
        (dict(emotions=[]), "no emotion"),
        (dict(emotions=["sad"], block=9), "unknown block"),
        (dict(emotions=["sad"], calibration=0.3), "not a Calibration"),
    ):
        with pytest.raises(EmokitError, match=match):
            SteeringConsole(model, vectors, **settings)


def test_bad_values_from_the_browser_are_shown(board):
    from_browser(board, strengths={"happy": 9.0})
    with pytest.raises(EmokitError):
        board.wait(20)
    assert "beyond the slider" in board.error
    from_browser(board, block=40)
    with pytest.raises(EmokitError):
        board.wait(20)
    from_browser(board, strengths={"happy": 0.1}, block=0)
    assert board.wait(20)
    assert board.error == ""


class Calibrated:
    """As a Calibration: block 1 has both ends, block 2 none."""

    def strength(self, block=None, down=False):
        if block not in (1, 2):
            raise EmokitError("a block that was not calibrated", block)
        return None if block == 2 else -0.1 if down else 0.2


def test_sliders_end_at_the_calibrated_strengths_of_their_block(model, vectors):
    board = SteeringConsole(
        model, vectors, "Hello", emotions=["happy"], block=1, calibration=Calibrated(), max_new_tokens=2
    )
    assert board.limits == [-0.1, 0.2]
    with pytest.raises(EmokitError, match="beyond the slider.*0.3.*-0.1 to 0.2"):
        board.set(happy=0.3)
    board.set(block=2, happy=0.1)
    assert board.limits == [-0.5, 0.5]
    board.set(happy=0.4)
    assert board.wait(20)
    board.set(block=1)
    assert board.wait(20)
    assert board.strengths == {"happy": 0.2}
    from_browser(board, block=3, strengths={"happy": 0.5})
    assert board.limits == [-0.5, 0.5]
    assert board.wait(20)
    from_browser(board, block=1)
    assert board.wait(20)
    assert board.history[-1]["strengths"] == {"happy": 0.2}
    board.close()


def test_history_keeps_complete_runs_and_tells_them(board, model):
    board.set(happy=0.5)
    assert board.wait(20)
    board.run()
    assert board.wait(20)
    board.set(sad=-0.25, happy=0.0, temperature=0.5, system="Be brief.")
    assert board.wait(20)
    first, second = board.history
    assert first["strengths"] == {"happy": 0.5, "sad": 0.0}
    assert second["replies"]["steered"] == board.replies["steered"]
    told = json.loads(board.to_json())
    assert (told["model"], told["runs"]) == ("tiny", board.history)
    markdown = board.to_markdown()
    assert "## happy +0.50, block" in markdown
    assert "temperature 0.5, seed 0" in markdown
    assert "*system*: Be brief." in markdown
    sent = []
    board.send = sent.append
    board._handle_custom_msg({"do": "json"}, [])
    board._handle_custom_msg({"do": "markdown"}, [])
    assert [(m["name"], m["text"]) for m in sent] == [("steering.json", board.to_json()), ("steering.md", markdown)]


def test_history_has_an_end(board, monkeypatch):
    monkeypatch.setattr(console, "KEPT", 2)
    for happy in (0.1, 0.2, 0.3):
        board.set(happy=happy)
        assert board.wait(20)
    assert [run["strengths"]["happy"] for run in board.history] == [0.2, 0.3]


def test_it_shows_a_picture_where_there_is_no_kernel(board):
    bundle = board._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["image/png"].startswith("iVBOR")
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"].startswith("SteeringConsole(")
