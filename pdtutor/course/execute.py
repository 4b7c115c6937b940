"""Run one notebook from top to bottom, and show how far it has come."""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm
from traitlets import default

from pdtutor.course.lessons import without_progress


class OwnKernel(AsyncKernelManager):
    """Starts kernels in this very environment.

    A user, or a server for many, may have put a `python3` kernel of another environment on Jupyter's path. It is not
    looked for: without folders of kernels there is only the one that comes with ipykernel.
    """

    @default("kernel_spec_manager")
    def _own(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])


@dataclass
class Execution:
    """The outcome of `execute`.

    Attributes:
        notebook: the executed notebook, with its outputs.
        seconds: the wall-clock time that it took.
        failure: the first error and where it happened; "" if there was none.
    """

    notebook: NotebookNode
    seconds: float
    failure: str


def execute(notebook: NotebookNode, *, name: str, folder: Path, line: int = 0, threads: int | None = None) -> Execution:
    """Run the code cells of `notebook` in `folder`, with a progress bar called `name`, and return the outcome.

    The notebook is changed in place. Its outputs hold no progress bars, and its metadata nothing that differs between
    machines. The run stops at a cell that raises an error; `failure` then names the cell and the error.

    Args:
        notebook, name, folder: as above.
        line: how many lines below the cursor the bar is, so that several can be shown at a time.
        threads: how many threads the lesson computes with, unless OMP_NUM_THREADS says it; torch's choice if not given.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    started = time.perf_counter()
    # A cell may run for minutes: meanwhile the clock is redrawn, every second on a terminal and rarely in a log file.
    tick = 1 if sys.stderr.isatty() else 30
    # The bar shows no time left: cells take from milliseconds to minutes, so that tqdm's estimate would mislead.
    shape = "{desc} {percentage:3.0f}%|{bar:20}| cell {n_fmt} of {total_fmt} [{elapsed}{postfix}]"
    with tqdm(total=len(code), desc=name, position=line, mininterval=tick, dynamic_ncols=True, bar_format=shape) as bar:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            kernel_manager_class=OwnKernel,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # its warnings would break up the bar
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            on_cell_execute=lambda cell, **_: bar.set_postfix_str(cell.source.splitlines()[0][:40], refresh=tick == 1),
            on_cell_executed=lambda **_: bar.update(),
        )
        died = ""
        try:
            asyncio.run(_with_clock(client, bar, tick, environment))
        except CellExecutionError:
            pass  # the error is among the outputs, too
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
    """Return the first error among the outputs, "" if there is none.

    It is looked for in the outputs because a figure that can't be drawn leaves an error there but stops no cell.
    """
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                traceback = "\n".join(output.traceback)
                return f"code cell {number}: {output.ename}: {output.evalue}\n{traceback}"
    return ""


async def _with_clock(client: NotebookClient, bar: tqdm, tick: int, environment: dict[str, str]) -> None:
    """Run the notebook in a kernel with this environment, and redraw the bar every `tick` seconds meanwhile."""

    async def clock():
        while True:
            await asyncio.sleep(tick)
            bar.refresh()

    ticking = asyncio.create_task(clock())
    try:
        await client.async_execute(env=environment)
    finally:
        ticking.cancel()
