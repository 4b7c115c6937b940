"""A third way to run a stretch of updates, for GPUs: recorded once as CUDA graphs, then replayed.

At the sizes of this course an update is dozens of small operations, and telling a GPU to start one of them takes longer
than the operation itself. A graph starts those of many updates at once. It replays addresses, not values: whatever an
update reads must be in buffers that stay where they are, and new values are copied into them before every replay.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pdtutor.distillation.targets import Targets
from pdtutor.models.model import Model
from pdtutor.tasks.stream import Stretch
from pdtutor.training.engines import autograd_updates
from pdtutor.training.optim import AdamWState, SGDState

MOST = 32  # updates in the longest graph; a power of two
SHAPES = 16  # of inputs and targets whose recordings are kept


@dataclass
class Recording:
    """What updates of one shape read and write, and the graphs of them.

    Attributes:
        buffers: inputs, soft, rates, corrections and perhaps at; the first axis is updates, MOST of them.
        losses: (MOST, copies).
        graphs: by number of updates.
    """

    buffers: list[Tensor]
    losses: Tensor
    graphs: dict[int, torch.cuda.CUDAGraph] = field(default_factory=dict)


class GraphEngine:
    """Runs the updates of `autograd_updates`, bit for bit, in launches of up to MOST updates; see `Engine`.

    A stretch is cut into pieces of 32, 16, …, 1 updates. The first piece of each size runs normally, which also loads
    every kernel that it needs, and is then recorded, which runs nothing. Later pieces of that size are replays. Every
    shape of inputs and targets has recordings of its own; at more than SHAPES shapes, all start again. Without CUDA
    nothing is recorded, but the buffers and pieces are the same.

    Args:
        model: its parameters must stay the same tensors, changed in place only.
        state: the optimizer's state for these parameters, whose tensors must stay the same, too.
        precision: see `autograd_updates`.

    Raises RuntimeError, when it is called, if the updates can't be recorded.
    """

    def __init__(self, model: Model, state: SGDState | AdamWState, *, precision: str = "float32") -> None:
        self.model, self.state, self.precision = model, state, precision
        self._recordings: dict[tuple, Recording] = {}  # by shapes and types
        self._recording = Recording([], torch.empty(0, 0))  # the one in use

    def __call__(self, stretch: Stretch, targets: Targets, rates: Tensor, corrections: Tensor) -> Tensor:
        """Run the updates of a stretch; see `Engine`. The loss of every copy must be linear in its targets."""
        self.model.train()
        inputs = stretch.own_inputs[stretch.index]  # (copies, updates, batch, …)
        values = [inputs.transpose(0, 1), targets.soft.transpose(0, 1), rates, corrections]
        if targets.at is not None:
            values.append(targets.at.transpose(0, 1))
        shapes = tuple((value.shape[1:], value.dtype) for value in values)
        if shapes not in self._recordings:
            self._recordings |= {shapes: self._allocated(values)}
        self._recording = self._recordings[shapes]
        losses = torch.empty_like(rates)
        start = 0
        for size in pieces(len(rates)):
            here = slice(start, start + size)
            for buffer, value in zip(self._recording.buffers, values, strict=True):
                buffer[:size].copy_(value[here])
            self._launch(size)
            losses[here] = self._recording.losses[:size]
            start += size
        return losses

    def _allocated(self, values: list[Tensor]) -> "Recording":
        """Return buffers for values of these shapes, with nothing recorded yet."""
        if len(self._recordings) == SHAPES:
            self._recordings.clear()
        buffers = [value.new_empty(MOST, *value.shape[1:]) for value in values]
        if not self._recordings and recordable(buffers[2]):
            # Autograd remembers the stream on which a parameter was used. So recorded and normal updates share one
            # stream; it is not the default one, which can't be recorded.
            self._stream = torch.cuda.Stream(buffers[2].device)
            self._pool = torch.cuda.graph_pool_handle()  # graphs share their memory: no two run at the same time
        return Recording(buffers, torch.empty_like(buffers[2]))

    def _launch(self, size: int) -> None:
        """Run this many updates on what the buffers hold."""
        graphs, losses = self._recording.graphs, self._recording.losses
        if size in graphs:
            graphs[size].replay()
        elif not recordable(losses):
            self._run(size)
        else:
            current = torch.cuda.current_stream(losses.device)
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                self._run(size)
            graphs[size] = self._record(size)
            current.wait_stream(self._stream)

    def _record(self, size: int) -> torch.cuda.CUDAGraph:
        """Return a graph of this many updates. Raises RuntimeError if they can't be recorded."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                self._run(size)
        except RuntimeError as error:
            message = f"{size} updates could not be recorded as a CUDA graph; engine='autograd' runs them one by one"
            raise RuntimeError(message) from error
        return graph

    def _run(self, size: int) -> None:
        """Run this many updates on what the buffers hold, one operation at a time."""
        inputs, soft, rates, corrections, *at = (buffer[:size] for buffer in self._recording.buffers)
        losses = self._recording.losses[:size]
        at = at[0].transpose(0, 1) if at else None
        targets = Targets(soft.transpose(0, 1), constant=losses.T, others=[], at=at)  # constant: unused
        found = autograd_updates(
            self.model, self.state, inputs.transpose(0, 1), targets, rates, corrections, precision=self.precision
        )
        losses.copy_(found)


def pieces(updates: int) -> Iterator[int]:
    """Yield the fewest powers of two up to MOST that sum to this number of updates, the largest first."""
    size = MOST
    while updates:
        while size > updates:
            size //= 2
        yield size
        updates -= size


def recordable(tensor: Tensor) -> bool:
    """Return whether operations on this tensor can be recorded: it must be on a CUDA device."""
    return tensor.is_cuda
