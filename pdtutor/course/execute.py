"""Run one notebook top to bottom, showing where it is."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from pdtutor.course.lessons import without_progress


@dataclass
class Execution:
    """An executed notebook, the seconds it took, and what went wrong ("" if nothing)."""

    notebook: NotebookNode
    seconds: float
    failure: str


def execute(notebook: NotebookNode, *, name: str, folder: Path) -> Execution:
    """Run the code cells of `notebook` in `folder`, with a progress bar called `name`.

    The notebook is changed in place: its outputs carry no progress bars, its metadata nothing that differs
    between machines. A cell that raises stops the run; the execution then names the cell and the error.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    started = time.perf_counter()
    # A cell may run for minutes: the clock ticks meanwhile, though seldom in a log file.
    tick = 1 if sys.stderr.isatty() else 30
    failure, running = "", 0
    with tqdm(total=len(code), desc=name, unit="cell", mininterval=tick, dynamic_ncols=True) as bar:

        def on_start(cell, cell_index):
            nonlocal running
            running += 1
            bar.set_postfix_str(cell.source.lstrip("# ").splitlines()[0][:40], refresh=tick == 1)

        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            on_cell_execute=on_start,
            on_cell_executed=lambda **_: bar.update(),
        )
        try:
            asyncio.run(_with_clock(client, bar, tick))
        except CellExecutionError as error:
            failure = f"{name}, code cell {running}: {error.ename}: {error.evalue}\n{error.traceback}"
        except DeadKernelError:
            failure = f"{name}, code cell {running}: the kernel died (out of memory?)"
        bar.set_postfix_str("failed" if failure else "")
    for cell in code:
        cell.outputs = without_progress(cell.outputs)
    for noise in ("language_info", "widgets"):
        notebook.metadata.pop(noise, None)
    return Execution(notebook, time.perf_counter() - started, failure)


async def _with_clock(client: NotebookClient, bar: tqdm, tick: int) -> None:
    async def clock():
        while True:
            await asyncio.sleep(tick)
            bar.refresh()

    ticking = asyncio.create_task(clock())
    try:
        await client.async_execute()
    finally:
        ticking.cancel()
