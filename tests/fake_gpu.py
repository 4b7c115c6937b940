"""A GPU that isn't there: its tensors compute on the CPU, but mix with the CPU's no better than a real GPU's would.

A tensor moved to the fake device is an `OnDevice`. Operations that read one and an ordinary tensor raise a
RuntimeError, `.numpy()` a TypeError, and on a fake Apple GPU float64 does, too, as in torch itself. So code that runs
here has moved everything that a real device needs, and because the numbers are the CPU's, histories can be compared.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from pdtutor import devices

NAME = "a GPU that isn't there"
MOVES = (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda)
# An index may be on the CPU, copy_ is what brings values from one device to another, and the last compares types only.
MIXED_ALLOWED = (torch.Tensor.__getitem__, torch.Tensor.copy_, torch._has_compatible_shallow_copy_type)
NUMPY = (torch.Tensor.numpy, torch.Tensor.__array__)


class OnDevice(torch.Tensor):
    """A tensor that says it is on the fake device; its numbers are in the CPU's memory."""

    fake = torch.device("cuda", 0)

    @property
    def device(self) -> torch.device:
        return self.fake

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class Watch(TorchFunctionMode):
    """Sends every call of torch through `run`, so that the makers of tensors are seen, too."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args: tuple, kwargs: dict) -> Any:
    """Do what torch would with the fake device among the devices."""
    if func in (torch.device, torch._C._nn._parse_to):  # they only read a device's name
        return func(*args, **kwargs)
    given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
    there = any(isinstance(tensor, OnDevice) for tensor in given)
    if func in NUMPY and there:
        raise TypeError("can't convert a tensor on the fake device to numpy: use Tensor.cpu() first")
    if func in MOVES:
        asked = _device_asked(func, args, kwargs)
        there = is_fake(asked) if asked is not None else there
    elif is_fake(kwargs.get("device")):
        there = True
    elif there and func not in MIXED_ALLOWED:
        strangers = [tensor for tensor in given if not isinstance(tensor, OnDevice) and tensor.dim()]
        if strangers:
            raise RuntimeError(f"{func.__name__}: tensors on the fake device and on the CPU, {strangers[0].shape}")
    args, kwargs = tree_map(_on_cpu, (args, kwargs))
    with torch._C.DisableTorchFunctionSubclass():
        result = func(*args, **kwargs)
        if func in MOVES and any(result is tensor for tensor in given) and there != isinstance(result, OnDevice):
            result = result.clone()  # a tensor that moves leaves nothing shared behind
    if func in MOVES and not there:
        return result.as_subclass(torch.Tensor)
    return tree_map(lambda value: _wrapped(value, given), result) if there else result


def _device_asked(func, args: tuple, kwargs: dict) -> torch.device | None:
    """Return the device that a call of `.to`, `.cpu` or `.cuda` names; None if it names none."""
    if func is not torch.Tensor.to:
        return torch.device("cpu") if func is torch.Tensor.cpu else OnDevice.fake
    for value in (*args[1:], *kwargs.values()):
        if isinstance(value, torch.Tensor):
            return value.device
        if isinstance(value, torch.device | str):
            return torch.device(value)
    return None


def is_fake(device: Any) -> bool:
    """Return whether this is the fake device."""
    return isinstance(device, torch.device | str) and torch.device(device).type == OnDevice.fake.type


def _on_cpu(value: Any) -> Any:
    """Return the CPU for the fake device, and anything else as it is."""
    named = isinstance(value, torch.device) or (isinstance(value, str) and value.split(":")[0] in ("cuda", "mps"))
    return torch.device("cpu") if named and is_fake(value) else value


def _wrapped(value: Any, given: list[torch.Tensor]) -> Any:
    """Return a result as one on the fake device."""
    if not isinstance(value, torch.Tensor) or isinstance(value, OnDevice) or any(value is one for one in given):
        return value
    if OnDevice.fake.type == "mps" and value.dtype == torch.float64:
        raise TypeError("MPS has no float64")
    return value.as_subclass(OnDevice)


def _moved_with_ties(to):
    """Return `Module.to`, after which parameters that were one are one again: a move here makes new ones."""

    def moved(module, *args, **kwargs):
        names: dict[int, list[str]] = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            names.setdefault(id(parameter), []).append(name)
        to(module, *args, **kwargs)
        for first, *others in names.values():
            for owner, _, name in (other.rpartition(".") for other in others):
                setattr(module.get_submodule(owner), name, module.get_parameter(first))
        return module

    return moved


@contextmanager
def fake_gpu(monkeypatch, kind: str = "cuda") -> Iterator[None]:
    """Have a fake GPU of this kind ("cuda" or "mps") while the block runs; `auto` finds the one called "cuda"."""
    monkeypatch.setattr(OnDevice, "fake", torch.device(kind, 0))
    monkeypatch.setattr(devices, "cuda_problem", lambda index=None: None)
    monkeypatch.setattr(devices, "cuda_shortage", lambda: None)
    monkeypatch.setattr(devices, "gpu_expected", lambda: kind == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: kind == "mps")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: NAME)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    monkeypatch.setattr(torch.nn.Module, "to", _moved_with_ties(torch.nn.Module.to))
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # else a moved parameter keeps its type
    try:
        with Watch():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
