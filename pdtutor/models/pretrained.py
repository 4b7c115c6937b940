"""Any masked or causal language model of the transformers library, as a teacher or a student."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pdtutor.models.architectures import OBJECTIVES, configuration, describe, filled, longest_row, network_class, quiet
from pdtutor.models.ids import require_ids, require_positions, without_padding
from pdtutor.models.model import ReadsPositions
from pdtutor.models.saved import Saved, read_saved
from pdtutor.models.tied import keep_tied
from pdtutor.seeds import generator
from pdtutor.validate import one_of, seed_list, whole


class Pretrained(ReadsPositions):
    """A language model of the transformers library, as a model of one copy; freshly initialised, or see `load`.

    Its parameters have no copies dimension, so it trains alone: `compare(…, side_by_side=False)`. The architecture's
    dropout applies during training and is drawn from torch's global generator. So that every update can be repeated,
    after a resume too, choose an architecture with all dropout at 0.

    Args:
        architecture: a transformers configuration, or its dict with `model_type` ("bert", "gpt_neox", …).
        objective: "masked", where a position sees the whole row (BERT), or "causal", where it sees itself and the
            positions before it (GPT-2, Pythia).
        padding: the id that fills rows up after the end of a sequence; no position attends to it, and it replaces the
            architecture's pad_token_id. None if all sequences have the same length. Then take care: the architecture's
            own pad_token_id (0 for BERT) is an id whose embedding is never trained.
        classes: number of logits, for the first `classes` ids; all of the architecture's vocab_size if not given.
            Vocabularies are often padded to a round number (Pythia's to 50304), and the surplus ids are no tokens.
        seed: seed of the initial weights, or a list of one.

    Attributes:
        network: the transformers model.
        vocabulary: number of ids: inputs are 0…vocabulary − 1.
        max_length: number of ids in the longest row; None if the architecture sets no limit.

    Raises ValueError for an architecture that transformers doesn't know, doesn't have for this objective or can't
    build; for padding or classes outside the vocabulary; and for several seeds or none. Raises ImportError without
    transformers.
    """

    def __init__(
        self,
        architecture,
        *,
        objective: str = "masked",
        padding: int | None = None,
        classes: int | None = None,
        seed: int | Sequence[int] = 0,
    ) -> None:
        super().__init__()
        self.objective, self.causal = one_of("objective", objective, OBJECTIVES), objective == "causal"
        self.seeds = seed_list(seed)
        if len(self.seeds) != 1:
            raise ValueError(
                f"a Pretrained is one copy, got seeds {self.seeds}: train one model at a time, as "
                "compare(…, side_by_side=False) does"
            )
        config = configuration(architecture, causal=self.causal)
        self.vocabulary = config.vocab_size
        self.classes = self.vocabulary if classes is None else whole("classes", classes)
        self.padding = padding if padding is None else whole("padding", padding, minimum=0)
        if self.classes > self.vocabulary or (self.padding or 0) >= self.vocabulary:
            raise ValueError(
                f"the architecture has a vocabulary of {self.vocabulary}: classes may be at most that and padding "
                f"must be below it, got {classes} and {padding}"
            )
        if padding is not None:
            config.pad_token_id = self.padding
        draws = int(generator(self.seeds[0], "init").integers(2**63))
        network = network_class(config, objective)
        with quiet():
            torch.default_generator.manual_seed(draws)  # torch.manual_seed would also seed accelerators
            try:
                self.network = network(config)
            except AssertionError as error:  # torch's own, for sizes that don't fit together
                raise ValueError(f"no {network.__name__} can be built from this architecture: {error}") from error
        self.max_length = longest_row(self.network)
        keep_tied(self)

    @classmethod
    def load(
        cls,
        repo: str | Path,
        *,
        objective: str,
        revision: str | None = None,
        padding: int | None = None,
        classes: int | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> "Pretrained":
        """Return a model from a local folder or the Hugging Face hub: float32, in eval mode, on the CPU.

        Args:
            repo: a folder as `save_pretrained` writes it, or the name of a repository on the hub.
            objective, padding, classes: as for `Pretrained`; if the model has a pad_token_id, padding must equal it or
                be None.
            revision: a branch, tag or commit of the repository; its default branch if not given.
            cache_dir, local_files_only: as for transformers' own `from_pretrained`.

        Raises what `read_saved` and `from_saved` raise.
        """
        saved = read_saved(repo, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only)
        return cls.from_saved(saved, objective=objective, padding=padding, classes=classes)

    @classmethod
    def from_saved(
        cls, saved: Saved, *, objective: str, padding: int | None = None, classes: int | None = None
    ) -> "Pretrained":
        """Return the model with these saved weights, in eval mode; see `load` for the arguments.

        Raises ValueError if weights are missing or have another shape (transformers itself would draw them at random)
        and for a padding that is not the model's own; and whatever the constructor raises.
        """
        own = saved.config.get("pad_token_id")
        if None not in (padding, own) and padding != own:
            raise ValueError(f"{saved.name} was made with padding {own}, got padding={padding}: give its own, or None")
        with torch.device("meta"):  # shapes without memory
            model = cls(saved.config, objective=objective, padding=padding, classes=classes)
        model.network = filled(model.network, saved)
        return model.eval()

    def logits(self, ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Map token ids (1, batch, length) int64 to logits (1, batch, length, classes).

        With positions `at` (1, batch, n) int64, return logits (1, batch, n, classes): the read-out over the vocabulary
        is computed there only. Logits at padding, and where `at` is −1, mean nothing.

        Raises ValueError for other types and shapes, and for rows that are empty or longer than max_length. On the CPU
        also for ids outside 0…vocabulary − 1 and positions outside −1…length − 1; on an accelerator, looking at them
        would mean waiting for it.
        """
        require_ids("Pretrained", ids, copies=1, vocabulary=self.vocabulary, max_length=self.max_length)
        if at is not None:
            require_positions(at, ids, copies=1)
        ids, length = ids[0], ids.shape[2]
        seen = None
        if self.padding is not None:
            ids, seen = without_padding(ids, self.padding)
        wanted = None if at is None else at[0].clamp(0, ids.shape[1] - 1)  # (batch, n)
        with _read_out_at(self.network, wanted) as picked:
            logits = self.network(input_ids=ids, attention_mask=None if seen is None else seen.long()).logits
        if wanted is not None and not picked:
            logits = logits.take_along_dim(wanted.unsqueeze(-1), dim=1)
        logits = logits[..., : self.classes]  # (batch, length or n, classes)
        if at is None and ids.shape[1] < length:
            logits = pad(logits, (0, 0, 0, length - ids.shape[1]))
        return logits.unsqueeze(0)

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_model` rebuilds this model, freshly initialised."""
        return {
            "class": type(self).__name__,
            "architecture": describe(self.network.config),
            "objective": self.objective,
            "padding": self.padding,
            "classes": self.classes,
            "seed": self.seeds,
        }


@contextmanager
def _read_out_at(network: nn.Module, at: Tensor | None) -> Iterator[list]:
    """Make the read-out over the vocabulary, the last layer, work at positions (batch, n) only; None for all.

    In every architecture, whatever comes after this layer treats each position separately. Yields a list that is empty
    until the layer has done so: some architectures use its weights without calling it.
    """
    picked: list[bool] = []
    head = network.get_output_embeddings()  # pyright: ignore[reportCallIssue]  # of transformers
    if at is None or head is None:
        yield picked
        return

    def pick(_, inputs: tuple) -> tuple | None:  # hidden states (batch, length, width) → (batch, n, width)
        if len(inputs) != 1 or inputs[0].dim() != 3 or len(inputs[0]) != len(at):
            return None
        (hidden,) = inputs
        first = torch.arange(0, len(hidden) * hidden.shape[1], hidden.shape[1], device=at.device)  # of each row
        picked.append(True)
        return (hidden.flatten(0, 1).index_select(0, (at + first[:, None]).flatten()).unflatten(0, at.shape),)

    hook = head.register_forward_pre_hook(pick)
    try:
        yield picked
    finally:
        hook.remove()
