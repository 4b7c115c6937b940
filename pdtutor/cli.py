"""`pdtutor list` and `pdtutor run RECIPE`: every experiment from the command line, without a notebook.

On several devices: `torchrun --nproc_per_node 2 -m pdtutor run RECIPE …`, or `accelerate launch --multi_gpu -m …`.
"""

import argparse
import inspect
import io
import os
import shlex
import sys
from difflib import get_close_matches
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pdtutor.recipes.catalogue import RECIPES, SCALES, recipe, summary

TRACEBACK = "PDTUTOR_TRACEBACK"  # set in the environment, errors show where they come from
EXPECTED = (ValueError, FloatingPointError, OSError, ImportError, MemoryError)  # their messages say what to do


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments give (default: the command line's).

    An error is one line, with status 1; with PDTUTOR_TRACEBACK=1 in the environment it is a traceback. Ctrl-C ends with
    status 130 and says how to go on. What the terminal can't show is shown as a question mark.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        try:
            command(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except KeyboardInterrupt:
        again = shlex.join(["pdtutor", *(a for a in arguments if a != "--resume"), "--resume"])
        running = arguments[:1] == ["run"] and os.environ.get("RANK", "0") == "0"  # one process speaks for all
        print(f"\ninterrupted; the same command with --resume goes on: {again}" if running else "", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        message = " ".join(str(error).split())  # one line, whatever the library that raised it
        if not isinstance(error, EXPECTED):
            message = f"{type(error).__name__}: {message} ({TRACEBACK}=1 in the environment shows where)"
        sys.exit(f"error: {message}")


def command(arguments: list[str]) -> None:
    """Run the command that the arguments give; without any, show the help."""
    if arguments[:1] == ["run"]:
        return run(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="pdtutor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"pdtutor {version('pdtutor')}")
    commands = parser.add_subparsers(metavar="COMMAND")
    commands.add_parser("list", help="list the recipes, with one line on what each of them runs")
    commands.add_parser("run", help="run one; `pdtutor run RECIPE --help` lists its settings")
    parser.parse_args(arguments or ["--help"])
    print(listed())


def listed() -> str:
    """Return the recipes, with one line on what each of them runs."""
    return "\n".join(f"{name:26} {summary(name)}" for name in RECIPES)


def run(arguments: list[str]) -> None:
    """Run the recipe that the arguments of `pdtutor run` name, or say what it could have been."""
    # A recipe may be the value of an option, too: --out parity-teacher. The only option without a value is --resume.
    words = pairwise(["--resume", *arguments])
    name = next((word for before, word in words if word in RECIPES and (before[:1] != "-" or before == "--resume")), "")
    if not name:
        return _which(arguments)
    # The scale sets the defaults that --help shows and that other options override, so it is read first.
    peek = argparse.ArgumentParser(prog=f"pdtutor run {name}", add_help=False, allow_abbrev=False)
    peek.add_argument("--scale", choices=SCALES, default="laptop")
    scale = peek.parse_known_args(arguments)[0].scale
    default = recipe(name, scale)

    def start(
        recipe: Annotated[type(default), tyro.conf.arg(name="")] = default,  # pyright: ignore[reportInvalidTypeForm]
        *,
        out: Path,
        scale: Literal["smoke", "laptop", "paper"] = scale,
        seeds: int = 3,
        device: str = "auto",
        resume: bool = False,
    ) -> None:
        """Run one experiment and write its tables, its figure and its trajectories into a folder.

        Args:
            recipe: the experiment.
            out: the folder to write into.
            scale: smoke (seconds), laptop (minutes on 2 CPU cores) or paper (needs a GPU, or patience).
            seeds: number of seeds, counted from 0.
            device: auto, cpu, cuda, cuda:1 or mps. auto takes a CUDA GPU, if there is one, for all but small MLPs.
            resume: continue where an earlier run with the same settings stopped.
        """
        execute(
            name,
            recipe,
            out=out,
            scale=scale,
            seeds=seeds,
            resume=resume,
            device=device,
            given=shlex.join(["pdtutor", "run", *arguments]),
        )

    rest = list(arguments)
    rest.remove(name)
    tyro.cli(
        start,
        prog=f"pdtutor run {name}",
        description=inspect.cleandoc(type(default).__doc__ or ""),
        args=rest,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def execute(name: str, recipe, *, out: Path, scale: str, seeds: int, resume: bool, device: str, given: str) -> None:
    """Run a recipe whose settings are in order, save what it finds, and print its results.

    Args:
        name: the recipe's name.
        recipe: the recipe.
        out: the folder to write into.
        scale: the scale that its other settings come from.
        seeds: number of seeds, counted from 0.
        resume: continue where an earlier run with the same settings stopped.
        device: where models train and are probed; see `train`.
        given: the command that was given, for the folder's recipe.json.
    """
    import matplotlib

    from pdtutor import plots
    from pdtutor.devices import AUTO, find
    from pdtutor.processes import exclusive, launched, on_main
    from pdtutor.recipes.provenance import sign
    from pdtutor.recipes.settings import check
    from pdtutor.validate import user_path, whole

    out = user_path(out)
    matplotlib.use("agg")
    plots.style()
    whole("seeds", seeds)
    check(recipe)
    if device != AUTO:
        find(device)
    with exclusive(out):
        sign(out, name, recipe, scale=scale, seeds=seeds, command=given, device=device, resume=resume)
        outcome = recipe.run(seeds=seeds, out=out, resume=resume, device=device)
        on_main(outcome.save)(out)
    if launched().main:
        print(outcome.tables["results"].to_string(index=False))
        print(f"tables and figure: {out}")


def _which(arguments: list[str]) -> None:
    """Show the help of `pdtutor run`, if it was asked for; else exit with what the recipe could have been."""
    usage = "usage: pdtutor run RECIPE --out FOLDER [options]"
    more = f"`pdtutor run RECIPE --help` lists a recipe's settings. The recipes:\n\n{listed()}"
    if {"-h", "--help"} & set(arguments):
        what = "Run one experiment, and write its tables, its figure and its trajectories into a folder."
        print(f"{usage}\n\n{what}\n\n{more}")
        return
    given = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    near = get_close_matches(given, RECIPES, n=3)
    if near:
        meant = f"no recipe called {given!r}; did you mean {', '.join(near)}? `pdtutor list` names all"
    else:
        meant = f"no recipe called {given!r}. {more}" if given else f"which recipe? {more}"
    print(f"{usage}\nerror: {meant}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
