"""The exact Bayes-optimal predictor of a grammar task, as a model: what no accuracy can pass on average."""

import numpy as np
import torch
from torch import Tensor, nn

from pdtutor.pcfg.inference import marginals, next_tokens
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar


class BayesOptimal(nn.Module):
    """Predicts every token by its exact posterior, under the grammar and under the task's own corruption.

    It stands wherever a model does: in `evaluate`, whose accuracy and cross-entropy are then the task's optimum, and
    in the n-gram probes. It has one copy and no parameters, and takes milliseconds for a short sentence.

    A masked task shows a token that was selected as it is in one of ten cases, and as a random one in another; so no
    visible token is certain, and none of them says whether it was selected. The prediction at a visible token is the
    one for the case that it was: it is asked for in no other. (Sentences in which chance selects no token, of which
    the task selects one, are too rare to matter.)

    Args:
        task: whose optimum.
    """

    def __init__(self, task: MaskedGrammar | CausalGrammar) -> None:
        super().__init__()
        self.task, self.classes, self.padding, self.seeds = task, task.classes, task.padding, [0]

    def config(self) -> dict:
        """Raise ValueError: what is computed exactly has no checkpoints."""
        raise ValueError("the Bayes-optimal predictor is exact: it can be evaluated and probed, not trained or saved")

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (1, batch, length) to log-probabilities (1, batch, length, classes); 0 at `bos` and the padding.

        Raises ValueError for rows that don't begin with `bos`, and sentences that the grammar can't derive.
        """
        rows = ids.squeeze(0).cpu().numpy()
        if (rows[:, 0] != self.task.bos).any():
            raise ValueError(f"rows of ids must begin with bos = {self.task.bos}")
        logits = np.zeros((*rows.shape, self.classes))
        with np.errstate(divide="ignore"):  # log 0 = −∞ for what is impossible
            for i, length in enumerate(self.task.lengths(rows)):
                if isinstance(self.task, MaskedGrammar):
                    self._masked(self.task, rows[i, 1:length], logits[i])
                else:
                    self._next(rows[i, 1:length], logits[i])
        return torch.from_numpy(logits).float().unsqueeze(0).to(ids.device)

    def _masked(self, task: MaskedGrammar, seen: np.ndarray, out: np.ndarray) -> None:
        """Write the log-posteriors of a sentence (length,) with `mask` in it into out[1:]."""
        shown = np.eye(self.classes + 2)[seen][:, : self.classes]  # (length, classes), one-hot, 0 at `mask`
        uniform, masked = 1 / self.classes, (seen == task.mask)[:, None]
        selected = np.where(masked, 1.0, 0.1 * shown + 0.1 * uniform)  # of what is seen, if selected
        either = np.where(masked, 1.0, (1 - task.rate) * shown + task.rate * (0.1 * shown + 0.1 * uniform))
        out[1 : 1 + len(seen)] = np.log(_normalised(marginals(task.rules, either).cavity * selected))

    def _next(self, seen: np.ndarray, out: np.ndarray) -> None:
        """Write the log-probabilities of the token after each prefix of a sentence, given that there is one."""
        out[: 1 + len(seen)] = np.log(_normalised(next_tokens(self.task.rules, seen)[:, : self.classes]))


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=-1, keepdims=True)
