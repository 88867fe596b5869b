BOARD = 'board = emokit.widgets.TokenReader(model, vectors, "The sun is out.\\nThen rain fell.")\nboard'


def test_read_move_and_click(notebook):
    book = notebook(BOARD)
    book.run_all()
    page = book.page
    tokens = page.locator(".emokit-tokens .emokit-token")
    page.wait_for_function("document.querySelectorAll('.emokit-tokens .emokit-token').length === 31")
    assert tokens.first.locator(".emokit-three span").count() == 3
    before = tokens.nth(5).get_attribute("style"), tokens.nth(5).inner_text()
    block = page.get_by_label("block")
    block.focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.emokit-status').textContent.includes('at block 0')")
    assert (tokens.nth(5).get_attribute("style"), tokens.nth(5).inner_text()) != before
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.emokit-status').textContent.includes('at block 3')")

    page.get_by_label("colour by").select_option("sad")
    page.wait_for_function("!document.querySelector('.emokit-three')")
    tokens.nth(3).hover()
    assert "“ ”" in page.locator(".emokit-numbers").inner_text() or "␣" in page.locator(".emokit-numbers").inner_text()
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    assert "(readout)" in page.locator(".emokit-numbers").inner_text()
    page.keyboard.press("ArrowLeft")
    assert "“l”" in page.locator(".emokit-numbers").inner_text()
    assert page.locator(".emokit-mark").is_visible()

    page.get_by_role("button", name="copy as table").click()
    page.wait_for_function("document.querySelector('.emokit-status').textContent.startsWith('copied')")
    table = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert table[0].split("\t") == ["token", "readout", "happy", "sad", "angry"] or len(table[0].split("\t")) == 5
    assert len(table) == 32

    page.get_by_role("textbox", name="text").fill("New words")
    page.wait_for_function("document.querySelectorAll('.emokit-tokens .emokit-token').length === 9")
    page.get_by_role("textbox", name="text").fill("")
    page.wait_for_function("document.querySelector('.emokit-error').textContent.includes('Give the model some text')")
    page.get_by_role("textbox", name="text").fill("Back")
    page.wait_for_function("document.querySelector('.emokit-error').hidden")
    assert book.errors == []
