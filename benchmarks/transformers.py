"""Transformers: masked prediction on sentences of cfg3b, against Hugging Face's BERT in a plain loop."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from benchmarks.work import Work
from pdtutor import AdamW, MaskedGrammar, Run, Transformer, ngram_robustness, train
from pdtutor.seeds import generator
from pdtutor.tasks.task import IGNORED

LAYERS, HEAD_DIM, BATCH, LR = 4, 8, 8, 1e-3
POSITIONS = 4  # at which a sentence is probed
SENTENCES = 4096  # drawn at a time, as `train` does
PURPOSE = "teacher data"  # the stream that `train` draws from, so that both learn the same sentences


def works() -> list[Work]:
    """Return this part's rows of the table."""
    training = [masked(heads=heads, target=target) for heads, target in ((8, 2.0), (32, 2.0))]
    return [*training, probing(root="16", layers=2, heads=4, target=10), probing(root=None, layers=4, heads=8)]


def masked(*, heads: int, target: float) -> Work:
    """Updates of AdamW, forward and backward, on batches of 8 sentences: the plain loop against `train` as it comes.

    Both read the same sentences with the same masks. The plain loop takes them as they are drawn, padded to the longest
    of a batch; `train` sorts them by length first. Only what is not padding counts. Neither has dropout.
    """
    task = MaskedGrammar("cfg3b")

    def plain(steps: int) -> None:
        fit(bert(task, heads=heads), plain_batches(task), task.padding, steps=steps)

    def ours(steps: int) -> Run:
        return train(
            transformer(task, heads=heads),
            task,
            steps=steps,
            batch_size=BATCH,
            optimizer=AdamW(lr=LR),
            eval_every=steps,
            eval_examples=1,  # it evaluates twice, whatever the updates
            progress=False,
        )

    tokens = round(task.lengths(drawn(task, 0)[0]).sum() * BATCH / SENTENCES)  # of an update, on average
    name = f"masked Transformer, {heads} heads, batch {BATCH}, against BERT (tokens/s)"
    return Work(name, plain, ours, tokens, tokens, target)


def probing(*, root: str | None, layers: int, heads: int, target: float | None = None) -> Work:
    """The probe of M_robust(3) as it comes: BERT reads sentence after sentence, as the official code does.

    The targets are for students at laptop scale. At full length the multiplications weigh more than starting them.
    """
    task = MaskedGrammar("cfg3b", root=root)
    theirs = bert(task, heads=heads, layers=layers).eval()
    ours = transformer(task, heads=heads, layers=layers)

    @torch.no_grad()
    def plain(sentences: int) -> None:
        for row, length in _rows(task, sentences):
            for place in range(1, 1 + POSITIONS):
                for n in (1, 3):
                    masked = row[:length].clone()
                    masked[place : place + n] = task.mask
                    theirs(masked[None]).logits[0, place].softmax(-1)

    def probed(sentences: int) -> None:
        ngram_robustness(task, 3, sentences=sentences, positions=POSITIONS)(ours)

    name = f"M_robust(3), cfg3b{f' from {root}' if root else ''}, {layers} layers, {heads} heads (sequences/s)"
    return Work(name, plain, probed, 2 * POSITIONS, 2 * POSITIONS, target)


def _rows(task: MaskedGrammar, sentences: int) -> Iterator[tuple[Tensor, int]]:
    rows = task.rows(task.sentences(generator(0, PURPOSE), sentences))
    return zip(torch.from_numpy(rows), task.lengths(rows), strict=True)


def transformer(task: MaskedGrammar, *, heads: int, layers: int = LAYERS) -> Transformer:
    """Return our model for this task."""
    return Transformer(
        task.vocabulary,
        max_length=task.longest,
        classes=task.classes,
        layers=layers,
        heads=heads,
        head_dim=HEAD_DIM,
        read_out="every",
        padding=task.padding,
    )


def bert(task: MaskedGrammar, *, heads: int, layers: int = LAYERS) -> BertForMaskedLM:
    """Return Hugging Face's model of the same size, without dropout, in training mode."""
    config = BertConfig(
        vocab_size=task.vocabulary,
        hidden_size=heads * HEAD_DIM,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * heads * HEAD_DIM,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=task.longest,
        pad_token_id=task.padding,
    )
    return BertForMaskedLM(config).train()


def fit(model: BertForMaskedLM, batches: Iterator[tuple[Tensor, Tensor]], padding: int, *, steps: int) -> None:
    """Train on batches of inputs and labels, both (batch, length), with torch's AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    for _, (inputs, labels) in zip(range(steps), batches, strict=False):
        loss = model(inputs, attention_mask=(inputs != padding).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def plain_batches(task: MaskedGrammar) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches in the order that sentences are drawn in, each padded to its longest, without end."""
    assert IGNORED == -100, "what Hugging Face's loss leaves out"
    number = 0
    while True:
        inputs, labels = drawn(task, number)
        lengths = task.lengths(inputs)
        for start in range(0, SENTENCES, BATCH):
            rows = slice(start, start + BATCH)
            shown, wanted = (torch.from_numpy(part[rows, : lengths[rows].max()]) for part in (inputs, labels))
            yield shown.contiguous(), wanted.contiguous()
        number += 1


def drawn(task: MaskedGrammar, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs and labels, both (SENTENCES, length), that training with seed 0 draws at a time."""
    return task.sample(generator(0, PURPOSE, number), SENTENCES)
