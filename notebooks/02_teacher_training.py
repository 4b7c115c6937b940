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
# - what appears at the phase transition and vanishes after it;
# - what a trajectory is on disk, and how it protects itself.
#
# **You need** lesson 1 up to section 3 (the problem, and what a monomial $\chi_A$ is). No GPU.
#
# **Where in the paper** Section 3 of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025), the teacher of the parity experiments. The paper's teacher is an MLP of width 50 000 on (100, 6)-sparse parity, trained at batch 1 for 20 million steps. Ours is smaller: (30, 6), width 1000, batch 32, so that you can watch it.
#
# **Whose numbers are whose** A number marked 📄 is read off the paper's figures. Everything else is computed in this notebook.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | training three teachers (section 1) | 20 s |
# | probing their checkpoints (sections 2–4) | 30 s |
# | the paper's size: three networks, four million updates each (section 6) | 60 s |
# | the rest | 5 s |

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
    Trajectory,
    checks,
    correlation_levels,
    monomial_correlations,
    over,
    peak_steps,
    plots,
    recipes,
    train,
)

plots.style()

# %% [markdown]
# ## 1 Three teachers
#
# All numbers of this lesson stand in a *recipe* (`pdtutor/recipes/`). The command line runs the same one: `pdtutor run parity-teacher --out my-folder`.

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
# Every model of this course carries a leading **copies** dimension. One model with three copies is three networks, each with its own initial weights and its own examples. They train in one pass and never influence each other (`pdtutor/models/mlp.py`).

# %%
model = MLP(task.d, width=recipe.width, seed=[0, 1, 2])
for name, parameter in model.named_parameters():
    print(f"{name:16} {tuple(parameter.shape)}")

# %% [markdown]
# Plain SGD on cross-entropy, fresh examples at every update, a checkpoint every 100 updates. `train` is the one training loop of this course (`pdtutor/training/loop.py`).

# %%
teachers = train(
    model,
    task,
    steps=recipe.steps,
    batch_size=recipe.batch_size,
    optimizer=SGD(lr=recipe.lr),
    eval_every=recipe.save_every,
    save_every=recipe.save_every,
    description="three teachers",
)

# %% [markdown]
# `teachers.history` has a row per evaluation and copy, and `teachers.trajectory` the checkpoints.

# %% tags=["nbval-ignore-output"]
teachers.history.tail(3)

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharex=True)
for ax, column, label in zip(axes, ["accuracy", "loss"], ["held-out accuracy", "held-out cross-entropy"], strict=True):
    sns.lineplot(teachers.history, x="step", y=column, hue="seed", palette="colorblind", ax=ax)
    ax.set(xlabel="step (optimizer updates)", ylabel=label)
axes[0].axhline(0.5, color="0.5", linestyle=":", linewidth=1)
axes[1].axhline(np.log(2), color="0.5", linestyle=":", linewidth=1)
axes[1].text(recipe.steps, np.log(2), "guessing: log 2", ha="right", va="bottom", color="0.4", fontsize=9)
axes[1].get_legend().remove()
fig.tight_layout()
plt.show()

# %% [markdown]
# Chance, chance, chance, and then, within a fraction of the time, everything. The loss gives no warning. For most of the plateau it is no better than $\log 2$, the loss of a coin flip: SGD keeps fitting noise, at first much, later less.
#
# Two marks for each teacher: the **onset**, where accuracy leaves chance (above 0.55 for good), and the step where it passes 0.99.

# %%
def last_crossing(accuracy, threshold):
    """The first step from which accuracy (a Series by step) stays at or above the threshold."""
    return int(accuracy.index[(accuracy >= threshold)[::-1].cummin()[::-1].to_numpy()][0])


accuracy_of = {seed: rows.set_index("step")["accuracy"] for seed, rows in teachers.history.groupby("seed")}
marks = pd.DataFrame(
    {
        "onset": {seed: last_crossing(accuracy, 0.55) for seed, accuracy in accuracy_of.items()},
        "99 %": {seed: last_crossing(accuracy, 0.99) for seed, accuracy in accuracy_of.items()},
    }
).rename_axis("seed")
marks["plateau, share of the time to 99 %"] = marks["onset"] / marks["99 %"]

# %% tags=["nbval-ignore-output"]
marks.round(2)

# %%
plateau_share = marks["plateau, share of the time to 99 %"].median()
loss_of = {seed: rows.set_index("step")["loss"] for seed, rows in teachers.history.groupby("seed")}
print("half of the way to its onset no teacher's loss is below log 2 − 0.005:",
      all(loss.loc[: marks["onset"][seed] // 2].min() > np.log(2) - 0.005 for seed, loss in loss_of.items()))
print("every teacher ends at accuracy 1.0:", all(accuracy.iloc[-1] > 0.999 for accuracy in accuracy_of.values()))
print("half of the way to its onset every teacher is still at chance, below 0.55:",
      all(accuracy.loc[: marks["onset"][seed] // 2].max() < 0.55 for seed, accuracy in accuracy_of.items()))
print("median teacher: the plateau takes at least half of the time to 99 %:", bool(plateau_share >= 0.5))

# %% [markdown]
# The seeds differ a good deal: one teacher gets going much earlier than the others. Keep that in mind whenever somebody shows you one curve.
#
# ## 2 A probe
#
# The loss can't tell us what happens on the plateau. So ask the network a question that it was never trained on:
#
# > Does the prediction $p(y{=}1\,|\,x)$ lean on the monomial $\chi_A(x) = \prod_{i\in A} x_i$?
#
# The answer is the **correlation** $\big|\mathbb{E}_x[\chi_A(x)\, p(y{=}1\,|\,x)]\big|$, from fresh $x$. It lives on the probability scale: a network that *is* the sign of one coordinate has correlation 0.5 with it.
#
# Three remarks on honesty. First, it is estimated as $\big|\tfrac1n\sum_x \chi_A(x)\,(p - \bar p)\big|$, where $\bar p$ is the mean of $p$ over the $n$ examples. As $\mathbb{E}_x\,\chi_A(x) = 0$, taking $\bar p$ off changes no expectation, but it takes noise away. Second, a correlation that is truly 0 still measures about $\sigma_p/\sqrt{n}$, the **noise floor**; with $\bar p$ left in it would be $\sqrt{\mathbb{E}[p^2]/n}$, which is larger. Third, the absolute value matters: the sign of a correlation is an accident of the initial weights, and averaged over networks signed values cancel.
#
# `monomial_correlations` asks it for every $A$ inside the support and for random sets that miss it (`pdtutor/probes/monomials.py`). Degree 1 means single coordinates.

# %%
probe = monomial_correlations(task, degree=1, examples=recipe.probe_examples)
table = probe(teachers.trajectory.at(0))
print("single coordinates inside the support:", table[table.inside].monomial.nunique())
print("outside:", table[~table.inside].monomial.nunique())
print("rows, three copies of 30 coordinates:", len(table))

# %% [markdown]
# A probe over a trajectory is a *curriculum*: the same question at every checkpoint (`pdtutor/probes/over.py`).

# %%
curriculum = over(teachers.trajectory, probe)
print("columns:", *curriculum.columns)
print("checkpoints:", curriculum.step.nunique())

# %% [markdown]
# ## 3 The spike

# %%
fig = plots.teacher_figure(teachers.history, curriculum)
plt.show()

# %% [markdown]
# Above: accuracy. Below: the correlations with single coordinates, inside the support (mean and range of six) and outside (mean and range of 24).
#
# - On the plateau the two are alike. Whatever the network leans on, it isn't the support.
# - **At the transition the six hidden coordinates stand out, each on its own.** Not their product, which is the label: the single coordinates.
# - Once the task is solved, all of it is gone. A finished teacher leans on no single coordinate, because the parity doesn't.
#
# The spike isn't one clean bump. It flickers from checkpoint to checkpoint, in step with the accuracy, while SGD at this learning rate shakes the network. So we take as its peak the checkpoint with the largest difference of means, $\text{inside} - \text{outside}$. Something is always largest, so `peak_steps` also asks how many groups of six *random* coordinates would stand out as far: if more than one in twenty do, it names no peak but raises an error (`pdtutor/probes/monomials.py`).

# %%
peaks = peak_steps(curriculum)  # seed → step
rows = []
for seed, of_seed in curriculum.groupby("seed"):
    levels = correlation_levels(of_seed)  # index step; inside, outside, ratio
    peak, accuracy = peaks[seed], accuracy_of[seed]
    rows.append({"seed": seed, "peak at step": peak, "accuracy there": accuracy[peak], **levels.loc[peak],
                 "inside, end": levels.inside.iloc[-1], "outside, end": levels.outside.iloc[-1]})
at_peak = pd.DataFrame(rows).set_index("seed")

# %% tags=["nbval-ignore-output"]
at_peak.round(4)

# %%
# |N(0, s)| has mean s·√(2/π): what a correlation of exactly 0 measures on average
end_floor = curriculum[curriculum.step == recipe.steps].noise_floor.mean() * np.sqrt(2 / np.pi)
in_transition = all(marks["onset"][s] - 500 <= peaks[s] <= marks["99 %"][s] for s in peaks)
ratio = at_peak["ratio"].median()
gone = at_peak["inside, end"].max() < 2 * end_floor
print("the peak of every teacher lies in its transition:", in_transition)
print("in-support at least 5 times off-support at the peak, median over teachers:", bool(ratio >= 5))
print("in-support at least twice off-support at the peak, every teacher:", bool((at_peak["ratio"] >= 2).all()))
print("at the end in-support correlations are at the noise floor, every teacher:", bool(gone))

# %% [markdown]
# ## 4 Higher degrees
#
# Are single coordinates special, or does the transition light up everything inside the support? We look at degrees 1 to 6 at three checkpoints of each teacher: half-way along the plateau, at the peak, and at the end. Inside the support there are $\binom{6}{r}$ monomials of degree $r$; at degree 6 just one, the label itself.

# %%
moments = {"half-way to the onset": lambda s: teachers.trajectory.nearest(marks["onset"][s] // 2),
           "peak": lambda s: peaks[s],
           "end": lambda s: recipe.steps}
rows = []
for degree in range(1, task.k + 1):
    probe_degree = monomial_correlations(task, degree=degree, examples=recipe.probe_examples, off_support=30)
    for moment, step_of in moments.items():
        for seed in peaks:
            rows.append(probe_degree(teachers.trajectory.of(seed).at(step_of(seed))).assign(moment=moment, seed=seed))
by_degree = pd.concat(rows, ignore_index=True)

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True)
for ax, moment in zip(axes, moments, strict=True):
    shown = by_degree[by_degree.moment == moment].assign(
        monomials=lambda t: np.where(t.inside, "inside the support", "outside")
    )
    sns.stripplot(shown, x="degree", y="value", hue="monomials", hue_order=["inside the support", "outside"],
                  palette=[plots.INSIDE, plots.OUTSIDE], dodge=True, size=3, alpha=0.6, ax=ax)
    ax.axhline(shown.noise_floor.mean(), color="black", linestyle=":", linewidth=1)
    ax.set(yscale="log", ylim=(1e-5, 1), title=moment, xlabel="degree of the monomial",
           ylabel="|correlation| with p(y = 1 | x)")
    ax.get_legend().remove()
axes[0].legend(title=None, frameon=False, loc="upper left", fontsize=9)
fig.tight_layout()
plt.show()

# %% tags=["nbval-ignore-output"]
means = by_degree.groupby(["moment", "inside", "degree"])["value"].mean().unstack("degree")
means.reindex(list(moments), level="moment").round(4)

# %% [markdown]
# Each dot is a monomial of one teacher; the dotted line is the noise floor.
#
# - **Half-way along the plateau** inside and outside are alike at every degree. (Low degrees are larger than high ones on both sides. That is what a ReLU network with small weights does; it knows nothing of the support yet.)
# - **At the peak** everything inside the support stands out. Among degrees 1 to 5 the single coordinates carry the largest values. The label itself, degree 6, has begun to show.
# - **At the end** there is the label, at 0.5: the network is always right and always sure. All other degrees are at the noise floor.
#
# So a checkpoint at the peak holds *the support at degree 1*, in the open. That matters because of lesson 1: the first gradient of a student sees degree 1 at full size and degree 6 hardly at all.

# %%
print("end: degree 6, the label, is at 0.5 within 0.01:", bool(abs(means.loc[("end", True), 6] - 0.5) < 0.01))
print("end: every lower degree inside the support is below 0.01:", bool((means.loc[("end", True), [1, 2, 3, 4, 5]] < 0.01).all()))
peak_inside, peak_outside = means.loc[("peak", True)], means.loc[("peak", False)]
print("peak: degree 1 stands out at least 5-fold:", bool(peak_inside[1] >= 5 * peak_outside[1]))
print("peak: degrees 2 to 5 stand out at least 2-fold:", bool((peak_inside >= 2 * peak_outside).loc[2:5].all()))

# %% [markdown]
# ## 5 What a trajectory is
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
# ## 6 The paper's own problem
#
# The paper's problem is (100, 6) at batch 1. Its teacher needs 10 million updates until something happens. In plain PyTorch a network of width 1000 makes about three thousand such updates per second; the compiled kernel behind `train` makes a hundred thousand on one core (`pdtutor/models/kernels.py`; `make bench` measures both). So a laptop can do it, if not while you wait: the recipe `parity-100-6` has all of the paper's numbers but the teacher's width (1000) and learning rate ($10^{-2}$, twice the paper's), and `data/runs/parity-100-6` is what it left after four seeds.

# %%
from pdtutor import data_path, paper

full = recipes.recipe("parity-100-6", "laptop")
full.teacher

# %%
RECOMPUTE = False  # True: run the recipe again, teachers and students: about 40 minutes on 2 CPU cores

if RECOMPUTE:
    kept = Path("parity-100-6")
    full.run(seeds=4, out=kept, resume=True).save(kept)
else:
    kept = data_path("runs/parity-100-6")
full_history = pd.read_csv(kept / "history.csv").query("method == 'teacher'")
spike = pd.read_csv(kept / "spike.csv")  # correlations within 2 million updates of the peak, for teachers that learned
full_peaks = (spike["step"] - spike["from_spike"]).groupby(spike["seed"]).first().to_dict()
print("teachers:", full_history.seed.nunique(), " updates of each:", f"{full_history.step.max():,}")

# %%
e1 = paper("E1")
fig, axes = plt.subplots(1, 2, figsize=(13, 4), width_ratios=[1.4, 1])
for seed, rows in full_history.groupby("seed"):
    axes[0].plot(rows["step"], rows["accuracy"], color=sns.color_palette("colorblind")[seed], label=f"ours, seed {seed}")
plots.reported(e1, {"teacher": "teacher"}, ax=axes[0])
axes[0].set(xlabel="step (optimizer updates)", ylabel="held-out accuracy", title="ours (width 1000) and the paper's (width 50 000)")
axes[0].xaxis.set_major_formatter(plots.STEPS)
plots.correlations(spike.assign(step=spike["from_spike"]), ax=axes[1])
axes[1].set(xlabel="step, counted from each seed's peak", title="what the teachers lean on")
fig.tight_layout()
plt.show()

# %% [markdown]
# Left: ours, and crosses for the paper's teacher 📄, read off its figure. Right: the correlations of the teachers that learned, laid over each other at their peaks (mean and range over coordinates and seeds).
#
# When a teacher jumps is a matter of luck, more so than at (30, 6): two of ours do at 15 million updates, one at 28, and one is still at chance after 30. The paper's teacher is fifty times wider. Below we will see what width has to do with it.

# %%
full_accuracy = {
    seed: rows.set_index("step")["accuracy"] for seed, rows in full_history.groupby("seed") if seed in full_peaks
}
full_marks = pd.DataFrame(
    {
        "onset": {seed: last_crossing(accuracy, 0.55) for seed, accuracy in full_accuracy.items()},
        "99 %": {seed: last_crossing(accuracy, 0.99) for seed, accuracy in full_accuracy.items()},
    }
).rename_axis("seed")
at_spike = pd.DataFrame(
    {seed: correlation_levels(of_seed).loc[full_peaks[seed]] for seed, of_seed in spike.groupby("seed")}
).T.rename_axis("seed")
full_share = (full_marks["onset"] / full_marks["99 %"]).median()
after = spike[spike["from_spike"] >= full.around // 2].groupby("inside")["value"].mean()  # a million updates later

# %% tags=["nbval-ignore-output"]
full_marks.join(at_spike.round(4))

# %%
print("teachers that learned:", len(full_marks), "of", full_history.seed.nunique())
print("the plateau takes at least 80 % of the time, in the median:", bool(full_share >= 0.8))
print("in-support at least 3 times off-support at the peak, every teacher:", bool((at_spike["ratio"] >= 3).all()))
print("a million updates later in-support correlations are below a third of the peak's:", bool(after[True] < at_spike["inside"].mean() / 3))

# %% [markdown]
# The same story at the paper's size: a plateau of many millions of updates, and a spike of the six hidden coordinates in the moment of the jump.
#
# ### Is the plateau idle?
#
# Two million updates before its peak a teacher's accuracy is 0.5 and its loss $\log 2$. Nothing that we can measure from outside tells it from a fresh network. Is the jump just luck that strikes some time, or is something being built up? Take the network as it is then and train it on *other* examples, three times over. If the jump were luck, it would come at another time, or not for another ten million updates. (`train`, live; three networks on two cores.)

# %%
from pdtutor import select_copies

seed0 = kept / "checkpoints-seed0" if RECOMPUTE else data_path("runs/parity-100-6/checkpoints-seed0")
checkpoints = Trajectory(seed0)
start = checkpoints.steps[0]
network = select_copies(checkpoints.at(start), [0, 0, 0]).requires_grad_(True)  # three copies of the same weights
x, y = checkpoints.task.sample(np.random.default_rng(5), 100_000)
with torch.no_grad():
    right = (checkpoints.at(start)(torch.from_numpy(x).unsqueeze(0))[0].argmax(-1).numpy() == y).mean()
print("accuracy before: at chance within 1 %:", bool(abs(right - 0.5) < 0.01))
again = train(
    network,
    checkpoints.task,
    steps=2 * full.around,
    batch_size=1,
    optimizer=SGD(lr=full.teacher.lr),
    seed=[101, 102, 103],  # other examples than the teacher's own
    eval_every=100_000,
    until=0.99,
    description="from the plateau, on other examples",
)

# %%
fig, ax = plt.subplots(figsize=(9, 3.4))
own = full_history[(full_history.seed == 0) & full_history.step.between(start, start + 2 * full.around)]
ax.plot(own["step"] - start, own["accuracy"], color="black", label="the teacher itself")
for copy, rows in again.history.groupby("copy"):
    ax.plot(rows["step"], rows["accuracy"], color=sns.color_palette("colorblind")[copy], label=f"on other examples, {copy + 1}")
ax.set(xlabel="updates since the checkpoint", ylabel="held-out accuracy")
ax.xaxis.set_major_formatter(plots.STEPS)
ax.legend(frameon=False)
plt.show()

# %%
jumps = again.history[again.history.accuracy >= 0.95].groupby("copy")["step"].min()  # of those that jumped
print("at least two of three jump within 4 million updates:", len(jumps) >= 2)

# %% [markdown]
# They jump at about the same time. (When exactly depends on the examples and, on other processors, on the last digit of a sum.) So the plateau isn't idle, and the jump isn't luck alone: the weights carry it long before accuracy shows it (*hidden progress*, Barak et al. 2022). What they carry is the subject of lesson 1: weights of the hidden coordinates grow a little, on average, at every update.
#
# ### Width
#
# How long the plateau lasts depends on the width. The recipe `parity-teacher-width` has trained five widths and five seeds of each, from labels at batch 1, on (50, 6) to keep it short (`data/runs/parity-teacher-width`):

# %%
widths = pd.read_csv(data_path("runs/parity-teacher-width") / "results.csv")
fig = plots.teacher_width_figure(widths, budget=recipes.recipe("parity-teacher-width").teacher.steps)
plt.show()

# %%
by_width = widths["steps"].groupby(widths["width"]).median()
print("from width 100 to 1000 every step up shortens the plateau, in the median:", bool(by_width.loc[:1000].is_monotonic_decreasing))

# %% [markdown]
# Wider is faster, up to a few thousand units, and it is more reliable: the slowest of five teachers needs eight times as long as the fastest at width 100, and hardly twice as long at 5000. Each update costs more, of course. Width and steps can be traded for each other (Edelman et al. 2023), but not without limit. This is also why a *student* of width 100 has such a hard time with labels, and why a wide teacher is worth having.

# %%

# %% [markdown]
# ## 7 What we saw, and what the paper reports
#
# The paper's teacher is 50 times wider, its problem has more than three times the coordinates, and it takes 10 million steps. Laid over ours, in units of the step at which the task is solved, both tell the same story.

# %%
reported = e1[(e1.quantity == "accuracy") & (e1.method == "teacher")]
fig, ax = plt.subplots(figsize=(9, 3.6))
for seed, accuracy in accuracy_of.items():
    ax.plot(accuracy.index / marks["99 %"][seed], accuracy, color=sns.color_palette("colorblind")[seed], alpha=0.8,
            label=f"ours, seed {seed}")
solved = reported["at"].max()
ax.plot(reported["at"] / solved, reported["value"], "k--o", label="paper (width 50 000, d = 100)")
ax.plot([0, reported["at"].min() / solved], [0.5, 0.5], "k--")  # 📄 "0.5 until" its first point
ax.set(xlim=(0, 1.15), xlabel="step, in units of the step at which the task is solved", ylabel="held-out accuracy")
ax.legend(frameon=False)
plt.show()

# %% tags=["nbval-ignore-output"]
pd.DataFrame(
    {
        "paper": ["0.095", "0.014 before, 0.002 after", "≤ 0.012"],
        "ours (mean of three teachers)": [
            f"{at_peak['inside'].mean():.3f}", f"{at_peak['outside'].mean():.3f} at the peak, {at_peak['outside, end'].mean():.4f} after",
            f"{at_peak['inside, end'].mean():.4f}",
        ],
    },
    index=["in-support |corr| at the peak", "off-support |corr|", "in-support |corr| after the transition"],
)

# %%
from pdtutor import Claims

claims = Claims()
claims.add(
    "the teacher's accuracy sits at chance for most of the time it takes to learn, then jumps",
    paper="0.5 until 10M steps, 1.0 at 10.8M (93 % of the time)",
    measured=f"plateau {plateau_share:.0%} of the time to 99 %, median",
    seeds=3,
    holds=bool(plateau_share >= 0.5),
)
claims.add(
    "at the transition in-support coordinates correlate with the prediction, on average at least 5 times more than others",
    paper="≈ 0.095 inside, ≈ 0.014 outside before, ≈ 0.002 outside after",
    measured=f"{at_peak['inside'].mean():.3f} inside, {at_peak['outside'].mean():.4f} outside, median ratio {ratio:.1f}",
    seeds=3,
    holds=bool(ratio >= 5) and in_transition,
)
claims.add(
    "after the transition these correlations are back at the noise floor",
    paper="≤ 0.012 by 10.4M steps",
    measured=f"{at_peak['inside, end'].mean():.4f}; a true 0 measures {end_floor:.4f}",
    seeds=3,
    holds=bool(gone),
)
claims.add(
    "the same at the paper's size, (100,6) at batch 1: a plateau of at least 80 % of the time, and a spike of at least 3 times off-support",
    paper="0.5 until 10M, 1.0 at 10.8M; ≈ 0.095 inside, ≈ 0.014 outside before",
    measured=f"{len(full_marks)} of {full_history.seed.nunique()} teachers learn in {full_history.step.max() / 1e6:.0f}M; plateau {full_share:.0%}; "
    f"{at_spike['inside'].mean():.3f} inside, {at_spike['outside'].mean():.4f} outside; ratios {at_spike['ratio'].min():.1f} to {at_spike['ratio'].max():.1f}",
    seeds=full_history.seed.nunique(),
    holds=bool(full_share >= 0.8 and (at_spike["ratio"] >= 3).all()),
)
claims.add(
    "the plateau isn't idle: from 2M updates before its spike at least two of three networks jump within 4M, on other examples",
    paper="no number reported",
    measured=f"{len(jumps)} of three continuations: 95 % after {', '.join(f'{step / 1e6:.1f}M' for step in jumps)}",
    seeds=3,
    holds=len(jumps) >= 2,
)
claims.add(
    "a wider teacher leaves the plateau earlier (100, 300, 1000 units), in the median",
    paper="no number reported",
    measured=f"on (50,6): {', '.join(f'{steps / 1e6:.2g}M at {width}' for width, steps in by_width.items())}",
    seeds=widths["seed"].nunique(),
    holds=bool(by_width.loc[:1000].is_monotonic_decreasing),
)

# %% tags=["nbval-ignore-output"]
claims

# %%
claims.verdicts()

# %% [markdown]
# Our plateau is a smaller share of the whole than the paper's. That is a matter of size: from labels, the wait grows as $d^{k-1}$ (lesson 1), and ours has $d = 30$.
#
# The question for the next lesson: a student taught by the finished network sees exactly the labels. What does one see that is taught by the network *at the peak*?

# %% [markdown]
# ## Exercises
#
# Fill in a function and run its cell. The checker says ✓, or shows you a case and a hint. Solutions are in `notebooks/solutions/02_teacher_training.ipynb`.
#
# **1** The probe itself: $|\mathbb{E}[\chi_A(x)\,(p - \bar p)]|$ from arrays, where $\bar p$ is the mean of $p$ (section 2).

# %%
def monomial_correlation(p, x, subset):
    """p (n,) predictions, x (n, d) signs, subset a list of coordinates → a number."""
    ...


checks.monomial_correlation(monomial_correlation)


# %% [markdown]
# **2** Its noise floor: the standard deviation of exercise 1's $\mathbb{E}[\chi_A(x)\,(p - \bar p)]$, from $n$ examples, when $\chi_A(x)$ and $p$ have nothing to do with each other.

# %%
def noise_floor(p):
    """p (n,) predictions → a number."""
    ...


checks.noise_floor(noise_floor)


# %% [markdown]
# **3** The end of a plateau. One lucky evaluation above the threshold doesn't count.

# %%
def transition_step(steps, accuracy, threshold):
    """steps (n,), accuracy (n,) → the first step from which accuracy stays at or above the threshold."""
    ...


checks.transition_step(transition_step)


# %% [markdown]
# **4** The checkpoint to teach with.

# %%
def peak_step(steps, inside, outside):
    """steps (n,), mean correlations inside and outside the support (n,) each → a step."""
    ...


checks.peak_step(peak_step)

# %% [markdown]
# **5** (no checker) Train a teacher with a tenth of the learning rate, `pdtutor run parity-teacher --lr 0.02 --steps 60000 --out slow`. Does the spike get higher or lower? Longer or shorter? What does that say about where the flicker comes from?
#
# ## What to read next
#
# - Lesson 3, `03_progressive_vs_one_shot`: students learn from these checkpoints.
# - Barak et al. 2022, *Hidden progress in deep learning: SGD learns parities near the computational limit*: the plateau is not idle.
# - Power et al. 2022, *Grokking*, and Nanda et al. 2023, *Progress measures for grokking via mechanistic interpretability*: other jumps, other probes that see them coming.
