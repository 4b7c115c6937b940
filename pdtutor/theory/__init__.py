"""The theory in numbers: Fourier coefficients, population gradients, the two-stage algorithm, sample complexity.

Lesson 1 walks through it. Of the rest of pdtutor it uses the argument checks and the progress bar alone.
"""

from pdtutor.theory.algorithm import (
    TwoLayerNet,
    TwoStageResult,
    degree_one_coefficients,
    random_signs,
    stage_one_teacher,
    two_stage,
)
from pdtutor.theory.fourier import (
    MAX_TABLE_DIM,
    degree_weights,
    fourier_coefficient,
    fourier_coefficients,
    hypercube,
    parity,
    subset_index,
    walsh_hadamard,
)
from pdtutor.theory.gradients import parity_gradient, population_gradient
from pdtutor.theory.learning import (
    STAGE2_PER_NEURON,
    Slope,
    bootstrap_slope,
    degree_one_energy,
    flawed_label,
    hidden_support,
    learning_curve,
    samples_to_appear,
    samples_to_reach,
    student_width,
)
from pdtutor.theory.samples import PowerLaw, fit_slope, sample_complexity, samples_to_separate
from pdtutor.theory.threshold import fourier_gap, predicted_samples, threshold_coefficient, tie_free_bias

__all__ = [
    "MAX_TABLE_DIM",
    "STAGE2_PER_NEURON",
    "PowerLaw",
    "Slope",
    "TwoLayerNet",
    "TwoStageResult",
    "bootstrap_slope",
    "degree_one_coefficients",
    "degree_one_energy",
    "degree_weights",
    "fit_slope",
    "flawed_label",
    "fourier_coefficient",
    "fourier_coefficients",
    "fourier_gap",
    "hidden_support",
    "hypercube",
    "learning_curve",
    "parity",
    "parity_gradient",
    "population_gradient",
    "predicted_samples",
    "random_signs",
    "sample_complexity",
    "samples_to_appear",
    "samples_to_reach",
    "samples_to_separate",
    "stage_one_teacher",
    "student_width",
    "subset_index",
    "threshold_coefficient",
    "tie_free_bias",
    "two_stage",
    "walsh_hadamard",
]
