"""The console in the browser, and what two boards, busy kernels, closed boards and restarts do to it."""

import json

import pytest

CONSOLE = "board = emokit.widgets.SteeringConsole(model, vectors, 'Hello', emotions=['happy', 'sad'], max_new_tokens=12)\nboard"
DONE = "document.querySelector('.emokit-status').textContent === 'done'"


def reply(page, name):
    return page.locator(".emokit-of-reply .emokit-column", has_text=name).locator(".emokit-tokens")


def test_slide_stream_stop_sweep_and_save(notebook):
    book = notebook(CONSOLE)
    book.run_all()
    page = book.page
    happy = page.get_by_label("happy", exact=True).first
    happy.focus()
    page.keyboard.press("End")
    page.wait_for_function(DONE)
    steered, plain = reply(page, "steered").last, reply(page, "unsteered").first
    assert steered.inner_text() != plain.inner_text()
    assert happy.get_attribute("aria-valuetext") == "+0.30"
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('summary').textContent === 'history: 2 runs'")
    assert happy.get_attribute("aria-valuetext") == "−0.30"

    page.get_by_label("just prompting").check()
    page.get_by_label("random direction of the same size").check()
    page.wait_for_function("document.querySelectorAll('.emokit-of-reply .emokit-column').length === 4")
    page.wait_for_function(DONE)
    assert page.locator(".emokit-of-reply .emokit-meter").count() == 3 * 4  # the tiny model's three emotions
    page.get_by_role("button", name="sweep").click()
    page.wait_for_function("document.querySelectorAll('.emokit-of-strip .emokit-column').length === 5")
    page.wait_for_function(DONE)

    page.get_by_label("tokens", exact=True).fill("1000")
    page.keyboard.press("Enter")
    stop = page.get_by_role("button", name="stop")
    page.wait_for_function("document.querySelectorAll('.emokit-of-reply .emokit-token').length > 60")
    stop.click()
    page.wait_for_function("document.querySelector('.emokit-status').textContent === 'stopped'")
    assert stop.is_disabled()

    page.locator("summary").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="save as JSON").click()
    runs = json.loads(saved.value.path().read_text(encoding="utf-8"))["runs"]
    assert [run["strengths"]["happy"] for run in runs][:2] == [0.3, -0.3]
    with page.expect_download() as saved:
        page.get_by_role("button", name="save as Markdown").click()
    assert saved.value.suggested_filename == "steering.md"
    page.get_by_role("button", name="again").first.click()
    page.wait_for_function(DONE)
    assert happy.get_attribute("aria-valuetext") == "+0.30"
    assert book.errors == []


def test_two_boards_and_a_cell_that_runs_while_one_streams(notebook):
    book = notebook(
        CONSOLE,
        "reader = emokit.widgets.TokenReader(model, vectors, 'A text.')\nreader",
        "board.set(happy=0.3, max_new_tokens=200)\nprint(model.generate('Hello', max_new_tokens=3) is not None)",
        "print(board.wait(60), reader.wait(60), board.error == reader.error == '')",
    )
    book.run_all()
    assert book.output(3) == "True"
    assert book.output(4) == "True True True"
    page = book.page
    page.wait_for_function("document.querySelectorAll('.emokit-of-reply .emokit-token').length > 20")
    assert page.locator(".emokit-board").count() == 2
    page.locator(".emokit-board").nth(1).get_by_label("block").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelectorAll('.emokit-status')[1].textContent.includes('at block 0')")
    assert book.errors == []


def test_a_closed_board_and_a_restarted_kernel(notebook):
    book = notebook(
        CONSOLE,
        "board.set(happy=0.1, max_new_tokens=500)\nboard.close()\nprint(model.generate('Hello', max_new_tokens=2) is not None)",
    )
    book.run_all()
    assert book.output(2) == "True"
    page = book.page
    page.wait_for_function("!document.querySelector('.emokit-board')")
    book.restart()
    book.command("notebook:clear-all-cell-outputs")
    page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    book.command("notebook:run-all-above")
    page.wait_for_function("document.querySelectorAll('.jp-InputPrompt')[0].textContent === '[1]:'")
    page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    book.command("notebook:run-cell")
    happy = page.get_by_label("happy", exact=True).first
    happy.focus()
    page.keyboard.press("End")
    page.wait_for_function(DONE)
    book.restart()  # the kernel goes while the board is on the page
    page.locator(".emokit-gone").wait_for()
    assert "The kernel of this board has ended" in page.locator(".emokit-error").inner_text()
    page.get_by_role("button", name="sweep").click()
    happy.press("Home")
    assert book.errors == []


@pytest.mark.truth
def test_the_default_model(notebook, smol_vectors, tmp_path):
    file = tmp_path / "vectors.safetensors"
    smol_vectors.save(file)
    book = notebook(
        "board = emokit.widgets.SteeringConsole(model, vectors, max_new_tokens=12)\nboard",
        "reader = emokit.widgets.TokenReader(model, vectors, 'My dog died. ' * 20, emotion='sad')\nreader",
        real=str(file),
    )
    book.run_all()
    page = book.page
    page.get_by_label("happy", exact=True).first.focus()
    page.keyboard.press("End")
    page.wait_for_function(DONE)
    assert reply(page, "steered").last.inner_text() != reply(page, "unsteered").first.inner_text()
    page.wait_for_function(
        "document.querySelectorAll('.emokit-board')[1].querySelectorAll('.emokit-token').length > 70"
    )
    assert book.errors == []
