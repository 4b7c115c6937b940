"""A lesson's claims: what the paper reports, what we measured, and whether it holds."""

import numbers

import numpy as np
import pandas as pd

# The type of output from which displayed `Claims` can be read back out of an executed notebook.
MIME = "application/vnd.pdtutor.claims+json"
COLUMNS = ["claim", "paper", "measured", "seeds", "holds"]


class Claims:
    """Claims in the order in which they were added; displayed as a table by the last line of a notebook's cell.

    >>> claims = Claims()
    >>> claims.add("progressive needs at most half the steps of one-shot",
    ...            paper="11M against more than 20M", measured="10k against 44k", seeds=3, holds=True)
    >>> claims.verdicts()
    progressive needs at most half the steps of one-shot: holds
    """

    def __init__(self) -> None:
        self._rows: list[dict] = []

    def add(self, claim: str, *, paper: object, measured: object, seeds: int, holds: bool) -> None:
        """Add one claim.

        Args:
            claim: the statement, which no other claim may have.
            paper: what the paper reports, a short text or a number, shown as it is.
            measured: what was measured, likewise.
            seeds: the number of independent runs behind `measured`, 0 for an exact computation.
            holds: whether the measurement bears the claim out.

        Raises ValueError for an empty or repeated claim, `seeds` that is not a whole number of at least 0, and `holds`
        that is not a bool.
        """
        if not isinstance(claim, str) or not claim.strip():
            raise ValueError(f"claim must be a non-empty text, got {claim!r}")
        if any(row["claim"] == claim for row in self._rows):
            raise ValueError(f"claim {claim!r} was already added: reword it, or start again from Claims()")
        if isinstance(seeds, bool) or not isinstance(seeds, numbers.Integral) or seeds < 0:
            raise ValueError(f"seeds must be a whole number of at least 0 (0 for an exact computation), got {seeds!r}")
        if not isinstance(holds, bool | np.bool_):
            raise ValueError(f"holds must be True or False, got {holds!r} ({type(holds).__name__})")
        values = (claim, str(paper), str(measured), int(seeds), bool(holds))
        self._rows.append(dict(zip(COLUMNS, values, strict=True)))

    def verdicts(self) -> None:
        """Print one line per claim: the part of the table that must be the same on every machine."""
        for row in self._rows:
            print(f"{row['claim']}: {'holds' if row['holds'] else 'does not hold'}")

    def table(self) -> pd.DataFrame:
        """Return the claims as a table, one per row: claim, paper, measured, seeds, holds."""
        return pd.DataFrame(self._rows, columns=COLUMNS)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        table = self.table()
        return {
            "text/plain": table.to_string(index=False),
            "text/html": to_html(table),
            MIME: {"claims": self._rows},
        }


def to_html(table: pd.DataFrame) -> str:
    """Return the claims as an HTML table, with ✓ or ✗ for `holds` and no text cut short."""
    shown = table.assign(
        seeds=[seeds or "exact" for seeds in table["seeds"]],
        holds=["✓" if holds else "✗" for holds in table["holds"]],
    )
    with pd.option_context("display.max_colwidth", None):
        html = shown.to_html(index=False, border=0, classes="claims")
    # Jupyter aligns tables to the right, which suits numbers and not sentences.
    return f"<style>.claims th, .claims td {{ text-align: left !important; }}</style>\n{html}"
