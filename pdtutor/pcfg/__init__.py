"""Probabilistic context-free grammars: rules, sentences, spans and exact inference."""
