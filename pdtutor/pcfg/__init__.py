"""Probabilistic context-free grammars: rules, sentences, and exact inference."""

from pdtutor.pcfg.grammar import Grammar, Rule
from pdtutor.pcfg.inference import Marginals, marginals, next_tokens
from pdtutor.pcfg.sampler import Sentences, sample

__all__ = ["Grammar", "Marginals", "Rule", "Sentences", "marginals", "next_tokens", "sample"]
