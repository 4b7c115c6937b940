"""The one progress bar, for everything that takes more than a second, in a terminal and in a notebook."""

from tqdm.auto import tqdm

from pdtutor.processes import launched


def progress_bar(*args, show: bool = True, **settings) -> tqdm:
    """Return a tqdm bar that appears after a second and is redrawn at most twice a second.

    This is rare enough not to overflow a notebook's message queue on any machine. TQDM_DISABLE=1 in the environment
    hides all bars, `show=False` this one. If there are several processes, only the main one shows its bar.
    """
    hidden = {} if show and launched().main else {"disable": True}
    return tqdm(*args, delay=1, mininterval=0.5, **settings, **hidden)
