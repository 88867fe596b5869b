"""Every exercise of the notebooks: its stub waits, its solution passes its check, and a wrong solution does not.

A notebook is not run again for this. Of each only the cells run that its exercises need, in one namespace, in order.
"""

import ast
import re
import runpy
import symtable
from dataclasses import dataclass
from pathlib import Path

import pytest

import emokit

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
cells_of = runpy.run_path(str(ROOT / "tools" / "notebooks.py"))["cells"]


@dataclass(frozen=True)
class Exercise:
    number: str
    text: str  # the markdown cell
    stub: int  # the stub's place among the code cells; its check is the next
    solution: str


def code_cells(cells):
    return [c.source for c in cells if c.cell_type == "code"]


def exercises(cells):
    """The exercises of a notebook, in order."""
    found, seen = [], 0
    for cell in cells:
        heading = re.search(r"^### Exercise (\S+)", cell.source, re.M)
        if cell.cell_type == "code":
            seen += 1
        elif heading:
            block = re.search(r"<summary>Solution</summary>\n\n```python\n(.*?)\n```", cell.source, re.S)
            found.append(Exercise(heading[1], cell.source, seen, block[1] if block else ""))
    return found


# which cells a cell needs


def names(statement):
    """The names that a statement of a cell loads from outside it, and those that it binds."""
    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    loads = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    loads |= {root(node.target) for node in ast.walk(statement) if isinstance(node, ast.AugAssign)}
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    inner = list(table.get_children())
    while inner:
        child = inner.pop()
        loads |= {s.get_name() for s in child.get_symbols() if s.is_global() and s.is_referenced()}
        inner += child.get_children()
    return loads, binds


def root(node):
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def changed(statement):
    """The names whose values a statement may change in place: x[0] = 1, x.append(1), f(x), x += 1."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            found.add(root(node))
        elif isinstance(node, ast.AugAssign):
            found.add(root(node.target))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and root(node.value) != "print":
            found |= {root(node.value), *map(root, node.value.args)}
    return found - {None}


def flow(source):
    """What a cell loads from the cells above it, and what it binds or changes."""
    statements = ast.parse(source).body
    loads, binds, changes = set(), set(), set()
    for place, statement in enumerate(statements):
        more, made = names(statement)
        loads |= more - binds
        binds |= made
        shown = place == len(statements) - 1 and isinstance(statement, ast.Expr)  # the value that a cell shows
        changes |= set() if shown else changed(statement)
    return loads, binds, changes


def needed(sources, target):
    """The places of the cells that a cell needs: a slice backwards along the names."""
    wanted, places = flow(sources[target])[0], {target}
    for place in reversed(range(target)):
        loads, binds, changes = flow(sources[place])
        if (binds | changes) & wanted:
            places.add(place)
            wanted = (wanted - binds) | loads
    return places


@pytest.mark.parametrize(
    ("sources", "places"),
    [
        (["a = 1", "b = 2", "print(a)"], [0, 2]),
        (["a = 1", "a = a + 1", "a"], [0, 1, 2]),
        (["a = 1", "a = 2", "a"], [1, 2]),
        (["a = []", "a.append(1)\nb = 1", "a"], [0, 1, 2]),
        (["a = []", "print(a)\nb = 1", "a"], [0, 2]),
        (["a = []", "a.plot()", "a"], [0, 2]),
        (["a = {}", "a[0] = 1", "a"], [0, 1, 2]),
        (["a = 1", "a += 1", "a"], [0, 1, 2]),
        (["import m", "a = m.b([])", "m.add.at(a, 1)\n0", "def f():\n    return a", "f()"], [0, 1, 2, 3, 4]),
        (["a = 1", "c = 1", "def f(c):\n    b = c\n    return [a for b in b]", "f(2)"], [0, 2, 3]),
        (["row = 1", "def f(x: row) -> int:\n    return 1", "f(2)"], [0, 1, 2]),
        (["class A:\n    x = 1", "A.x = 2", "with A() as y:\n    z = 1", "z"], [0, 1, 2, 3]),
    ],
)
def test_the_slice_holds_what_a_cell_needs(sources, places):
    assert sorted(needed(sources, len(sources) - 1)) == places


# the form


def functions(source):
    return [s for s in ast.parse(source).body if isinstance(s, ast.FunctionDef)]


def head(function):
    return function.name, ast.unparse(function.args), ast.unparse(function.returns) if function.returns else None


@pytest.fixture(params=SOURCES, ids=lambda p: p.stem)
def cells(request):
    return cells_of(request.param.read_text(encoding="utf-8"))


def test_there_are_two_to_four_exercises_in_order(cells):
    found = [e.number for e in exercises(cells)]
    notebook = re.match(r"# (\d+)", cells[0].source)[1]
    assert found == [f"{notebook}.{i}" for i in range(1, len(found) + 1)]
    assert 2 <= len(found) <= 4


def test_each_exercise_has_its_heading_a_hint_and_a_solution(cells):
    for exercise in exercises(cells):
        heading = rf"### Exercise {re.escape(exercise.number)} · \S.*  \(⏱ \d+ min\)\n"
        assert re.match(heading, exercise.text), exercise.text.split("\n")[0]
        assert exercise.text.count("<details><summary>Hint</summary>\n\n") == 1
        assert exercise.text.count("<details><summary>Solution</summary>\n\n```python\n") == 1
        assert exercise.text.index("Hint</summary>") < exercise.text.index("Solution</summary>")
        assert exercise.text.count("</details>") == exercise.text.count("<details>") == 2
        assert exercise.text.count("```") == 2


def test_each_stub_is_typed_says_what_it_wants_and_waits(cells):
    sources = code_cells(cells)
    for exercise in exercises(cells):
        (stub,) = ast.parse(sources[exercise.stub]).body
        assert isinstance(stub, ast.FunctionDef)
        assert ast.get_docstring(stub)
        assert len(stub.body) == 2
        assert ast.unparse(stub.body[1]) == f"raise NotImplementedError('Exercise {exercise.number}')"
        assert stub.returns
        assert all(a.annotation for a in (*stub.args.args, *stub.args.kwonlyargs))
        solved = [head(f) for f in functions(exercise.solution)]
        assert head(stub) in solved, f"the solution of {exercise.number} has another signature: {solved}"


def test_each_check_follows_its_stub(cells):
    sources = code_cells(cells)
    for exercise in exercises(cells):
        assert re.search(rf'^check\("{re.escape(exercise.number)}", ', sources[exercise.stub + 1], re.M)
    whole = "\n".join(sources)
    assert len(re.findall(r"^check\(", whole, re.M)) == len(exercises(cells))
    assert "from emokit.exercises import check" in sources[0]


def test_nothing_else_needs_an_exercise(cells):
    sources = code_cells(cells)
    for exercise in exercises(cells):
        bound = flow(sources[exercise.stub])[1] | flow(exercise.solution)[1]
        for place, source in enumerate(sources):
            loads, binds, _ = flow(source)
            assert place == exercise.stub + 1 or not loads & bound, f"{source}\nneeds {exercise.number}"
            assert place == exercise.stub or not binds & {f.name for f in functions(exercise.solution)}


# the solutions


def broken(solution, returns):
    """A solution whose functions return nothing, or what they were given first."""
    tree = ast.parse(solution)
    for function in functions(solution):
        first = function.args.args[0].arg if function.args.args else "None"
        found = next(s for s in tree.body if getattr(s, "name", "") == function.name)
        found.body = ast.parse(f"return {first if returns == 'the first argument' else 'None'}").body
    return ast.unparse(tree)


def outcome(check, space, capsys):
    """What a check said: its line, or its error, which names the exercise in its text or in a note."""
    capsys.readouterr()
    try:
        exec(check, space)
    except Exception as error:
        return " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    return capsys.readouterr().out.strip()


@pytest.mark.truth
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_stubs_wait_solutions_pass_and_wrong_ones_do_not(source, smol, monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.setattr(emokit, "load_model", lambda *a, **k: smol)
    cells = cells_of(source.read_text(encoding="utf-8"))
    sources, found = code_cells(cells), exercises(cells)
    stubs = {e.stub: e for e in found}
    solved = [stubs[i].solution if i in stubs else s for i, s in enumerate(sources)]
    places = set().union(*(needed(solved, e.stub + 1) for e in found))
    space = {"__name__": "__main__"}
    for place in sorted(places - {e.stub + 1 for e in found}):
        exec(sources[place], space)
        if place not in stubs:
            continue
        number, check = stubs[place].number, sources[place + 1]
        assert outcome(check, space, capsys).endswith(f"⏳ Exercise {number}: not done yet")
        for wrong in ("nothing", "the first argument"):
            exec(broken(solved[place], wrong), space)
            said = outcome(check, space, capsys)
            assert "✓" not in said, f"{number}: a solution that returns {wrong} passes"
            assert "Error: " in said
            assert f"Exercise {number}" in said
        exec(solved[place], space)
        said = outcome(check, space, capsys)
        assert said.endswith(f"✓ Exercise {number}"), f"{number}: {said}"
        assert "⏳" not in said
