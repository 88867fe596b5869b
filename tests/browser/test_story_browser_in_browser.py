BOARD = "board = emokit.widgets.StoryBrowser(StorySet(tuple(stories), tuple(neutral)))\nboard"


def test_filter_read_edit_and_undo(notebook):
    book = notebook(BOARD)
    book.run_all()
    page = book.page
    rows = page.locator(".emokit-story")
    page.wait_for_function("document.querySelectorAll('.emokit-story').length === 12")
    page.get_by_label("emotion").first.select_option("sad")
    page.wait_for_function("document.querySelectorAll('.emokit-story').length === 3")
    page.get_by_role("listbox", name="stories found").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('.emokit-board h4').textContent.startsWith('Story 4')")
    text = page.get_by_role("textbox", name="text")
    assert text.input_value() == "office: rain loss again, rain loss at the office."
    assert rows.nth(1).get_attribute("aria-selected") == "true"

    text.fill("The tram was late.")
    page.wait_for_function("document.querySelector('.emokit-board h4').textContent.endsWith('edited')")
    assert "The tram was late." in rows.nth(1).inner_text()
    text.fill("")
    page.wait_for_function("document.querySelector('.emokit-error').textContent.includes('Fill it in')")
    text.fill("The sad tram was late.")
    page.wait_for_function("document.querySelector('.emokit-findings').textContent.includes(\"'sad' in a sad story\")")
    assert page.locator(".emokit-error").is_hidden()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON lines").click()
    assert "The sad tram was late." in download.value.path().read_text(encoding="utf-8")

    rows.nth(2).click()  # another story: what was typed stays with its own
    page.wait_for_function("document.querySelector('.emokit-board h4').textContent.startsWith('Story 5')")
    assert text.input_value() == "school: rain loss again, rain loss at the school."
    rows.nth(1).click()
    page.wait_for_function("document.querySelector('.emokit-board textarea').value === 'The sad tram was late.'")
    page.get_by_role("button", name="as it was").click()
    page.wait_for_function("!document.querySelector('.emokit-board h4').textContent.includes('edited')")
    assert text.input_value() == "office: rain loss again, rain loss at the office."
    page.get_by_role("searchbox").fill("nowhere")
    page.wait_for_function("document.querySelectorAll('.emokit-story').length === 0")
    assert book.errors == []
