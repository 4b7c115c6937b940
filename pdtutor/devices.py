"""Devices: which ones there are, which one `auto` takes, what they are called, and what to do when one is full.

Nothing else in pdtutor asks torch for a GPU.
"""

import functools
import os
import platform
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pdtutor.validate import text

AUTO = "auto"
VARIABLE = "PDTUTOR_DEVICE"  # environment variable that says what "auto" means
LEAST_FREE = 2**29  # bytes that must be free on a GPU for `auto` to take it: 512 MB
_said: set[str] = set()  # what `say_once` has said

# A forked process (multiprocessing on Linux, workers of a DataLoader) has its parent's torch but not its threads, and
# would wait for them for ever. It computes with one thread of its own.
if sys.platform != "win32":
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class DeviceMemoryError(MemoryError):
    """A device had too little memory for what was asked of it; the message says what to lower."""


def find(device: str | torch.device) -> torch.device:
    """Return the device of this name ("cpu", "cuda", "cuda:1", "mps"), which can be used here.

    Raises ValueError, with the reason, for a name that is no device and for a device that can't be used.
    """
    try:
        found = torch.device(device if isinstance(device, torch.device) else text("device", device))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be auto, cpu, cuda, cuda:0, … or mps, got {device!r}") from error
    reason = None
    if found.type == "cuda":
        reason = cuda_problem(found.index)
        found = found if reason or found.index is not None else torch.device("cuda", torch.cuda.current_device())
    elif found.type == "mps":
        reason = None if torch.backends.mps.is_available() else "torch finds no Apple GPU (MPS)"
    elif found.type != "cpu":
        reason = "pdtutor trains on cpu, cuda and mps"
    if reason is not None:
        raise ValueError(
            f"device {str(device)!r} can't be used: {reason}; 'auto' takes a device that can, and 'cpu' always works"
        )
    return found


def preferred(*, gpu_is_faster: bool) -> torch.device:
    """Return the device that "auto" means for some work: the one PDTUTOR_DEVICE names, or a GPU where that is faster.

    After `ACCELERATE_USE_CPU=1 accelerate launch` it is the CPU. A CUDA GPU that is there but can't be used is warned
    of, once, and the CPU taken instead. An Apple GPU is never chosen: MPS has to be asked for.

    Raises ValueError if PDTUTOR_DEVICE names a device that can't be used.
    """
    named = os.environ.get(VARIABLE) or ("cpu" if flag("ACCELERATE_USE_CPU") else AUTO)
    if named != AUTO:
        try:
            return find(named)
        except ValueError as error:
            raise ValueError(f"{VARIABLE}={named}: {error}") from error
    if not gpu_is_faster or not gpu_expected():
        return torch.device("cpu")
    if (reason := cuda_problem() or cuda_shortage()) is not None:
        say_once(f"the GPU is not used: {reason}. Work goes on, on the CPU", warn=True)
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def gpu_expected() -> bool:
    """Return whether a CUDA GPU may be expected here: torch is built for one, there is one, and it isn't hidden."""
    if torch.version.cuda is None and torch.version.hip is None:
        return False
    hidden = any(os.environ.get(name) in ("", "-1") for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"))
    return not hidden and (torch.cuda.is_available() or Path("/proc/driver/nvidia/version").exists())


@functools.cache
def cuda_problem(index: int | None = None) -> str | None:
    """Return why this CUDA device (the current one, if no index is given) can't be used; None if it can.

    A small sum is computed there to find out: torch may be built without this GPU's architecture.
    """
    if torch.version.cuda is None and torch.version.hip is None:
        return "this torch is a build for CPUs only (https://pytorch.org/get-started has others)"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    with warnings.catch_warnings(record=True) as told:  # a driver that is too old is told of in a warning
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        said = " ".join(" ".join(str(warning.message).split()) for warning in told)
        return f"torch finds no GPU that it can use{f' ({said})' if said else ''}"
    count = torch.cuda.device_count()
    if index is not None and index >= count:
        return f"there {'is one GPU' if count == 1 else f'are {count} GPUs'}, numbered from 0"
    try:
        (torch.ones(1, device=torch.device("cuda", index or 0)) + 1).item()
    except (RuntimeError, ValueError) as error:  # busy in exclusive mode, no memory at all, another architecture
        return f"it fails at 1 + 1: {str(error).splitlines()[0]}"
    return None


def cuda_shortage() -> str | None:
    """Return why the current CUDA device is too full to start on, None if it isn't."""
    free, total = torch.cuda.mem_get_info()
    if free >= LEAST_FREE:
        return None
    name = torch.cuda.get_device_name()
    return f"{name} has {free / 2**20:.0f} MB free of {total / 2**20:.0f}, the rest is in use by other processes"


def name_of(device: torch.device) -> str:
    """Return what the device is called: "NVIDIA T4", "Apple GPU", or the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else processor()


@functools.cache
def processor() -> str:
    """Return the name of this machine's processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def hardware(device: torch.device) -> dict[str, str]:
    """Return what computes, by name: device, its name, CPU, system, Python, torch and, on a GPU, its driver."""
    found = {
        "device": str(device),
        "name": name_of(device),
        "cpu": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        found["cuda"] = str(torch.version.cuda or torch.version.hip)
        driver = Path("/proc/driver/nvidia/version")
        if driver.exists():
            line = driver.read_text(encoding="utf-8", errors="replace").splitlines()[0]
            number = re.search(r"\b\d+\.\d+(\.\d+)?\b", line)
            found["driver"] = number[0] if number else line
    return found


def flag(name: str) -> bool:
    """Return whether the environment variable of this name says yes, as Accelerate reads it."""
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "y", "on", "t")


def require_precision(precision: str, device: torch.device) -> None:
    """Raise ValueError, with what to use instead, if the device can't multiply matrices in this precision."""
    on_gpu = device.type == "cuda"
    if precision == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError(
            f"precision 'bfloat16' is not for {name_of(device)}, which can't multiply in it (GPUs since NVIDIA's "
            "Ampere can): use 'float16', which scales the loss, or 'float32'"
        )
    if precision == "float16" and device.type == "cpu":
        raise ValueError(
            "precision 'float16' is for GPUs: on a CPU use 'bfloat16', or 'float32', which is faster on most"
        )


def say_where(device: torch.device) -> None:
    """Say, once for each device, that training takes place there; nothing on a machine without a GPU."""
    if device.type != "cpu":
        say_once(f"on {device}: {name_of(device)}")
    elif gpu_expected():
        say_once(f"on cpu: {name_of(device)}, faster for small MLPs than the GPU (device='cuda' takes that)")


def say_once(text: str, *, warn: bool = False) -> None:
    """Print a line on standard error, or warn, unless this process has said the same before."""
    if text not in _said:
        _said.add(text)
        if warn:
            warnings.warn(text, stacklevel=3)
        else:
            print(text, file=sys.stderr, flush=True)


@contextmanager
def memory_advice(device: Callable[[], torch.device], advice: str) -> Iterator[None]:
    """Raise a DeviceMemoryError that says what to lower, if the block runs out of the device's memory, or the CPU's."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        first = (str(error).splitlines() or [""])[0]
        full = isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
            sign in first for sign in ("not enough memory", "out of memory", "can't allocate memory")
        )
        if not full or isinstance(error, DeviceMemoryError):
            raise
        where = device()
        raise DeviceMemoryError(f"{name_of(where)} ({where}) is out of memory: {advice}") from error
