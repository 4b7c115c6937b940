"""Text: corpora by name or folder, tokenizers, and the tokens of a corpus, memory-mapped."""
