"""The progress bar says when numba compiles, and doesn't count that time."""

import io

import pytest
from numba import njit
from tqdm import tqdm

from pdtutor import MLP, SGD, SparseParity, progress, train
from pdtutor.models import kernels
from pdtutor.progress import compilation_on

TEXT = "compiling (first use only)"


@njit
def inner(x):
    return x + 1


def fresh():
    """Return a function, with another one inside, that numba compiles when it is called."""

    @njit
    def outer(x):
        return inner(x) * 2

    return outer


def test_what_compiles_is_said_until_it_is_compiled_and_takes_no_time(monkeypatch):
    now, shown = [100.0], []
    bar = tqdm(total=100, file=io.StringIO(), delay=1, mininterval=0.5)
    bar._time = lambda: now[0]
    bar.start_t = bar.last_print_t = now[0]
    monkeypatch.setattr(bar, "set_postfix_str", shown.append)
    with bar, compilation_on(bar):
        now[0] += 60.0
        assert fresh()(1) == 4
        assert shown == [TEXT + "…", ""]  # not once more for the inner function
        assert bar.start_t == now[0]  # the time until all was compiled counts for nothing


def test_what_is_compiled_already_is_not_said():
    compiled = fresh()
    compiled(1)
    screen = io.StringIO()
    with tqdm(total=1, file=screen, delay=1) as bar, compilation_on(bar):
        compiled(1)
    assert TEXT not in screen.getvalue()


@pytest.mark.parametrize("show", [True, False])
def test_training_says_so_on_a_visible_bar_and_the_line_is_ended(show, monkeypatch):
    screen = io.StringIO()
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(progress, "tqdm", lambda *args, **settings: tqdm(*args, file=screen, **settings))

    def sgd(*arguments):
        fresh()(1)
        kernels.sgd(*arguments)

    monkeypatch.setattr("pdtutor.training.engines.sgd", sgd)
    train(MLP(6, width=4), SparseParity(6, 2), steps=20, eval_every=10, optimizer=SGD(lr=0.1), progress=show)
    assert (TEXT in screen.getvalue()) == show
    assert screen.getvalue().endswith("\n") == show
    last = screen.getvalue().rpartition("\r")[2]
    assert ("20/20" in last) == show
    assert TEXT not in last
