"""Probabilistic context-free grammars: rules, sentences, and exact inference."""

from pdtutor.pcfg.grammar import Grammar, Rule
from pdtutor.pcfg.inference import Marginals, marginals, next_tokens
from pdtutor.pcfg.sampler import Sentences, sample
from pdtutor.pcfg.spans import derivation

__all__ = ["Grammar", "Marginals", "Rule", "Sentences", "derivation", "marginals", "next_tokens", "sample"]
