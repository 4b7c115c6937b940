"""Claims: what they refuse, print and display."""

import numpy as np
import pytest

from pdtutor.course.claims import COLUMNS, MIME, Claims


def some_claims() -> Claims:
    claims = Claims()
    claims.add("progressive is faster", paper="11M", measured=10_500, seeds=3, holds=np.bool_(True))
    claims.add("ξ₅ < 1e-4", paper=1.24e-5, measured="1.24e-5", seeds=0, holds=False)
    return claims


def test_verdicts_print_one_line_a_claim(capsys):
    some_claims().verdicts()
    assert capsys.readouterr().out == "progressive is faster: holds\nξ₅ < 1e-4: does not hold\n"


def test_table_has_the_columns_of_claims_csv():
    table = some_claims().table()
    assert list(table.columns) == COLUMNS == ["claim", "paper", "measured", "seeds", "holds"]
    assert table["holds"].tolist() == [True, False]
    assert table["seeds"].tolist() == [3, 0]
    assert list(Claims().table().columns) == COLUMNS


def test_display_carries_html_text_and_data():
    bundle = some_claims()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", MIME}
    assert bundle[MIME]["claims"][0] == {
        "claim": "progressive is faster",
        "paper": "11M",
        "measured": "10500",
        "seeds": 3,
        "holds": True,
    }
    assert "✓" in bundle["text/html"]
    assert "✗" in bundle["text/html"]
    assert "ξ₅ &lt; 1e-4" in bundle["text/html"]


def test_long_texts_are_not_cut():
    claims = Claims()
    claims.add("c" * 200, paper="p" * 200, measured="m" * 200, seeds=1, holds=True)
    bundle = claims._repr_mimebundle_()
    for letter in "cpm":
        assert letter * 200 in bundle["text/html"]
        assert letter * 200 in bundle["text/plain"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"claim": "  "}, "non-empty"),
        ({"claim": 3}, "non-empty"),
        ({"claim": "progressive is faster"}, "already added"),
        ({"seeds": -1}, "seeds must be a whole number"),
        ({"seeds": 2.5}, "2.5"),
        ({"seeds": True}, "seeds"),
        ({"holds": 1}, "holds must be True or False"),
        ({"holds": np.array([True, True])}, "ndarray"),
        ({"holds": "yes"}, "'yes'"),
    ],
)
def test_bad_claims_are_refused(change, message):
    claim = {"claim": "new", "paper": "-", "measured": "-", "seeds": 1, "holds": True} | change
    with pytest.raises(ValueError, match=message):
        some_claims().add(claim.pop("claim"), **claim)
