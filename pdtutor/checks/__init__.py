"""Checkers for the exercises: `checks.something(my_function)` says ✓, or what is wrong and a hint. They never raise."""

from .lesson01 import coefficient, degree_one_share, descent_direction, parity_label, samples_to_resolve
from .lesson02 import monomial_correlation, noise_floor, peak_step, transition_step
from .lesson03 import distillation_loss, mixed_target, teacher_probabilities, teacher_step
from .lesson03b import agreement, tokens, tree_label
from .lesson04 import expected_lengths, m_robust, posterior

__all__ = [
    "agreement",
    "coefficient",
    "degree_one_share",
    "descent_direction",
    "distillation_loss",
    "expected_lengths",
    "m_robust",
    "mixed_target",
    "monomial_correlation",
    "noise_floor",
    "parity_label",
    "peak_step",
    "posterior",
    "samples_to_resolve",
    "teacher_probabilities",
    "teacher_step",
    "tokens",
    "transition_step",
    "tree_label",
]
