# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5 · Language modelling: the exercises, solved
#
# Five short functions, each checked, from lesson 5 (`notebooks/05_language_modeling.py`).

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/solutions/05_language_modeling.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/solutions/05_language_modeling.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/solutions/05_language_modeling.ipynb)

# %% tags=["setup"]
# Set-up: installs pdtutor where it is missing (Colab, Kaggle), and leaves torch and numpy as they are.
import importlib
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

REPOSITORY = "https://github.com/OWNER/pdtutor"
found = find_spec("pdtutor")
if found is None or found.origin is None:  # a mere folder of that name has no origin
    package = "pdtutor[hub]"  # with transformers and datasets, which Colab and Kaggle have
    if "/OWNER/" not in REPOSITORY:
        package += f" @ git+{REPOSITORY}"
    kept = [f"{name}=={version(name)}" for name in ("torch", "numpy") if find_spec(name)]
    print(f"Installing {package}. This takes a minute …")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", package, *kept]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise ImportError(
            f"pip could not install {package}. What it said:\n\n{done.stderr.strip()}\n\n"
            "What you can do: check the network (on Kaggle: Settings, Turn on internet) and run this cell again. "
            "Or download the course, run `pip install` on its folder here, and then this cell again. "
            "If you keep this course on GitHub, run `make stamp` in it once: it tells the lessons where it is."
        )
    importlib.invalidate_caches()

# %%
import hashlib

import numpy as np

from pdtutor import checks

# %% [markdown]
# **Exercise 1.** One draw selects, a second one decides what is shown. Inputs and labels both go by the first, so that a selected token has a label whatever is shown in its place. `np.where` makes new arrays: `rows` stays as it is.


# %%
def mask_batch(rng, rows, tokens, rate, mask, alphabet):
    """rows (n, length) ids, tokens (n, length) bool, mask an id, alphabet (m,) ids
    → inputs, labels, both (n, length)."""
    selected = tokens & (rng.random(rows.shape) < rate)
    fate = rng.random(rows.shape)
    drawn = rng.choice(alphabet, rows.shape)
    shown = np.where(fate < 0.8, mask, np.where(fate < 0.9, drawn, rows))
    return np.where(selected, shown, rows), np.where(selected, rows, -100)


checks.mask_batch(mask_batch)


# %% [markdown]
# **Exercise 2.** A digest's bytes are as good as random, but the same text always has the same. Four of them, read as a whole number and divided by $2^{32}$, lie evenly in $[0, 1)$, so that about `share` of the documents are below `share`.


# %%
def split_by_document(documents, share):
    """documents: a list of texts; share in (0, 1) → two lists, train and validation."""
    train, validation = [], []
    for document in documents:
        digest = hashlib.sha256(document.encode()).digest()
        number = int.from_bytes(digest[:4], "big") / 2**32
        (validation if number < share else train).append(document)
    return train, validation


checks.split_by_document(split_by_document)


# %% [markdown]
# **Exercise 3.** The window stays, and all the rest is masked; $i$ is masked in both predictions, or one of them could copy.


# %%
def m_close(predict, ids, i, n, mask):
    """predict: ids (length,) → probabilities (length, classes); n odd → a number."""
    alone, window = ids.copy(), np.full_like(ids, mask)
    alone[i] = mask
    near = slice(i - n // 2, i + n // 2 + 1)
    window[near] = alone[near]
    return np.abs(predict(alone)[i] - predict(window)[i]).sum() / 2


checks.m_close(m_close)


# %% [markdown]
# **Exercise 4.** Before the rise nothing moves the predictions, and `close` is small for that reason alone. So first find where `robust` is half-way up, and look for the minimum from there on.
#
# How to defend it? It asks the teacher alone, no student and no label; it names a checkpoint that uses its neighbours (the first condition) and little else (the second), which is the easier function that the paper speaks of. It can fail: where the easy function is not a short n-gram, as in a parity, it says nothing.


# %%
def closest_checkpoint(steps, robust, close):
    """(n,) each: steps, medians of M_robust(3) and of M_close(3) → the step of C₁."""
    risen = np.argmax(robust >= robust.max() / 2)  # the first True
    return steps[risen + np.argmin(close[risen:])]


checks.closest_checkpoint(closest_checkpoint)


# %% [markdown]
# **Exercise 5.** Intervals begin at $0, R, 2R, \dots$ For $v < 1$ the number of finished intervals is slowed down and rounded *before* one is added and $R$ multiplied; so the teacher's step is always a multiple of $R$, and the same one may teach for several intervals. Equal teachers in a row make one stage.


# %%
def progressive_stages(every, speed, saved, steps):
    """R, v, the teacher's saved steps (ascending), the student's updates
    → [(first student step, teacher step), …], one entry per change of teacher; step 0 never teaches."""
    stages = []
    for finished, start in enumerate(range(0, steps, every)):
        wanted = speed * every * (1 + finished)
        if speed < 1:
            wanted = (1 + int(speed * finished)) * every
        teacher = max(step for step in saved if 0 < step <= wanted)
        if not stages or stages[-1][1] != teacher:
            stages.append((start, teacher))
    return stages


checks.progressive_stages(progressive_stages)
