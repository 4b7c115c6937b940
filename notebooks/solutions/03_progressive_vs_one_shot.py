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
# Six short functions, each checked, a hypothesis with an experiment, and a discussion, from the third lesson (`notebooks/03_progressive_vs_one_shot.py`).

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
from math import comb

import numpy as np
import pandas as pd
import torch

from pdtutor import FINAL, FunctionTeacher, checks, data_path, n_shot, recipes

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
# **Exercise 3: find the bug.** The temperature divided the student's logits as well. With $\tau = 10^{-4}$ the student's softmax is then an argmax, too; the loss is in the thousands and so is the gradient, because $\partial(f_S/\tau)/\partial f_S = 1/\tau$. At $\tau = 1$ the two formulas agree, which is why the bug can stay hidden. (Some papers do divide both logits, and multiply the loss by $\tau^2$ to make up for it. This one does not.)


# %%
def cold_loss(student_logits, teacher_logits, temperature):
    """(n, classes) twice, τ > 0 → the distillation loss of the paper, one number."""

    def log_softmax(z):
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    teacher = np.exp(log_softmax(teacher_logits / temperature))
    return -(teacher * log_softmax(student_logits)).sum(axis=1).mean()


checks.cold_loss(cold_loss)


# %% [markdown]
# **Exercise 4.** One interval ahead of the student, until the checkpoints run out.


# %%
def teacher_step(step, every, final):
    """student step → the step of the checkpoint that teaches there."""
    return min(every * (1 + step // every), final)


checks.teacher_step(teacher_step)


# %% [markdown]
# **Exercise 5.** Cross-entropy is linear in its target, so mixing losses and mixing targets is the same.


# %%
def mixed_target(label, teacher_probabilities, alpha):
    """label: a class; teacher_probabilities (classes,); alpha in [0, 1] → q (classes,)."""
    onehot = np.eye(len(teacher_probabilities))[label]
    return alpha * onehot + (1 - alpha) * teacher_probabilities


checks.mixed_target(mixed_target)


# %% [markdown]
# **Exercise 6: test a hypothesis.** If supervision made no difference, each pair would be a fair coin. The test uses of each pair only who was faster, so a student that never learned needs no invented number of steps. Two such students are a tie.


# %%
def sign_test(a, b):
    """Steps of paired runs, (n,) twice, np.inf for never → the two-sided p-value."""
    wins, losses = int((a < b).sum()), int((b < a).sum())
    n, m = wins + losses, min(wins, losses)
    return min(1.0, 2 * sum(comb(n, i) for i in range(m + 1)) / 2**n)


checks.sign_test(sign_test)

# %%
nine = pd.read_csv(data_path("runs/parity-progressive") / "by_seed.csv")
steps = nine.pivot(index="seed", columns="method", values="steps").fillna(np.inf)
for method in ("progressive", "(2,T)", "one-shot"):
    p = sign_test(steps[method].to_numpy(), steps["cross-entropy"].to_numpy())
    print(f"{method} against labels, nine pairs: p = {p:.4f}")

# %% [markdown]
# Nine of nine has a probability of $2/2^9 = 0.004$ under chance, so the hypothesis is safe in its weak form, "faster". It says nothing about *how much* faster: the ratios of section 5 do. One-shot against labels is nine ties: p = 1.
#
# **Exercise 7: test a hypothesis.** How many coordinates does $C_1$ have to name? Both teachers are functions here, so no teacher has to be trained: $C_1$ answers with the sign of the sum of $m$ in-support coordinates, and the final teacher with the label.

# %%
recipe = recipes.recipe("parity-progressive", "laptop")
support = list(recipe.teacher.task().support)


def label(x):
    z = x[:, support].prod(1)
    return torch.stack([z, -z], 1)


def naming(m):
    """C₁ that names m of the six coordinates, and then the labels, under (2,T)."""

    def first(x):
        z = x[:, support[:m]].sum(1)
        return torch.stack([z, -z], 1)

    teacher = FunctionTeacher({0: first, 1: label}, classes=2, name=f"{m} coordinates")
    return recipe.distill(teacher, n_shot([0, FINAL], each=recipe.first))


named = recipe.compare(
    {f"{m} of six": naming(m) for m in (0, 4, 6)}, seeds=list(range(6)), steps=8000, until=None
)

# %% tags=["nbval-ignore-output"]
found = named.results()
found.pivot(index="method", columns="seed", values="steps")

# %%
best = named.history.groupby(["method", "seed"])["accuracy"].max().unstack()
print(
    "0 of six: all six students at chance after 8000 updates:",
    bool((best.loc["0 of six"] < 0.6).all()),
)
print(
    "6 of six: at least four of six students above 0.9:",
    bool((best.loc["6 of six"] > 0.9).sum() >= 4),
)

# %% [markdown]
# **Discussion.** With no coordinate named (all ties, so probabilities of ½) no student learns in 8000 updates. With all six, five of six reached 95 % when this was written, with four three, with three one, and with two none: help comes by degrees. A coordinate that is not named has to be found from the labels; but then it is one or two in a product whose other factors the student has already, which is a parity of a much lower degree. So the hypothesis "all six are needed" is refuted, and "one is enough" as well.
#
# Note how bad this teacher is. The sign of a sum of six coordinates is an odd function and their product an even one, so this $C_1$ has an accuracy of exactly ½: it knows *nothing* about the label, and teaches as well as most real checkpoints.
#
# **Exercise 8.** There is no one answer. Things that are worth knowing before you try: a third checkpoint between the spike and the end may only cost time, because the student has what it needs after $C_1$; and a gain has to be measured on seeds other than those on which a schedule was chosen, or the best of many schedules will look good by luck.
