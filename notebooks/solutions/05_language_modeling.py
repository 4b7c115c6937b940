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
    """rows (n, length) ids, tokens (n, length) bool, mask an id, alphabet (m,) ids → inputs, labels (n, length)."""
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
# **Exercise 3.** `np.argsort` goes upwards, so sort the negative. The ids then pick the probabilities, each row its own.


# %%
def top_k_targets(probabilities, k):
    """probabilities (positions, classes) → ids and probabilities, both (positions, k)."""
    ids = np.argsort(-probabilities, axis=1)[:, :k]  # (positions, k)
    kept = np.take_along_axis(probabilities, ids, axis=1)
    return ids, kept / kept.sum(axis=1, keepdims=True)


checks.top_k_targets(top_k_targets)


# %% [markdown]
# The student is normalised over all classes, then the stored ones are picked. What the teacher's other classes had is given to the $k$, so the student hears that the others have probability 0. Normalised over the $k$ alone, it would hear nothing of them, and could give them nearly everything.


# %%
def top_k_loss(student_logits, ids, probabilities):
    """student_logits (positions, classes); ids and probabilities (positions, k) → the mean loss, a number."""
    shifted = student_logits - student_logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (positions, classes)
    return -(probabilities * np.take_along_axis(log_p, ids, axis=1)).sum(axis=1).mean()


checks.top_k_loss(top_k_loss)


# %% [markdown]
# **Exercise 4.** A mean's gradient times the number of its positions is that of the sum, and sums add up. Divide by the number of all positions. The plain average of the processes is the same only where all have equally many.


# %%
def whole_batch_gradient(gradients, labelled):
    """gradients (processes, parameters), labelled (processes,): positions of each → (parameters,)."""
    sums = labelled[:, None] * gradients  # (processes, parameters)
    return sums.sum(axis=0) / labelled.sum()


checks.whole_batch_gradient(whole_batch_gradient)
