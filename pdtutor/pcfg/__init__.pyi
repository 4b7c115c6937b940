from .grammar import Grammar as Grammar
from .sampler import sample as sample
