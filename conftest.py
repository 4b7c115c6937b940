"""nbval compares all outputs but progress bars and the error stream, which `make notebooks` does not store."""

from pdtutor.course.lessons import without_progress


def pytest_itemcollected(item):
    if hasattr(item, "compare_outputs"):  # a notebook's cell
        compare = item.compare_outputs
        item.compare_outputs = lambda test, ref: compare(without_progress(test), without_progress(ref))
