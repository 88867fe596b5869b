"""Products: the same numbers in another order of the factors, and the same text."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from emokit import products
from emokit.products import FewRows, quicken


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(products, "LARGE", 100)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("outputs", [8, 24])
@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 1), (1, 3), (4, 1), (5, 7), (2, 3, 4), (128,), (129,), (0, 2)])
def test_the_numbers_are_those_of_a_linear_layer(shape, outputs, bias):
    plain = nn.Linear(16, outputs, bias=bias)
    fast = deepcopy(plain)
    quicken(fast)
    rows = torch.randn(*shape, 16)
    with torch.inference_mode():
        found, expected = fast(rows), plain(rows)
    assert type(fast) is FewRows
    assert found.shape == (*shape, outputs)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_few_rows_go_the_other_way_and_nothing_else_does(monkeypatch):
    calls = []
    real = torch.mm
    monkeypatch.setattr(torch, "mm", lambda *given: calls.append(given[1].shape[1]) or real(*given))
    tall, wide = nn.Linear(16, 24), nn.Linear(16, 8)
    quicken(tall)
    quicken(wide)
    for rows in (0, 1, 2, 3, 5, 128, 129):
        tall(torch.randn(rows, 16))
    assert calls == [2, 2, 4, 5, 128]
    wide(torch.randn(1, 16))
    wide(torch.randn(2, 16))
    assert calls[5:] == [2]
    tall.bfloat16()(torch.randn(5, 16).bfloat16())
    assert len(calls) == 6


def test_gradients_flow_and_other_layers_stay_as_they_are():
    class Own(nn.Linear):
        pass

    both = nn.ModuleList([nn.Linear(16, 24), Own(16, 24), nn.Linear(16, 4)])
    quicken(both)
    assert [type(part) for part in both] == [FewRows, Own, nn.Linear]  # the last one is small
    rows = torch.randn(3, 16, requires_grad=True)
    both[0](rows).sum().backward()
    torch.testing.assert_close(rows.grad, both[0].weight.sum(0).expand(3, 16))


@pytest.mark.truth
def test_greedy_text_is_that_of_plain_layers(smol):
    import emokit

    plain = deepcopy(smol.hf)
    for part in plain.modules():
        if type(part) is FewRows:
            part.__class__ = nn.Linear
    assert any(type(part) is FewRows for part in smol.hf.modules())
    other = emokit.Model(plain, smol.tokenizer, smol.name)
    for prompt in ("Tell me about your day.", "What is a volcano?"):
        assert smol.generate(prompt, max_new_tokens=60) == other.generate(prompt, max_new_tokens=60)
