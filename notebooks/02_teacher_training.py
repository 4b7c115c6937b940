# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · Training a teacher: a plateau, a jump, and what shows only in between
#
# A network that learns a parity looks idle for a long time and then solves it at once; its checkpoints from the jump hold something that neither the labels nor the finished network shows.

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/02_teacher_training.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/02_teacher_training.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/02_teacher_training.ipynb)

# %% [markdown]
# **You will learn**
#
# - to train several networks side by side and keep the checkpoints of all of them, their *trajectories*;
# - why the loss curve of sparse parity says nothing for most of training;
# - to probe a checkpoint: which products of inputs does its prediction lean on, and is that more than noise?
# - what appears at the transition and is gone after it, and what its height depends on;
# - to look for progress that accuracy doesn't show.
#
# **You need** lesson 1 up to section 3 (the problem, and what a monomial $\chi_A$ is). No GPU.
#
# **Where in the paper** Section 3 of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025), the teacher of the parity experiments. The paper's teacher is an MLP of width 50 000 on (100, 6)-sparse parity, trained at batch 1 for 20 million steps. Ours, in sections 1 to 5, is smaller: (30, 6), width 1000, batch 32, so that you can watch it. Section 6 is about the paper's own problem.
#
# **Whose numbers are whose** A number marked 📄 is read off the paper's figures. Everything else is computed in this notebook, or by a recipe whose tables lie in `data/runs`.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | training six teachers (section 1) | 20 s |
# | probing their checkpoints (sections 2–5) | 40 s |
# | the paper's problem: three networks of width 1000, up to four million updates each (section 6) | 50 s |
# | the rest | 15 s |

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
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from pdtutor import (
    MLP,
    SGD,
    Claims,
    Thresholds,
    Trajectory,
    checks,
    correlation_levels,
    data_path,
    monomial_correlations,
    over,
    paper,
    peak_steps,
    plots,
    recipes,
    select_copies,
    train,
)

plots.style()

# %% [markdown]
# ## 1 Six teachers
#
# All numbers of this section stand in a *recipe* (`pdtutor/recipes/`). The command line runs the same one: `pdtutor run parity-teacher --out my-folder`.

# %%
recipe = recipes.recipe("parity-teacher", "laptop")
recipe

# %%
task = recipe.task()
x, y = task.sample(np.random.default_rng(0), 4)  # (4, 30) signs, (4,) classes
print("inputs:", x.shape, " labels:", y)
print("support:", task.support)

# %% [markdown]
# The labels are classes: 0 where the product of the six hidden signs is $+1$, 1 where it is $-1$. (`pdtutor/tasks/parity.py`)
#
# Here is all that training a teacher means, in plain PyTorch: one hidden layer, fresh examples at every update, SGD on cross-entropy, and a copy of the weights now and then. These copies are the *checkpoints*.

# %%
torch.manual_seed(0)
network = torch.nn.Sequential(
    torch.nn.Linear(task.d, recipe.width),
    torch.nn.ReLU(),
    torch.nn.Linear(recipe.width, 2),
)
optimizer = torch.optim.SGD(network.parameters(), lr=recipe.lr)
rng, checkpoints = np.random.default_rng(1), {}
for step in range(1001):
    if step % 500 == 0:
        checkpoints[step] = {name: value.clone() for name, value in network.state_dict().items()}
    inputs, labels = map(torch.from_numpy, task.sample(rng, recipe.batch_size))  # (32, 30), (32,)
    loss = torch.nn.functional.cross_entropy(network(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("checkpoints at steps", list(checkpoints))
print("each holds", *checkpoints[0])

# %% [markdown]
# `train` does this, and: it trains several networks in one pass; it evaluates on held-out examples; teacher, student and evaluation draw examples that never coincide; checkpoints are files, each with a digest, and a run that was interrupted goes on from them; small networks run in compiled code (`pdtutor/training/loop.py`).
#
# Every model of this course carries a leading **copies** dimension. One model with six copies is six networks, each with its own initial weights and its own examples. They never influence each other (`pdtutor/models/mlp.py`).

# %%
SEEDS = [0, 1, 2, 3, 4, 5]
model = MLP(task.d, width=recipe.width, seed=SEEDS)
for name, parameter in model.named_parameters():
    print(f"{name:16} {tuple(parameter.shape)}")

# %% [markdown]
# **What do you expect** of accuracy and loss over 12 000 updates: a steady climb, steps, or something else? How much will six seeds differ? Decide before you run the next cells.

# %%
teachers = train(
    model,
    task,
    steps=recipe.steps,
    batch_size=recipe.batch_size,
    optimizer=SGD(lr=recipe.lr),
    eval_every=recipe.save_every,
    save_every=recipe.save_every,
    description="six teachers",
)

# %% [markdown]
# `teachers.history` has a row per evaluation and copy, and `teachers.trajectory` the checkpoints.

# %% tags=["nbval-ignore-output"]
teachers.history.tail(3)

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharex=True, layout="constrained")
for seed, rows in teachers.history.groupby("seed"):
    axes[0].plot(rows["step"], rows["accuracy"], linewidth=1.1, label=f"seed {seed}")
    axes[1].plot(rows["step"], rows["loss"], linewidth=1.1)
axes[0].axhline(0.5, color="0.5", linestyle=":", linewidth=1)
axes[1].axhline(np.log(2), color="0.5", linestyle=":", linewidth=1)
axes[1].text(recipe.steps, np.log(2), "guessing: log 2", ha="right", va="bottom", fontsize=9)
axes[0].set(xlabel="step (updates)", ylabel="held-out accuracy")
axes[1].set(xlabel="step (updates)", ylabel="held-out cross-entropy")
axes[0].legend(frameon=False, fontsize=9)
plt.show()

# %% [markdown]
# Accuracy stays at chance for thousands of updates and then climbs to 1. The loss gives no warning. For most of the plateau it is no better than $\log 2$, the loss of a coin flip; it is even worse, at first much, later less, because SGD fits the noise of each batch.
#
# Two marks for each teacher: the **onset**, where accuracy leaves chance (above 0.55 for good: with 4096 examples, chance alone stays within $0.5 \pm 0.025$), and the step where it passes 0.99. From one to the other is the **transition**.
#
# **Exercise 1** The end of a plateau. One lucky evaluation above the threshold doesn't count.


# %%
def transition_step(steps, accuracy, threshold):
    """steps (n,), accuracy (n,) → the first step from which accuracy stays ≥ threshold."""
    ...


checks.transition_step(transition_step)


# %% tags=["nbval-ignore-output"]
def last_crossing(accuracy, threshold):
    """The first step from which accuracy (a Series by step) stays at or above the threshold."""
    stays = (accuracy >= threshold)[::-1].cummin()[::-1]
    return int(stays.index[stays][0])


by_seed = dict(list(teachers.history.set_index("step").groupby("seed")))
accuracy_of = {seed: rows["accuracy"] for seed, rows in by_seed.items()}
loss_of = {seed: rows["loss"] for seed, rows in by_seed.items()}
marks = pd.DataFrame(
    {
        "onset": {seed: last_crossing(accuracy, 0.55) for seed, accuracy in accuracy_of.items()},
        "99 %": {seed: last_crossing(accuracy, 0.99) for seed, accuracy in accuracy_of.items()},
    }
).rename_axis("seed")
marks["plateau, share of the time to 99 %"] = marks["onset"] / marks["99 %"]

marks.round(2)

# %% tags=["nbval-ignore-output"]
half = {seed: onset // 2 for seed, onset in marks["onset"].items()}
plateau_share = marks["plateau, share of the time to 99 %"].median()
seen = Thresholds()
seen.add(
    "largest accuracy up to half of the plateau, six teachers",
    max(accuracy.loc[: half[seed]].max() for seed, accuracy in accuracy_of.items()),
    at_most=0.55,
)
seen.add(
    "smallest loss up to half of the plateau (log 2 is 0.693)",
    min(loss.loc[: half[seed]].min() for seed, loss in loss_of.items()),
    at_least=0.688,
)
seen.add(
    "smallest accuracy at the end",
    min(accuracy.iloc[-1] for accuracy in accuracy_of.values()),
    at_least=0.999,
)
seen.add("plateau, share of the time to 99 %, median", plateau_share, at_least=0.5)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# The onsets differ by a factor of more than four. Keep that in mind whenever somebody shows you one curve.
#
# ## 2 A probe
#
# The loss can't tell us what happens on the plateau. So ask the network a question that it was never trained on:
#
# > Does the prediction $p(y{=}1\,|\,x)$ lean on the monomial $\chi_A(x) = \prod_{i\in A} x_i$?
#
# The answer is the **correlation** $\big|\mathbb{E}_x[\chi_A(x)\, p(y{=}1\,|\,x)]\big|$, from fresh $x$. It lives on the probability scale: a network that *is* the sign of one coordinate has correlation 0.5 with it.
#
# Three remarks on honesty. First, it is estimated as $\big|\tfrac1n\sum_x \chi_A(x)\,(p - \bar p)\big|$, where $\bar p$ is the mean of $p$ over the $n$ examples. As $\mathbb{E}_x\,\chi_A(x) = 0$, taking $\bar p$ off changes no expectation, but it takes noise away. Second, a correlation that is truly 0 is estimated with a standard deviation of $\sigma_p/\sqrt{n}$, the **noise floor** (so its absolute value measures 0.8 of that on average); with $\bar p$ left in it would be $\sqrt{\mathbb{E}[p^2]/n}$, which is larger. Third, the absolute value matters: the sign of a correlation is an accident of the initial weights, and averaged over networks signed values cancel.
#
# **Exercise 2** The probe itself: $|\mathbb{E}[\chi_A(x)\,(p - \bar p)]|$ from arrays, where $\bar p$ is the mean of $p$.


# %%
def monomial_correlation(p, x, subset):
    """p (n,) predictions, x (n, d) signs, subset a list of coordinates → a number."""
    ...


checks.monomial_correlation(monomial_correlation)


# %% [markdown]
# **Exercise 3** Its noise floor: the standard deviation of exercise 2's $\mathbb{E}[\chi_A(x)\,(p - \bar p)]$, from $n$ examples, when $\chi_A(x)$ and $p$ have nothing to do with each other.


# %%
def noise_floor(p):
    """p (n,) predictions → a number."""
    ...


checks.noise_floor(noise_floor)

# %% [markdown]
# `monomial_correlations` asks for every $A$ inside the support and for random sets that miss it (`pdtutor/probes/monomials.py`). Degree 1 means single coordinates. A probe over a trajectory is a *curriculum*: the same question at every checkpoint (`pdtutor/probes/over.py`).
#
# We will look for the checkpoint where the support stands out most. The largest of 121 noisy numbers is too large on average, so its height must be measured on other examples than those that chose it. Hence two probes, which differ in their examples only: one to choose, one to measure.

# %%
to_choose = monomial_correlations(task, degree=1, examples=8192, seed=0)
to_measure = monomial_correlations(task, degree=1, examples=8192, seed=1)
chosen_on = over(teachers.trajectory, to_choose)
curriculum = over(teachers.trajectory, to_measure)
print("columns:", *curriculum.columns)
print("checkpoints:", curriculum.step.nunique(), " coordinates:", curriculum.monomial.nunique())

# %% [markdown]
# ## 3 The spike
#
# **What do you expect** of the six coordinates of the support: when will the prediction lean on them, each on its own, and when on the others? Remember that the label has no correlation with any single coordinate.

# %%
spans = {seed: tuple(marks.loc[seed, ["onset", "99 %"]].astype(int)) for seed in SEEDS}
plots.teachers_figure(teachers.history, curriculum, spans=spans)
plt.show()

# %% [markdown]
# For each teacher, above: accuracy, the transition shaded. Below: the mean correlation with single coordinates, inside the support (solid, six) and outside (dashed, 24).
#
# - On the plateau the two are alike. Whatever the network leans on, it isn't the support.
# - **In the transition the six hidden coordinates stand out, each on its own.** Not their product, which is the label: the single coordinates.
# - Once the task is solved, all of it is gone. A finished teacher leans on no single coordinate, because the parity doesn't.
#
# Take as the peak the checkpoint with the largest difference of means, inside − outside. Something is always largest, so `peak_steps` also asks how many groups of six *random* coordinates would stand out as far: if more than one in twenty do, it names no peak but raises an error.

# %% tags=["nbval-ignore-output"]
peaks = peak_steps(chosen_on)  # seed → step
rows = []
for seed in SEEDS:
    measured = correlation_levels(curriculum[curriculum.seed == seed])  # index step; inside, …
    chosen = correlation_levels(chosen_on[chosen_on.seed == seed])
    peak = peaks[seed]
    rows.append(
        {
            "seed": seed,
            "onset": marks.loc[seed, "onset"],
            "peak": peak,
            "99 %": marks.loc[seed, "99 %"],
            "accuracy at peak": accuracy_of[seed][peak],
            "inside": measured.inside[peak],
            "outside": measured.outside[peak],
            "ratio": measured.ratio[peak],
            "inside, same examples": chosen.inside[peak],
            "inside, end": measured.inside.iloc[-1],
            "outside, end": measured.outside.iloc[-1],
        }
    )
at_peak = pd.DataFrame(rows).set_index("seed")

at_peak.round(4)

# %% [markdown]
# The column "same examples" shows that here the choice has hardly made the height look larger, except for seed 4 (0.027 instead of 0.023): with 8192 examples the noise floor is far below the peaks. With fewer examples it would.
#
# **Exercise 4** The checkpoint to teach with.


# %%
def peak_step(steps, inside, outside):
    """steps (n,), mean correlations inside and outside the support (n,) each → a step."""
    ...


checks.peak_step(peak_step)


# %% [markdown]
# **Exercise 5, find the bugs** This function is to return the height of a spike: the mean |correlation| inside the support minus that outside, at the checkpoint where the examples of `chosen` find it largest, measured on the examples of `fresh`. It runs, it looks reasonable, and two things are wrong with it. Mend it.


# %%
def spike_height(chosen, fresh, inside):
    """chosen, fresh (steps, d): signed correlations; inside (d,): bool → a number."""
    levels = abs(chosen[:, inside].mean(axis=1)) - abs(chosen[:, ~inside].mean(axis=1))
    return levels.max()


checks.spike_height(spike_height)

# %% [markdown]
# ### Two claims that could be wrong
#
# *"The peak lies in the transition."* If a teacher's peak could be any of its checkpoints, it would lie in the transition with a probability that is the transition's share of checkpoints. We ask of all six peaks together.

# %% tags=["nbval-ignore-output"]
share = pd.Series({seed: accuracy_of[seed].loc[slice(*spans[seed])].size / 121 for seed in SEEDS})
in_transition = pd.Series(
    {seed: spans[seed][0] <= peaks[seed] <= spans[seed][1] for seed in SEEDS}
)
all_by_chance = share.prod()

pd.DataFrame({"share of checkpoints": share.round(2), "peak lies there": in_transition})

# %% [markdown]
# *"The spike follows the accuracy."* In the figure, inside − outside is not one clean bump. It flickers from checkpoint to checkpoint. With what? Let us look at one transition more closely, that of seed 0.

# %%
of_seed_0 = teachers.history[teachers.history.seed == 0]
plots.transition_figure(of_seed_0, curriculum[curriculum.seed == 0], span=(1500, 6500))
plt.show()

# %% [markdown]
# Seed 0 shows how careful one must be. Its accuracy rises from 0.6 to 0.9 between steps 2000 and 3300, and there single coordinates hardly stand out at all. The peak comes later, near step 4700, and it sits on a *bump of the loss*; accuracy, after a dip at 4600, is already rising again there.
#
# So measure it, within the transition of every teacher: the rank correlation of inside − outside with three other series. To make slow trends count little, a running median over five checkpoints is taken off two of them. As chance we take the same series shifted against each other, which keeps each one's own ups and downs.


# %% tags=["nbval-ignore-output"]
def in_step(a, b):
    """The rank correlation of two series, and a list of it for all shifts by 3 or more."""
    a, b = a.rank().to_numpy(), b.rank().to_numpy()
    shifted = [np.corrcoef(np.roll(a, shift), b)[0, 1] for shift in range(3, len(a) - 2)]
    return np.corrcoef(a, b)[0, 1], shifted


def without_trend(series):
    return series - series.rolling(5, center=True, min_periods=1).median()


rng = np.random.default_rng(0)
found, by_chance = {}, {}
for seed in SEEDS:
    measured = correlation_levels(curriculum[curriculum.seed == seed])
    stands_out = measured.inside - measured.outside
    span = slice(*spans[seed])
    pairs = {
        "accuracy": (stands_out, accuracy_of[seed]),
        "accuracy, without trend": (without_trend(stands_out), without_trend(accuracy_of[seed])),
        "loss, without trend": (without_trend(stands_out), without_trend(loss_of[seed])),
    }
    for name, (a, b) in pairs.items():
        found[seed, name], shifted = in_step(a.loc[span], b.loc[span])
        by_chance[seed, name] = rng.choice(shifted, 2000)  # 2000 random shifts
steps_together = pd.Series(found).unstack()
chance_means = pd.DataFrame(by_chance).T.groupby(level=1).mean()  # (3, 2000): over the teachers
together = pd.DataFrame({"mean over teachers": steps_together.mean()})
together["95 % of random shifts stay below"] = chance_means.quantile(0.95, axis=1)

steps_together.T.join(together).round(2)

# %% tags=["nbval-ignore-output"]
floor = curriculum[curriculum.step == recipe.steps].noise_floor.mean() * np.sqrt(2 / np.pi)
ratio = at_peak["ratio"].median()
seen = Thresholds()
seen.add(
    "teachers whose peak lies in the transition, of six", int(in_transition.sum()), at_least=5
)
seen.add("probability that chance puts all six there", all_by_chance, at_most=0.001)
seen.add("in-support over off-support at the peak, median", ratio, at_least=4)
seen.add("in-support over off-support at the peak, smallest", at_peak["ratio"].min(), at_least=2)
seen.add(
    "in-support at the end over what a true 0 measures",
    at_peak["inside, end"].max() / floor,
    at_most=2,
)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# The peaks lie in the transition; that is no accident. But within it, the spike doesn't follow the accuracy: the rank correlations have both signs, and their mean is inside what random shifts give. If it goes with anything, it is with the ups and downs of the *loss*: 0.21 in the mean here, where 95 % of random shifts stay below 0.14. That is a weak link, and we make no claim of it.
#
# ### What the flicker is
#
# Bumps of the loss at a constant learning rate come from SGD itself: each update moves the network by the noise of its batch. **What do you expect** if we take every teacher at its peak and train on, once at the same learning rate and once at a tenth of it? Does the support stay visible?

# %%
after_peak = []
for lr in (recipe.lr, recipe.lr / 10):
    for seed in SEEDS:
        at_peak_step = teachers.trajectory.of(seed).at(peaks[seed])
        network = select_copies(at_peak_step, [0]).requires_grad_(True)
        options = {"batch_size": recipe.batch_size, "optimizer": SGD(lr=lr), "seed": [700 + seed]}
        saved = {"eval_every": 25, "save_every": 25, "progress": False}
        onward = train(network, task, steps=300, **options, **saved)
        probed = over(onward.trajectory, to_measure, progress=False)
        after_peak.append(correlation_levels(probed).reset_index().assign(lr=lr, seed=seed))
after_peak = pd.concat(after_peak, ignore_index=True)
after_peak["height"] = after_peak["inside"] - after_peak["outside"]

# %%
plots.after_peak_figure(after_peak)
plt.show()

# %% tags=["nbval-ignore-output"]
later = after_peak[after_peak.step >= 100].groupby(["lr", "seed"])["height"]
late = later.agg(["mean", "std", "max"])
at_start = after_peak[after_peak.step == 0].groupby("seed")["height"].first()
half_gone = after_peak[after_peak.step == 25].groupby(["lr", "seed"])["height"].first() / at_start

late.groupby("lr").mean().round(4)

# %% tags=["nbval-ignore-output"]
low, high = late.loc[recipe.lr / 10], late.loc[recipe.lr]
seen = Thresholds()
seen.add("height 25 updates later over the peak's, median", half_gone.median(), at_most=0.75)
seen.add(
    "flicker (s.d. over checkpoints), a tenth of the rate over the full one, median",
    (low["std"] / high["std"]).median(),
    at_most=0.7,
)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# So the tall peak is a flicker. In the median over teachers and both rates, only a fifth of it is left 25 updates later, though single teachers keep most of it (two at the smaller rate) or show more (one at the full rate). At the full rate other peaks follow, at a tenth hardly any. The mean level, below 0.01 at both rates, is a small part of the peaks'. SGD at this rate shakes a network that has just found the support, and it shakes it along the support's coordinates: a checkpoint saved at such a moment shows them in the open. Section 7 asks what the height depends on.
#
# **Exercise 6, test a hypothesis** (no checker) "The flicker is the noise of small batches." Write down beforehand what you would measure, what you expect if this is so, and from which number on you would believe it. Then go on from the peaks as above, at the full learning rate, once with batches of 32 and once with batches of 512. The solutions notebook discusses what comes out.
#
# ## 4 Higher degrees
#
# Are single coordinates special, or does the transition light up everything inside the support? We look at degrees 1 to 6 at three checkpoints of each teacher: half-way along the plateau, at the peak, and at the end. Inside the support there are $\binom{6}{r}$ monomials of degree $r$; at degree 6 just one, the label itself. **What do you expect** of the label at the peak: is it there already?

# %%
moments = {
    "half-way to the onset": {s: teachers.trajectory.nearest(half[s]) for s in SEEDS},
    "peak": peaks,
    "end": dict.fromkeys(SEEDS, recipe.steps),
}
rows = []
for degree in range(1, task.k + 1):
    probe = monomial_correlations(task, degree=degree, examples=8192, off_support=30, seed=1)
    for moment, steps in moments.items():
        for seed in SEEDS:
            table = probe(teachers.trajectory.of(seed).at(steps[seed]))
            rows.append(table.assign(moment=moment, seed=seed))
by_degree = pd.concat(rows, ignore_index=True)

# %%
plots.degrees_figure(by_degree)
plt.show()

# %% tags=["nbval-ignore-output"]
means = by_degree.groupby(["moment", "seed", "degree", "inside"])["value"].mean().unstack()
log_ratio = np.log(means[True] / means[False]).unstack("seed")  # (moment, degree) × seeds
draws = np.random.default_rng(0).integers(len(SEEDS), size=(4000, len(SEEDS)))
boot = log_ratio.to_numpy()[:, draws].mean(-1)  # (rows, 4000): means over resampled teachers
interval = np.quantile(boot, [0.025, 0.975], axis=1)
over_outside = pd.DataFrame(
    {"inside over outside": log_ratio.mean(axis=1), "2.5 %": interval[0], "97.5 %": interval[1]}
).pipe(np.exp)
over_outside["smallest teacher"] = np.exp(log_ratio.min(axis=1))
over_outside["largest teacher"] = np.exp(log_ratio.max(axis=1))

over_outside.loc[["half-way to the onset", "peak"]].round(2)

# %% tags=["nbval-ignore-output"]
levels = means[True].groupby(level=["moment", "degree"]).mean().unstack()
levels.loc[list(moments)].round(4)

# %% tags=["nbval-ignore-output"]
halfway, at_the_peak = over_outside.loc["half-way to the onset"], over_outside.loc["peak"]
seen = Thresholds()
seen.add("half-way: smallest ratio of the six degrees", halfway.iloc[:, 0].min(), at_least=0.4)
seen.add("half-way: largest ratio of the six degrees", halfway.iloc[:, 0].max(), at_most=2)
seen.add("peak: smallest ratio of the six degrees", at_the_peak.iloc[:, 0].min(), at_least=3)
seen.add(
    "peak: the label over a single coordinate",
    levels.loc["peak", 6] / levels.loc["peak", 1],
    at_least=1.5,
)
seen.add("end: the label", levels.loc["end", 6], at_least=0.48)
seen.add("end: largest lower degree", levels.loc["end", 1:5].max(), at_most=0.02)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# Each dot or cross is a monomial of one teacher, the bars are means, and the dotted line is the noise floor. (The table's ratios are geometric means over six teachers, with 95 % bootstrap intervals.)
#
# - **Half-way along the plateau** inside and outside are much alike at every degree, in the mean over teachers: ratios of 0.7 to 1.2, whose intervals contain 1 or end just below it. A single teacher's may differ by a factor of three, by accident of its weights, and at degree 6, where there is one product inside, by more. (Low degrees are larger than high ones on both sides. That is what a ReLU network with small weights does; it knows nothing of the support yet.)
# - **At the peak** everything inside the support stands out, and *the label itself, degree 6, most of all*: several times as much as a single coordinate.
# - **At the end** there is the label, near 0.5: the network is always right and almost always sure. All other degrees are at the noise floor.
#
# **What this means for the theory of lesson 1.** There, the intermediate teacher is a network after one large step, with mirrored pairs of units: an odd function, in which the label (an even degree) has no part at all. A teacher of real SGD has biases, no mirrored pairs, and has been trained for thousands of updates. Its checkpoint at the peak holds degree 1 *and* the label. So it isn't the teacher of the theorem. Does that matter for the student? To a student's first gradient a coefficient $c$ on $x_j$ contributes about $c/2$, and one on the label $c\,|\xi_5|$:

# %%
from pdtutor import theory

xi_5 = abs(theory.threshold_coefficient(task.d, task.k - 1))
degree_1, degree_6 = levels.loc["peak", 1], levels.loc["peak", 6]
print(f"|ξ_5| at d = {task.d}: {xi_5:.1e}")

# %% tags=["nbval-ignore-output"]
seen = Thresholds()
seen.add(
    "degree 1 in a student's first gradient, over degree 6",
    degree_1 / 2 / (degree_6 * xi_5),
    at_least=50,
)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# Degree 1 outweighs it by a factor of hundreds. What the theorem says of such a checkpoint's *help* does carry over: the support is visible to a student at degree 1. What it says of the *teacher* (that it holds nothing else) doesn't.
#
# ## 5 Is the plateau idle?
#
# For thousands of updates accuracy is at chance. Is the jump luck that strikes some time, or is something being built up? **Decide what you believe**, and what you would see in the first-layer weights if something were.
#
# Two looks at the first layer of each teacher. The first is naive: how large are the weights of the six coordinates, compared with the other 24? The second asks what a parity needs: units in which all six weights play together. For a set $A$ of six coordinates take $\sum_u a_u \lVert w_u\rVert \prod_{j\in A} w_{uj}/\lVert w_u\rVert$, where $w_u$ is a unit's weights and $a_u$ what it adds to the logit of class 1 over class 0; and compare the support with 200 random sets of six.


# %%
def first_layer(network, sets):
    """A network with one copy, sets (n, 6) with the support first → size ratio, product ratio."""
    w = network.layers[0].weight[0].detach().numpy()  # (units, d)
    a = network.layers[1].weight[0].detach().numpy()  # (2, units)
    norm = np.linalg.norm(w, axis=1)
    size = np.sqrt((w**2).mean(axis=0))  # (d,): a root mean square over units
    inside = np.isin(np.arange(w.shape[1]), sets[0])
    together = ((a[1] - a[0]) * norm) @ (w / norm[:, None])[:, sets].prod(axis=-1)  # (n,)
    product = abs(together[0]) / np.sqrt((together[1:] ** 2).mean())
    return size[inside].mean() / size[~inside].mean(), product


rng = np.random.default_rng(0)
random_sets = [rng.choice(task.d, task.k, replace=False) for _ in range(200)]
sets = np.array([task.support, *random_sets])
rows = []
for step in teachers.trajectory.steps[::2]:
    networks = teachers.trajectory.at(step)
    for copy, seed in enumerate(SEEDS):
        size, product = first_layer(select_copies(networks, [copy]), sets)
        rows.append({"seed": seed, "step": step, "size": size, "product": product})
progress = pd.DataFrame(rows)

# %%
plots.weights_figure(progress, teachers.history, onsets=marks["onset"].to_dict())
plt.show()

# %% tags=["nbval-ignore-output"]
share_of_plateau = progress["step"] / progress["seed"].map(marks["onset"])
looks = progress[["seed", "size", "product"]]
when = {
    "first half": (0, 0.5),
    "half to three quarters": (0.5, 0.75),
    "three quarters to 95 %": (0.75, 0.95),
}
stages = {}
for name, limits in when.items():
    there = looks[share_of_plateau.between(*limits)]
    stages[name] = there.groupby("seed").median().stack()
stages = pd.DataFrame(stages).unstack()

stages.xs("product", axis=1, level=1).round(1)

# %% tags=["nbval-ignore-output"]
late_stage = stages["three quarters to 95 %"]
first_half = stages["first half"]
seen = Thresholds()
seen.add(
    "size ratio, three quarters to 95 % of the plateau, median",
    late_stage["size"].median(),
    at_most=1.1,
)
seen.add("product ratio, first half, median", first_half["product"].median(), at_most=1.5)
products = late_stage["product"]
seen.add("product ratio, three quarters to 95 %, median", products.median(), at_least=1.5)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# (In the lower panel the shaded band is where 99 % of random sets lie.) The *size* of the weights says nothing until the jump. Their *product* does, while accuracy is still at chance: in the last quarter of the plateau (for two teachers, in its last tenth) the support rises out of the random sets, and then grows by factors of hundreds. This is *hidden progress* (Barak et al. 2022). But note what is not there: in the first half of the plateau neither look sees anything.
#
# ### The test: go on with other examples
#
# A measure that sees nothing may be a poor measure. There is a test without one. Take a network from the plateau and train it on *other* examples. If the jump were luck that may strike at any update, it would need as long as a fresh network. If the plateau is progress, it needs what was left. The recipe `parity-plateau` has done so for six teachers of its own ((30, 6), batch 1), from the start and from a quarter, two quarters and three quarters of each plateau, twice each; and with fresh networks on the very same examples. As a second control, networks taken half-way and at three quarters were asked for the parity of *another* support, which shares no coordinate with theirs (`data/runs/parity-plateau`).
#
# **What do you expect** of the second control?

# %%
RECOMPUTE = False  # True: run this lesson's recipes again; the cells say how long that takes

if RECOMPUTE:  # about 2 minutes
    outcome = recipes.recipe("parity-plateau").run(seeds=6, out="parity-plateau", resume=True)
    outcome.save("parity-plateau")
folder = Path("parity-plateau") if RECOMPUTE else data_path("runs/parity-plateau")
waits = pd.read_csv(folder / "results.csv")
plots.plateau_figure(waits)
plt.show()

# %%
waits["share"] = waits["onset"] / waits["plateau"]
per_teacher = waits.groupby(["start", "teacher"])["onset"].mean().unstack("start")
ratios = np.log(per_teacher.div(per_teacher["fresh"], axis=0))  # paired: same examples
draws = np.random.default_rng(0).integers(len(ratios), size=(4000, len(ratios)))
boot = ratios.to_numpy()[draws].mean(axis=1)  # (4000, starts)
against_fresh = pd.DataFrame(
    {
        "updates, over those of fresh networks": ratios.mean(),
        "2.5 %": np.quantile(boot, 0.025, axis=0),
        "97.5 %": np.quantile(boot, 0.975, axis=0),
    }
).pipe(np.exp)
against_fresh.drop("fresh").round(2)

# %%
resampled = pd.DataFrame(boot, columns=ratios.columns)  # the same draws of teachers for all starts
own_or_other = {}
for start in ("2/4", "3/4"):
    other = f"{start}, other support"
    limits = (resampled[start] - resampled[other]).quantile([0.025, 0.975])
    own_or_other[start] = np.exp([(ratios[start] - ratios[other]).mean(), *limits])
names = ["own support over another one", "2.5 %", "97.5 %"]
own_or_other = pd.DataFrame(own_or_other, index=names).T
own_or_other.rename_axis("taken at").round(2)

# %% [markdown]
# Each dot is a network, the bars are medians; the tables compare per teacher, with 95 % bootstrap intervals.
#
# - From the start, on other examples, networks need as long as fresh ones (0.90 of it, interval 0.70 to 1.15). Taken later they need less and less: 0.71, 0.46 and 0.20 of it. **The plateau is not idle**, not even its first half.
# - But half-way we find *no progress towards the support*: asked for another support, the same networks are about as fast (own over other 0.80, interval 0.51 to 1.20). What has been built up by then helps with any parity. We have not measured what it is; one candidate is that the initial weights have shrunk, so that the same updates turn them further.
# - At three quarters a network needs 0.41 of the time for its own support that it needs for another (interval 0.19 to 0.84). By then there is hidden progress proper. In the teachers of section 1 the products of weights leave the random sets at about that time or later.
#
# ## 6 The paper's own problem
#
# The paper's problem is (100, 6) at batch 1. Its teacher needs 10 million updates until something happens. In plain PyTorch a network of width 1000 makes about three thousand such updates per second; the compiled kernel behind `train` makes a hundred thousand on one core (`pdtutor/models/kernels.py`; `make bench` measures both). So a laptop can do it, if not while you wait. There are two sets of teachers:
#
# - the recipe `parity-100-6` has all of the paper's numbers but the teacher's width (1000) and learning rate ($10^{-2}$, twice the paper's); `data/runs/parity-100-6` is what it left of four seeds;
# - `data/runs/parity-100-6-paper` has **the paper's own size**, width 50 000 at $5\cdot10^{-3}$: one teacher, stopped after 10.08 million updates. It took 80 minutes of one core, beside other work.
#
# One question has to be settled before we compare spikes: correlations *of what*? So far we took the probability $p(y{=}1\,|\,x)$. A student of a cold teacher (lesson 3) sees the **answer** only, 1 where $p > \frac12$ and 0 elsewhere. On the plateau and early in the jump, $p$ stays close to $\frac12$, and the answer turns a faint preference into a loud one. We show both (`monomial_correlations(…, temperature=0)` takes the answer). **Which of them do you expect to come nearer to the paper's 0.095?**

# %%
full = recipes.recipe("parity-100-6", "laptop")
full.teacher

# %%
if RECOMPUTE:  # teachers and students: about 40 minutes on 2 CPU cores
    full.run(seeds=4, out="parity-100-6", resume=True).save("parity-100-6")
kept = Path("parity-100-6") if RECOMPUTE else data_path("runs/parity-100-6")
paper_size = data_path("runs/parity-100-6-paper")  # always read: RECOMPUTE leaves it alone
folders = {"width 50 000, lr 5e-3": paper_size, "width 1000, lr 1e-2": kept}

histories, spikes = {}, {}
for name, folder in folders.items():
    table = pd.read_csv(folder / "history.csv")
    histories[name] = table.query("method == 'teacher'") if "method" in table else table
    spikes[name] = pd.read_csv(folder / "spike.csv")
full_history, spike = histories["width 1000, lr 1e-2"], spikes["width 1000, lr 1e-2"]

checkpoints_100 = {}  # five of each teacher of width 1000 that learned
for seed in (0, 1, 2):
    folder = kept / f"checkpoints-seed{seed}"
    if not RECOMPUTE:
        folder = data_path(f"runs/parity-100-6/checkpoints-seed{seed}")
    checkpoints_100[seed] = Trajectory(folder)
task_100 = checkpoints_100[0].task
of_answer = monomial_correlations(task_100, temperature=0)
answers = {"width 50 000, lr 5e-3": pd.read_csv(paper_size / "spike_answers.csv")}
few = [over(trajectory, of_answer) for trajectory in checkpoints_100.values()]
answers["width 1000, lr 1e-2"] = pd.concat(few, ignore_index=True)

# %%
e1 = paper("E1")
plots.paper_teacher_figure(histories, spikes, answers, e1)
plt.show()

# %% [markdown]
# Left: ours, and crosses for the paper's teacher 📄, read off its figure. Middle and right: the mean correlation inside the support (solid) and outside (dashed), laid over each other at the teachers' peaks; crosses are the paper's 📄: in-support at the peak and at most 0.012 soon after, off-support before and after. (Of width 1000 five checkpoints were kept, so its lines on the right have few corners.)
#
# When a teacher of width 1000 jumps is a matter of luck, as at (30, 6): two of ours do at 15 million updates, one at 28, and one is still at chance after 30. With the paper's own learning rate, $5\cdot10^{-3}$, two of four such teachers did not learn within 36 million updates (`data/runs/README.md`).

# %% tags=["nbval-ignore-output"]
learned = full_history[full_history.seed.isin(spike.seed)].set_index("step")
full_accuracy = {seed: rows["accuracy"] for seed, rows in learned.groupby("seed")}
full_marks = pd.DataFrame(
    {
        "onset": {seed: last_crossing(accuracy, 0.55) for seed, accuracy in full_accuracy.items()},
        "99 %": {seed: last_crossing(accuracy, 0.99) for seed, accuracy in full_accuracy.items()},
    }
)
full_share = (full_marks["onset"] / full_marks["99 %"]).median()


def at_their_peaks(spike):
    """The mean correlations of each teacher at its peak, before it and after it."""
    rows = {}
    for seed, of_seed in spike.groupby("seed"):
        levels = correlation_levels(of_seed)
        peak = (levels.inside - levels.outside).idxmax()
        before, after = levels.loc[: peak - 300_000], levels.loc[peak + 700_000 :]
        rows[seed] = {
            "peak": peak,
            "inside": levels.inside[peak],
            "outside": levels.outside[peak],
            "outside before": before.outside.mean(),
            "inside after": after.inside.mean(),
            "outside after": after.outside.mean(),
        }
    return pd.DataFrame(rows).T.rename_axis("seed")


at_peaks = {}
for name in folders:
    at_peaks[name, "probability"] = at_their_peaks(spikes[name])
    at_peaks[name, "answer"] = at_their_peaks(answers[name])
at_spike = at_peaks["width 1000, lr 1e-2", "probability"]
exact = at_peaks["width 50 000, lr 5e-3", "probability"].iloc[0]
exact_answer = at_peaks["width 50 000, lr 5e-3", "answer"].iloc[0]
narrow_answer = at_peaks["width 1000, lr 1e-2", "answer"]

same_size = pd.concat(at_peaks, names=["(100, 6)", "correlated", "seed"]).round(4)
reported = [10_200_000, 0.095, np.nan, 0.014, 0.012, 0.002]  # 📄
same_size.loc[("paper: width 50 000, lr 5e-3", "", ""), :] = reported
same_size.astype({"peak": int})

# %% tags=["nbval-ignore-output"]
seen = Thresholds()
seen.add("width 1000: teachers that learned, of four", len(full_marks), at_least=3)
seen.add("width 1000: plateau, share of the time to 99 %, median", full_share, at_least=0.8)
full_ratio = at_spike["inside"] / at_spike["outside"]
seen.add(
    "width 1000: smallest ratio inside over outside at the peak", full_ratio.min(), at_least=3
)
seen.add("width 50 000: in-support at the peak, probability", exact["inside"], at_most=0.05)
seen.add("width 50 000: the same, answer", exact_answer["inside"], at_least=0.07)
seen.add(
    "width 50 000: off-support before, answer", exact_answer["outside before"], at_least=0.005
)
seen.add("width 1000: smallest in-support, answer", narrow_answer["inside"].min(), at_least=0.045)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# **At the paper's own size one teacher comes close to the paper's numbers.** Our teacher of width 50 000 is at chance until 9.2 million updates, has 0.73 at 9.24 million, 0.89 at 9.32 and 1.0 at 9.64; the paper's 📄 moves at 10.1 and is done by 10.8. And the height of the spike is a matter of *what is correlated*: of the probability it is 0.027, of the answer 0.088, where the paper has 0.095. The other coordinates fit as well: 0.016 before the jump and 0.003 after it (the paper: 0.014 and 0.002); a correlation of exactly 0 measures 0.003 in answers here. We don't know what the paper's figure shows; its numbers are close to ours of answers, and far from ours of probabilities.
#
# Width matters less than it seems. At width 1000, too, the answers' spikes are 0.06 to 0.08 high.
#
# And the higher degrees of the answers, inside the support, for the wide teacher, on 65 536 fresh examples:

# %%
degrees = pd.read_csv(paper_size / "degrees.csv")
of_answers = degrees[degrees.inside & (degrees.temperature == 0)]
of_answers.pivot_table(index="step", columns="degree", values="value").round(3)

# %% [markdown]
# Half a million updates before the peak, inside is as outside (at degree 1, 0.014 and 0.016). At the peak the label has 0.23, more than twice a single coordinate, as in section 4; of the lower degrees, the odd ones stand out. In the end there is nothing but the label.
#
# ### The idle plateau, at this size
#
# The test of section 5 once more, live: three teachers, each as it was two million updates before its peak, trained on other examples. The control is stored: all four teachers were fresh networks once, and we have their first updates. From here on we save every 20 000 updates instead of every 100 000.

# %%
starts = [trajectory.at(trajectory.steps[0]) for trajectory in checkpoints_100.values()]
taken = MLP(task_100.d, width=full.teacher.width, seed=[0, 1, 2])
weights = [start.state_dict() for start in starts]
taken.load_state_dict({key: torch.cat([one[key] for one in weights]) for key in weights[0]})
examples = {"batch_size": 1, "seed": [101, 102, 103], "optimizer": SGD(lr=full.teacher.lr)}
again = train(
    taken,
    task_100,
    steps=4_000_000,
    eval_every=20_000,
    save_every=20_000,
    until=0.99,
    description="from the plateau, on other examples",
    **examples,
)

# %%
fig, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
longest = int(again.history.step.max())
first_updates = full_history[full_history.step <= longest]
for copy, rows in again.history.groupby("copy"):
    colour = sns.color_palette("colorblind")[copy]
    label = f"from the plateau of teacher {copy}"
    ax.plot(rows["step"], rows["accuracy"], color=colour, linewidth=1.2, label=label)
for seed, rows in first_updates.groupby("seed"):
    label = "fresh networks" if seed == 0 else None
    ax.plot(rows["step"], rows["accuracy"], ":", color="0.4", linewidth=1, label=label)
ax.set(xlabel="updates since the checkpoint", ylabel="held-out accuracy")
ax.xaxis.set_major_formatter(plots.STEPS)
ax.legend(frameon=False, fontsize=9)
plt.show()

# %% tags=["nbval-ignore-output"]
jumps = again.history[again.history.accuracy >= 0.95].groupby("copy")["step"].min()
control = first_updates["accuracy"].max()
seen = Thresholds()
seen.add(
    "networks from the plateau that jump within 4 million updates, of three",
    len(jumps),
    at_least=2,
)
seen.add("largest accuracy of the fresh networks in the same time", control, at_most=0.55)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# Two of the three jump a little before two million updates, about when their teachers did. The third, from the plateau of teacher 1, is still at chance after four million, though its teacher needed two. No fresh network moves in that time. (When exactly depends on the examples and, on other processors, on the last digit of a sum.)
#
# ### Is the spike low because we look too seldom?
#
# Now the spikes of the runs that jumped, with checkpoints every 20 000 updates, and what we would have seen with every fifth of them, as before.

# %% tags=["nbval-ignore-output"]
jumped_at = again.history[again.history.accuracy >= 0.55].groupby("copy")["step"].min().min()
near = [step for step in again.trajectory.steps if step >= jumped_at - 200_000]
examined = [monomial_correlations(task_100, examples=8192, seed=seed) for seed in (0, 1)]
fine = [over(again.trajectory, probe, steps=near) for probe in examined]
rows = []
for teacher in jumps.index:
    chosen, measured = (correlation_levels(table[table.seed == teacher]) for table in fine)
    choice = (chosen.inside - chosen.outside).to_numpy()
    height = (measured.inside - measured.outside).to_numpy()
    for every in (1, 5):  # every 5th: there are five ways to begin, and we take their mean
        picked = [first + every * choice[first::every].argmax() for first in range(every)]
        seen_so = {"teacher": teacher, "spacing": 20_000 * every}
        rows.append(seen_so | {"height": height[picked].mean()})
fine_heights = pd.DataFrame(rows).pivot(index="teacher", columns="spacing", values="height")

fine_heights.round(4)

# %% [markdown]
# Yes, in part. Of the two runs that jumped, one shows a spike of 0.040 when seen every 20 000 updates and 0.021 when seen every 100 000; the other 0.027 and 0.022. So a part of such differences as that between 0.010 and 0.028 in the table above can come from which checkpoints happened to be saved. Two runs can't say how large a part.
#
# ## 7 What the height and the wait depend on
#
# Our two sets of teachers at (100, 6) differ in two things, width and learning rate, and we have just seen a third that matters to heights, how often one looks. To take them apart, the recipe `parity-spike` trains teachers on (30, 6) at batch 1 with three widths and three learning rates, each combination with six seeds (`data/runs/parity-spike`). It trains each to the end of its plateau, and from there saves a checkpoint every 500 updates. Peaks are chosen on one set of examples and measured on another.
#
# One more thing must be said of width. In torch's default initialisation the read-out's weights have size $1/\sqrt{\text{width}}$ and each of the units adds to the logits, so the change of the logits at one update, which is (learning rate) × (squared gradient), grows with **learning rate × width**. We call this the *effective* rate. At equal learning rates a wider network makes larger steps; at equal effective rates its single units move less. Neither comparison is the right one, so we make both, and a third: each width at the rate that suits it best.
#
# **What do you expect?** Which of the three, width, rate or spacing, makes the spike higher? Will a wider network leave the plateau earlier in all three comparisons?

# %%
if RECOMPUTE:  # about 6 minutes of one core
    outcome = recipes.recipe("parity-spike").run(seeds=6, out="parity-spike", resume=True)
    outcome.save("parity-spike")
folder = Path("parity-spike") if RECOMPUTE else data_path("runs/parity-spike")
spike_recipe = recipes.recipe("parity-spike")
all_settings = pd.read_csv(folder / "results.csv")
all_settings["height"] = all_settings["inside"] - all_settings["outside"]
grid = all_settings.query("d == 30 and batch_size == 1")
spacings = pd.read_csv(folder / "heights.csv").query("d == 30 and batch_size == 1")
print("teachers:", len(grid), " that left the plateau:", int(grid["onset"].notna().sum()))

# %% [markdown]
# ### The height of the spike

# %%
plots.spacing_figure(spacings)
plt.show()

# %% [markdown]
# One line per teacher. To the left, every checkpoint counts; to the right, only every 16th.

# %%
same = ["width", "lr", "seed"]
wide = spacings.assign(height=spacings["inside"] - spacings["outside"]).pivot(
    index=same, columns="spacing", values="height"
)
by_spacing = wide[8000] / wide[500]  # one ratio per teacher


def log_slopes(table, columns):
    """Least squares of log height on the columns' logarithms: the factors per factor of ten."""
    known = table.dropna(subset="height")
    design = np.column_stack([np.log10(known[columns]), np.ones(len(known))])
    slopes, *_ = np.linalg.lstsq(design, np.log10(known["height"]), rcond=None)
    return 10 ** slopes[:-1]


rng = np.random.default_rng(0)
per_seed = dict(list(grid.groupby("seed")))
resampled = [
    log_slopes(
        pd.concat([per_seed[seed] for seed in rng.choice(list(per_seed), len(per_seed))]),
        ["width", "lr"],
    )
    for _ in range(2000)
]
factor = pd.DataFrame(
    {
        "factor of the height": log_slopes(grid, ["width", "lr"]),
        "2.5 %": np.quantile(resampled, 0.025, axis=0),
        "97.5 %": np.quantile(resampled, 0.975, axis=0),
    },
    index=["ten times the width", "ten times the learning rate"],
)
sixteen = np.log(by_spacing.groupby("seed").median())
resampled = sixteen.to_numpy()[rng.integers(len(sixteen), size=(2000, len(sixteen)))].mean(axis=1)
limits = np.quantile(resampled, [0.025, 0.975])
factor.loc["16 times the spacing"] = np.exp([sixteen.mean(), *limits])
factor.round(2)

# %%
grid.pivot_table(index="width", columns="lr", values="height", aggfunc="median").round(3)

# %% [markdown]
# The first table: by what factor the height changes, with 95 % bootstrap intervals over seeds. The second: median heights. (Groups of six other coordinates, treated in the same way, reach 0.007 on average: the column `by_chance`.)
#
# - **Spacing.** Whoever saves 16 times fewer checkpoints sees a spike not quite 0.6 times as high, of the very same run. That follows from section 3: the height is the largest of many short flickers.
# - **Width.** From 100 to 3000 units the spike does not get higher; if anything, a little lower (the interval just contains 1).
# - **Learning rate.** Over the whole range a larger rate goes with a lower spike (0.76 per factor of ten), but not steadily: at widths 100 and 1000 the median rises from 0.01 to 0.03 and falls from there to 0.1; at width 3000 it hardly changes after 0.03. At 0.1 the networks climb slowly and noisily, and their accuracy is still low when our checkpoints end.
#
# So heights can only be compared at equal spacing, in relation to how long the transition lasts, and of the same quantity: none of these three moves a height by as much as the step from probability to answer does.
#
# ### The wait

# %%
best_of_others = {}  # (width, seed) → the rate with the smallest median over the other seeds
for width, of_width in grid.groupby("width"):
    for seed in per_seed:
        others = of_width[of_width.seed != seed].groupby("lr")["onset"].median()
        best_of_others[width, seed] = others.idxmin()
chosen_rate = [best_of_others[pair] for pair in zip(grid["width"], grid["seed"], strict=True)]
at_best = grid[grid["lr"] == chosen_rate]
plots.waits_figure(grid, at_best, budget=spike_recipe.steps)
plt.show()

# %% [markdown]
# Every dot is a teacher, lines join medians. Left: one line per learning rate. Middle: one line per effective rate. Right: each width at its best rate; for each seed that rate was chosen by the five others.


# %%
def with_interval(values, name):
    """Geometric mean and 95 % bootstrap interval of ratios, one per seed."""
    logs = np.log(values.to_numpy())
    boot = logs[np.random.default_rng(0).integers(len(logs), size=(4000, len(logs)))].mean(axis=1)
    return pd.Series(
        np.exp([logs.mean(), *np.quantile(boot, [0.025, 0.975])]),
        ["ratio", "2.5 %", "97.5 %"],
        name=name,
    )


onset = grid.set_index(["width", "lr", "seed"])["onset"].sort_index()
pairs = {
    "1000 over 100, rate 0.01": ((1000, 0.01), (100, 0.01)),
    "1000 over 100, rate 0.03": ((1000, 0.03), (100, 0.03)),
    "1000 over 100, rate 0.1": ((1000, 0.1), (100, 0.1)),
    "3000 over 1000, rate 0.01": ((3000, 0.01), (1000, 0.01)),
    "3000 over 1000, rate 0.03": ((3000, 0.03), (1000, 0.03)),
    "3000 over 1000, rate 0.1": ((3000, 0.1), (1000, 0.1)),
    "1000 over 100, effective rate 10": ((1000, 0.01), (100, 0.1)),
    "3000 over 1000, effective rate 30": ((3000, 0.01), (1000, 0.03)),
    "3000 over 1000, effective rate 100": ((3000, 0.03), (1000, 0.1)),
}
compared = [with_interval(onset[a] / onset[b], name) for name, (a, b) in pairs.items()]
best = at_best.set_index(["width", "seed"])["onset"]
compared.append(with_interval(best[1000] / best[100], "1000 over 100, each at its best rate"))
compared.append(with_interval(best[3000] / best[1000], "3000 over 1000, each at its best rate"))
waits_compared = pd.DataFrame(compared)
waits_compared.rename_axis("plateau of the wider network over the narrower one's").round(2)

# %% [markdown]
# (Geometric means of the ratios, with 95 % bootstrap intervals over seeds; below 1 the wider network is earlier.)
#
# - At **equal rate** a network of width 1000 is earlier than one of width 100, barely so at 0.01 and clearly at 0.03 and 0.1. From 1000 to 3000 the gain is clear at 0.03 only.
# - At **equal effective rate** there is no rule: at 10 and 100 the wider network is several times earlier, at 30 it is *later*. In each of these pairs the narrower network has the larger rate, and where that rate is 0.1 the noise of single examples holds it up.
# - With **each width at its best rate**, the question that matters in practice, the wider one is earlier.
#
# Wide networks are also more alike: at rate 0.03 the slowest network of width 100 needs more than ten times as long as the fastest, at widths 1000 and 3000 about twice. Each update costs more, of course. Width and steps can be traded for each other (Edelman et al. 2023). This is why a *student* of width 100 may have such a hard time with labels.
#
# ### The plateau's share
#
# Our plateau is a smaller share of the whole than the paper's. Is that a matter of size? Compare networks that differ in $d$ alone: width 1000, batch 1, learning rate $10^{-2}$.

# %%
same_setting = all_settings.query("width == 1000 and lr == 0.01 and batch_size == 1")
same_setting = same_setting.dropna(subset="steps_to_99")
shares = same_setting["onset"] / same_setting["steps_to_99"]
by_size = shares.groupby(same_setting["d"]).agg(["median", "min", "max", "count"])
hundred = full_marks["onset"] / full_marks["99 %"]
by_size.loc[100] = [hundred.median(), hundred.min(), hundred.max(), len(hundred)]
by_size.astype({"count": int}).round(2)

# %% [markdown]
# Yes: with everything else equal, the plateau's share grows with $d$, from a median of 46 % at $d = 20$ through 73 % at 30 and 76 % at 40 to 97 % at $d = 100$ (three teachers that learned, with checkpoints every 100 000 updates). Single teachers at $d = 30$ differ a good deal. From labels, the wait grows like a power of $d$ (lesson 1), and the transition grows more slowly.
#
# ## 8 What we saw, and what the paper reports

# %% jupyter={"source_hidden": true} tags=["nbval-ignore-output"]
claims = Claims()
claims.add(
    "the teacher's accuracy sits at chance for at least half of the time it takes to learn",
    paper="0.5 until 10M steps, 1.0 at 10.8M (93 % of the time)",
    measured=f"{plateau_share:.0%}, median",
    spread=f"{marks.iloc[:, 2].min():.0%} to {marks.iloc[:, 2].max():.0%}",
    seeds=len(marks),
    holds=plateau_share >= 0.5,
)
claims.add(
    "in the transition in-support coordinates stand out, at least 4-fold at the peak",
    paper="≈ 0.095 inside; ≈ 0.014 outside before, ≈ 0.002 after",
    measured=f"{at_peak['inside'].mean():.3f} inside, {at_peak['outside'].mean():.4f} outside",
    spread=f"ratios {at_peak['ratio'].min():.1f} to {at_peak['ratio'].max():.1f}",
    chance=f"all peaks in the transition: {all_by_chance:.0e}",
    seeds=len(at_peak),
    holds=ratio >= 4 and all_by_chance <= 0.001 and in_transition.sum() >= 5,
)
claims.add(
    "after the transition these correlations are gone",
    paper="≤ 0.012 by 10.4M steps",
    measured=f"{at_peak['inside, end'].mean():.4f}",
    spread=f"at most {at_peak['inside, end'].max():.4f}",
    chance=f"a true 0 measures {floor:.4f}",
    seeds=len(at_peak),
    holds=at_peak["inside, end"].max() < 2 * floor,
)
exact_accuracy = histories["width 50 000, lr 5e-3"].set_index("step")["accuracy"]
exact_onset, exact_99 = (last_crossing(exact_accuracy, level) for level in (0.55, 0.99))
claims.add(
    "(100,6) at the paper's size: the teacher jumps between 9 and 12 million updates",
    paper="0.53 at 10.1M, 0.90 at 10.3M, 1.0 at 10.8M (three seeds)",
    measured=f"above 0.55 from {exact_onset / 1e6:.2f}M, 0.99 from {exact_99 / 1e6:.2f}M",
    seeds=1,
    holds=9e6 <= exact_onset <= exact_99 <= 12e6,
)
claims.add(
    "(100,6) at the paper's size: in-support correlations peak at 0.095, within a third",
    paper="≈ 0.095",
    measured=f"answers {exact_answer['inside']:.3f}, probabilities {exact['inside']:.3f}",
    chance="of answers 0.003",
    seeds=1,
    holds=abs(exact_answer["inside"] / 0.095 - 1) <= 1 / 3,
)
claims.add(
    "(100,6), width 1000: the same of answers",
    paper="≈ 0.095",
    measured=", ".join(narrow_answer["inside"].round(3).astype(str)),
    chance="0.003",
    seeds=len(narrow_answer),
    holds=(narrow_answer["inside"] / 0.095 - 1).abs().max() <= 1 / 3,
    partly=narrow_answer["inside"].min() >= 0.03,
)
claims.add(
    "(100,6), width 1000: a plateau of at least 80 % of the time, a spike at least 3-fold",
    paper="93 %; ≈ 0.095 inside, ≈ 0.014 outside before",
    measured=f"{len(full_marks)} of 4 learn in 30M; plateau {full_share:.0%}",
    spread=f"ratios {full_ratio.min():.1f} to {full_ratio.max():.1f}",
    seeds=4,
    holds=full_share >= 0.8 and full_ratio.min() >= 3 and len(full_marks) == 4,
    partly=full_share >= 0.8 and full_ratio.min() >= 3 and len(full_marks) >= 2,
)
claims.add(
    "at the peak the label shows more than any single coordinate, unlike in the theory's teacher",
    measured=f"{degree_6:.2f} against {degree_1:.3f}",
    seeds=len(SEEDS),
    holds=degree_6 > 1.5 * degree_1,
)
accuracy_link = together.loc["accuracy"]
claims.add(
    "within the transition the spike follows the accuracy",
    measured=f"rank correlation {accuracy_link.iloc[0]:.2f}, mean over teachers",
    spread=f"{steps_together['accuracy'].min():.2f} to {steps_together['accuracy'].max():.2f}",
    chance=f"95 % of shifts below {accuracy_link.iloc[1]:.2f}",
    seeds=len(SEEDS),
    holds=accuracy_link.iloc[0] > accuracy_link.iloc[1] + 0.1,
)
claims.add(
    "in the plateau's last quarter first-layer products show the support, accuracy doesn't",
    measured=f"{late_stage['product'].median():.1f} times random sets, median",
    spread=f"{late_stage['product'].min():.1f} to {late_stage['product'].max():.1f}",
    chance="1",
    seeds=len(SEEDS),
    holds=late_stage["product"].median() >= 1.5,
)
three_quarters = against_fresh.loc["3/4"]
claims.add(
    "taken at three quarters of the plateau, networks need less than half of a fresh one's time",
    measured=f"{three_quarters.iloc[0]:.2f} of it",
    spread=f"95 % {three_quarters.iloc[1]:.2f} to {three_quarters.iloc[2]:.2f}",
    chance="1",
    seeds=waits["teacher"].nunique(),
    holds=three_quarters.iloc[2] < 0.5,
    partly=three_quarters.iloc[2] < 1,
)
for start, where in (("2/4", "half-way"), ("3/4", "at three quarters")):
    value, low, high = own_or_other.loc[start]
    claims.add(
        f"{where}, what the plateau has built up helps with its own support more than with another",
        measured=f"{value:.2f} of the time",
        spread=f"95 % {low:.2f} to {high:.2f}",
        chance="1",
        seeds=waits["teacher"].nunique(),
        holds=high < 1,
    )
claims.add(
    "(100,6): networks from 2M updates before the peak jump within 4M, fresh ones don't",
    measured=f"{len(jumps)} of 3 jump; fresh ones reach at most {control:.2f}",
    chance="0.53 is as far as chance gets",
    seeds=3,
    holds=len(jumps) >= 2 and control < 0.55,
)
spaced, wider = factor.loc["16 times the spacing"], factor.loc["ten times the width"]
claims.add(
    "with 16 times fewer checkpoints the spike looks lower, by a quarter or more",
    measured=f"{spaced.iloc[0]:.2f} of the height",
    spread=f"95 % {spaced.iloc[1]:.2f} to {spaced.iloc[2]:.2f}",
    chance="1",
    seeds=grid["seed"].nunique(),
    holds=spaced.iloc[2] <= 0.75,
    partly=spaced.iloc[2] < 1,
)
claims.add(
    "ten times the width makes the spike higher, by half or more",
    measured=f"{wider.iloc[0]:.2f} of the height",
    spread=f"95 % {wider.iloc[1]:.2f} to {wider.iloc[2]:.2f}",
    chance="1",
    seeds=grid["seed"].nunique(),
    holds=wider.iloc[1] >= 1.5,
    partly=wider.iloc[1] > 1,
)
kinds = {
    ", rate": "at equal rate",
    "effective": "at equal effective rate",
    "best": "each width at its best rate",
}
for part_of_name, how in kinds.items():
    ratios_there = waits_compared[waits_compared.index.str.contains(part_of_name)]
    earlier = ratios_there["97.5 %"] < 1
    claims.add(
        f"a wider teacher leaves the plateau earlier, {how}",
        measured=f"{earlier.sum()} of {len(earlier)} comparisons (95 % below 1)",
        spread=f"ratios {ratios_there['ratio'].min():.2f} to {ratios_there['ratio'].max():.2f}",
        chance="1",
        seeds=grid["seed"].nunique(),
        holds=earlier.all(),
        partly=earlier.any(),
    )

claims

# %%
claims.verdicts()

# %% [markdown]
# The question for the next lesson: a student taught by the finished network sees exactly the labels. What does one see that is taught by the network *at the peak*?
#
# **Exercise 7** (no checker) Train a teacher with a tenth of the learning rate, `pdtutor run parity-teacher --lr 0.02 --steps 120000 --save-every 500 --out slow`. Before you do: what do sections 3 and 7 let you expect of the spike's height and of its flicker? What would you have to change in the comparison to be fair to both?
#
# ## Appendix: what a trajectory is on disk
#
# A trajectory is a folder (`pdtutor/checkpoints/trajectory.py`). Each checkpoint is a *safetensors* file, which holds numbers and nothing that could be executed. One JSON explains them all: enough to rebuild the model and the task without being told. It also says how many updates the run was to make, and whether it has ended: a run that was interrupted is not taken for a finished teacher.

# %%
folder = teachers.trajectory.path
files = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
print(len(files), "files, such as", *files[-4:], sep="\n  ")
index = (folder / "trajectory.json").read_text()
print(index[: index.index("checkpoints")], "…", sep="")

# %%
trajectory = Trajectory(folder)  # as one would open it a week later
print(len(trajectory.steps), "checkpoints, the last at step", trajectory.final)
print("same task:", trajectory.task == task)
network = trajectory.at(trajectory.nearest(4321))  # weights are read here, not before
print("nearest to step 4321:", trajectory.nearest(4321), " copies:", len(network.seeds))

# %% [markdown]
# The JSON also holds a digest of every file and one of itself, and files are written under a temporary name and then renamed. So a checkpoint is whole or an error, never silently stale (`docs/files.md` says what is promised). Let us damage one, in a copy.

# %%
import shutil
import tempfile

with tempfile.TemporaryDirectory() as copy:
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    victim = Path(copy) / "step_000000000.safetensors"
    victim.write_bytes(victim.read_bytes()[:-100])
    try:
        Trajectory(copy).at(0)
    except ValueError as error:
        print(str(error).replace(copy, "…"))

# %% [markdown]
# ## What to read next
#
# - Lesson 3, `03_progressive_vs_one_shot`: students learn from these checkpoints.
# - Barak et al. 2022, *Hidden progress in deep learning: SGD learns parities near the computational limit*: the plateau is not idle.
# - Edelman et al. 2023, *Pareto frontiers in deep feature learning*: width, steps and samples can be traded for each other.
# - Power et al. 2022, *Grokking*, and Nanda et al. 2023, *Progress measures for grokking via mechanistic interpretability*: other jumps, other probes that see them coming.
