"""One progress bar for everything that takes more than a second, in a terminal and in a notebook."""

from tqdm.auto import tqdm

from pdtutor.processes import launched


def progress_bar(*args, show: bool = True, **settings) -> tqdm:
    """Return a tqdm bar that appears after a second and is redrawn twice a second.

    Seldom enough that a notebook's message queue never overflows, whatever the machine. TQDM_DISABLE=1 in the
    environment hides all bars, `show=False` this one. Of several processes the main one shows its bar.
    """
    hidden = {} if show and launched().main else {"disable": True}
    return tqdm(*args, delay=1, mininterval=0.5, **settings, **hidden)
