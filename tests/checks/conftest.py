"""What the tests of all checkers share: run one on a function and read what it prints.

A checker is named like its exercise, `name` or else the function's own name.
"""

import pytest

from pdtutor import checks


@pytest.fixture
def said(capsys):
    """Return a function that runs a checker and returns the text that it prints."""

    def said(function, *, name=None):
        assert getattr(checks, name or function.__name__)(function) is None
        return capsys.readouterr().out

    return said


@pytest.fixture
def passes(said):
    """Return a function that asserts that a right answer gets ✓."""

    def passes(function, *, name=None):
        assert said(function, name=name).startswith(f"✓ {name or function.__name__}: ")

    return passes


@pytest.fixture
def refused(said):
    """Return a function that asserts that a wrong answer gets ✗, and returns the text that is printed."""

    def refused(function, *, name):
        output = said(function, name=name)
        assert output.startswith(f"✗ {name}: ")
        return output

    return refused
