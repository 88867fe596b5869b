"""From a slider moved in the browser to the first token of the new reply there: SteeringConsole on the default model.

python benchmarks/first_token.py [count]

Needs Chromium; uses the tests' own JupyterLab. Beside it the parts: the kernel from the changed setting to the first
token, and the model's pass over the prompt alone, without steering or board.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tools")]
BOARD = "board = emokit.widgets.SteeringConsole(model, vectors, max_new_tokens=12)\nboard.run()\nboard"
KERNEL = """\
import json, time, torch
def changed(strength):
    times = []
    def look(change):
        columns = {{c["name"]: c for c in change["new"].get("columns", [])}}
        if not times and columns.get("steered", {{}}).get("tokens"):
            times.append(time.perf_counter())
    board.set(happy=0)
    board.wait()
    board._show(columns=[])
    board.observe(look, "view")
    start = time.perf_counter()
    board.set(happy=strength)
    board.wait()
    board.unobserve(look, "view")
    return 1000 * (times[0] - start)
def passed():
    ids = torch.tensor([model.encode(model.prompt(board.prompt))])
    with torch.inference_mode():
        start = time.perf_counter()
        model.hf(ids, logits_to_keep=1)
    return 1000 * (time.perf_counter() - start)
print(json.dumps([[changed(0.01 * (i + 1)) for i in range({count})], [passed() for i in range({count})]]))
"""
MOVED = """value => new Promise(done => {
  const column = [...document.querySelectorAll('.emokit-column')].find(c => c.querySelector('h4').textContent === 'steered');
  const slider = document.querySelector('.emokit-grid input');
  let emptied = false;
  const watcher = new MutationObserver(() => {
    const tokens = column.querySelectorAll('.emokit-token').length;
    emptied ||= tokens === 0;
    if (!emptied || !tokens) return;
    watcher.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start))); // behind the paint
  });
  watcher.observe(column, { childList: true, subtree: true });
  const start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
})"""
IDLE = "!document.querySelector('.emokit-busy') && document.querySelector('.emokit-status')?.textContent === 'done'"


def main(count: int = 10) -> None:
    """Measure, and print milliseconds as the last line, in JSON."""
    from browser import lab as labs
    from playwright.sync_api import sync_playwright
    from screenshots import vectors

    with (
        tempfile.TemporaryDirectory() as folder,
        closing(labs.Lab(Path(folder))) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=labs.CHROMIUM, args=labs.FLAGS)
        desk = labs.Desk(lab, browser.new_page())
        book = desk.open("first_token", [labs.setup(vectors()), BOARD, KERNEL.format(count=count)])
        book.run_all()
        kernel, model = json.loads(book.output(2))
        seen = []
        for i in range(count + 1):
            desk.page.wait_for_function(IDLE)
            seen.append(desk.page.evaluate(MOVED, [0.05, -0.05][i % 2]))
        browser.close()
    rows = []
    for name, times in (
        ("slider moved to first token painted", seen[1:]),
        ("kernel: changed setting to first token", kernel),
        ("a whole pass over the prompt, unsteered", model),
    ):
        rows.append(
            {"what": name, "median ms": round(median(times)), "from": round(min(times)), "to": round(max(times))}
        )
        print(rows[-1], file=sys.stderr)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
