# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5b · Teachers that others trained: the exercises, solved
#
# Two functions mended, with two mistakes in each, and three short ones written, from lesson 5b (`notebooks/05b_teachers_that_others_trained.py`).

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/solutions/05b_teachers_that_others_trained.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/solutions/05b_teachers_that_others_trained.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/solutions/05b_teachers_that_others_trained.ipynb)

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
import torch

from pdtutor import checks

# %% [markdown]
# **Exercise 1.** The first mistake: `abs` finds the *nearest* checkpoint, which may be a later one; at $v = 1$, with a checkpoint at every target, nobody can tell the difference. The rule wants the latest one that is not after the target. The second: for $v < 1$ the target has another form. In the first interval it is $R$, and so a checkpoint that was trained; $vR$ would mean step 0, or one that nobody saved.


# %%
def latest_checkpoint(step, every, speed, saved):
    """student step, R, v, the saved steps (ascending, from 0) → the teacher's step."""
    intervals = step // every
    target = speed * every * (1 + intervals)
    if speed < 1:
        target = (1 + int(speed * intervals)) * every
    return max(one for one in saved if one <= target)


checks.latest_checkpoint(latest_checkpoint)


# %% [markdown]
# **Exercise 2.** `network.eval()` switches dropout off. It does so in place, and for good: whoever trains that network afterwards must say `.train()`. `torch.no_grad()` keeps torch from recording the teacher's forward pass. Eval mode does not do that, and `no_grad` does not switch dropout off: two switches for two things.


# %%
def teacher_answers(network, ids, temperature):
    """network: ids (batch, length) → logits (batch, length, classes). Return log p at τ."""
    network.eval()
    with torch.no_grad():
        logits = network(ids)
    return (logits / temperature).log_softmax(-1)


checks.teacher_answers(teacher_answers)


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
    """student_logits (positions, classes); ids and probabilities (positions, k) → a number."""
    shifted = student_logits - student_logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (positions, classes)
    return -(probabilities * np.take_along_axis(log_p, ids, axis=1)).sum(axis=1).mean()


checks.top_k_loss(top_k_loss)


# %% [markdown]
# **Exercise 4.** A mean's gradient times the number of its positions is that of the sum, and sums add up. Divide by the number of all positions. The plain average of the processes is the same only where all have equally many.


# %%
def whole_batch_gradient(gradients, labelled):
    """gradients (processes, parameters), labelled (processes,): positions → (parameters,)."""
    sums = labelled[:, None] * gradients  # (processes, parameters)
    return sums.sum(axis=0) / labelled.sum()


checks.whole_batch_gradient(whole_batch_gradient)
