"""A lesson's claims: what the paper reports, what we measured, and a verdict; and numbers beside their thresholds."""

import numbers
from typing import Any

import numpy as np
import pandas as pd

from pdtutor.validate import plain

# The type of output from which displayed `Claims` can be read back out of an executed notebook.
MIME = "application/vnd.pdtutor.claims+json"
COLUMNS = ["claim", "paper", "measured", "spread", "chance", "seeds", "verdict"]
# By what `holds` and `partly` say, for a claim of the paper's and for a finding of ours.
VERDICTS = {"paper": ("reproduced", "partly", "not reproduced"), "ours": ("holds", "partly", "does not hold")}
LEFT = (
    "<style>.{0} th, .{0} td {{ text-align: left !important; }}</style>\n"  # Jupyter aligns to the right, for numbers
)


class Claims:
    """Claims in the order in which they were added; displayed as tables by the last line of a notebook's cell.

    Those that give what the paper reports stand apart from those that don't, which are findings of ours.

    >>> claims = Claims()
    >>> claims.add("progressive needs at most half the steps of one-shot", paper="11M against more than 20M",
    ...            measured="median ratio 0.31", spread="0.22 to 0.57", chance="1", seeds=9, holds=True)
    >>> claims.verdicts()
    progressive needs at most half the steps of one-shot: reproduced
    """

    def __init__(self) -> None:
        self._rows: list[dict] = []

    def add(
        self,
        claim: str,
        *,
        measured: object,
        seeds: int,
        holds: bool | np.bool_,
        paper: object | None = None,
        spread: object = "",
        chance: object = "",
        partly: bool | np.bool_ = False,
    ) -> None:
        """Add one claim.

        Args:
            claim: the statement, which no other claim may have.
            measured: what was measured, a short text or a number, shown as it is.
            seeds: the number of independent runs behind `measured`, 0 for an exact computation.
            holds: whether the measurement bears the claim out.
            paper: what the paper reports; not given for a finding of ours.
            spread: how much the measurement varies between seeds, such as a range or a confidence interval.
            chance: what would be measured if there were no effect.
            partly: whether the measurement bears out a part of a claim that does not hold.

        Raises ValueError for an empty or repeated claim, `seeds` that is not a whole number of at least 0, and `holds`
        or `partly` that is not a bool.
        """
        if not isinstance(claim, str) or not claim.strip():
            raise ValueError(f"claim must be a non-empty text, got {claim!r}")
        if any(row["claim"] == claim for row in self._rows):
            raise ValueError(f"claim {claim!r} was already added: reword it, or start again from Claims()")
        if isinstance(seeds, bool) or not isinstance(seeds, numbers.Integral) or seeds < 0:
            raise ValueError(f"seeds must be a whole number of at least 0 (0 for an exact computation), got {seeds!r}")
        for name, value in {"holds": holds, "partly": partly}.items():
            if not isinstance(value, bool | np.bool_):
                raise ValueError(f"{name} must be True or False, got {value!r} ({type(value).__name__})")
        words = VERDICTS["ours" if paper is None else "paper"]
        verdict = words[0 if holds else 1 if partly else 2]
        reported = "" if paper is None else str(paper)
        values = (claim, reported, str(measured), str(spread), str(chance), int(seeds), verdict)
        self._rows.append(dict(zip(COLUMNS, values, strict=True)))

    def verdicts(self) -> None:
        """Print one line per claim: the part of the table that must be the same on every machine."""
        for row in self._rows:
            print(f"{row['claim']}: {row['verdict']}")

    def table(self) -> pd.DataFrame:
        """Return the claims as a table, one per row, with the columns of `COLUMNS`."""
        return pd.DataFrame(self._rows, columns=COLUMNS)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        table = self.table()
        return {
            "text/plain": table.to_string(index=False),
            "text/html": to_html(table),
            MIME: {"claims": self._rows},
        }


def apart(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the claims of the paper's and our own findings, by heading; without columns and parts that are empty."""
    reported = table["paper"] != ""
    parts = {"What the paper reports": table[reported], "Our own findings": table[~reported]}
    shown = {heading: part.assign(seeds=[n or "exact" for n in part["seeds"]]) for heading, part in parts.items()}
    return {
        heading: part.loc[:, (part != "").any(axis=0)].rename_axis(columns=None)
        for heading, part in shown.items()
        if len(part)
    }


def to_html(table: pd.DataFrame) -> str:
    """Return the claims as HTML tables, the paper's and ours, with no text cut short."""
    with pd.option_context("display.max_colwidth", None):
        html = [
            f"<p><b>{heading}</b></p>\n{part.to_html(index=False, border=0, classes='claims')}"
            for heading, part in apart(table).items()
        ]
    return LEFT.format("claims") + "\n".join(html)


class Thresholds:
    """Numbers beside the thresholds that a text asks of them; displayed by the last line of a notebook's cell.

    >>> seen = Thresholds()
    >>> seen.add("accuracy of the finished teacher", 0.9998, at_least=0.999)
    >>> seen.verdicts()
    accuracy of the finished teacher: at least 0.999, yes
    """

    def __init__(self) -> None:
        self._rows: list[dict] = []

    def add(self, quantity: str, measured: Any, *, at_least: float | None = None, at_most: float | None = None) -> None:
        """Add one number, and the least or the most that is asked of it, or both. A number that is nan is neither.

        Raises ValueError for an empty quantity, no threshold, and anything but numbers.
        """
        if not isinstance(quantity, str) or not quantity.strip():
            raise ValueError(f"quantity must be a non-empty text, got {quantity!r}")
        limits = {"at least": at_least, "at most": at_most}
        given = {words: plain(limit) for words, limit in limits.items() if limit is not None}
        if not given:
            raise ValueError(f"{quantity!r} needs a threshold: at_least, at_most or both")
        number = plain(measured)
        for value in (number, *given.values()):
            if not isinstance(value, int | float):
                raise ValueError(f"{quantity!r} must be a number beside numbers, got {value!r}")
        met = number >= given.get("at least", number) and number <= given.get("at most", number)
        threshold = ", ".join(f"{words} {_written(limit)}" for words, limit in given.items())
        row = {
            "quantity": quantity,
            "measured": _written(number),
            "threshold": threshold,
            "met": "yes" if met else "NO",
        }
        self._rows.append(row)

    def verdicts(self) -> None:
        """Print one line per number: its threshold, and whether it is met; the same on every machine."""
        for row in self._rows:
            print(f"{row['quantity']}: {row['threshold']}, {row['met']}")

    def table(self) -> pd.DataFrame:
        """Return the numbers as a table, one per row: quantity, measured, threshold and met, all as text."""
        return pd.DataFrame(self._rows, columns=["quantity", "measured", "threshold", "met"])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        table = self.table()
        with pd.option_context("display.max_colwidth", None):
            html = LEFT.format("thresholds") + table.to_html(index=False, border=0, classes="thresholds")
        return {"text/plain": table.to_string(index=False), "text/html": html}


def _written(number: float) -> str:
    """Return a number with four digits; from 1000 on as a whole number, with commas."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
