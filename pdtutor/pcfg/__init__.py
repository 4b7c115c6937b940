"""Probabilistic context-free grammars: rules, sentences, and exact inference."""

from pdtutor.pcfg.grammar import Grammar, Rule
from pdtutor.pcfg.sampler import Sentences, sample

__all__ = ["Grammar", "Rule", "Sentences", "sample"]
