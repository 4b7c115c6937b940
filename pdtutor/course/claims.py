"""A lesson's claims: what the paper reports, what we measured, and whether it holds."""

from __future__ import annotations

import numbers

import numpy as np
import pandas as pd

#: The output under which a displayed `Claims` can be read back from an executed notebook.
MIME = "application/vnd.pdtutor.claims+json"
COLUMNS = ["claim", "paper", "measured", "seeds", "holds"]


class Claims:
    """Claims in the order they were added; display it as a notebook cell's last line.

    >>> claims = Claims()
    >>> claims.add("progressive needs at most half the steps of one-shot",
    ...            paper="11M against more than 20M", measured="10k against 44k", seeds=3, holds=True)
    >>> claims.verdicts()
    progressive needs at most half the steps of one-shot: holds
    """

    def __init__(self) -> None:
        self._rows: list[dict] = []

    def add(self, claim: str, *, paper: object, measured: object, seeds: int, holds: bool) -> None:
        """Append one claim.

        `paper` and `measured` are short texts or numbers, shown as they are. `seeds` counts the independent
        runs behind `measured`: 0 for an exact computation. Raises ValueError for an empty or repeated claim,
        `seeds` that is not a whole number ≥ 0, or `holds` that is not a bool.
        """
        if not isinstance(claim, str) or not claim.strip():
            raise ValueError(f"claim must be a non-empty text, not {claim!r}")
        if any(row["claim"] == claim for row in self._rows):
            raise ValueError(f"claim {claim!r} was already added: reword it, or start again from Claims()")
        if isinstance(seeds, bool) or not isinstance(seeds, numbers.Integral) or seeds < 0:
            raise ValueError(f"seeds must be a whole number ≥ 0 (0: an exact computation), not {seeds!r}")
        if not isinstance(holds, bool | np.bool_):
            raise ValueError(f"holds must be True or False, not {holds!r} ({type(holds).__name__})")
        values = (claim, str(paper), str(measured), int(seeds), bool(holds))
        self._rows.append(dict(zip(COLUMNS, values, strict=True)))

    def verdicts(self) -> None:
        """Print one line a claim: the part of the table that must be the same on every machine."""
        for row in self._rows:
            print(f"{row['claim']}: {'holds' if row['holds'] else 'does not hold'}")

    def table(self) -> pd.DataFrame:
        """The claims, one a row: claim, paper, measured, seeds, holds."""
        return pd.DataFrame(self._rows, columns=COLUMNS)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        table = self.table()
        return {
            "text/plain": table.to_string(index=False),
            "text/html": to_html(table),
            MIME: {"claims": self._rows},
        }


def to_html(table: pd.DataFrame) -> str:
    """An HTML table of claims, with `holds` as ✓ or ✗ and nothing cut short."""
    shown = table.assign(
        seeds=[seeds or "exact" for seeds in table["seeds"]],
        holds=["✓" if holds else "✗" for holds in table["holds"]],
    )
    with pd.option_context("display.max_colwidth", None):
        html = shown.to_html(index=False, border=0, classes="claims")
    # Jupyter aligns tables to the right, which suits numbers but not sentences.
    return f"<style>.claims th, .claims td {{ text-align: left !important; }}</style>\n{html}"
