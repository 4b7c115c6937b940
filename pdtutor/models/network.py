"""A model made of any torch module: one copy per seed, side by side."""

import json
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from pdtutor.models.layers import in_float32
from pdtutor.models.tied import keep_tied
from pdtutor.registry import name_of, registered
from pdtutor.seeds import generator
from pdtutor.validate import plain, seed_list, whole


class Network(nn.Module):
    """A model made of a network of your own, one copy per seed; the network needs no copies dimension.

        @register
        def small(width=16):
            return nn.Sequential(nn.Linear(8, width), nn.Tanh(), nn.Linear(width, 2))

        run = train(Network(small, classes=2, seed=[0, 1], width=32), SparseParity(8, 2), steps=1000)

    Before each copy is built, torch's global generator is seeded from the copy's own seed, so that copies with equal
    seeds start equal. Several copies run under `torch.func.vmap`, which doesn't support every module; a single copy
    runs without it. What a network draws while it trains, as dropout does, comes from torch's global generator: it is
    another draw in every run, and after a resume.

    Parameters and buffers belong to each copy. Anything else that a network keeps, such as a plain tensor, is the first
    copy's, and a buffer must be changed in place to change at all.

    Args:
        build: a registered class or function (see `pdtutor.register`), or its name. Called with **arguments, it returns
            a torch module that maps inputs (batch, …) to logits (batch, classes), or (batch, length, classes).
        classes: number of logits.
        seed: seed of the initial weights, or a list with one per copy.
        **arguments: passed on to `build`, under other names than the three above; they must be what JSON can hold, such
            as numbers, strings and lists, and reach `build` as JSON holds them: a tuple as a list.

    Raises ValueError for a `build` that is not registered or doesn't return a torch module, for classes < 1, for an
    empty list of seeds, and for arguments that JSON can't hold.
    """

    def __init__(
        self, build: str | Callable[..., nn.Module], *, classes: int, seed: int | Sequence[int] = 0, **arguments
    ) -> None:
        super().__init__()
        self.build = build if isinstance(build, str) else name_of(build)
        make = registered(self.build)
        if make is None or (make is not build and not isinstance(build, str)):
            raise ValueError(
                f"build must be a registered class or function, got {self.build!r}, which is none: run "
                f"`pdtutor.register({self.build})` first"
            )
        self.classes, self.seeds = whole("classes", classes), seed_list(seed)
        self.arguments = _plain(arguments)
        networks = []
        for own in self.seeds:
            with torch.random.fork_rng(devices=[]), in_float32():
                torch.default_generator.manual_seed(int(generator(own, "init").integers(2**63)))  # no accelerator's
                networks.append(make(**self.arguments))  # as they will be when it is built again
        if not isinstance(networks[0], nn.Module):
            raise ValueError(f"{self.build} must return a torch module, got {networks[0]!r}")
        self.network = _stacked(networks)
        keep_tied(self)

    def forward(self, inputs: Tensor) -> Float[Tensor, "copies batch *positions classes"]:
        """Map inputs (copies, batch, …), or (1, batch, …) for all copies alike, to logits (copies, batch, …, classes).

        Raises ValueError if the network returns another number of classes.
        """
        inputs = inputs.expand(len(self.seeds), *inputs.shape[1:])
        tensors = dict(self.network.named_parameters()) | dict(self.network.named_buffers())

        def one(of_copy: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return functional_call(self.network, of_copy, (inputs,))

        if len(self.seeds) == 1:
            logits = one({name: tensor[0] for name, tensor in tensors.items()}, inputs[0]).unsqueeze(0)
        else:
            logits = self._side_by_side(one, tensors, inputs)
        if logits.shape[-1] != self.classes:
            raise ValueError(
                f"classes is {self.classes}, but {self.build} returns {logits.shape[-1]} logits: they must be equal"
            )
        return logits

    def _side_by_side(self, one: Callable, tensors: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """Return the logits of all copies at once. Raises RuntimeError for a network that vmap can't run."""
        try:
            return vmap(one, randomness="different")(tensors, inputs)
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(
                f"{self.build} could not be run as {len(self.seeds)} copies side by side. Give one seed at a time, as "
                f"compare(…, side_by_side=False) does, to see whether it runs alone. ({str(error).splitlines()[0]})"
            ) from error

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_model` rebuilds this model."""
        described = {"build": self.build, "classes": self.classes, "seed": self.seeds}
        return {"class": type(self).__name__, **described, **self.arguments}


def _plain(arguments: dict) -> dict:
    """Return the arguments as JSON gives them back. Raises ValueError for what JSON can't hold."""
    try:
        return json.loads(json.dumps(arguments, allow_nan=False, default=_of_arrays))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a Network's arguments are kept as JSON, which can't hold these: {error}") from error


def _of_arrays(value: object) -> object:
    """Return numbers of numpy, pandas or torch as Python's own. Raises TypeError for anything else."""
    found = plain(value)
    if found is value:
        raise TypeError(f"an object of type {type(value).__name__}")
    return found


def _stacked(networks: Sequence[nn.Module]) -> nn.Module:
    """Return the first network, with the parameters and buffers of all networks stacked along a new first axis."""
    tensors = [_tensors(network) for network in networks]
    together: dict[int, Tensor] = {}  # by the first network's tensor, so that a tied one, with several names, stays one
    for path, first in tensors[0].items():
        if id(first) not in together:
            stacked = torch.stack([of_copy[path].detach() for of_copy in tensors])
            parameter = isinstance(first, nn.Parameter)
            together[id(first)] = nn.Parameter(stacked, first.requires_grad) if parameter else stacked
        parent, _, name = path.rpartition(".")
        setattr(networks[0].get_submodule(parent), name, together[id(first)])
    return networks[0]


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers by name; tied ones under each of their names."""
    parameters = dict(network.named_parameters(remove_duplicate=False))
    return parameters | dict(network.named_buffers(remove_duplicate=False))
