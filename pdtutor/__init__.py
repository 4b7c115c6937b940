"""pdtutor: progressive distillation and the implicit curriculum, as a course and a package.

The nouns, in the order in which they meet: a **task** gives batches; `train` fits a **model** to it and leaves a
**run** with a **trajectory** of checkpoints; a **schedule** says which checkpoint teaches at which student step; a
**probe** asks one question of a model, and a probe over a trajectory is a curriculum.
"""

from pdtutor.choose import checkpoint_table, choose_checkpoint
from pdtutor.compare import Comparison, compare
from pdtutor.foreign import FunctionTeacher
from pdtutor.hub import Checkpoint, PretrainedTrajectory, local_family, multiberts, pythia, save_family
from pdtutor.models import MLP, Pretrained, Transformer
from pdtutor.optim import SGD, AdamW
from pdtutor.optimal import BayesOptimal
from pdtutor.pcfg import Grammar
from pdtutor.probes import (
    monomial_correlations,
    ngram_closeness,
    ngram_robustness,
    node_correlations,
    nonterminal_probe,
    over,
)
from pdtutor.run import Run
from pdtutor.schedule import FINAL, Anneal, explicit, n_shot, on_plateau, one_shot, progressive
from pdtutor.stored import Stored, StoredTargets, storage_table, store_targets
from pdtutor.supervision import Distill, Labels
from pdtutor.tasks import CausalGrammar, CausalText, HierarchicalParity, MaskedGrammar, MaskedText, SparseParity
from pdtutor.train import train
from pdtutor.trajectory import Trajectory

__all__ = [
    "FINAL",
    "MLP",
    "SGD",
    "AdamW",
    "Anneal",
    "BayesOptimal",
    "CausalGrammar",
    "CausalText",
    "Checkpoint",
    "Comparison",
    "Distill",
    "FunctionTeacher",
    "Grammar",
    "HierarchicalParity",
    "Labels",
    "MaskedGrammar",
    "MaskedText",
    "Pretrained",
    "PretrainedTrajectory",
    "Run",
    "SparseParity",
    "Stored",
    "StoredTargets",
    "Trajectory",
    "Transformer",
    "checkpoint_table",
    "choose_checkpoint",
    "compare",
    "explicit",
    "local_family",
    "monomial_correlations",
    "multiberts",
    "n_shot",
    "ngram_closeness",
    "ngram_robustness",
    "node_correlations",
    "nonterminal_probe",
    "on_plateau",
    "one_shot",
    "over",
    "progressive",
    "pythia",
    "save_family",
    "storage_table",
    "store_targets",
    "train",
]
