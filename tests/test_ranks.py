"""Several processes that share one piece of work, without a GPU: by gloo, from what torchrun sets."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from conftest import tiny_model
from test_package import ROOT

import emokit
from emokit import EmokitError, ranks, sharing
from emokit.files import Log


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


# one process


def test_one_process_needs_no_launcher_and_shares_with_nobody(model, monkeypatch):
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **__: pytest.fail("joined a group"))
    with ranks.together() as rank:
        assert (rank, ranks.rank(), ranks.world()) == (0, 0, 1)
        assert ranks.share("abcde") == list("abcde")
        assert ranks.gather(b"ab") == [b"ab"]
        assert ranks.tell(b"ab") == b"ab"
        sharing.fill(model, ["not read"])


def test_one_process_fills_a_log_with_what_is_missing(tmp_path):
    log, seen = Log(tmp_path / "rows.jsonl", "key"), []
    log.add([{"key": "b", "value": 0}])

    def work(keys, log):
        seen.extend(keys)
        log.add([{"key": key, "value": 1} for key in keys])

    for _ in range(2):
        ranks.spread(log, ["a", "b", "c"], work)
    assert seen == ["a", "c"]
    assert Log(tmp_path / "rows.jsonl", "key").rows == {k: {"key": k, "value": int(k != "b")} for k in "abc"}


# who is who


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shares_are_even_and_hold_every_item_once(monkeypatch, world):
    shares = []
    monkeypatch.setenv("WORLD_SIZE", str(world))
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        shares.append(ranks.share(range(20)))
    assert sorted(item for part in shares for item in part) == list(range(20))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


RUNS = [(seed, condition) for seed in range(20) for condition in "abcdef"]


def test_each_rank_has_some_of_every_condition(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        counts = Counter(condition for _, condition in ranks.share(ranks.mixed(RUNS)))
        assert set(counts) == set("abcdef")
        assert min(counts.values()) >= 4
        assert sorted(ranks.mixed(RUNS)) == RUNS


@pytest.mark.parametrize(("rank", "world"), [("2", "2"), ("-1", "2"), ("x", "2"), ("0", ""), ("0", "0")])
def test_places_that_cannot_be_are_refused(monkeypatch, rank, world):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(EmokitError, match="RANK and WORLD_SIZE name no process"):
        ranks.rank()


def test_ranks_talk_only_once_they_have_met(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EmokitError, match="have not met.*ranks.together"):
        ranks.gather(b"")


def test_each_rank_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    assert ranks.device() == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert ranks.device() == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "4")
    found = []
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        found.append(ranks.device())
    assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]


# two processes


def test_two_ranks_extract_as_one_process_does(run):
    run("ranks_extract_as_one_process_does", 1)


def test_two_machines_need_no_shared_folder(run):
    run("ranks_of_two_machines_share_no_folder", 1)


def test_a_rank_that_dies_leaves_the_cache_whole_and_a_rerun_resumes(run):
    run("a_rank_dies_while_extracting", 2)


def test_ranks_with_different_models_or_stories_are_told(run):
    run("ranks_with_different_models_or_stories_are_told", 1)


def test_two_ranks_fill_one_log_and_a_rerun_resumes(run):
    run("ranks_fill_one_log", 1)


def test_ranks_have_the_same_vectors_and_play_rollouts_as_one_process_does(run):
    run("ranks_have_the_same_vectors_and_play_rollouts_as_one_process_does", 1)


def test_ranks_share_forced_choices_and_tones(run):
    run("ranks_share_forced_choices_and_tones", 1)


def test_torchrun_runs_the_command_line(stories, tmp_path):
    model = tiny_model()
    model.hf.save_pretrained(tmp_path / "tiny")
    model.tokenizer.save_pretrained(tmp_path / "tiny")
    stories.save(tmp_path / "own.jsonl")
    command = (
        "-m torch.distributed.run --standalone --nproc-per-node 2 -m emokit extract --model tiny --stories own.jsonl"
    )
    done = subprocess.run(
        [sys.executable, *command.split(), "--out", "v.safetensors"], capture_output=True, text=True, timeout=300,
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("EmotionVectors(") == 1  # rank 0 alone speaks
    vectors, wanted = emokit.EmotionVectors.load(tmp_path / "v.safetensors", model), emokit.extract(model, stories)
    assert (vectors.directions * wanted.directions).sum(-1).min() > 0.99999
    assert vectors.best_block == wanted.best_block
    np.testing.assert_allclose(vectors.mean, wanted.mean, atol=1e-5)
