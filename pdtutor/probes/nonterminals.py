"""Non-terminal probe: do a model's hidden states show which spans a token lies in? (paper section 4)"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pdtutor.models.model import Model, device_of, evaluating, shows_states
from pdtutor.pcfg.inference import marginals
from pdtutor.probes.probe import Probe
from pdtutor.progress import progress_bar
from pdtutor.seeds import generator
from pdtutor.tasks.optimal import BayesOptimal
from pdtutor.tasks.pcfg import MaskedGrammar
from pdtutor.tasks.task import IGNORED
from pdtutor.validate import flag, instance, number, one_of, whole


@dataclass
class Spans:
    """Sentences and, above every token, the symbol of one level of the grammar.

    Attributes:
        ids: (sentences, length) int64, unmasked.
        symbols: (sentences, length) int64, the symbol's index in its level; IGNORED at `bos` and padding.
        closes: (sentences, length) bool, True where the symbol's span ends at the token.
    """

    ids: Int[Tensor, "sentences length"]
    symbols: Int[Tensor, "sentences length"]
    closes: Bool[Tensor, "sentences length"]


def nonterminal_probe(
    task: MaskedGrammar,
    level: int,
    *,
    kind: str = "attention",
    heads: int = 16,
    epochs: int = 4,
    batch_size: int = 64,
    lr: float = 1e-2,
    sentences: int = 2048,
    held_out: int = 512,
    seed: int = 0,
    shuffled: bool = False,
    progress: bool = False,
) -> Probe:
    """Return a probe that predicts the symbol of `level` above every token from frozen last hidden states.

    The read-out is trained anew for every model that is probed. The "attention" read-out is the paper's: every head
    maps the states linearly and mixes them over positions, with weights that depend only on the two positions (a
    softmax over the position that is mixed in). The "linear" one is its control: it reads each token's own state.
    Sentences are shown unmasked. Padding is neither mixed in nor scored.

    The probe maps a model to a table with a row per copy: copy, level, kind, and the held-out accuracy at tokens where
    a span of this level `ends`, at tokens `inside` a span and at `all` tokens, and `chance`, the accuracy of always
    naming the most frequent symbol. A model without `states` (see `shows_states`) is read from its logits.
    `BayesOptimal` needs no read-out, since it computes how probable each span is; its kind is "exact".

    What a read-out tells is not all the model's: it is trained, and may mix many tokens. Two controls say how much is
    its own doing: the probe of a model that has learned nothing, and a read-out trained on symbols that have nothing to
    do with the sentence (`shuffled`), which can learn no more than how frequent a symbol is at each position.

    Args:
        task: the task that gives the sentences.
        level: level of the grammar; the root's is 0. The root and the last level are trivial.
        kind: "attention" or "linear".
        heads: number of heads of the attention read-out, 16 in the paper.
        epochs: passes over the training sentences, 4 in the paper.
        batch_size: sentences per update.
        lr: peak learning rate of Adam, with 6 % warm-up and a cosine to 0; 1e-2 in the paper.
        sentences: number of training sentences, 10 240 in the paper.
        held_out: number of sentences to evaluate on, 4096 in the paper.
        seed: seed of the sentences, of the read-out's initial weights and of the order of batches.
        shuffled: train the read-out on the symbols of another sentence, the next one drawn; tokens beyond the end of
            the shorter of the two are left out. The evaluation has its own symbols.
        progress: show a progress bar.

    Raises ValueError for a level that the grammar doesn't have, any other kind, and sizes < 1.
    """
    instance("task", task, MaskedGrammar, "a MaskedGrammar")
    levels = task.rules.levels
    level = whole("level", level, minimum=0)
    if levels is None or level >= len(levels):
        there = "no levels" if levels is None else f"levels 0…{len(levels) - 1}"
        raise ValueError(f"the grammar has {there}, got level {level}")
    one_of("kind", kind, ("attention", "linear"))
    heads, epochs, batch_size = (
        whole(name, size) for name, size in {"heads": heads, "epochs": epochs, "batch_size": batch_size}.items()
    )
    lr, seed, progress = number("lr", lr, minimum=0), whole("seed", seed, minimum=0), flag("progress", progress)
    sentences, held_out = whole("sentences", sentences), whole("held_out", held_out)
    shuffled = flag("shuffled", shuffled)
    seen = spans(task, level, sentences, seed=seed, purpose="span probe: training")
    unseen = spans(task, level, held_out, seed=seed, purpose="span probe: evaluation")
    symbols = len(levels[level])
    if shuffled:
        seen.symbols = torch.where(seen.ids < task.classes, seen.symbols.roll(1, 0), IGNORED)

    def probe(model: Model) -> pd.DataFrame:
        if type(model) is BayesOptimal:
            return table(_most_probable(task, level, unseen.ids).unsqueeze(0), kind="exact")
        device = device_of(model)
        width = model.width if shows_states(model) else model.classes
        make = AttentionReadOut if kind == "attention" else LinearReadOut
        read_out = make(
            len(model.seeds), width, symbols, heads=heads, length=task.longest, padding=task.padding, seed=seed
        ).to(device)
        optimizer = torch.optim.Adam(read_out.parameters(), lr=lr)
        updates = epochs * math.ceil(sentences / batch_size)
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_cosine(step, updates))
        order = generator(seed, "span probe: order")
        batches = (
            torch.from_numpy(part)
            for _ in range(epochs)
            for part in np.array_split(order.permutation(sentences), math.ceil(sentences / batch_size))
        )
        for batch in progress_bar(batches, total=updates, desc="probe", unit="update", show=progress):
            logits = read_out(_states(model, seen.ids[batch].to(device)), seen.ids[batch].to(device))
            wanted = seen.symbols[batch].to(device).expand(logits.shape[:-1])
            loss = nn.functional.cross_entropy(logits.flatten(0, -2), wanted.flatten(), ignore_index=IGNORED)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
        with torch.no_grad():
            pieces = unseen.ids.to(device).split(batch_size)
            guesses = torch.cat([read_out(_states(model, ids), ids).argmax(-1) for ids in pieces], dim=1).cpu()
        return table(guesses, kind=kind)

    def table(guesses: Tensor, *, kind: str) -> pd.DataFrame:
        scored = unseen.symbols != IGNORED
        right = guesses == unseen.symbols  # (copies, sentences, length)
        most = unseen.symbols[scored].bincount().max().item() / scored.sum().item()
        shares = {"ends": scored & unseen.closes, "inside": scored & ~unseen.closes, "all": scored}
        accuracy = {name: right[:, where].float().mean(1).tolist() for name, where in shares.items()}
        return pd.DataFrame({"copy": range(len(right)), "level": level, "kind": kind, **accuracy, "chance": most})

    return Probe(task, probe)


def spans(task: MaskedGrammar, level: int, n: int, *, seed: int, purpose: str) -> Spans:
    """Return n sentences and the symbols of one level above their tokens."""
    drawn = task.sentences(generator(seed, purpose), n, spans=True)
    ancestors, closes = drawn.told()
    symbols = drawn.padded(ancestors[:, level].astype(np.int64), IGNORED)
    symbols = np.pad(symbols, ((0, 0), (1, 0)), constant_values=IGNORED)  # for `bos`, which comes first
    closes = np.pad(drawn.padded(closes <= level, False), ((0, 0), (1, 0)))
    return Spans(torch.from_numpy(task.rows(drawn)), torch.from_numpy(symbols), torch.from_numpy(closes))


class LinearReadOut(nn.Module):
    """A linear map of each token's own state to logits of the symbols, once per copy."""

    def __init__(self, copies: int, width: int, symbols: int, *, seed: int, **_) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(
            torch.randn(copies, width, symbols, generator=rng, dtype=torch.float32) / math.sqrt(width)
        )
        self.bias = nn.Parameter(torch.zeros(copies, 1, 1, symbols, dtype=torch.float32))

    def forward(
        self, states: Float[Tensor, "copies batch length width"], ids: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "copies batch length symbols"]:
        """Map states (copies, batch, length, width) to logits (copies, batch, length, symbols)."""
        return torch.einsum("cblw,cws->cbls", states, self.weight) + self.bias


class AttentionReadOut(nn.Module):
    """Linear maps of the states, mixed over positions by attention that depends on positions only, once per copy."""

    DIM = 16  # size of a head's vector for a position

    def __init__(
        self, copies: int, width: int, symbols: int, *, heads: int, length: int, padding: int, seed: int
    ) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.padding = padding
        self.places = nn.Parameter(torch.randn(copies, heads, length, self.DIM, generator=rng, dtype=torch.float32))
        self.weight = nn.Parameter(
            torch.randn(copies, heads, width, symbols, generator=rng, dtype=torch.float32) / math.sqrt(width * heads)
        )
        self.bias = nn.Parameter(torch.zeros(copies, 1, 1, symbols, dtype=torch.float32))

    def forward(
        self, states: Float[Tensor, "copies batch length width"], ids: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "copies batch length symbols"]:
        """Map states (copies, batch, length, width) and their ids to logits (copies, batch, length, symbols)."""
        places = self.places[:, :, : ids.shape[1]]
        scores = torch.einsum("chid,chjd->chij", places, places) / math.sqrt(self.DIM)  # how much i attends to j
        # A softmax over all j that are not padding. Its exponentials are the same for every sentence, so they are
        # computed once, and padding is left out of both sums: that of the values and the normaliser.
        exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
        seen = (ids != self.padding).to(states.dtype)  # (batch, length)
        mapped = torch.einsum("cbjw,chws->chjbs", states, self.weight) * seen.T.unsqueeze(-1)
        values = torch.einsum("chij,chjbs->chibs", exponentials, mapped)
        total = torch.einsum("chij,bj->chib", exponentials, seen).clamp(min=torch.finfo(states.dtype).tiny)
        return (values / total.unsqueeze(-1)).sum(1).transpose(1, 2) + self.bias  # (copies, batch, length, symbols)


def _most_probable(task: MaskedGrammar, level: int, ids: Int[Tensor, "n length"]) -> Int[Tensor, "n length"]:
    """Return the most probable symbol of this level above every token: ids (n, length) → (n, length).

    Spans end where the probability that one ends is above ½; a token lies in the first span that ends at or after it.
    """
    found = torch.full_like(ids, IGNORED)
    for row, length, out in zip(ids.numpy(), task.lengths(ids.numpy()), found, strict=True):
        by_level = marginals(task.rules, np.eye(task.classes)[row[1:length]]).spans
        assert by_level is not None  # a grammar with levels
        spans = by_level[level]  # (tokens, symbols)
        ends = np.flatnonzero(spans.sum(axis=1) > 0.5)
        following = np.searchsorted(ends, np.arange(length - 1)).clip(max=len(ends) - 1)
        out[1:length] = torch.from_numpy(spans.argmax(axis=1)[ends[following]])
    return found


@torch.no_grad()
def _states(model: Model, ids: Int[Tensor, "batch length"]) -> Float[Tensor, "copies batch length width"]:
    """Return the model's last hidden states (copies, batch, length, width) at ids (batch, length).

    For a model that shows none, such as a function, return its logits instead.
    """
    ids = ids.unsqueeze(0)
    with evaluating(model):
        return model.states(ids) if shows_states(model) else model(ids)


def _warm_cosine(step: int, steps: int) -> float:
    """Return the factor of the learning rate at this step, as in the paper: 6 % warm-up, then a cosine to 0."""
    warm = max(1, round(0.06 * steps))
    return (step + 1) / warm if step < warm else (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2
