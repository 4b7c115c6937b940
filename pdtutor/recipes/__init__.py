"""Recipes: every experiment by name, at three scales: smoke (seconds), laptop (minutes on 2 CPU cores) and paper.

A recipe is a frozen dataclass: another scale changes its numbers, never its code path. `catalogue.py` lists all
recipes, and `outcome.py` says what each offers; `teacher.py`, `students.py`, `sequences.py` and `sequence_students.py`
hold what several share. Every other file holds the experiments on one subject, such as `parity.py`, `pcfg.py` or
`text.py`.
"""

from pdtutor.recipes.catalogue import RECIPES, SCALES, recipe

__all__ = ["RECIPES", "SCALES", "recipe"]
