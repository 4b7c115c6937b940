"""Probabilistic context-free grammars: rules, sentences, spans and exact inference.

`Grammar` holds the rules, `sample` draws sentences; `__init__.pyi` says where they are defined.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
