"""What the recipes of the theory make of their students."""

import numpy as np
import pandas as pd

from pdtutor.recipes.theory import bill, samples_by_error, slopes


def law(exponent):
    return pd.DataFrame([{"seed": s, "d": d, "samples": d**exponent} for s in range(3) for d in (10, 20, 40)])


def test_slopes_leave_out_dimensions_that_a_student_never_reached():
    history = pd.concat(
        [
            law(2.0).assign(supervision="labels", error=0.05),
            law(1.0).assign(supervision="teacher of one pair", error=0.05),
            law(1.0).assign(supervision="wide teacher", error=[0.05] * 8 + [0.5]),
        ]
    ).assign(k=2)
    found = slopes(samples_by_error(history, (0.1,))).set_index("supervision")
    assert found["exponent"].round(6).tolist() == [2, 1, 1, 1, 1]
    assert found.loc["wide teacher", "dims"] == "10 20"
    assert found["unreached"].tolist() == [0, 0, 1, 0, 1]


def test_the_bill_counts_students_until_the_teacher_pays():
    rows = [(0, 0, 1000.0), (2, 500, 100.0), (2, 1000, 1200.0), (2, 2000, np.nan)]
    table = pd.DataFrame(rows, columns=["width", "teacher_samples", "student_samples"]).assign(seed=0)
    found = bill(table, largest=4096)
    assert found["students"].iloc[1] == 1  # 500 + 100 < 1000
    assert found["students"].isna().tolist() == [True, False, True, True]
    assert found["student_samples"].tolist() == [1000, 100, 1200, 4096]
