"""pdtutor: progressive distillation and the implicit curriculum, as a course and a package.

The nouns, in the order in which they meet: a **task** gives batches; `train` fits a **model** to it and leaves a
**run** with a **trajectory** of checkpoints; a **schedule** says which checkpoint teaches at which student step; a
**probe** asks one question of a model, and a probe over a trajectory is a curriculum.

`__init__.pyi` lists what can be imported from here and where it is defined. A name's module is loaded when the name is
first used, so that `import pdtutor` alone takes no time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
