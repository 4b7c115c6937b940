"""Every experiment by name, at three scales: smoke (seconds), laptop (minutes on 2 CPU cores) and paper.

A recipe is a frozen dataclass. Changing the scale changes numbers, never code paths.
"""

from pdtutor.recipes.catalogue import RECIPES, SCALES, recipe

__all__ = ["RECIPES", "SCALES", "recipe"]
