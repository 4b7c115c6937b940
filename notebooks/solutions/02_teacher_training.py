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
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/solutions/02_teacher_training.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/solutions/02_teacher_training.ipynb)

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
# **Exercise 1.** The probe: multiply the columns, multiply by $p - \bar p$, average, drop the sign. As $\mathbb{E}\chi_A = 0$, the expectation is that of $\chi_A(x)\,p$; the average of few examples is nearer to it.


# %%
def monomial_correlation(p, x, subset):
    """p (n,) predictions, x (n, d) signs, subset a list of coordinates → a number."""
    chi = x[:, subset].prod(axis=1)  # (n,)
    return abs(np.mean(chi * (p - p.mean())))


checks.monomial_correlation(monomial_correlation)


# %% [markdown]
# **Exercise 2.** If $\chi_A(x) = \pm1$ is a fair coin independent of $p$, then $\chi_A(x)\,(p - \bar p)$ has mean 0 and the standard deviation of $p$. A mean of $n$ of them varies $\sqrt n$ times less. (Had exercise 1 left $\bar p$ in, it would be $\sqrt{\mathbb{E}[p^2]/n}$, and $\mathbb{E}[p^2] = \sigma_p^2 + \bar p^2$: for predictions around ½, much more.)


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
