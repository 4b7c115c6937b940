"""`python -m pdtutor.course build|notebooks|pair|stamp`: the commands that the Makefile calls."""

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import tyro

from pdtutor.course import build as building
from pdtutor.course import lessons
from pdtutor.course import pair as pairing
from pdtutor.course import stamp as stamping
from pdtutor.course.claims import COLUMNS
from pdtutor.validate import user_path, whole


def build(*, root: Path = Path(), out: Path = Path("build"), jobs: int = min(2, os.cpu_count() or 1)) -> None:
    """Execute every lesson and write OUT/course/*.html and OUT/claims.csv.

    Leave with status 1 if a lesson stops with an error, or a claim's verdict is not the one stored in its .ipynb.

    Args:
        root: the top of the clone.
        out: the folder for the results; notebooks/ stays as it is.
        jobs: how many lessons run at a time; they share the cores.
    """
    threads = max(1, (os.cpu_count() or 1) // whole("jobs", jobs))
    root, out = user_path(root), user_path(out)
    sources, pages = lessons.sources(root), out / "course"
    shutil.rmtree(pages, ignore_errors=True)  # or the page of a deleted lesson would stay
    pages.mkdir(parents=True)
    pool = ThreadPoolExecutor(jobs)
    try:
        executed = [
            pool.submit(building.run_lesson, source, pages=pages, line=line, threads=threads)
            for line, source in enumerate(sources)
        ]
        runs = [future.result() for future in executed]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C, nobody wants to wait for the lessons that run
    entries = [entry for _, entry in runs]
    failures = [run.failure for run, _ in runs if run.failure]
    index = building.write_index(entries, pages)
    table = pd.DataFrame([row for entry in entries for row in entry["claims"]], columns=COLUMNS)
    table.to_csv(out / "claims.csv", index=False)
    print(f"\n{building.as_text(table)}\n\nLessons: {index}\nClaims:  {out / 'claims.csv'}", flush=True)
    failures += [f"verdict changed: {change}" for entry in entries for change in entry["changes"]]
    _exit(failures)


def notebooks(lesson: tyro.conf.Positional[tuple[str, ...]] = (), *, root: Path = Path()) -> None:
    """Execute lessons and solutions and store their outputs in the .ipynb of each pair.

    Args:
        lesson: names such as 02_teacher_training; all if none is given.
        root: the top of the clone.
    """
    root = user_path(root)
    sources = lessons.sources(root) + lessons.solutions(root)
    known = {source.stem for source in sources}
    if not known.issuperset(lesson):
        raise ValueError(f"no lesson called {sorted(set(lesson) - known)}; there are {sorted(known)}")
    chosen = [source for source in sources if not lesson or source.stem in lesson]
    _exit([failure for source in chosen if (failure := pairing.rerun(source, root=root))])


def pair(*, root: Path = Path()) -> None:
    """Check that every .ipynb is in step with its .py, was run once from top to bottom and holds no error.

    Leave with status 1 and the list of faults if there are any.

    Args:
        root: the top of the clone.
    """
    root = user_path(root)
    sources = lessons.sources(root) + lessons.solutions(root)
    failures = [f"{source}: {fault}" for source in sources for fault in pairing.faults(source, root=root)]
    failures += [f"{orphan}: has no .py" for orphan in pairing.orphans(root)]
    _exit(failures)
    print(f"{len(sources)} pairs in step")


def stamp(*, address: str | None = None, root: Path = Path()) -> None:
    """Write the repository's address into pyproject.toml, the README and the lessons, and fill in the shared cells.

    Args:
        address: a GitHub repository; the clone's `origin` if not given.
        root: the top of the clone.
    """
    root = user_path(root)
    address = stamping.public_address(address) if address else stamping.origin(root)
    changed = stamping.stamp(root, address)
    print(f"{address}: {len(changed)} files changed", *changed, sep="\n  ")


def _exit(failures: list[str]) -> None:
    """Print the failures on standard error and leave with status 1, if there are any."""
    if failures:
        sys.exit("\n" + "\n".join(failures))


def main() -> None:
    """Run the command that the command line names. An error is one line, with status 1; Ctrl-C ends with status 130."""
    commands = {"build": build, "notebooks": notebooks, "pair": pair, "stamp": stamp}
    try:
        tyro.extras.subcommand_cli_from_dict(commands, prog="python -m pdtutor.course")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr, flush=True)
        os._exit(130)  # at once: threads may still run lessons, whose kernels end with this process


if __name__ == "__main__":
    main()
