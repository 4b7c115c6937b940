"""All recipes, by name and scale."""

from pdtutor.recipes import (
    choose,
    hierarchical,
    parity,
    parity_100_6,
    parity_transformers,
    pcfg,
    pcfg_students,
    pretrained,
    text,
)
from pdtutor.recipes.outcome import Outcome, Recipe

__all__ = ["RECIPES", "SCALES", "Outcome", "Recipe", "recipe"]

SCALES = ("smoke", "laptop", "paper")

RECIPES: dict[str, dict[str, Recipe]] = {
    **parity.RECIPES,
    **parity_100_6.RECIPES,
    **choose.RECIPES,
    **hierarchical.RECIPES,
    **parity_transformers.RECIPES,
    **pcfg.RECIPES,
    **pcfg_students.RECIPES,
    **text.RECIPES,
    **pretrained.RECIPES,
}


def recipe(name: str, scale: str = "laptop") -> Recipe:
    """Return the recipe of this name at this scale. Raises ValueError, naming what there is, for any other."""
    if name not in RECIPES:
        raise ValueError(f"no recipe called {name!r}; there are {', '.join(RECIPES)}")
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}; got {scale!r}")
    return RECIPES[name][scale]
