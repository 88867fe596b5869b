"""Replay: a prompt that the blocks before a steer need not read again; replies are those of a whole pass."""

from contextlib import closing

import pytest
import torch
from conftest import hooks
from test_architectures import CONFIGS, built, byte_tokenizer, random_vectors

import emokit
from emokit import replay
from emokit.replay import Recording
from emokit.widgets.branches import grow

PROMPT = "The folder holds letters of three years, and nobody has a copy of them. "  # longer than the tiny windows
CANNOT = {"qwen3_next"}  # a recurrent state beside the keys and values


@pytest.fixture(scope="module", params=CONFIGS)
def arch(request):
    return emokit.Model(built(*CONFIGS[request.param]), byte_tokenizer(chat=False), request.param)


def grown(model, vectors, strengths, recording=None, block=None):
    branches = []
    with closing(grow(model, vectors, PROMPT, strengths, limit=5, recording=recording, block=block)) as steps:
        for branches in steps:  # noqa: B007
            pass
    return [(branch.tokens, branch.rows().round(4).tolist()) for branch in branches]


def test_replies_after_a_replayed_prompt_are_those_after_a_whole_pass(arch):
    vectors, recording = random_vectors(arch), Recording()
    joy = vectors.emotions[0]
    assert arch.replays == (arch.name not in CANNOT)
    grown(arch, vectors, [{}, {joy: 0.3}], recording)
    assert bool(recording) == arch.replays
    for block in (0, arch.n_blocks - 1):
        for strengths in ([{joy: 2.0}], [{joy: -2.0}, {}, {joy: 1.0}]):
            assert grown(arch, vectors, strengths, recording, block) == grown(arch, vectors, strengths, None, block)
    assert grown(arch, vectors, [{}], recording)[0] == grown(arch, vectors, [{}])[0]  # recorded beside a steered row


def test_blocks_before_the_steer_compute_nothing_and_their_hooks_see_the_same(model, vectors):
    recording, inside, seen = Recording(), [], []
    handles = [block.self_attn.register_forward_hook(lambda *_, i=i: inside.append(i)) for i, block in enumerate(model.blocks)]  # fmt: skip
    handles.append(model.blocks[0].register_forward_hook(lambda _m, _i, output: seen.append(output[:1].clone())))
    _ = model.replays
    inside.clear()
    seen.clear()
    for _ in range(2):
        with closing(grow(model, vectors, PROMPT, [{}, {"happy": 0.2}], recording=recording, block=2)) as steps:
            next(steps)
    for handle in handles:
        handle.remove()
    assert inside == [0, 1, 2, 3, 3]
    torch.testing.assert_close(seen[0], seen[1])


def test_nothing_of_it_stays_after_an_error_or_a_stop(model, vectors, monkeypatch):
    recording = Recording()
    grown(model, vectors, [{}], recording)
    before = hooks(model)
    broken = model.blocks[3].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        grown(model, vectors, [{"happy": 0.2}], recording, 2)
    broken.remove()
    assert hooks(model) == before
    assert not any("forward" in vars(block) for block in model.blocks)
    assert grown(model, vectors, [{"happy": 0.2}], recording) == grown(model, vectors, [{"happy": 0.2}])
    monkeypatch.setattr(replay, "MOST", 100)
    long = Recording()
    grown(model, vectors, [{}], long)
    assert not long


def test_a_steered_first_row_is_not_recorded(model, vectors):
    recording = Recording()
    grown(model, vectors, [{"happy": 0.2}, {}], recording)
    assert not recording


def test_a_model_that_goes_another_way_is_found_out(model, monkeypatch):
    monkeypatch.setattr(Recording, "replayed", lambda self, *_: Recording().recorded(model))
    assert replay.works(model)  # computed anew is right too
    wrong = lambda self, *_: model.blocks[0].register_forward_hook(lambda _m, _i, output: output * 2)  # noqa: E731
    monkeypatch.setattr(Recording, "replayed", wrong)
    assert not replay.works(model)


def test_no_pass_follows_when_all_branches_have_ended(model, vectors, monkeypatch):
    with closing(grow(model, vectors, PROMPT, [{}, {}], limit=5)) as steps:
        token = next(steps)[0]._spelling.ids[0]
    monkeypatch.setattr(type(model), "stop_tokens", {token})
    with closing(grow(model, vectors, PROMPT, [{}, {}], limit=5)) as steps:
        assert [[branch.ended for branch in branches] for branches in steps] == [[True, True]]
