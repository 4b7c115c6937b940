"""Every checker recognises a stub, and reports whatever else it is given instead of raising an error."""

import numpy as np
import pytest

from pdtutor import checks

EVERY_CHECKER = pytest.mark.parametrize("name", checks.__all__)


def raises_not_implemented(*_):
    raise NotImplementedError


def leaves(*_):
    raise SystemExit(1)


@EVERY_CHECKER
@pytest.mark.parametrize("stub", [lambda *_: None, lambda *_: ..., raises_not_implemented, None, ...])
def test_a_stub_is_not_solved_yet(said, name, stub):
    assert said(stub, name=name).startswith(f"… {name}: not solved yet")


@EVERY_CHECKER
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda *_: 1 / 0, "ZeroDivisionError"),
        (lambda *_: [][1], "IndexError"),
        (lambda *_: exit("bye"), "SystemExit: bye"),
        (leaves, "SystemExit: 1"),
        (lambda: 1, "TypeError"),
        (3.5, "expected a function, got 3.5"),
    ],
)
def test_whatever_happens_is_reported_not_raised(refused, name, broken, message):
    assert message in refused(broken, name=name)


@EVERY_CHECKER
@pytest.mark.parametrize(
    "odd", [3, "text", (1,), (1, 2), ([1], [2, 3]), {"a": 1}, ("a", "b"), np.zeros(3), np.ones((7, 7)), object()]
)
def test_an_odd_answer_is_refused(refused, name, odd):
    refused(lambda *_: odd, name=name)
