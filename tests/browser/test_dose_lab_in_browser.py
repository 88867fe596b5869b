BOARD = "board = emokit.widgets.DoseLab(model, vectors)\nboard"
STATUS = "document.querySelector('.emokit-status').textContent"


def test_edit_look_and_conclude(notebook):
    book = notebook(BOARD)
    book.run_all()
    page = book.page
    page.wait_for_function("document.querySelectorAll('.emokit-chart').length === 3")
    assert page.get_by_role("textbox", name="sentence").input_value() == "My dog has been missing for {X} days now."
    assert page.locator(".emokit-legend").inner_text().split("\n")[0].strip() == "sad, expected up ↑"
    assert "Verdict on this panel: inconclusive" in page.locator(".emokit-verdict").inner_text()

    chart = page.get_by_role("slider", name="the numbers: choose a value")
    chart.focus()
    page.keyboard.press("End")
    numbers = page.locator(".emokit-numbers")
    assert numbers.inner_text().startswith("the numbers, 100: “My dog has been missing for 100 days now.” · sad ")
    page.keyboard.press("Home")
    assert "sad 0.000 · random directions 0.000 to 0.000" in numbers.inner_text()
    page.get_by_role("slider", name="the ladder in words: choose a value").hover()
    assert numbers.inner_text().startswith("the ladder in words, ")

    before = page.locator("polyline.emokit-curve-0").first.get_attribute("points")
    page.get_by_role("slider", name="block").focus()
    for key, block in (("Home", 0), ("End", 3)):
        page.keyboard.press(key)
        page.wait_for_function(f"{STATUS}.endsWith('at block {block}')")
    assert page.locator("polyline.emokit-curve-0").first.get_attribute("points") != before
    assert "the lab's block is 2" in page.locator(".emokit-conclusion").inner_text()

    page.get_by_label("start from").select_option("a panel of your own")
    page.wait_for_function("document.querySelectorAll('.emokit-chart').length === 1")
    assert "give a twin" in page.locator(".emokit-conclusion").inner_text()
    page.get_by_label("values").fill("1, 2, 3, ten")
    page.get_by_label("values").press("Control+Enter")
    page.wait_for_function("document.querySelector('.emokit-chart').textContent.includes('ten')")
    page.get_by_label("harmless twin").fill("I just counted {X} km.")
    page.get_by_label("harmless twin").press("Tab")
    page.wait_for_function("document.querySelectorAll('.emokit-chart').length === 2")

    page.get_by_role("button", name="add an emotion").click()
    page.wait_for_function("document.querySelectorAll('.emokit-legend span').length === 3")
    page.get_by_label("expected direction 1").select_option("down")
    page.wait_for_function("document.querySelector('.emokit-legend').textContent.includes('happy, expected down ↓')")
    page.get_by_role("button", name="expect nothing of happy").click()
    page.wait_for_function("!document.querySelector('.emokit-legend').textContent.includes('happy')")
    page.locator(".emokit-expected .emokit-button").click()
    page.wait_for_function("document.querySelector('.emokit-error').textContent.includes('before you look')")
    assert page.locator(".emokit-chart").count() == 2
    page.get_by_role("button", name="reset").click()
    page.wait_for_function("document.querySelector('.emokit-error').hidden")
    page.wait_for_function("document.querySelectorAll('.emokit-chart').length === 1")

    page.get_by_text("the numbers as a table").click()
    page.get_by_role("button", name="copy as table").click()
    page.wait_for_function(f"{STATUS}.startsWith('copied')")
    rows = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert [row.split("\t")[0] for row in rows] == ["emotion", "happy"]
    assert book.errors == []
