import threading

import numpy as np
import pytest
from conftest import hooks

from emokit import EmokitError
from emokit.widgets import Latest, SteeringConsole


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


def test_errors_are_shown_and_raised_again_once():
    seen = []

    def work(stop):
        raise EmokitError("no")

    worker = Latest(work, failed=seen.append)
    worker.submit()
    with pytest.raises(EmokitError):
        worker.wait(5)
    assert worker.wait(5)
    assert len(seen) == 1
    worker.submit()  # it still works after an error
    with pytest.raises(EmokitError):
        worker.wait(5)
    worker.close()
    worker.submit()  # and after a close
    with pytest.raises(EmokitError):
        worker.wait(5)


@pytest.fixture
def board(model, vectors):
    board = SteeringConsole(model, vectors, "Hello", emotions=["happy", "sad"], max_new_tokens=6)
    yield board
    board.close()


def test_the_board_works_from_python(board, model, vectors):
    import emokit

    board.set(happy=0.3, sad=-0.25)
    assert board.wait(20)
    assert board.replies["unsteered"] == model.generate("Hello", max_new_tokens=6)
    with emokit.steer(model, vectors, {"happy": 0.3, "sad": -0.25}):
        assert board.replies["steered"] == model.generate("Hello", max_new_tokens=6)
    assert board.replies["random direction"] == ""
    assert board.status.value == "done"
    assert repr(board) == "SteeringConsole(happy=+0.30, sad=-0.25)"
    assert hooks(model) == 0


def test_a_slider_moved_in_the_browser_runs_the_model(board, model):
    state = {"method": "update", "state": {"value": 0.2}, "buffer_paths": []}
    board.sliders["happy"]._handle_msg({"content": {"data": state}, "buffers": []})
    assert board.wait(20)
    assert board.strengths == {"happy": 0.2, "sad": 0.0}
    assert board.replies["steered"]


def test_the_control_is_a_random_direction_of_the_same_size(board, model, vectors):
    import emokit

    board.control.value = True
    board.set(happy=0.3, sad=0.2)
    assert board.wait(20)
    pushed = 0.3 * vectors["happy"].rows + 0.2 * vectors["sad"].rows
    size = float(np.linalg.norm(pushed[vectors.best_block]))
    with emokit.steer(model, vectors, {vectors.random(0): size}):
        assert board.replies["random direction"] == model.generate("Hello", max_new_tokens=6)


def test_stop_ends_a_long_run(board, model):
    seen, calls = threading.Event(), []

    def count(*_):
        calls.append(1)
        seen.set()

    handle = model.hf.register_forward_hook(count)
    board.tokens.value = 400
    assert seen.wait(10)
    board.stopper.click()
    assert board.wait(10)
    handle.remove()
    assert board.status.value == "stopped"
    assert len(calls) < 200
    assert hooks(model) == 0


def test_an_error_in_a_run_is_shown_with_what_to_do(board):
    board.set(prompt="x" * 600)
    with pytest.raises(EmokitError):
        board.wait(20)
    assert "beyond the context" in board.status.value
    board.set(prompt="Hello")
    assert board.wait(20)
    assert board.status.value == "done"


def test_waiting_inside_a_steer_is_refused_for_it_would_never_end(board, model, vectors):
    import emokit

    with emokit.steer(model, vectors, {"happy": 0.1}), pytest.raises(EmokitError, match="leave the `with`"):
        board.wait()


def test_bad_settings_are_refused_before_they_run(board, model, vectors):
    with pytest.raises(EmokitError, match="no slider"):
        board.set(angry=0.1)
    with pytest.raises(EmokitError, match="beyond the slider"):
        board.set(happy=3)
    with pytest.raises(EmokitError, match="unknown emotion"):
        SteeringConsole(model, vectors, emotions=["joy"])


def test_it_shows_a_picture_where_there_is_no_kernel(board):
    bundle = board._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["image/png"].startswith("iVBOR")
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"].startswith("SteeringConsole(")
