# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · Training a teacher: the exercises, solved
#
# Four short functions, each checked, from the second lesson (`notebooks/02_teacher_training.py`).

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/solutions/02_teacher_training.ipynb)

# %% tags=["setup"]
# Set-up: installs pdtutor where it is missing (Colab), beside the torch and numpy already there.
import importlib
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

REPOSITORY = "https://github.com/OWNER/pdtutor"
if find_spec("pdtutor") is None:
    if "/OWNER/" in REPOSITORY:
        raise ImportError("pdtutor has no public address yet: pip install a clone, or run `make stamp` in it")
    kept = [f"{name}=={version(name)}" for name in ("torch", "numpy") if find_spec(name)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"git+{REPOSITORY}", *kept], check=True)
    importlib.invalidate_caches()

# %%
import numpy as np

from pdtutor import checks

# %% [markdown]
# **Exercise 1.** The probe: multiply the columns, multiply by $p$, average, drop the sign.


# %%
def monomial_correlation(p, x, subset):
    """p (n,) predictions, x (n, d) signs, subset a list of coordinates → a number."""
    chi = x[:, subset].prod(axis=1)  # (n,)
    return abs(np.mean(chi * p))


checks.monomial_correlation(monomial_correlation)


# %% [markdown]
# **Exercise 2.** If $\chi_A(x) = \pm1$ is a fair coin independent of $p$, then $\chi_A(x)\,(p - \bar p)$ has mean 0 and the standard deviation of $p$. A mean of $n$ of them varies $\sqrt n$ times less. (The probe subtracts $\bar p$ first, which changes no expectation, because $\mathbb{E}\chi_A = 0$.)


# %%
def noise_floor(p):
    """p (n,) predictions → a number."""
    return np.std(p) / np.sqrt(len(p))


checks.noise_floor(noise_floor)


# %% [markdown]
# **Exercise 3.** Look from the end: the last evaluation below the threshold, and then one further.


# %%
def transition_step(steps, accuracy, threshold):
    """steps (n,), accuracy (n,) → the first step from which accuracy stays at or above the threshold."""
    below = np.flatnonzero(accuracy < threshold)
    return steps[0] if len(below) == 0 else steps[below[-1] + 1]


checks.transition_step(transition_step)


# %% [markdown]
# **Exercise 4.** The largest difference. A ratio would pick a checkpoint at which both numbers are tiny.


# %%
def peak_step(steps, inside, outside):
    """steps (n,), mean correlations inside and outside the support (n,) each → a step."""
    return steps[np.argmax(inside - outside)]


checks.peak_step(peak_step)
