import pandas as pd
import pytest

from pdtutor import resources

COLUMNS = ["quantity", "method", "at", "at_unit", "relation", "value", "tolerance", "unit", "source", "note"]


@pytest.mark.parametrize("experiment", ["E1", "E2", "E3", "E4", "E5"])
def test_every_number_says_what_it_is_and_where_it_comes_from(experiment):
    table = resources.paper(experiment)
    assert list(table.columns) == COLUMNS
    assert pd.api.types.is_float_dtype(table["at"])
    assert pd.api.types.is_numeric_dtype(table["value"])
    assert table[["quantity", "value", "unit", "source"]].notna().all(axis=None)
    assert set(table["source"]) <= {"code", "figure", "review", "derived"}
    assert set(table["relation"]) <= {"=", "≈", "≤", "≥"}
    fractions = table[table["unit"] == "fraction"]
    assert fractions["value"].between(0, 1).all()
    assert (fractions["tolerance"] == 0.003).all()
    assert table.loc[table["at"].isna() & table["at_unit"].notna() & table["note"].isna()].empty
    assert not table.duplicated(["quantity", "method", "at", "relation", "note"]).any()


def test_e1_has_what_lesson_three_compares_with():
    table = resources.paper("E1").set_index(["quantity", "method", "at"])["value"]
    assert table["accuracy", "teacher", 10_200_000] == 0.75
    assert table["in-support |corr|", "teacher", 10_200_000] == 0.095
    assert table["accuracy", "(2,1M) C1=10.2M", 1_000_000] == 0.735


def test_unknown_experiment_lists_those_known():
    with pytest.raises(ValueError, match=r"'E9'; there are numbers for E1, E2, E3, E4, E5"):
        resources.paper("E9")


def test_data_path_names_what_is_there():
    assert resources.data_path("reference/E1.csv").is_file()
    with pytest.raises(FileNotFoundError, match=r"E7\.csv does not exist; .*reference holds: E1\.csv"):
        resources.data_path("reference/E7.csv")


def test_data_of_an_installed_package_come_first(tmp_path, monkeypatch):
    (tmp_path / "site-packages/pdtutor/data/reference").mkdir(parents=True)
    (tmp_path / "site-packages/data").mkdir()
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "site-packages/pdtutor")
    assert resources.data_path("reference") == tmp_path / "site-packages/pdtutor/data/reference"


def test_a_package_without_data_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "pdtutor")
    with pytest.raises(FileNotFoundError, match="reinstall"):
        resources.data_path("reference")
