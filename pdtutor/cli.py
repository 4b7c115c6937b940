"""`pdtutor list` and `pdtutor run RECIPE`: every experiment from the command line, without a notebook.

On several devices: `torchrun --nproc_per_node 2 -m pdtutor run RECIPE …`, or `accelerate launch --multi_gpu -m …`.
"""

import argparse
import inspect
import sys
from pathlib import Path
from typing import Annotated, Literal

import matplotlib
import tyro

from pdtutor import plots
from pdtutor.devices import AUTO
from pdtutor.processes import launched, on_main
from pdtutor.recipes.catalogue import RECIPES, SCALES
from pdtutor.validate import whole


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments give (default: the command line's). An error is one line, with status 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # The scale sets the defaults that --help shows and that other options override, so it is read first.
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--scale", choices=SCALES, default="laptop")
    scale = peek.parse_known_args(arguments)[0].scale
    kind = tyro.extras.subcommand_type_from_defaults(
        {name: scales[scale] for name, scales in RECIPES.items()},
        {name: inspect.cleandoc(scales[scale].__doc__ or "") for name, scales in RECIPES.items()},
        prefix_names=False,
    )

    def run(
        recipe: Annotated[kind, tyro.conf.arg(name="")],  # pyright: ignore[reportInvalidTypeForm]
        *,
        out: Path,
        scale: Literal["smoke", "laptop", "paper"] = scale,
        seeds: int = 3,
        device: str = AUTO,
        resume: bool = False,
    ) -> None:
        """Run one experiment and write its tables, its figure and its trajectories into a folder.

        Args:
            recipe: the experiment; `pdtutor run RECIPE --help` lists its settings, each of which you can change.
            out: the folder to write into.
            scale: smoke (seconds), laptop (minutes on 2 CPU cores) or paper (needs a GPU, or patience).
            seeds: number of seeds, counted from 0.
            device: auto, cpu, cuda, cuda:1 or mps. auto takes a CUDA GPU, if there is one, for all but small MLPs.
            resume: continue where an earlier run with the same settings stopped.
        """
        matplotlib.use("agg")
        plots.style()
        outcome = recipe.run(seeds=whole("seeds", seeds), out=out, resume=resume, device=device)
        on_main(outcome.save)(out)
        if launched().main:
            print(outcome.tables["results"].to_string(index=False))
            print(f"tables and figure: {out}")

    try:
        tyro.extras.subcommand_cli_from_dict(
            {"list": list_recipes, "run": run},
            prog="pdtutor",
            description=__doc__,
            args=arguments,
            config=(tyro.conf.CascadeSubcommandArgs, tyro.conf.FlagCreatePairsOff),
        )
    except (ValueError, FloatingPointError, OSError, MemoryError) as error:
        sys.exit(f"error: {error}")


def list_recipes() -> None:
    """List the recipes, with one line on what each of them runs."""
    for name, scales in RECIPES.items():
        print(f"{name:26} {(scales['laptop'].__doc__ or '').splitlines()[0]}")


if __name__ == "__main__":
    main()
