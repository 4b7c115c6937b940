"""All recipes, by name and scale. A recipe's module is imported when the recipe is asked for: torch takes seconds."""

import ast
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdtutor.recipes.outcome import Recipe

__all__ = ["RECIPES", "SCALES", "recipe", "summary"]

SCALES = ("smoke", "laptop", "paper")

# name: the file of this folder and the class that describe the recipe; the file's own RECIPES holds the three scales
KINDS = {
    "parity-sample-complexity": ("parity", "ParitySampleComplexity"),
    "parity-two-stage": ("theory", "ParityTwoStage"),
    "parity-early-checkpoint": ("theory", "ParityEarlyCheckpoint"),
    "parity-imperfect-teacher": ("theory", "ParityImperfectTeacher"),
    "parity-teacher": ("parity", "ParityTeacher"),
    "parity-progressive": ("parity", "ParityProgressive"),
    "parity-which-checkpoint": ("parity", "ParityWhichCheckpoint"),
    "parity-first-checkpoint": ("parity_first_checkpoint", "ParityFirstCheckpoint"),
    "parity-temperature": ("parity_temperature", "ParityTemperature"),
    "parity-100-6": ("parity_100_6", "ParityHundred"),
    "parity-plateau": ("parity_plateau", "ParityPlateau"),
    "parity-spike": ("parity_spike", "ParitySpike"),
    "parity-choose-checkpoint": ("choose", "ParityChooseCheckpoint"),
    "hierarchical-teacher": ("hierarchical", "HierarchicalTeacher"),
    "hierarchical-progressive": ("hierarchical", "HierarchicalProgressive"),
    "transformer-teacher": ("parity_transformers", "TransformerTeacher"),
    "transformer-progressive": ("parity_transformers", "TransformerProgressive"),
    "pcfg-teacher": ("pcfg", "GrammarTeacher"),
    "pcfg-progressive": ("pcfg_students", "GrammarProgressive"),
    "pcfg-budgets": ("pcfg_students", "GrammarBudgets"),
    "pcfg-which-checkpoint": ("pcfg_students", "GrammarWhichCheckpoint"),
    "pcfg-autoregressive": ("pcfg_students", "CausalProgressive"),
    "text-teacher": ("text", "TextTeacher"),
    "text-progressive": ("text", "TextProgressive"),
    "text-budgets": ("text", "TextBudgets"),
    "text-word-pieces": ("text", "TextBudgets"),
    "text-deeper": ("text", "TextBudgets"),
    "text-which-checkpoint": ("text", "TextWhichCheckpoint"),
    "text-autoregressive": ("text", "TextAutoregressive"),
    "pretrained-progressive": ("pretrained", "PretrainedProgressive"),
}


class Catalogue(Mapping[str, dict[str, "Recipe"]]):
    """The recipes of `KINDS`, by name and then by scale."""

    def __getitem__(self, name: str) -> dict[str, "Recipe"]:
        """Return a recipe at its three scales, from its module."""
        return import_module(f"pdtutor.recipes.{KINDS[name][0]}").RECIPES[name]

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)

    def __contains__(self, name: object) -> bool:
        return name in KINDS


RECIPES = Catalogue()


def recipe(name: str, scale: str = "laptop") -> "Recipe":
    """Return the recipe of this name at this scale. Raises ValueError, naming what there is, for any other."""
    if name not in RECIPES:
        raise ValueError(f"no recipe called {name!r}; there are {', '.join(RECIPES)}")
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}; got {scale!r}")
    return RECIPES[name][scale]


def summary(name: str) -> str:
    """Return one line on what a recipe runs: the first of its class's docstring, read without importing anything."""
    module, kind = KINDS[name]
    source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    found = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == kind)
    return (ast.get_docstring(found) or "").partition("\n")[0]
