"""Checkers for the exercises: `checks.name(my_function)` prints ✓, or what is wrong and a hint. They never raise."""

from pdtutor.checks.lesson01 import (
    coefficient,
    degree_one_share,
    descent_direction,
    first_layer_step,
    parity_label,
    samples_to_resolve,
    will_separate,
)
from pdtutor.checks.lesson02 import monomial_correlation, noise_floor, peak_step, spike_height, transition_step
from pdtutor.checks.lesson03 import (
    cold_loss,
    distillation_loss,
    mixed_target,
    sign_test,
    teacher_probabilities,
    teacher_step,
)
from pdtutor.checks.lesson03b import agreement, tokens, tree_label
from pdtutor.checks.lesson04 import expected_lengths, m_robust, posterior, token_accuracy
from pdtutor.checks.lesson05 import mask_batch, split_by_document
from pdtutor.checks.lesson05_teachers import closest_checkpoint, m_close, progressive_stages
from pdtutor.checks.lesson05b import (
    latest_checkpoint,
    teacher_answers,
    top_k_loss,
    top_k_targets,
    whole_batch_gradient,
)

__all__ = [
    "agreement",
    "closest_checkpoint",
    "coefficient",
    "cold_loss",
    "degree_one_share",
    "descent_direction",
    "distillation_loss",
    "expected_lengths",
    "first_layer_step",
    "latest_checkpoint",
    "m_close",
    "m_robust",
    "mask_batch",
    "mixed_target",
    "monomial_correlation",
    "noise_floor",
    "parity_label",
    "peak_step",
    "posterior",
    "progressive_stages",
    "samples_to_resolve",
    "sign_test",
    "spike_height",
    "split_by_document",
    "teacher_answers",
    "teacher_probabilities",
    "teacher_step",
    "token_accuracy",
    "tokens",
    "top_k_loss",
    "top_k_targets",
    "transition_step",
    "tree_label",
    "whole_batch_gradient",
    "will_separate",
]
