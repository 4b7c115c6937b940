"""Probabilistic context-free grammars: rules, sentences, and exact inference."""
