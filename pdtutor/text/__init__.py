"""Text: corpora by name or folder, tokenizers, and the memory-mapped tokens of a corpus."""
