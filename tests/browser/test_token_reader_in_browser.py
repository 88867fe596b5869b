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
    assert page.locator(".emokit-numbers").inner_text().startswith("“␣” · sad ")
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    assert "(readout)" in page.locator(".emokit-numbers").inner_text()
    page.keyboard.press("ArrowLeft")
    assert "“l”" in page.locator(".emokit-numbers").inner_text()
    assert page.locator(".emokit-mark").is_visible()

    page.get_by_role("button", name="copy as table").click()
    page.wait_for_function("document.querySelector('.emokit-status').textContent.startsWith('copied')")
    table = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert table[0].split("\t") == ["token", "readout", "happy", "sad", "angry"]
    assert len(table) == 32

    page.get_by_role("textbox", name="text").fill("New words")
    page.wait_for_function("document.querySelectorAll('.emokit-tokens .emokit-token').length === 9")
    page.get_by_role("textbox", name="text").fill("")
    page.wait_for_function("document.querySelector('.emokit-error').textContent.includes('Give the model some text')")
    page.get_by_role("textbox", name="text").fill("Back")
    page.wait_for_function("document.querySelector('.emokit-error').hidden")
    assert book.errors == []


def test_a_text_of_2000_tokens_and_every_emotion_in_the_strip(notebook):
    book = notebook('board = emokit.widgets.TokenReader(model, vectors, "ten chars " * 200, emotion="sad")\nboard')
    book.run_all()
    page = book.page
    tokens = "document.querySelectorAll('.emokit-tokens .emokit-token')"
    page.wait_for_function(f"{tokens}.length === 2000")
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    assert page.evaluate(f"{tokens}[1999].getAttribute('aria-selected')") == "true"
    assert page.locator(".emokit-canvas canvas").evaluate("c => c.width") == 2 * 2000
    page.get_by_label("block").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.emokit-status').textContent.includes('2000 tokens at block 0')")
    page.locator(".emokit-names button", has_text="angry").click()
    page.wait_for_function("document.querySelector('.emokit-board select').value === 'angry'")
    page.locator(".emokit-canvas canvas").click(position={"x": 21, "y": 5})
    assert page.evaluate(f"{tokens}[10].getAttribute('aria-selected')") == "true"
    assert book.errors == []
