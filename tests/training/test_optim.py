import math

import pytest
import torch

from pdtutor.training.optim import SGD, AdamW


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
        (
            SGD(lr=0.1, momentum=0.9, weight_decay=0.01),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        ),
        (AdamW(lr=1e-2), lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0)),
        (
            AdamW(lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1),
            lambda p: torch.optim.AdamW(p, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1),
        ),
    ],
)
def test_updates_are_torch_s_own(ours, theirs):
    start = [torch.randn(2, 3, 4), torch.randn(2, 3)]
    mine, reference = ([torch.nn.Parameter(p.clone()) for p in start] for _ in range(2))
    state, optimizer = ours.start(mine), theirs(reference)
    for step in range(20):
        for parameters in (mine, reference):
            loss = sum(((p - 0.3) ** 2).sum() * (step + 1) for p in parameters)
            for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                p.grad = gradient
        rates, corrections = ours.rates(step, step + 1, steps=20, copies=2), ours.corrections(step, step + 1)
        state.update([p.grad for p in mine], rates[0], corrections[0])
        optimizer.step()
    for p, q in zip(mine, reference, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [SGD, AdamW])
def test_each_copy_has_its_own_rate(make):
    p = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = make(lr=[0.0, 0.1, 0.2])
    rates, corrections = optimizer.rates(0, 1, steps=1, copies=3), optimizer.corrections(0, 1)
    optimizer.start([p]).update([torch.ones(3, 2)], rates[0], corrections[0])
    torch.testing.assert_close(1 - p.detach()[:, 0], torch.tensor([0.0, 0.1, 0.2]))


def test_warm_up_and_cosine_count_updates():
    rates = SGD(lr=2.0, decay="cosine", warmup=0.1).rates(0, 100, steps=100, copies=1)[:, 0]
    torch.testing.assert_close(rates[:10], 2.0 * torch.arange(1, 11) / 10)  # the first update already moves
    assert rates[10] == 2.0
    expected = [1 + math.cos(math.pi * (s - 10) / 90) for s in range(10, 100)]
    torch.testing.assert_close(rates[10:], torch.tensor(expected))
    pieces = [SGD(lr=2.0, decay="cosine", warmup=0.1).rates(s, s + 25, steps=100, copies=1) for s in range(0, 100, 25)]
    assert torch.equal(torch.cat(pieces)[:, 0], rates)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=-1.0), "lr must be at least 0"),
        (lambda: SGD(lr=float("nan")), "lr must be a finite number"),
        (lambda: SGD(decay="linear"), "decay must be one of"),
        (lambda: SGD(warmup=1.5), "warmup must be between 0 and 1"),
        (lambda: AdamW(betas=(0.9, 1.5)), "betas"),
        (lambda: AdamW(betas=(0.9, 1.0)), "betas must be less than 1"),
        (lambda: SGD(lr=[0.1, 0.2]).rates(0, 1, steps=1, copies=3), "got 2 for 3 copies"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
