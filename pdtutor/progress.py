"""The one progress bar, for everything that takes more than a second, in a terminal and in a notebook."""

from collections.abc import Iterator
from contextlib import contextmanager

from numba.core.event import Event, Listener, install_listener
from tqdm.auto import tqdm

from pdtutor.processes import launched


def progress_bar(*args, show: bool = True, **settings) -> tqdm:
    """Return a tqdm bar that appears after a second and is redrawn at most twice a second.

    This is rare enough not to overflow a notebook's message queue on any machine. TQDM_DISABLE=1 in the environment
    hides all bars, `show=False` this one. If there are several processes, only the main one shows its bar.
    """
    hidden = {} if show and launched().main else {"disable": True}
    return tqdm(*args, delay=1, mininterval=0.5, **settings, **hidden)


@contextmanager
def compilation_on(bar: tqdm) -> Iterator[None]:
    """While the block runs, say on the bar when numba compiles, and leave that time out of the bar's estimate.

    On a machine's first run, compiling may take longer than a thousand updates. What is read from numba's cache is not
    compiled.
    """
    with install_listener("numba:compile", _Compilation(bar)):
        yield


class _Compilation(Listener):
    """What numba calls, in any thread, when it starts to compile a function and when it has compiled it."""

    def __init__(self, bar: tqdm) -> None:
        self.bar, self.depth = bar, 0  # a function is compiled while those that call it are

    def on_start(self, event: Event) -> None:
        if self.depth == 0:
            self.bar.delay = 0  # it appears now, and a bar that has appeared is closed properly
            self.bar.set_postfix_str("compiling (first use only)…")
        self.depth += 1

    def on_end(self, event: Event) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.bar.unpause()
            self.bar.set_postfix_str("")
