"""What a model has learned: each probe asks one question; over a trajectory, its answers are a curriculum."""

from pdtutor.probes.monomials import correlation_levels, monomial_correlations, peak_step, peak_steps
from pdtutor.probes.ngrams import ngram_closeness, ngram_robustness
from pdtutor.probes.nodes import node_correlations, node_steps
from pdtutor.probes.nonterminals import nonterminal_probe
from pdtutor.probes.over import over

__all__ = [
    "correlation_levels",
    "monomial_correlations",
    "ngram_closeness",
    "ngram_robustness",
    "node_correlations",
    "node_steps",
    "nonterminal_probe",
    "over",
    "peak_step",
    "peak_steps",
]
