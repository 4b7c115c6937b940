"""Text: corpora by name or folder, tokenizers, and the memory-mapped tokens of a corpus.

`documents` yields a corpus's texts, `prepare` makes its tokens; `__init__.pyi` says where they are defined.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
