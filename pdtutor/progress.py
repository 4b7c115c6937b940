"""One progress bar for everything that takes more than a second, in a terminal and in a notebook."""

from tqdm.auto import tqdm


def progress_bar(*args, show: bool = True, **settings) -> tqdm:
    """Return a tqdm bar that appears after a second and is redrawn twice a second.

    Seldom enough that a notebook's message queue never overflows, whatever the machine. TQDM_DISABLE=1 in the
    environment hides all bars, `show=False` this one.
    """
    hidden = {} if show else {"disable": True}
    return tqdm(*args, delay=1, mininterval=0.5, **settings, **hidden)
