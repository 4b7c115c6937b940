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
# Four short functions, each checked, and two answers in words, from lesson 4 (`notebooks/04_pcfg_transformers.py`).

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
# **Exercise 1.** An expectation of a sum is the sum of the expectations, whatever depends on what. So a right-hand side is as long as its parts together, and a symbol as long as its right-hand sides, weighted by their probabilities.


# %%
def expected_lengths(rules):
    """rules: symbol → [(probability, right-hand side), …] → a dict, symbol → mean length."""

    def length(symbol):
        if symbol not in rules:
            return 1  # a token
        return sum(p * sum(map(length, right)) for p, right in rules[symbol])

    return {symbol: length(symbol) for symbol in rules}


checks.expected_lengths(expected_lengths)


# %% [markdown]
# **Exercise 2.** Bayes' rule, where the likelihood is 1 for a sentence that fits what is seen and 0 for any other: strike out those that don't fit, divide by what is left, and at each position add up the sentences that agree on the token.


# %%
def posterior(sentences, probabilities, seen, mask, classes):
    """(N, length), (N,), (length,) → P(token at i is c | seen), (length, classes)."""
    fits = ((sentences == seen) | (seen == mask)).all(axis=1)  # (N,)
    weights = probabilities * fits
    weights = weights / weights.sum()
    onehot = np.eye(classes)[sentences]  # (N, length, classes)
    return (weights[:, None, None] * onehot).sum(axis=0)


checks.posterior(posterior)


# %% [markdown]
# **Exercise 3.** First bug: a label of −100 asks nothing, but no guess equals it, so every position that wasn't selected (and the padding) counted as wrong. Second bug: a mean of the sentences' means. Sentences differ in how many tokens they ask, so a token of a sentence that asks few would count more. Divide all right guesses by all positions that are asked. (The official code takes such a mean of means, over batches.)


# %%
def token_accuracy(guesses, labels, ignored):
    """(sentences, length) twice; labels are `ignored` where nothing is asked → a number."""
    asked = labels != ignored
    return (guesses == labels)[asked].mean()


checks.token_accuracy(token_accuracy)


# %% [markdown]
# **Exercise 4.** Two copies of the sentence, one with $i$ masked and one with its whole neighbourhood. What $q$ lost beside $p$ are the $n - 1$ nearest neighbours, so the distance says how much the model leans on them.


# %%
def m_robust(predict, ids, i, n, mask):
    """predict: ids (length,) → probabilities (length, classes). Returns ½‖p − q‖₁ at i."""
    alone, window = ids.copy(), ids.copy()
    alone[i] = mask
    window[i - n // 2 : i + n // 2 + 1] = mask
    return np.abs(predict(alone)[i] - predict(window)[i]).sum() / 2


checks.m_robust(m_robust)

# %% [markdown]
# **Exercise 5.** There is no wrong prediction. Two thoughts that help to make a good one: a student of 800 updates has seen less than half of what its teacher saw, and has a quarter of its heads, so it will stay well below 0.88; and with a cold teacher all four supervisions tell it a token, so differences of a few points are all that one may expect.
#
# **Exercise 6.** The hypothesis predicts that a grammar without 3-gram information has no second phase of the kind that we saw, and that no checkpoint before the end helps more than the final one. In such a grammar the optimum's $M_{\text{robust}}(3)$ is near 0, because a token's two neighbours tell nothing. If its teacher still learns in steps, leaning first on some nearer tokens and then on farther ones, and a (2, T) student profits from a checkpoint in between, then it isn't the 3-grams: any function that is easier to learn than the whole may do. That is what we would bet on, after lesson 3, where products of several coordinates taught as well as single ones; but we have not run it.
