"""What a model has learned: each probe asks one question; over a trajectory, its answers are a curriculum."""

from pdtutor.probes.monomials import monomial_correlations
from pdtutor.probes.over import over

__all__ = ["monomial_correlations", "over"]
