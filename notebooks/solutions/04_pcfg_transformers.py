# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4 · Transformers on context-free grammars: the exercises, solved
#
# Three short functions, each checked, from lesson 4 (`notebooks/04_pcfg_transformers.py`).

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/solutions/04_pcfg_transformers.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/solutions/04_pcfg_transformers.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/solutions/04_pcfg_transformers.ipynb)

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
import numpy as np

from pdtutor import checks

# %% [markdown]
# **Exercise 1.** An expectation of a sum is the sum of the expectations, whatever depends on what. So a right-hand side is as long as its parts together, and a symbol as long as its right-hand sides, weighed by their probabilities.


# %%
def expected_lengths(rules):
    """rules: symbol → [(probability, right-hand side), …] → a dict, symbol → expected number of tokens."""

    def length(symbol):
        if symbol not in rules:
            return 1  # a token
        return sum(probability * sum(map(length, right)) for probability, right in rules[symbol])

    return {symbol: length(symbol) for symbol in rules}


checks.expected_lengths(expected_lengths)


# %% [markdown]
# **Exercise 2.** Two copies of the sentence, one with $i$ masked and one with its whole neighbourhood. What $q$ lost beside $p$ are the $n - 1$ nearest neighbours, so the distance says how much the model leans on them.


# %%
def m_robust(predict, ids, i, n, mask):
    """predict: ids (length,) → probabilities (length, classes). Returns ½‖p − q‖₁ of its predictions at i."""
    alone, window = ids.copy(), ids.copy()
    alone[i] = mask
    window[i - n // 2 : i + n // 2 + 1] = mask
    return np.abs(predict(alone)[i] - predict(window)[i]).sum() / 2


checks.m_robust(m_robust)


# %% [markdown]
# **Exercise 3.** Bayes' rule, where the likelihood is 1 for a sentence that fits what is seen and 0 for any other: strike out those that don't fit, divide by what is left, and at each position add up the sentences that agree on the token.


# %%
def posterior(sentences, probabilities, seen, mask, classes):
    """(N, length), (N,), (length,) with mask where nothing is seen → P(token at i is c | seen), (length, classes)."""
    fits = ((sentences == seen) | (seen == mask)).all(axis=1)  # (N,)
    weights = probabilities * fits
    weights = weights / weights.sum()
    onehot = np.eye(classes)[sentences]  # (N, length, classes)
    return (weights[:, None, None] * onehot).sum(axis=0)


checks.posterior(posterior)
