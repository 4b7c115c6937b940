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
    # No time left is shown: cells take from milliseconds to minutes, so that tqdm's guess would only mislead.
    shape = "{desc} {percentage:3.0f}%|{bar:20}| cell {n_fmt} of {total_fmt} [{elapsed}{postfix}]"
    with tqdm(total=len(code), desc=name, mininterval=tick, dynamic_ncols=True, bar_format=shape) as bar:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # its warnings would tear the bar apart
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            on_cell_execute=lambda cell, **_: bar.set_postfix_str(cell.source.splitlines()[0][:40], refresh=tick == 1),
            on_cell_executed=lambda **_: bar.update(),
        )
        died = ""
        try:
            asyncio.run(_with_clock(client, bar, tick))
        except CellExecutionError:
            pass  # it is among the outputs, too
        except DeadKernelError:
            died = f"code cell {bar.n + 1}: the kernel died (out of memory?)"
        failure = died or _first_error(code)
        bar.set_postfix_str("failed" if failure else "")
    for cell in code:
        cell.outputs = without_progress(cell.outputs)
    for noise in ("language_info", "widgets"):
        notebook.metadata.pop(noise, None)
    return Execution(notebook, time.perf_counter() - started, failure and f"{name}, {failure}")


def _first_error(code: list[NotebookNode]) -> str:
    """The first error among the outputs, or "": a figure that can't be drawn leaves one although its cell goes on."""
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                traceback = "\n".join(output.traceback)
                return f"code cell {number}: {output.ename}: {output.evalue}\n{traceback}"
    return ""


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
