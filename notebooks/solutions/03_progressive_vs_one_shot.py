# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3 · Progressive versus one-shot: the exercises, solved
#
# Four short functions, each checked, from the third lesson (`notebooks/03_progressive_vs_one_shot.py`).

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/solutions/03_progressive_vs_one_shot.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/solutions/03_progressive_vs_one_shot.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/solutions/03_progressive_vs_one_shot.ipynb)

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
# **Exercise 1.** Subtract each row's largest logit *before* dividing. Then the largest exponent is 0, whatever the temperature, and all others underflow to a harmless 0.


# %%
def teacher_probabilities(logits, temperature):
    """logits (n, classes), temperature > 0 → probabilities (n, classes)."""
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


checks.teacher_probabilities(teacher_probabilities)


# %% [markdown]
# **Exercise 2.** The same trick for the student's log-probabilities: $\log p_S = f - \log\sum e^{f}$ with the largest logit taken out.


# %%
def distillation_loss(student_logits, teacher_probabilities):
    """(n, classes) twice → −Σ p_T log p_S, averaged over the n examples."""
    shifted = student_logits - student_logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (n, classes)
    return -(teacher_probabilities * log_p).sum(axis=1).mean()


checks.distillation_loss(distillation_loss)


# %% [markdown]
# **Exercise 3.** One interval ahead of the student, until the checkpoints run out.


# %%
def teacher_step(step, every, final):
    """student step → the step of the checkpoint that teaches there."""
    return min(every * (1 + step // every), final)


checks.teacher_step(teacher_step)


# %% [markdown]
# **Exercise 4.** Cross-entropy is linear in its target, so mixing losses and mixing targets is the same.


# %%
def mixed_target(label, teacher_probabilities, alpha):
    """label: a class; teacher_probabilities (classes,); alpha in [0, 1] → q (classes,)."""
    onehot = np.eye(len(teacher_probabilities))[label]
    return alpha * onehot + (1 - alpha) * teacher_probabilities


checks.mixed_target(mixed_target)
