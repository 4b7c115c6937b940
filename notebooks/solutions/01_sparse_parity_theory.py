# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Sparse parity: the exercises, solved
#
# Five short functions, each checked, from the first lesson (`notebooks/01_sparse_parity_theory.py`).

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/solutions/01_sparse_parity_theory.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/solutions/01_sparse_parity_theory.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/solutions/01_sparse_parity_theory.ipynb)

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
from math import ceil

import numpy as np

from pdtutor import checks, theory

# %% [markdown]
# **Exercise 1.** The label. `x[:, support]` has shape `(n, k)`; the product runs along axis 1 and leaves `(n,)`.


# %%
def parity_label(x, support):
    return x[:, support].prod(axis=1)


checks.parity_label(parity_label)

# %% [markdown]
# **Exercise 2.** One Fourier coefficient: the mean of $f$ times the parity. A product over no coordinates is 1, so the empty subset gives the mean of $f$.


# %%
def coefficient(f, x, subset):
    return np.mean(f * parity_label(x, subset))


checks.coefficient(coefficient)

# %% [markdown]
# **Exercise 3.** The direction of descent. With weights ±1, leaving $w_j$ out of a product and putting it in are the same thing: one more factor $w_j$, because $w_j^2 = 1$. So both cases are $\chi_S(w)\,w_j$ times their own $\xi$.


# %%
def descent_direction(signs, support, xi_inside, xi_outside):
    inside = np.isin(np.arange(len(signs)), support)  # (d,)
    return signs[support].prod() * signs * np.where(inside, xi_inside, xi_outside)


checks.descent_direction(descent_direction)

# %% [markdown]
# It agrees with a sum over all inputs:

# %%
signs, support = np.array([1, -1, -1, 1, 1, -1, 1, 1, -1]), [0, 3, 4, 8]
labels = theory.parity(theory.hypercube(9), support)  # (512,)
direction = descent_direction(signs, support, theory.threshold_coefficient(9, 3), theory.threshold_coefficient(9, 5))
print("equal to 1e-12:", np.allclose(direction, -theory.population_gradient(signs, labels), rtol=0, atol=1e-12))

# %% [markdown]
# **Exercise 4.** Set $s\sqrt{1/(2n)} = \gamma$ and solve: $n = s^2 / (2\gamma^2)$, rounded up.


# %%
def samples_to_resolve(signal, sigmas):
    return ceil(0.5 * (sigmas / signal) ** 2)


checks.samples_to_resolve(samples_to_resolve)

# %%
print(f"k = 6, d = 100, three standard errors: {samples_to_resolve(1.24e-5, 3):.1e} samples")

# %% [markdown]
# **Exercise 5.** `f @ x / len(x)` holds the means of $f \cdot x_j$: all $d$ coefficients of degree 1 at once. Parseval without degree 0 is the variance.


# %%
def degree_one_share(f, x):
    return np.sum((f @ x / len(x)) ** 2) / np.var(f)


checks.degree_one_share(degree_one_share)

# %% [markdown]
# Majority on 15 bits is mostly degree 1, and a parity is not at all:

# %%
cube = theory.hypercube(15).astype(float)  # (32768, 15)
print(f"majority: {degree_one_share(np.sign(cube.sum(axis=1)), cube):.3f}")
print(f"parity:   {degree_one_share(theory.parity(cube, [2, 5, 7, 11]), cube):.3f}")
