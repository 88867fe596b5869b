BOARD = "board = emokit.widgets.LiveMonitor(model, vectors, 'Hello', max_new_tokens=20)\nboard"
CELL = "for piece in model.stream('Another prompt', max_new_tokens=30, temperature=1, seed=1):\n    pass\nprint('over')"
COUNT = "document.querySelectorAll('.emokit-tokens .emokit-token').length"


def test_a_cells_stream_and_its_own_prompt(notebook):
    book = notebook(BOARD, CELL)
    book.run_all()
    page = book.page
    assert book.output(2) == "over"
    page.wait_for_function(f"{COUNT} > 10")
    assert page.get_by_role("meter").count() == 3
    text = page.locator(".emokit-tokens").inner_text()
    page.get_by_role("textbox", name="prompt").fill("Something else")
    page.keyboard.press("Control+Enter")
    page.wait_for_function("document.querySelector('.emokit-status').textContent === 'done'")
    assert page.locator(".emokit-tokens").inner_text() != text
    page.get_by_label("colour by").select_option("sad")
    page.get_by_role("listbox").focus()
    page.keyboard.press("ArrowRight")
    assert "sad" in page.locator(".emokit-numbers").inner_text()

    page.get_by_label("tokens", exact=True).fill("1000")
    page.keyboard.press("Enter")
    page.wait_for_function(f"{COUNT} > 60")
    page.get_by_role("button", name="stop").click()
    page.wait_for_function("document.querySelector('.emokit-status').textContent === 'stopped'")
    page.get_by_label("tokens", exact=True).fill("5000")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.emokit-error').textContent.includes('max_new_tokens')")
    page.get_by_label("tokens", exact=True).fill("1")
    page.keyboard.press("Tab")
    page.wait_for_function("document.querySelector('.emokit-error').hidden")
    page.wait_for_function(f"{COUNT} === 1")
    assert book.errors == []


def test_both_themes_keep_ink_and_paper_apart(notebook):
    book = notebook(BOARD)
    book.run_all()
    page = book.page
    page.locator(".emokit-board").wait_for()
    read = "(() => { const s = getComputedStyle(document.querySelector('.emokit-board')); return [s.color, s.backgroundColor] })()"
    book.theme("Dark")
    dark = page.evaluate(read)
    book.theme("Light")
    assert dark == ["rgb(242, 242, 242)", "rgb(28, 28, 28)"]
    assert page.evaluate(read) == ["rgb(26, 26, 26)", "rgb(255, 255, 255)"]
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="run", exact=True).click()
    page.get_by_role("meter").first.wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('.emokit-bar')).transitionDuration") in (
        "0s",
        "1e-05s",
    )
    assert book.errors == []
