import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import emokit

PACKAGE = Path(emokit.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

# design.md's layout: a module imports only from rows above its own; None may import anything
ROWS = (
    ("errors", "plots", "progress"), ("files", "structure", "products", "panels", "effects", "rows", "ranks", "directions", "exercises"), ("batches",), ("fetch", "lint", "norms", "curves", "generation", "chances", "replay", "control_vectors"), ("models", "verdict"), ("builder",), ("stories",), ("activations", "results"), ("selection",), ("vectors", "robustness"),
    ("reading", "steering", "sharing", "lens", "similarity", "prediction", "confounds", "remake", "components"), ("validation", "geometry", "dose", "trials", "changes"), ("calibration",), ("experiments",), ("widgets",),
)  # fmt: skip
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
FREE = {"__init__", "__main__", "doctor"}


def python(code, *arguments, timeout=60):
    """Run code in a fresh Python that finds this emokit and these tests; returns what it printed."""
    head = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
    done = subprocess.run(
        [sys.executable, "-c", head + code, *arguments], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# names


def test_importing_emokit_imports_nothing_large():
    large = "torch transformers matplotlib ipywidgets anywidget pandas sklearn scipy numpy".split()
    code = f"import emokit; dir(emokit); print(emokit.__version__, sorted(set({large}) & set(sys.modules)))"
    assert python(code) == f"{emokit.__version__} []"


@pytest.mark.parametrize("name", [n for n in emokit.__all__ if n != "widgets"])
def test_every_public_name_resolves(name):
    value = getattr(emokit, name)
    assert value is not None
    assert getattr(emokit, name) is value
    assert name in dir(emokit)


def test_public_names_are_listed_once():
    assert len(set(emokit.__all__)) == len(emokit.__all__)


def test_every_public_name_resolves_as_the_first_one_asked_for():
    # a module must not take the place of a function of its name, whatever came first
    code = """
import emokit
kinds = {n: type(getattr(emokit, n)).__name__ for n in emokit.__all__ if n != "widgets"}
print(all((k == "module") == (n in emokit._MODULES) for n, k in kinds.items()))
"""
    assert python(code) == "True"


@pytest.mark.parametrize("name", ["no_such_name", "Read", "_nothing"])
def test_an_unknown_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=name):
        getattr(emokit, name)
    assert not hasattr(emokit, name)


# what the sources may not hold


def code_of(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_source_unpickles_or_evaluates(path):
    unsafe = r"pickle|(?<![.\w])(eval|exec)\s*\(|torch\.load\b|__import__|trust_remote_code\s*=\s*True"
    assert re.findall(unsafe, code_of(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_widgets_mention_ipywidgets(path):
    if path.relative_to(PACKAGE).parts[0] != "widgets":
        assert not re.search("ipywidgets|anywidget", code_of(path))


def imports(source, inside=()):
    """The top modules of emokit that a source imports, wherever in it; `inside` is the subpackage that it lies in."""
    found = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):  # what is imported for type checkers only is not imported
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["emokit", *inside][: len(inside) + 2 - node.level] if node.level else []
            base = above + (node.module.split(".") if node.module else [])
            names = [[*base, alias.name] for alias in node.names]
        found |= {name[1] for name in names if name[0] == "emokit" and len(name) > 1}
    return {name for name in found if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


def allowed(module):
    return set(RANK) | FREE if module in FREE else {name for name in RANK if RANK[name] < RANK[module]}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    *inside, name = path.relative_to(PACKAGE).with_suffix("").parts
    module = inside[0] if inside else name
    assert module in FREE or module in RANK, "a new module: give it a place in design.md's layout and in ROWS"
    above = imports(code_of(path), tuple(inside)) - allowed(module) - ({module} if inside else set())
    assert not above, f"{module} must not import {above}"


def test_plots_import_nothing_of_emokit():
    sources = sorted((PACKAGE / "plots").glob("*.py"))
    assert sources
    assert set().union(*(imports(code_of(path), ("plots",)) for path in sources)) <= {"plots"}


@pytest.mark.parametrize(
    ("source", "inside", "found"),
    [
        ("from . import dose, __version__", (), {"dose"}),
        ("def f():\n  from .vectors import extract", (), {"vectors"}),
        ("import emokit.dose as d", (), {"dose"}),
        ("from emokit import read", (), set()),
        ("from emokit.reading import read\nimport torch", (), {"reading"}),
        ("from ..dose import run", ("widgets",), {"dose"}),
        ("from .. import plots", ("widgets",), {"plots"}),
    ],
)
def test_imports_are_found_in_every_form(source, inside, found):
    assert imports(source, inside) == found


# without a network


def test_a_reading_is_computed_and_shown_with_sockets_blocked(tmp_path):
    code = """
import importlib, os, pkgutil, socket
os.environ["EMOKIT_CACHE"] = sys.argv[1]
class Blocked(socket.socket):
    def __init__(self, *a, **k):
        raise OSError("the network is blocked")
def blocked(*a, **k):
    raise OSError("the network is blocked")
socket.socket = Blocked
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = blocked
import emokit
names = [m.name for m in pkgutil.walk_packages(emokit.__path__, "emokit.")]
for name in names:
    importlib.import_module(name)
import conftest
from emokit.stories import Story, StorySet
model = conftest.tiny_model()
rows = tuple(Story(e, t, f"{t}: {w} again at the {t}.") for e, w in (("happy", "sun"), ("sad", "rain")) for t in ("garden", "office", "school"))
neutral = tuple(Story("neutral", t, f"The {t} has a door.") for t in ("hall", "shed", "yard"))
vectors = emokit.extract(model, StorySet(rows, neutral))
reading = emokit.read(model, vectors, "The phone rang at 3 a.m. 😀")
html, png = reading._repr_html_(), reading._repr_png_()
try:
    socket.socket()
except OSError:
    print(len(names) > 10, html.startswith("<div>"), png[1:4].decode(), "http" in html)
"""
    assert python(code, str(tmp_path)) == "True True PNG False"


# the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    assert path.name == f"emokit-{emokit.__version__}-py3-none-any.whl"
    return path


def test_the_wheel_holds_every_source_and_the_whole_corpus(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert {str(p.relative_to(ROOT)) for p in SOURCES} <= names
    stories = ROOT / "stories"
    core = {f"emokit/corpus/core/{p.name}" for p in (stories / "core").glob("*.jsonl")}
    assert len(core) == 24
    assert core | {f"emokit/corpus/{name}" for name in ("neutral.jsonl", "messages.jsonl", "lint.json")} <= names
    assert {Path(n).name for n in names if "/licenses/" in n} == {"LICENSE", "LICENSE-TEXT"}
    assert not [n for n in names if "__pycache__" in n or n.startswith(("tests/", "notebooks/"))]


def test_the_wheel_reads_its_own_corpus_with_nothing_beside_it(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path)
    code = """
sys.path.insert(0, sys.argv[1])
import emokit
from emokit import stories
print(stories.corpus(), len(emokit.load_stories()), len(emokit.load_messages()), isinstance(emokit.load_stories().lint(), list))
"""
    assert python(code, str(tmp_path)) == f"{tmp_path / 'emokit' / 'corpus'} 384 96 True"


@pytest.mark.parametrize(("disabled", "shown"), [("", False), ("1", True)])
def test_bars_can_be_switched_off_in_notebooks_too(monkeypatch, disabled, shown):
    from emokit.progress import progress

    monkeypatch.setenv("TQDM_DISABLE", disabled)
    bar = progress(total=3)
    assert bar.disable is shown
    bar.close()
