"""Claims: what they refuse, print and display."""

import numpy as np
import pytest

from pdtutor.course.claims import COLUMNS, MIME, Claims, Thresholds, apart


def some_claims() -> Claims:
    claims = Claims()
    claims.add(
        "progressive is faster", paper="11M", measured=10_500, spread="10000 to 12000", chance=1, seeds=3,
        holds=np.bool_(True),
    )  # fmt: skip
    claims.add("ξ₅ < 1e-4", paper=1.24e-5, measured="1.24e-5", seeds=0, holds=False)
    claims.add("one checkpoint is enough", measured="6 of 6", seeds=6, holds=True)
    return claims


def test_verdicts_print_one_line_a_claim(capsys):
    some_claims().verdicts()
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "progressive is faster: reproduced",
        "ξ₅ < 1e-4: not reproduced",
        "one checkpoint is enough: holds",
    ]


@pytest.mark.parametrize(
    ("paper", "holds", "partly", "verdict"),
    [
        ("11M", True, False, "reproduced"),
        ("11M", True, True, "reproduced"),
        ("11M", False, True, "partly"),
        ("11M", False, False, "not reproduced"),
        (None, True, False, "holds"),
        (None, False, True, "partly"),
        (None, False, False, "does not hold"),
    ],
)
def test_the_verdict_depends_on_whose_claim_it_is(paper, holds, partly, verdict):
    claims = Claims()
    claims.add("c", paper=paper, measured=1, seeds=6, holds=holds, partly=partly)
    assert claims.table()["verdict"].tolist() == [verdict]


def test_table_has_the_columns_of_claims_csv():
    table = some_claims().table()
    assert list(table.columns) == COLUMNS
    assert table["paper"].tolist() == ["11M", "1.24e-05", ""]
    assert table["spread"].tolist() == ["10000 to 12000", "", ""]
    assert table["chance"].tolist() == ["1", "", ""]
    assert table["seeds"].tolist() == [3, 0, 6]
    assert list(Claims().table().columns) == COLUMNS


def test_display_carries_html_text_and_data():
    bundle = some_claims()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", MIME}
    assert bundle[MIME]["claims"][0] == {
        "claim": "progressive is faster",
        "paper": "11M",
        "measured": "10500",
        "spread": "10000 to 12000",
        "chance": "1",
        "seeds": 3,
        "verdict": "reproduced",
    }
    assert "ξ₅ &lt; 1e-4" in bundle["text/html"]


def test_the_papers_claims_and_ours_are_shown_apart():
    theirs, ours = some_claims()._repr_mimebundle_()["text/html"].split("Our own findings")
    assert "What the paper reports" in theirs
    assert "progressive is faster" in theirs
    assert "one checkpoint is enough" not in theirs
    assert "one checkpoint is enough" in ours
    assert "<th>paper</th>" in theirs
    assert "<th>paper</th>" not in ours  # nothing to show
    assert "<td>exact</td>" in theirs  # 0 seeds
    assert list(apart(some_claims().table())) == ["What the paper reports", "Our own findings"]
    assert apart(Claims().table()) == {}


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
        ({"partly": None}, "partly must be True or False"),
    ],
)
def test_bad_claims_are_refused(change, message):
    claim = {"claim": "new", "paper": "-", "measured": "-", "seeds": 1, "holds": True} | change
    with pytest.raises(ValueError, match=message):
        some_claims().add(claim.pop("claim"), **claim)


def test_thresholds_print_what_is_asked_and_whether_it_is_met(capsys):
    seen = Thresholds()
    seen.add("accuracy", 0.9998, at_least=0.999)
    seen.add("loss", np.float32(0.7), at_most=0.69)
    seen.add("peak", np.int64(4700), at_least=4000, at_most=5000)
    seen.add("slope", float("nan"), at_most=5)
    seen.add("updates", 11_000.0, at_most=20_000)
    seen.verdicts()
    assert capsys.readouterr().out.splitlines() == [
        "accuracy: at least 0.999, yes",
        "loss: at most 0.69, NO",
        "peak: at least 4,000, at most 5,000, yes",
        "slope: at most 5, NO",
        "updates: at most 20,000, yes",
    ]
    assert seen.table()["measured"].tolist() == ["0.9998", "0.7", "4,700", "nan", "11,000"]
    bundle = seen._repr_mimebundle_()
    assert "<td>0.9998</td>" in bundle["text/html"]
    assert "at least 0.999" in bundle["text/plain"]


@pytest.mark.parametrize(
    ("quantity", "measured", "limits", "message"),
    [
        ("", 1, {"at_least": 1}, "non-empty text"),
        (None, 1, {"at_least": 1}, "non-empty text"),
        ("x", 1, {}, "'x' needs a threshold"),
        ("x", "1", {"at_least": 1}, "'x' must be a number beside numbers, got '1'"),
        ("x", 1, {"at_most": "2"}, "'x' must be a number beside numbers, got '2'"),
        ("x", np.ones(2), {"at_least": 1}, "'x' must be a number"),
    ],
)
def test_thresholds_refuse_what_cannot_be_compared(quantity, measured, limits, message):
    with pytest.raises(ValueError, match=message):
        Thresholds().add(quantity, measured, **limits)
