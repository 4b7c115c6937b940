"""The compiled attention against torch's in double precision, and that nothing else in a batch touches a row."""

import numpy as np
import pytest
import torch
from numba import njit
from torch.nn.functional import scaled_dot_product_attention

from pdtutor.models import attention as module
from pdtutor.models.attention import HEAD_DIM, attention
from pdtutor.models.vectors import LANES, exp2, load, store, transpose

N, HEADS = 3, 2


def tensors(asking, length, head_dim, *, n=N, scale=1.0):
    """Return query, key, value and a gradient of the result, all views of what Linears would return."""
    rng = torch.Generator().manual_seed(0)
    query, grad = torch.randn(2, n, asking, HEADS * head_dim, generator=rng)
    key, value = torch.randn(n, length, 2 * HEADS * head_dim, generator=rng).chunk(2, dim=-1)
    query, key = scale * query, scale * key
    return [t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (query, key, value, grad)]


def mask(kind, length, n=N):
    """Return which keys each row sees (n, 1, 1, length), at least one; the first row all."""
    if kind == "none":
        return None
    rng = torch.Generator().manual_seed(1)
    if kind == "prefix":
        seen = torch.arange(length) < torch.randint(1, length + 1, (n, 1), generator=rng)
    else:
        seen = torch.rand(n, length, generator=rng) < 0.6
        seen[:, length // 2] = True
    seen[0] = True
    return seen[:, None, None]


def with_gradients(function, query, key, value, grad, *rest, **named):
    """Return the result and the gradients of query, key and value."""
    inputs = [t.detach().requires_grad_() for t in (query, key, value)]
    out = function(*inputs, *rest, **named)
    return [out.detach(), *torch.autograd.grad(out, inputs, grad)]


def check(query, key, value, grad, seen=None, causal=False, atol=5e-6):
    """Hold the result and the gradients to torch's in double precision."""
    found = with_gradients(attention, query, key, value, grad, seen, causal=causal)
    double = [t.double() for t in (query, key, value, grad)]
    expected = with_gradients(scaled_dot_product_attention, *double, attn_mask=seen, is_causal=causal)
    for name, mine, theirs in zip(("result", "query", "key", "value"), found, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, atol=atol, rtol=1e-5, msg=lambda text, n=name: f"{n}: {text}")


@pytest.fixture(autouse=True)
def _compiled_only(request, monkeypatch):
    """What torch would do instead shows, except where a test wants it."""
    if "torch_s" not in request.node.name:
        monkeypatch.setattr(module, "scaled_dot_product_attention", None)


@pytest.mark.parametrize("head_dim", [1, 4, 8, 16])
@pytest.mark.parametrize(("asking", "length"), [(1, 1), (5, 1), (1, 20), (16, 32), (37, 53), (53, 37)])
@pytest.mark.parametrize("kind", ["none", "prefix", "general"])
def test_it_is_attention(head_dim, asking, length, kind):
    check(*tensors(asking, length, head_dim), mask(kind, length))


@pytest.mark.parametrize("head_dim", [1, 4, 8, 16])
@pytest.mark.parametrize("length", [1, 15, 16, 17, 53])
def test_causal_attention_too(head_dim, length):
    check(*tensors(length, length, head_dim), causal=True)


@pytest.mark.parametrize("causal", [False, True])
def test_any_strides_will_do(causal):
    query, key, value, grad = tensors(20, 20, 8)
    across = key.transpose(2, 3).contiguous().transpose(2, 3)  # a key's numbers are not side by side
    every_other = torch.stack([value, torch.full_like(value, torch.nan)], dim=3).flatten(2, 3)[:, :, ::2]
    expected = with_gradients(attention, query, key, value, grad, causal=causal)
    found = with_gradients(attention, query.contiguous(), across, every_other, grad, causal=causal)
    assert all(map(torch.equal, found, expected))
    one_for_all = torch.ones(1, 1, 1, 1).expand_as(grad)  # as from a sum
    check(query, key[:1, :1].expand_as(key), value, one_for_all, causal=causal)
    seen = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    assert torch.equal(attention(query, key, value, seen), attention(query, key, value))


def test_keys_that_are_not_seen_might_as_well_not_be_there():
    """Bit for bit, whatever they hold; so a sentence's padding changes nothing."""
    query, key, value, grad = tensors(21, 30, 8)
    seen = mask("general", 30)
    hidden = ~seen.transpose(2, 3)  # (n, 1, length, 1)
    key, value = (t.masked_fill(hidden, torch.nan) for t in (key, value))
    together = with_gradients(attention, query, key, value, grad, seen)
    for row in range(N):
        there = seen[row, 0, 0]
        parts = query[row : row + 1], key[row : row + 1, :, there], value[row : row + 1, :, there], grad[row : row + 1]
        out, *grads = with_gradients(attention, *parts)
        assert torch.equal(together[0][row], out[0])
        assert torch.equal(together[1][row], grads[0][0])
        for mine, alone in zip(together[2:], grads[1:], strict=True):
            assert torch.equal(mine[row][:, there], alone[0])
            assert (mine[row][:, ~there] == 0).all()


def test_a_row_that_sees_nothing_takes_nothing_and_moves_nothing():
    seen = mask("prefix", 20)
    seen[1] = False
    inputs = tensors(7, 20, 8)
    for part in with_gradients(attention, *inputs, seen):
        assert (part[1] == 0).all()
        assert part.isfinite().all()
    others = [t[[0, 2]] for t in inputs]
    check(*others, seen[[0, 2]])


def test_what_comes_later_does_not_matter_to_causal_attention():
    query, key, value, _ = tensors(40, 40, 8)
    before = attention(query, key, value, causal=True)
    key[:, :, 21:], value[:, :, 21:] = 1e4, 1e4  # would be all that counts
    assert torch.equal(attention(query, key, value, causal=True)[:, :, :21], before[:, :, :21])


@pytest.mark.parametrize("causal", [False, True])
def test_threads_and_company_change_no_bit(monkeypatch, causal):
    inputs = tensors(37, 37, 8, n=5)
    threads = torch.get_num_threads()
    monkeypatch.setattr(module, "THREADED", 0)
    results = []
    try:
        for count in (1, 2, 3, 20):
            torch.set_num_threads(count)
            results.append(with_gradients(attention, *inputs, causal=causal))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))
    alone = with_gradients(attention, *(t[3:4] for t in inputs), causal=causal)
    assert all(torch.equal(mine[3], part[0]) for mine, part in zip(results[0], alone, strict=True))


def test_without_gradients_the_result_is_the_same():
    *inputs, _ = tensors(9, 20, 8)
    inputs = [t.requires_grad_() for t in inputs]
    with torch.no_grad():
        out = attention(*inputs)
    assert not out.requires_grad
    assert torch.equal(out, attention(*inputs))
    assert out.transpose(1, 2).is_contiguous()  # what reads it need not copy it


@pytest.mark.parametrize("causal", [False, True])
def test_large_scores_do_not_overflow(causal):
    query, key, value, grad = tensors(20, 20, 8, scale=30.0)
    assert (query @ key.transpose(-1, -2)).abs().max() / 8**0.5 > 1e3
    check(query, key, value, grad, causal=causal, atol=1e-3)  # a score of 1e3 is known to 6e-5, its weight likewise
    for sign in (-1, 1):  # all scores about ±1e4
        query = torch.ones_like(query) * sign * 60
        out, *grads = with_gradients(attention, query, 60 + key / 1e4, value, grad, causal=causal)
        assert all(part.isfinite().all() for part in (out, *grads))
        assert out.abs().max() <= value.abs().max() * (1 + 1e-5)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_not_a_number_shows(which):
    inputs = tensors(20, 20, 8)
    inputs[which][1, 0, 3, 5] = torch.nan
    out, *grads = with_gradients(attention, *inputs)
    row = out[1, 0, 3] if which == 0 else out[1, 0]
    assert (row[..., 5] if which == 2 else row).isnan().all()
    assert out[0].isfinite().all()
    assert grads[0][1, 0, 3].isnan().any()


@pytest.mark.parametrize(
    "change",
    [
        lambda q, k, v: (q.double(), k.double(), v.double()),
        lambda q, k, v: [t.repeat(1, 1, 1, HEAD_DIM) for t in (q, k, v)],  # wider heads than the kernels'
        lambda q, k, v: (q, k, v[..., :1]),
        lambda q, k, v: (q, k, v, torch.ones(9, 20, dtype=torch.bool).tril()),  # another mask for each query
        lambda q, k, v: (q, k, v, torch.ones(N, 1, 9, 20, dtype=torch.bool).tril()),
        lambda q, k, v: (q, k, v, torch.randn(N, 1, 1, 20)),  # added to the scores
        lambda q, k, v: (q[:, :, :0], k, v),
        lambda q, k, v: (q[0], k[0], v[0]),
    ],
    ids=["double", "wide", "narrow value", "mask by query", "mask by row and query", "bias", "no query", "no batch"],
)
def test_all_else_is_torch_s(change):
    query, key, value, _ = tensors(9, 20, 2)
    query, key, value, *seen = change(query, key, value)
    expected = scaled_dot_product_attention(query, key, value, *seen)
    assert torch.equal(attention(query, key, value, *seen), expected)


def test_sizes_that_do_not_fit_are_torch_s_to_refuse():
    query, key, value, _ = tensors(9, 20, 8)
    with pytest.raises(RuntimeError):
        attention(query, key[..., :7], value)


@pytest.mark.parametrize(("length", "seen"), [(19, None), (20, torch.ones(1, 1, 1, 20, dtype=torch.bool))])
def test_causal_attention_of_something_else_is_refused(length, seen):
    query, key, value, _ = tensors(length, 20, 8)
    with pytest.raises(ValueError, match="causal attention takes no mask and as many queries as keys"):
        attention(query, key, value, seen, causal=True)


def test_powers_of_two_are_accurate_to_the_last_bits():
    @njit
    def powers(x):
        for at in range(0, len(x), LANES):
            store(x, at, exp2(load(x, at)))

    exponents = np.linspace(-126, 127, 100 * LANES, dtype=np.float32)
    found = exponents.copy()
    powers(found)
    np.testing.assert_allclose(found, np.exp2(exponents.astype(np.float64)), rtol=3e-7, atol=0)
    special = np.full(LANES, -np.inf, np.float32)
    special[:3] = -1e9, np.nan, 0
    powers(special)
    assert special[2] == pytest.approx(1, abs=2e-7)
    assert np.isnan(special[1])
    np.testing.assert_allclose(np.delete(special, [1, 2]), 2.0**-126, rtol=3e-7)


def test_tiles_are_transposed():
    @njit
    def transposed(x):
        transpose(x)

    tile = np.arange(LANES * LANES, dtype=np.float32)
    transposed(tile)
    np.testing.assert_array_equal(tile.reshape(LANES, LANES), np.arange(LANES * LANES).reshape(LANES, LANES).T)
