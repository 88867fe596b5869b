BOARD = "board = emokit.widgets.VectorExplorer(model, vectors, stories=StorySet(tuple(stories), tuple(neutral)))\nboard"
PLACES = "[...document.querySelectorAll('.emokit-dot')].map(dot => dot.style.transform).join()"
TIMED = """([places]) => Math.min(...[0, 1, 2, 0, 1].map((block) => {
  const slider = document.querySelector('.emokit-slider input');
  const before = eval(places), start = performance.now();
  slider.value = block;
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  const drawn = performance.now() - start;
  return eval(places) === before ? Infinity : drawn;
}))"""


def test_move_click_search_and_type(notebook):
    book = notebook(BOARD)
    book.run_all()
    page = book.page
    page.wait_for_function("document.querySelectorAll('.emokit-mark-of').length >= 3")
    page.wait_for_function("document.querySelector('.emokit-status').textContent.includes('at block')")
    assert page.evaluate(TIMED, [PLACES]) < 100  # milliseconds, the fastest of five; Infinity if a dot waits for Python
    page.wait_for_function("document.querySelector('.emokit-status').textContent.includes('at block 1')")
    block = page.get_by_label("block")
    block.focus()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.emokit-status').textContent.includes('at block 3')")

    # an emotion, by the mouse and by keys
    page.locator(".emokit-dot .emokit-mark-of").nth(1).click()
    head = page.locator(".emokit-details h4").first
    page.wait_for_function("document.querySelector('.emokit-details h4').textContent === 'sad at block 3'")
    page.wait_for_function(
        "document.querySelector('.emokit-details').textContent.includes('Made again from other draws')"
    )
    assert page.locator(".emokit-dot[aria-selected='true']").count() == 1
    assert page.locator(".emokit-details .emokit-meter").count() == 2
    page.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    first = page.locator(".emokit-at").get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    second = page.locator(".emokit-at").get_attribute("aria-label")
    assert first != second
    assert page.locator(".emokit-numbers").inner_text() == second
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    name = first.split(" ·")[0]
    told = "Choose" if name == "sad" else name  # choosing it again lets it go
    page.wait_for_function(f"document.querySelector('.emokit-details h4').textContent.startsWith('{told}')")
    page.get_by_role("listbox").press("Escape")
    page.wait_for_function("document.querySelector('.emokit-details h4').textContent.startsWith('Choose')")

    # axes and colours
    before = page.evaluate(PLACES)
    page.get_by_label("across").select_option("1")  # the two change places
    page.wait_for_function(f"{PLACES} !== {before!r}")
    assert page.get_by_label("up", exact=True).input_value() == "0"
    page.get_by_label("colour and shape").select_option("valence")
    assert "unpleasant" in page.locator(".emokit-legend").inner_text()

    # search
    page.get_by_role("searchbox").fill("ang")
    page.wait_for_function("document.querySelectorAll('.emokit-hit').length === 1")
    assert page.locator(".emokit-faint").count() == 2
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_function("document.querySelector('.emokit-details h4').textContent === 'angry at block 3'")
    page.get_by_role("searchbox").fill("")
    page.wait_for_function("document.querySelectorAll('.emokit-faint').length === 0")

    # a text
    page.get_by_role("textbox", name="text").fill("rain loss")
    page.wait_for_function(
        "document.querySelector('.emokit-landing').textContent.includes('60 neutral pieces of 2 words (p') || document.querySelector('.emokit-landing').textContent.includes('place (p')"
    )
    assert page.locator(".emokit-text").get_attribute("visibility") == "visible"
    assert len(page.locator("path.emokit-cloud").first.get_attribute("d")) > 500
    page.get_by_role("textbox", name="text").fill("x" * 4200)
    page.wait_for_function("document.querySelector('.emokit-error').textContent.includes('beyond the context')")
    page.get_by_role("textbox", name="text").fill("")
    page.wait_for_function(
        "document.querySelector('.emokit-error').hidden && !document.querySelector('.emokit-landing').textContent"
    )

    # points of both themes stand out from the ground
    for theme in ("Dark", "Light"):
        book.theme(theme)
        page.wait_for_function(
            f"getComputedStyle(document.querySelector('.emokit-board')).backgroundColor === '{'rgb(28, 28, 28)' if theme == 'Dark' else 'rgb(255, 255, 255)'}'"
        )
        assert page.evaluate("getComputedStyle(document.querySelector('.emokit-dot text')).fill") != page.evaluate(
            "getComputedStyle(document.querySelector('.emokit-board')).backgroundColor"
        )
    assert head.is_visible()
    assert book.errors == []
