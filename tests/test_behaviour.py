import importlib.util
import json
from pathlib import Path

import pytest
from conftest import tiny_model

import emokit
from emokit.experiments import frustration
from emokit.experiments.frustration_result import Frustration

TOOL = Path(__file__).parent.parent / "tools" / "behaviour.py"


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("behaviour", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_experiment_has_a_run_that_takes_minutes_and_a_seed(tool):
    import inspect

    for name, more in tool.EXPERIMENTS.items():
        known = inspect.signature(getattr(emokit.experiments, name).run).parameters
        assert {"minutes", "seed", *more, *tool.LIGHT.get(name, ())} <= set(known), name


def test_folders_are_those_of_the_other_results(tool):
    names = [
        "SmolLM2-135M-Instruct",
        "gemma-3-270m",
        "qwen2.5-coder-1.5b",
        "org/Qwen2.5-0.5B-Instruct",
        "gemma-3-1b-it",
    ]
    folders = "smollm2-135m gemma-3-270m qwen2.5-coder-1.5b qwen2.5-0.5b gemma-3-1b".split()
    assert [tool.folder_of(name).name for name in names] == folders


def test_a_result_is_written_with_its_figures_and_can_be_recalled(tool, stories, monkeypatch, tmp_path, capsys):
    model = tiny_model(max_position_embeddings=2048)
    monkeypatch.setattr(emokit, "load_model", lambda _name: model)
    monkeypatch.setattr(emokit, "load_stories", lambda: stories)
    arms = (frustration.Arm("2 turns", "neutral", 2, steered=True),)
    real = frustration.run
    monkeypatch.setattr(
        frustration, "run", lambda *a, judge, minutes, seed: real(*a, judge=judge, minutes=minutes, seed=seed, rollouts=1, arms=arms, randoms=1, max_new_tokens=3)
    )  # fmt: skip
    assert tool.main(["some/where.gguf", "--only", "frustration", "--out", str(tmp_path / "x"), "--minutes", "5"]) == 0
    kept = json.loads((tmp_path / "x" / "frustration.json").read_text(encoding="utf-8"))
    assert kept["command"] == "python tools/behaviour.py where.gguf --only frustration --minutes 5"
    assert kept["kind"] == "Frustration"
    assert set(kept) == {"schema", "kind", "command", "date", "seconds", "versions", "model", "stories", "values"}
    assert Frustration.recalled(kept["values"]).played == 4
    assert (tmp_path / "x" / "frustration_high.png").read_bytes().startswith(b"\x89PNG")
    assert "frustration (" in capsys.readouterr().out
