"""Checkers for the exercises: `checks.something(my_function)` says ✓, or what is wrong and a hint. They never raise."""

from .lesson01 import coefficient, degree_one_share, descent_direction, parity_label, samples_to_resolve

__all__ = ["coefficient", "degree_one_share", "descent_direction", "parity_label", "samples_to_resolve"]
