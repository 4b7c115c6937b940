"""The exact Bayes-optimal predictor of a grammar task, as a model: no model has a higher expected accuracy."""

import numpy as np
import torch
from torch import Tensor, nn

from pdtutor.pcfg.inference import marginals, next_tokens
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar


class BayesOptimal(nn.Module):
    """Predicts every token by its exact posterior, given the grammar and the task's own masking.

    It can take the place of a trained model: in `evaluate`, whose accuracy and cross-entropy are then the best that the
    task allows, and in the probes of grammar tasks. It has one copy and no parameters, and needs milliseconds for a
    short sentence.

    A masked task shows a selected token unchanged in one case out of ten, and as a random token in another. So no
    visible token is certain, and none tells whether it was selected. The prediction at a visible token assumes that it
    was, since only selected tokens are scored. (If chance selects no token of a sentence, the task selects one. That is
    left out here: it is too rare to matter, except in very short sentences.)

    Args:
        task: the task whose optimum this is.

    Raises ValueError for any other task, subclasses of these two included: they may draw other examples; and for a
    causal task on a recursive grammar, or whose max_length leaves sentences out.
    """

    def __init__(self, task: MaskedGrammar | CausalGrammar) -> None:
        super().__init__()
        if type(task) not in (MaskedGrammar, CausalGrammar):
            raise ValueError(
                f"the optimum is known for MaskedGrammar and CausalGrammar, got a {type(task).__name__}, whose "
                "examples may be drawn otherwise"
            )
        self.task, self.classes, self.padding, self.seeds = task, task.classes, task.padding, [0]
        if isinstance(task, CausalGrammar):
            if task.rules.recursive:
                raise ValueError(f"{task.rules!r} is recursive: its next tokens can't be computed exactly")
            if task.max_length is not None and task.max_length < (longest := task.rules.longest):
                raise ValueError(
                    f"what follows is computed for sentences of all lengths, and those of {task.rules!r} have up to "
                    f"{longest} tokens: leave max_length = {task.max_length} out"
                )

    def config(self) -> dict:
        """Raise ValueError: this model is computed, not trained, so it has no checkpoints."""
        raise ValueError(
            "the Bayes-optimal predictor is computed: it can be evaluated and probed, but neither trained nor saved"
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (1, batch, length) to log-probabilities (1, batch, length, classes).

        They are 0 at the padding and, in a masked task, at `bos`: nothing is predicted there.

        Raises ValueError for rows that don't begin with `bos`, and for sentences that the grammar can't derive.
        """
        rows = ids.squeeze(0).cpu().numpy()
        if (rows[:, 0] != self.task.bos).any():
            raise ValueError(f"rows of ids must begin with bos = {self.task.bos}")
        logits = np.zeros((*rows.shape, self.classes))
        with np.errstate(divide="ignore"):  # log 0 = −∞ for impossible tokens
            for i, length in enumerate(self.task.lengths(rows)):
                if isinstance(self.task, MaskedGrammar):
                    self._masked(self.task, rows[i, 1:length], logits[i])
                else:
                    self._next(rows[i, 1:length], logits[i])
        return torch.from_numpy(logits).float().unsqueeze(0).to(ids.device)

    def _masked(self, task: MaskedGrammar, seen: np.ndarray, out: np.ndarray) -> None:
        """Write the log-posteriors of a sentence (length,), some of it shown as `mask`, into out[1:]."""
        shown = np.eye(self.classes + 2)[seen][:, : self.classes]  # (length, classes), one-hot; 0 at `mask`
        uniform, masked = 1 / self.classes, (seen == task.mask)[:, None]
        selected = np.where(masked, 1.0, 0.1 * shown + 0.1 * uniform)  # likelihood of what is seen, if selected
        either = np.where(masked, 1.0, (1 - task.rate) * shown + task.rate * (0.1 * shown + 0.1 * uniform))
        out[1 : 1 + len(seen)] = np.log(_normalised(marginals(task.rules, either).cavity * selected))

    def _next(self, seen: np.ndarray, out: np.ndarray) -> None:
        """Write the log-probabilities of the next token after each prefix of a sentence, given that there is one."""
        out[: 1 + len(seen)] = np.log(_normalised(next_tokens(self.task.rules, seen)[:, : self.classes]))


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=-1, keepdims=True)
