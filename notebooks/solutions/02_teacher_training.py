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
# Five short functions, each checked, and two open questions, from the second lesson (`notebooks/02_teacher_training.py`).

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
import pandas as pd

from pdtutor import (
    MLP,
    SGD,
    Thresholds,
    checks,
    correlation_levels,
    monomial_correlations,
    over,
    peak_steps,
    recipes,
    select_copies,
    train,
)

# %% [markdown]
# **Exercise 1.** Look from the end: the last evaluation below the threshold, and then one further.


# %%
def transition_step(steps, accuracy, threshold):
    """steps (n,), accuracy (n,) → the first step from which accuracy stays at or above the threshold."""
    below = np.flatnonzero(accuracy < threshold)
    return steps[0] if len(below) == 0 else steps[below[-1] + 1]


checks.transition_step(transition_step)


# %% [markdown]
# **Exercise 2.** The probe: multiply the columns, multiply by $p - \bar p$, average, drop the sign. As $\mathbb{E}\chi_A = 0$, the expectation is that of $\chi_A(x)\,p$; the average of few examples is nearer to it.


# %%
def monomial_correlation(p, x, subset):
    """p (n,) predictions, x (n, d) signs, subset a list of coordinates → a number."""
    chi = x[:, subset].prod(axis=1)  # (n,)
    return abs(np.mean(chi * (p - p.mean())))


checks.monomial_correlation(monomial_correlation)


# %% [markdown]
# **Exercise 3.** If $\chi_A(x) = \pm1$ is a fair coin independent of $p$, then $\chi_A(x)\,(p - \bar p)$ has mean 0 and the standard deviation of $p$. A mean of $n$ of them varies $\sqrt n$ times less. (Had exercise 2 left $\bar p$ in, it would be $\sqrt{\mathbb{E}[p^2]/n}$, and $\mathbb{E}[p^2] = \sigma_p^2 + \bar p^2$: for predictions around ½, much more.)


# %%
def noise_floor(p):
    """p (n,) predictions → a number."""
    return np.std(p) / np.sqrt(len(p))


checks.noise_floor(noise_floor)


# %% [markdown]
# **Exercise 4.** The largest difference. A ratio would pick a checkpoint at which both numbers are tiny.


# %%
def peak_step(steps, inside, outside):
    """steps (n,), mean correlations inside and outside the support (n,) each → a step."""
    return steps[np.argmax(inside - outside)]


checks.peak_step(peak_step)


# %% [markdown]
# **Exercise 5.** First bug: it averages signed correlations and takes the absolute value last. The signs of the six coordinates are an accident of the weights, so they cancel: a support in the open may show nothing. Second bug: it never uses `fresh`. The largest of many noisy numbers is too large on average, and the examples that chose it agree with it. Other examples don't.


# %%
def spike_height(chosen, fresh, inside):
    """chosen, fresh (steps, d): signed correlations; inside (d,): bool → a number."""

    def levels(table):
        return abs(table[:, inside]).mean(axis=1) - abs(table[:, ~inside]).mean(axis=1)

    peak = levels(chosen).argmax()
    return levels(fresh)[peak]


checks.spike_height(spike_height)

# %% [markdown]
# **Exercise 6.** *What to measure*: the spread of inside − outside over the checkpoints of one network, from 100 updates after the peak on, so that the peak itself, which was chosen for being large, doesn't count. *What to expect*: the gradient of a batch 16 times as large has noise of a quarter of the size. If the flicker is that noise, its spread falls to about a quarter; if it is something else, such as the learning rate being too large for the curvature, it stays. *From which number on*: say, at most a half, in the median over networks. Three teachers suffice for a first look.

# %%
recipe = recipes.recipe("parity-teacher")
task, seeds = recipe.task(), [0, 1, 4]
options = {"batch_size": recipe.batch_size, "optimizer": SGD(lr=recipe.lr)}
teachers = train(
    MLP(task.d, width=recipe.width, seed=seeds),
    task,
    steps=8000,
    eval_every=recipe.save_every,
    save_every=recipe.save_every,
    description="three teachers",
    **options,
)
curriculum = over(teachers.trajectory, monomial_correlations(task, examples=8192, seed=0))
peaks = peak_steps(curriculum)

# %%
probe = monomial_correlations(task, examples=8192, seed=1)
rows = []
for batch_size in (32, 512):
    for seed in seeds:
        network = select_copies(teachers.trajectory.of(seed).at(peaks[seed]), [0]).requires_grad_(
            True
        )
        options = {"batch_size": batch_size, "optimizer": SGD(lr=recipe.lr), "seed": [700 + seed]}
        saved = {"eval_every": 25, "save_every": 25, "progress": False}
        onward = train(network, task, steps=300, **options, **saved)
        levels = correlation_levels(over(onward.trajectory, probe, progress=False)).loc[100:]
        height = levels["inside"] - levels["outside"]
        rows.append(
            {"batch": batch_size, "seed": seed, "s.d.": height.std(), "mean": height.mean()}
        )
flicker = pd.DataFrame(rows).pivot(index="seed", columns="batch")

# %% tags=["nbval-ignore-output"]
flicker.round(4)

# %% tags=["nbval-ignore-output"]
ratio = (flicker["s.d."][512] / flicker["s.d."][32]).median()
seen = Thresholds()
seen.add("s.d. with batches of 512 over that with batches of 32, median", ratio, at_most=0.5)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# The spread falls to 0.14 of what it was in the median, which is even less than the quarter that the noise of a batch would give; with three networks one can't say more. So the flicker is, for the most part, noise of small batches. The mean level behaves differently in different networks: in two of the three it falls as well, in one it stays, as it did at a tenth of the learning rate.
#
# **Exercise 7.** Section 3 lets you expect less flicker: at a tenth of the rate its standard deviation fell to about a quarter. Section 7 found no higher spikes at higher rates in networks trained at batch 1 from the start, so don't be too sure of the peak's height. To be fair, (1) give both the same number of looks per transition: the transition takes about ten times as many updates, so checkpoints must be further apart, as in the command; (2) choose the peak on one set of examples and measure it on another; (3) take at least six seeds, since heights differ by a factor of three between seeds at the same rate; (4) report what groups of other coordinates reach in the same way.
