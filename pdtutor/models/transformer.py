"""Transformers, bidirectional (BERT) or causal (GPT-2): the models of the paper's experiments E2 to E5."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from pdtutor.models.attention import attention
from pdtutor.models.ids import require_ids, require_positions, used_columns, without_padding
from pdtutor.models.layers import Embedding, LayerNorm, Linear
from pdtutor.models.model import ReadsPositions
from pdtutor.seeds import generator
from pdtutor.validate import flag, number, one_of, seed_list, whole


class Transformer(ReadsPositions):
    """A pre-norm Transformer with learned positions and a linear read-out, one copy per seed; width = heads·head_dim.

    Args:
        vocabulary: number of token ids.
        max_length: number of tokens in the longest sequence.
        classes: number of logits.
        layers: number of blocks, each of attention and an MLP.
        heads: number of attention heads per block.
        head_dim: width of a head.
        mlp_ratio: hidden units of a block's MLP, as a multiple of the width.
        causal: whether a position sees only itself and the positions before it (GPT-2), not the whole sequence (BERT).
        read_out: "last" for logits at the last position only, or "every" for logits at all positions.
        padding: the id that fills rows up after the end of a sequence; no position attends to it. None if all sequences
            have the same length.
        init_std: standard deviation of the initial weights, 0.02 as in GPT-2 and BERT; divided by √(2·layers) for
            weights that write into the residual stream. Narrow models may need more: of three models of width 64, on
            (20,3)-parity with 1200 updates of Adam at 1e-3, none learned at 0.02 or 0.08, and two learned at 0.16.
        seed: seed of the initial weights, or a list with one per copy. Copies with equal seeds start equal.

    Raises ValueError for a size < 1, any other read_out, padding outside the vocabulary or with read_out="last",
    init_std < 0, and an empty list of seeds.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        max_length: int,
        classes: int = 2,
        layers: int = 2,
        heads: int = 4,
        head_dim: int = 8,
        mlp_ratio: int = 4,
        causal: bool = False,
        read_out: str = "last",
        padding: int | None = None,
        init_std: float = 0.02,
        seed: int | Sequence[int] = 0,
    ) -> None:
        super().__init__()
        self.vocabulary, self.max_length = whole("vocabulary", vocabulary), whole("max_length", max_length)
        self.classes, self.mlp_ratio = whole("classes", classes), whole("mlp_ratio", mlp_ratio)
        self.heads, self.head_dim = whole("heads", heads), whole("head_dim", head_dim)
        self.causal, self.read_out = flag("causal", causal), one_of("read_out", read_out, ("last", "every"))
        self.padding = padding if padding is None else whole("padding", padding, minimum=0)
        if self.padding is not None and (self.padding >= self.vocabulary or self.read_out == "last"):
            raise ValueError(
                f"padding must be an id below {self.vocabulary}, and needs read_out='every'; got {padding} and "
                f"{read_out!r}"
            )
        self.seeds = seed_list(seed)
        self.init_std = number("init_std", init_std, minimum=0)
        generators = [generator(s, "init") for s in self.seeds]
        self.width = width = self.heads * self.head_dim
        self.tokens = Embedding(self.vocabulary, width, generators, std=self.init_std)
        self.positions = Embedding(self.max_length, width, generators, std=self.init_std)
        # Every block writes into the residual stream twice; scaled like this, all blocks together keep its variance.
        layers = whole("layers", layers)
        stds = {"std": self.init_std, "residual_std": self.init_std / math.sqrt(2 * layers)}
        self.blocks = nn.ModuleList(
            Block(self.heads, self.head_dim, self.mlp_ratio, self.causal, generators, **stds) for _ in range(layers)
        )
        self.norm = LayerNorm(width, generators)
        self.out = Linear(width, self.classes, generators, std=self.init_std)

    def logits(self, ids: Tensor, at: Tensor | None = None) -> Float[Tensor, "copies batch *positions classes"]:
        """Map token ids (copies, batch, length) int64, or (1, batch, length) for all copies alike, to logits.

        Logits are (copies, batch, classes) with read_out="last", else (copies, batch, length, classes). With positions
        `at` (copies or 1, batch, n) int64 they are (copies, batch, n, classes), and the last block skips the work at
        all other positions. A row with fewer than n positions is filled up with −1 at its end. Logits at padding, and
        where `at` is −1, mean nothing.

        Raises ValueError for other types and shapes, for sequences that are empty or longer than max_length, and for
        `at` with read_out="last". On the CPU also for ids outside 0…vocabulary − 1 and positions outside
        −1…length − 1; on an accelerator, looking at them would mean waiting for it.
        """
        logits = self.out(self.states(ids, at))  # (copies, batch, positions, classes)
        return logits.squeeze(2) if self.read_out == "last" else logits

    def states(self, ids: Tensor, at: Tensor | None = None) -> Float[Tensor, "copies batch positions width"]:
        """Return the last hidden states, from which the logits are read out: (copies, batch, positions, width).

        Arguments are those of `logits`. There are `length` positions, or n with `at`, or 1 with read_out="last".
        """
        sizes = {"vocabulary": self.vocabulary, "max_length": self.max_length}
        require_ids("Transformer", ids, copies=len(self.seeds), **sizes)
        if at is not None:
            if self.read_out == "last":
                raise ValueError("`at` needs a Transformer with read_out='every', this one has read_out='last'")
            require_positions(at, ids, copies=len(self.seeds))
        seen, wanted = None, 1 if self.read_out == "last" else (ids if at is None else at).shape[2]
        if self.padding is not None:
            ids, seen = self._trimmed(ids, self.padding)
        ids = ids.expand(len(self.seeds), -1, -1)
        hidden = self.tokens(ids) + self.positions.weight[:, None, : ids.shape[2]]  # (copies, batch, length, width)
        *blocks, last = self.blocks
        for block in blocks:
            hidden = block(hidden, seen)
        hidden = last(hidden, seen, last_only=self.read_out == "last", at=None if at is None else _filled(at, ids))
        hidden = self.norm(hidden)
        return hidden if hidden.shape[2] == wanted else pad(hidden, (0, 0, 0, wanted - hidden.shape[2]))

    def _trimmed(self, ids: Tensor, padding: int) -> tuple[Tensor, Tensor | None]:
        """Return the ids without the columns that are padding in every row, and which of them attention may see.

        The latter is (copies or 1, batch, length) bool, or None if no mask is needed. Causal attention needs none: it
        never looks at padding, which comes last.

        Raises ValueError, on the CPU, for causal attention to rows with padding before their end.
        """
        ids, seen = without_padding(ids, padding)
        if not self.causal or seen is None:
            return ids, seen
        if ids.device.type == "cpu" and (seen[..., 1:] & ~seen[..., :-1]).any():
            raise ValueError(f"padding, the id {padding}, must come after the end of a row, got it before a token")
        return ids, None

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_model` rebuilds this model."""
        return {
            "class": type(self).__name__,
            "vocabulary": self.vocabulary,
            "max_length": self.max_length,
            "classes": self.classes,
            "layers": len(self.blocks),
            "heads": self.heads,
            "head_dim": self.head_dim,
            "mlp_ratio": self.mlp_ratio,
            "causal": self.causal,
            "read_out": self.read_out,
            "padding": self.padding,
            "init_std": self.init_std,
            "seed": self.seeds,
        }


def _filled(at: Tensor, ids: Tensor) -> Tensor:
    """Return positions (copies, batch, n) that all exist: 0 instead of −1.

    On the CPU, the last columns that are −1 in every row are removed.
    """
    if at.device.type == "cpu":
        at = at[..., : used_columns(at >= 0)]
    return at.clamp(0, ids.shape[2] - 1).expand(len(ids), -1, -1)


class Block(nn.Module):
    """Attention and an MLP, once per copy: each reads the normalised residual stream and adds its result to it."""

    def __init__(
        self,
        heads: int,
        head_dim: int,
        mlp_ratio: int,
        causal: bool,
        generators: Sequence[np.random.Generator],
        *,
        std: float,
        residual_std: float,
    ) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        width = heads * head_dim
        self.attention_norm = LayerNorm(width, generators)
        self.query = Linear(width, width, generators, std=std)
        self.key_value = Linear(width, 2 * width, generators, std=std)
        self.attention_out = Linear(width, width, generators, std=residual_std)
        self.mlp_norm = LayerNorm(width, generators)
        self.mlp_in = Linear(width, mlp_ratio * width, generators, std=std)
        self.mlp_out = Linear(mlp_ratio * width, width, generators, std=residual_std)

    def forward(
        self,
        hidden: Float[Tensor, "copies batch length width"],
        seen: Bool[Tensor, "copies_or_one batch length"] | None = None,
        *,
        last_only: bool = False,
        at: Int[Tensor, "copies batch n"] | None = None,
    ) -> Float[Tensor, "copies batch positions width"]:
        """Map the residual stream to its state after this block, at all positions or at some.

        Args:
            hidden: the residual stream, (copies, batch, length, width).
            seen: (copies or 1, batch, length) bool, True where attention may look; everywhere if not given.
            last_only: return the last position only, as (copies, batch, 1, width).
            at: return these positions only, (copies, batch, n), as (copies, batch, n, width); all if not given.

        In the model's last block, this saves the work at positions that are not read out.
        """
        normed = self.attention_norm(hidden)
        if last_only:
            hidden, taken = hidden[:, :, -1:], self._attend(normed[:, :, -1:], normed, seen)
        elif at is None:
            taken = self._attend(normed, normed, seen)
        elif self.causal:  # causal attention needs as many queries as keys
            hidden, taken = _pick(hidden, at), _pick(self._attend(normed, normed, seen), at)
        else:
            hidden, taken = _pick(hidden, at), self._attend(_pick(normed, at), normed, seen)
        hidden = hidden + self.attention_out(taken)
        return hidden + self.mlp_out(gelu(self.mlp_in(self.mlp_norm(hidden))))

    def _attend(self, asking: Tensor, asked: Tensor, seen: Tensor | None) -> Tensor:
        """Return what `asking` (copies, batch, n, width) reads from `asked` (copies, batch, length, width)."""

        def by_head(tensor: Tensor) -> Tensor:  # (copies, batch, n, width) → (copies·batch, heads, n, head_dim)
            return tensor.flatten(0, 1).unflatten(-1, (self.heads, -1)).transpose(1, 2)

        query = by_head(self.query(asking))
        key, value = (by_head(half) for half in self.key_value(asked).chunk(2, dim=-1))
        # The last position alone may see every key; torch's causal mask would show a single query the first key only.
        causal = self.causal and asking.shape[2] == asked.shape[2]
        if seen is not None:  # (copies·batch, 1, 1, length)
            seen = seen.expand(len(asked), -1, -1).flatten(0, 1)[:, None, None]
        taken = attention(query, key, value, seen, causal=causal)
        return taken.transpose(1, 2).flatten(-2).unflatten(0, asking.shape[:2])


def _pick(
    hidden: Float[Tensor, "copies batch length width"], at: Int[Tensor, "copies batch n"]
) -> Float[Tensor, "copies batch n width"]:
    """Return the states at some positions: (copies, batch, length, width), (copies, batch, n) → (…, n, width)."""
    first = torch.arange(0, hidden[..., 0].numel(), hidden.shape[2], device=at.device)  # position 0 of each sequence
    rows = at + first.view(*at.shape[:2], 1)
    return hidden.flatten(0, 2).index_select(0, rows.flatten()).unflatten(0, at.shape)
