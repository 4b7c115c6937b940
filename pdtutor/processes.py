"""Several processes that train one model together, each on a device of its own (data parallelism).

`torchrun` or `accelerate launch` starts them, and Accelerate reads the environment variables that these set. All
processes draw the same batches and hold the same weights; each works on its share of a batch's rows, and their results
are summed. So all processes have the same numbers and make the same decisions. Process 0, the main process, writes the
files of all, into a folder that all processes must see. Without a launch, everything here does nothing.
"""

import atexit
import functools
import os
import shutil
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from pdtutor.devices import AUTO, flag
from pdtutor.files import LOCK, locked
from pdtutor.seeds import generator
from pdtutor.validate import user_path, whole

PATIENCE = timedelta(minutes=30)  # how long processes wait for each other; one may prepare data for all meanwhile
TEMPORARY = "pdtutor-"  # what names of temporary folders begin with
MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")  # MPI's number of processes, by library


@dataclass(frozen=True)
class Processes:
    """The processes that train together, as seen by one of them.

    Attributes:
        rank: this process's number, 0 … size − 1.
        size: the number of processes.
        device: this process's device; None for a process alone, which may choose.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None

    @property
    def main(self) -> bool:
        """Whether this is the main process, which writes files and shows progress."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """Return which of a batch's rows this process works on. Shares differ by at most one row and may be empty."""
        return shares(rows, self.size)[self.rank]

    def largest_share(self, rows: int) -> int:
        """Return the largest number of a batch's rows that any process works on."""
        return -(-rows // self.size)

    def place(self, device: str | torch.device) -> str | torch.device:
        """Return the device that this process trains on, given the one that was asked for, perhaps "auto".

        Raises ValueError if the processes were launched on another type of device.
        """
        if self.device is None:
            return device
        if device != AUTO and torch.device(device).type != self.device.type:
            raise ValueError(
                f"device={str(device)!r} was asked for, but this process was launched on {str(self.device)!r}: leave "
                "device out, and choose it at the launch (ACCELERATE_USE_CPU=1 for the CPU)"
            )
        return self.device

    def all_reduce_sum(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the tensors, each summed over all processes; they are sent in one message.

        Like all that waits for other processes, it raises ConnectionError if one of them is gone or doesn't answer.
        """
        if self.size == 1:
            return tensors
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with self._waiting():
            torch.distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape).to(tensor.dtype) for part, tensor in zip(parts, tensors, strict=True)]

    def broadcast(self, value):
        """Return the main process's value."""
        if self.size == 1:
            return value
        values = [value]
        with self._waiting():
            torch.distributed.broadcast_object_list(values, src=0)
        return values[0]

    def barrier(self) -> None:
        """Wait until every process has called this."""
        if self.size > 1:
            with self._waiting():
                torch.distributed.barrier()

    def share_weights(self, tensors: Iterable[Tensor]) -> None:
        """Copy the main process's values into these tensors of every process."""
        if self.size > 1:
            with self._waiting():
                for tensor in tensors:
                    torch.distributed.broadcast(tensor.detach(), src=0)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Raise ConnectionError, with what to look for, if another process is gone while the block waits for it."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise ConnectionError(
                f"process {self.rank} of {self.size} lost another, or waited {PATIENCE} for it in vain: look for that "
                f"one's error ({reason})"
            ) from error

    @contextmanager
    def own_noise(self, seed: int, step: int) -> Iterator[None]:
        """While the block runs, make torch draw other numbers in each process, so that no two drop out the same units.

        The numbers follow from seed, step and rank. A process alone is not affected.
        """
        if self.size == 1:
            yield
            return
        on_gpu = self.device is not None and self.device.type == "cuda"
        with torch.random.fork_rng([self.device] if on_gpu else []):
            torch.manual_seed(int(generator(seed, "noise", self.rank, step).integers(2**63)))
            yield


ALONE = Processes()
_within_main = False  # whether the main process is doing something that the others wait for


def launched() -> Processes:
    """Return the processes that this one was launched with, connected to it. Within `on_main` it is alone.

    Raises ImportError if there are others and Accelerate is missing, RuntimeError if Accelerate finds another number
    of processes, ConnectionError if the others don't come. Warns if accelerate launch started a single process instead
    of several.
    """
    accelerated = "ACCELERATE_MIXED_PRECISION" in os.environ  # set by every accelerate launch
    names = ("WORLD_SIZE", *(MPI_SIZES if accelerated else ()))  # else MPI may run for another purpose
    size = next((int(os.environ[name]) for name in names if name in os.environ), None)
    if size is None and accelerated and "MASTER_ADDR" in os.environ:
        warnings.warn(
            "accelerate launch, asked for several processes, has started one: without several GPUs it needs "
            "--mpirun_hostfile. torchrun works without it",
            stacklevel=1,
        )
    return ALONE if _within_main or size in (None, 1) else _meet(size)


@functools.cache
def _meet(size: int) -> Processes:
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError(
            f"{size} processes were launched; to train together they need Accelerate: pip install 'pdtutor[hub]'"
        ) from error
    cuda_like = torch.accelerator.is_available() and not torch.backends.mps.is_available()
    try:
        state = PartialState(cpu=flag("ACCELERATE_USE_CPU") or not cuda_like, timeout=PATIENCE)
    except torch.distributed.DistError as error:
        raise ConnectionError(
            f"of {size} processes that should train together, not all have come within {PATIENCE}: start them all with "
            "torchrun or accelerate launch, or unset WORLD_SIZE if this process is to train alone "
            f"({str(error).partition(chr(10))[0]})"
        ) from error
    atexit.register(state.destroy_process_group)  # whose threads must not outlive Python's own end
    if state.num_processes != size:
        raise RuntimeError(
            f"{size} processes were launched, but Accelerate finds {state.num_processes}: start them with torchrun or "
            "accelerate launch"
        )
    return Processes(state.process_index, state.num_processes, state.device)


def shares(rows: int, parts: int) -> list[slice]:
    """Return 0 … rows − 1 cut into so many consecutive parts, which differ by at most one row; some may be empty."""
    return [slice(part * rows // parts, (part + 1) * rows // parts) for part in range(parts)]


def on_main(function: Callable) -> Callable:
    """Return the function as one that only the main process runs, for all: every process must call it.

    All processes return what it returned, or raise the exception that it raised. Inside it, `launched` returns ALONE.
    """

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        global _within_main
        processes = launched()
        if processes.size == 1:
            return function(*args, **kwargs)
        result = error = None
        if processes.main:
            _within_main = True
            try:
                result = function(*args, **kwargs)
            except Exception as raised:
                error = raised
            finally:
                _within_main = False
        result, error = processes.broadcast((result, error))
        if error is not None:
            raise error
        return result

    return wrapped


@contextmanager
def exclusive(folder: str | Path | None) -> Iterator[None]:
    """Be the only one that writes in this folder while the block runs; the main process is, for all of them.

    Without a folder it does nothing. Raises ValueError at once, in all processes, if another one writes in it.
    """
    if folder is None:
        yield
        return
    with ExitStack() as held:
        take = on_main(lambda: _nothing(held.enter_context(locked(user_path(folder)))))
        take()
        yield


def _nothing(_: object) -> None:
    """Return nothing, which can be sent to other processes, unlike what is held."""


class TemporaryFolder:
    """A temporary folder, `path`, which is removed once no process holds this object any more.

    If there are several processes, each keeps a file of its own in the folder while it holds the object, so that none
    has to wait for another at the end. What a killed process leaves behind, the next one removes.
    """

    def __init__(self) -> None:
        locks: list[FileLock] = []
        self.path = Path(on_main(_new_folder)(locks))
        held = self.path / f".held-by-{launched().rank}"
        if launched().size > 1:
            held.touch()
            launched().barrier()  # no process may let go of the folder before all hold it
        self._let_go = weakref.finalize(self, _let_go, held, locks)


def _new_folder(locks: list[FileLock]) -> str:
    """Return a new temporary folder, with its lock, which this process holds, in `locks`; and remove dead ones."""
    for lock in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*/{LOCK}"):
        _remove_if_dead(lock)
    path = tempfile.mkdtemp(prefix=TEMPORARY)
    locks.append(FileLock(Path(path) / LOCK, timeout=0))
    with suppress(OSError):  # where there are no locks, nobody else will find this one free
        locks[0].acquire()
    return path


def _remove_if_dead(lock: Path) -> None:
    """Remove the temporary folder of this lock if no process holds it any more."""
    with suppress(OSError):  # of another user, or gone in the meantime; and Timeout: it is in use
        if time.time() - lock.stat().st_mtime < 60 or any(lock.parent.glob(".held-by-*")):
            return  # perhaps its process is only about to lock it
        with FileLock(lock, timeout=0):
            shutil.rmtree(lock.parent, ignore_errors=True)


def _let_go(held: Path, locks: list[FileLock]) -> None:
    held.unlink(missing_ok=True)
    if not any(held.parent.glob(".held-by-*")):
        shutil.rmtree(held.parent, ignore_errors=True)
    for lock in locks:
        lock.release()


def launched_precision() -> str:
    """Return the precision that `accelerate launch --mixed_precision` asks for, else "float32".

    Raises ValueError for any other than no, bf16 and fp16.
    """
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    names = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
    if asked not in names:
        raise ValueError(f"launched with mixed precision {asked!r}; training is possible in {', '.join(names)}")
    return names[asked]


def launched_accumulation() -> int:
    """Return the number of micro-batches that Accelerate's environment variable asks for, else 1."""
    asked = os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1")
    return whole("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", int(asked)) if asked.isdigit() else 1  # or "auto"
