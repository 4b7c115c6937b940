"""Text: corpora by name or folder, tokenizers, and the tokens of a corpus, memory-mapped."""

from pdtutor.text.corpora import CORPORA, documents
from pdtutor.text.tokens import Tokens, prepare

__all__ = ["CORPORA", "Tokens", "documents", "prepare"]
