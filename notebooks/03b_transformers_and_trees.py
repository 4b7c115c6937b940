# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     gpuType: T4
#   kaggle:
#     accelerator: nvidiaTeslaT4
#     isGpuEnabled: true
#     isInternetEnabled: true
#     language: python
#     sourceType: notebook
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3b · Transformers, a tree of parities, and how to choose a checkpoint
#
# Three questions that lesson 3 leaves open: is it a matter of MLPs, what if there is more than one thing to learn, and how would you find the right checkpoint of your own teacher?

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/03b_transformers_and_trees.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/03b_transformers_and_trees.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/03b_transformers_and_trees.ipynb)

# %% [markdown]
# **You will learn**
#
# - that a Transformer which reads a parity token by token shows the same spike, and its students the same acceleration;
# - what happens when a task has *seven* parities in it: a curriculum of many steps, which no single checkpoint holds;
# - to choose $C_1$ from a teacher's predictions alone, without knowing what it is about to learn.
#
# **You need** lesson 3. No GPU; where there is one, the Transformers train on it (`PDTUTOR_DEVICE=cpu` in the environment keeps them off).
#
# **Where in the paper** Section 3 and the appendices of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025): Transformers on sparse parity, and hierarchical parity. How to choose the checkpoint is a question that the paper leaves open; the answer here is ours.
#
# **Whose numbers are whose** A number marked 📄 is read off the paper's figures. Everything else is computed in this notebook, or by the recipe that is named beside it.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | Transformers: three teachers (section 1) | 90 s |
# | hierarchical parity: teachers (section 2) | 20 s |
# | choosing a checkpoint, and six students (section 3) | 50 s |
# | the rest | 10 s |

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
import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pdtutor import (
    checkpoint_table,
    checks,
    choose_step,
    correlation_levels,
    data_path,
    held_out,
    node_steps,
    paper,
    plots,
    recipes,
    spread,
)

plots.style()
seeds = [0, 1, 2]

# %% [markdown]
# ## 1 Transformers
#
# A Transformer gets the coordinates as a sequence of tokens, $+1 \to 0$ and $-1 \to 1$, and its answer is read at the last position. The paper uses GPT-2's shape, with attention heads of dimension 8, 32 of them in the teacher and 4 in the student. Ours are smaller, on (20, 3)-sparse parity, trained by Adam: the recipe `transformer-progressive`.

# %%
recipe = recipes.recipe("transformer-progressive", "laptop")
recipe

# %%
task = recipe.teacher.task()
x, y = task.sample(np.random.default_rng(0), 2)
print("tokens:", x.shape, x.dtype, "values", np.unique(x))
teacher, student = (recipe.teacher.model(width=width, seeds=[0]) for width in (recipe.teacher.width, recipe.width))
for name, model in {"teacher": teacher, "student": student}.items():
    print(f"{name}: {len(model.blocks)} blocks, {model.heads} heads, {sum(p.numel() for p in model.parameters()):,} parameters")

# %% [markdown]
# As all models of this course it carries a copies dimension: three seeds train side by side (`pdtutor/models/transformer.py`). The rest is lesson 2 again, word for word, but that we save checkpoints more often than the recipe does, for section 3.

# %%
often = dataclasses.replace(recipe.teacher, save_every=20, eval_examples=1024, probe_examples=4096)
teacher_run = often.train(seeds=seeds)
teachers = teacher_run.trajectory
curriculum = often.curriculum(teachers)
first = often.first_checkpoints(teachers, curriculum)  # the peaks, if the teacher is under way there
peaks = first.set_index("seed")["step"].to_dict()  # seed → step

# %%
fig = plots.teacher_figure(teacher_run.history, curriculum)
plt.show()

# %%
levels = pd.DataFrame(
    {seed: correlation_levels(of_seed).loc[peaks[seed]] for seed, of_seed in curriculum.groupby("seed")}
).T.rename_axis("seed")
ends = teacher_run.history[teacher_run.history.step == teachers.final].set_index("seed")["accuracy"]
late = curriculum[curriculum.step == teachers.final].groupby("inside")["value"].mean()

# %% tags=["nbval-ignore-output"]
levels.assign(peak=peaks, accuracy_at_the_end=ends).round(4)

# %%
print("every teacher learns:", bool((ends > 0.99).all()))
print("in-support at least 3 times off-support at the peak, every teacher:", bool((levels["ratio"] >= 3).all()))
print("at the end in-support correlations are below half of the peak's:", bool(late[True] < levels["inside"].mean() / 2))

# %% [markdown]
# The same spike, from another architecture and another optimizer. Now students, with the four supervisions of lesson 3. The recipe has run them for six seeds (12 minutes on one core; `data/runs/transformer-progressive`); the quickest of them runs live in section 3.

# %%
RECOMPUTE = False  # True: train teachers and students of all six seeds again

if RECOMPUTE:
    kept = Path("transformer-progressive")
    recipe.run(seeds=6, out=kept, resume=True).save(kept)
else:
    kept = data_path("runs/transformer-progressive")
history, found = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "by_seed.csv").astype({"steps": "Int64"})
fig, ax = plt.subplots(figsize=(9, 3.8))
plots.accuracy(history, ax=ax, by_seed=True)
ax.set(title="Transformers on (20,3): six seeds, a line each")
plt.show()

# %%
spread(found)

# %%
steps = found.pivot(index="seed", columns="method", values="steps").astype(float).fillna(np.inf)  # inf: never
median = steps.median()
print("(2,T): every student learns:", bool(np.isfinite(steps["(2,T)"]).all()))
print("(2,T) needs fewer steps than labels, every seed:", bool((steps["(2,T)"] < steps["cross-entropy"]).all()))
print("progressive needs fewer steps than labels, in the median:", bool(median["progressive"] < median["cross-entropy"]))
print("one-shot students learn where students of labels do, at the same evaluation:",
      bool((steps["one-shot"] == steps["cross-entropy"]).all()))

# %% [markdown]
# - **(2, T)** works for every seed, and fast.
# - **Labels** work for some seeds within the budget, for most they don't. A one-shot student does what a student of labels does, but for rounding, as in lesson 3.
# - **Progressive** students are in between. They are too small to follow their teacher at full speed; here they go through its checkpoints four times more slowly than it did ($v = \tfrac14$). Even so, not all of them catch on.
#
# Seeds 0 to 2 are those on which the sizes and rates of this recipe were chosen, 3 to 5 are fresh. Both halves say the same.
#
# ## 2 A tree of parities
#
# Sparse parity has one thing to learn. What if there are several? In *hierarchical parity* every inner node of a binary tree owns $k$ coordinates of its own. Their product sends the input left ($+1$) or right ($-1$), from the root down, and the label is the leaf where it ends: 8 labels at depth 3, from seven hidden parities. (`pdtutor/tasks/hierarchical.py`)
#
# What does a teacher learn first? Make the labels' signal plain: the root's parity decides between the left four and the right four labels for *every* input; a node of the lowest level matters for a quarter of the inputs only, and decides between two labels.

# %%
tree = recipes.recipe("hierarchical-teacher", "laptop")
tree_task = tree.task()
print(f"(d, k, depth) = {tree.d, tree.k, tree.depth}: {tree_task.classes} labels")
for node, support in enumerate(tree_task.supports):
    print(f"node {node}: coordinates", *support)

# %%
tree_run = tree.train(seeds=seeds)
nodes = tree.nodes(tree_run.trajectory)
learned = node_steps(nodes)  # when each node's own parity is half learned

# %%
fig = plots.nodes_figure(tree_run.history, nodes)
plt.show()

# %% [markdown]
# Top: the label's accuracy goes up in stairs. Middle: each node's decision, among the inputs that pass the node, and its correlation with the node's own parity. Bottom: the same decision's correlation with *single coordinates* of the node.
#
# - **From the root down.** The root is learned first, the lowest level last.
# - **One node after the other**, each in a transition of its own.
# - **Each transition has its own spike.** While a node is being learned its coordinates show one by one, as in lesson 2. When the next node spikes, this one is already silent.

# %%
by_depth = learned.astype({"step": float}).groupby(["seed", "depth"])["step"].mean().unstack()
print("every node is learned, every teacher:", bool(learned["step"].notna().all()))
print("the root first, then depth 1, then depth 2, on average, every teacher:",
      bool((by_depth[0] < by_depth[1]).all() and (by_depth[1] < by_depth[2]).all()))
spikes = recipes.hierarchical.spikes(nodes[nodes.degree == 1])
node_ratio = (spikes["inside_at_peak"] / spikes["outside_at_peak"]).median()
print("a node's coordinates stand out at least 2.5 times at its spike, median over nodes:", bool(node_ratio >= 2.5))

# %% [markdown]
# So here is a curriculum of seven steps, and no checkpoint shows all of them. What does that mean for (2, T), with its single $C_1$? The recipe `hierarchical-progressive` has six seeds of teacher and student (two minutes; `data/runs/hierarchical-progressive`):

# %%
kept = data_path("runs/hierarchical-progressive")
tree_history, tree_nodes = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "nodes.csv")
tree_found = pd.read_csv(kept / "by_seed.csv").astype({"steps": "Int64"})
fig = plots.node_steps_figure(tree_history, tree_nodes, budget=recipes.recipe("hierarchical-progressive").steps)
plt.show()

# %%
spread(tree_found)

# %% [markdown]
# - **Progressive** students are faster than students of labels, node by node, and all of them learn everything.
# - **(2, T) is not**. Its students are far ahead in the beginning: $C_1$ shows them a few nodes at once. After that they have a finished teacher, who shows nothing any more. Half of them don't find the rest in 30 000 updates, and the other half are slower than students of labels.
#
# "One checkpoint is enough", lesson 3 said. It is, where there is one thing to show. Where the teacher learns one thing after the other, the student needs to be there each time. (The paper's language models come closer to this case than to a single parity.)
#
# ## 3 Which checkpoint?
#
# Until now we chose $C_1$ where in-support correlations peak. That takes the support, which nobody knows before the task is solved. What could *you* do, with a teacher of your own?
#
# Lesson 3 showed when a checkpoint helps: while the teacher is on its way. Before the transition it says nothing about the function to come, after it nothing but that. So ask each checkpoint how far it agrees with the *final* one, corrected for chance:
#
# $$\text{agreement}_t = 1 - \frac{\mathbb{E}_x\,\mathrm{TV}\big(p_t(x),\, p_T(x)\big)}{\mathbb{E}_x\,\mathrm{TV}\big(\bar p_T,\, p_T(x)\big)},$$
#
# 1 for the final checkpoint and 0 for one that knows only how often each class comes up. Then take the checkpoint at which it first passes **a quarter**. Only inputs are needed, no labels. If the transition falls between two checkpoints there may be none that is near a quarter; then `choose_step` says so rather than name a bad one (`pdtutor/probes/choose.py`).

# %%
inputs, _ = held_out(task, 2048, seed=1)
table = checkpoint_table(teachers, inputs)  # a row per checkpoint and seed
chosen = {seed: choose_step(rows) for seed, rows in table.groupby("seed")}

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 3.4), sharey=True)
for ax, (seed, rows) in zip(axes, table.groupby("seed"), strict=True):
    ax.plot(rows["step"], rows["agreement"], label="agreement with the final checkpoint")
    ax.plot(rows["step"], rows["movement"], label="movement since the last checkpoint")
    ax.axvline(chosen[seed], color="black", linestyle=":", label="chosen")
    ax.axvline(peaks[seed], color=plots.INSIDE, linestyle="--", label="peak of in-support correlations")
    ax.set(title=f"Transformer teacher, seed {seed}", xlabel="step")
axes[0].legend(fontsize=8, frameon=False)
fig.tight_layout()
plt.show()

# %% [markdown]
# (*Movement*, how far predictions move from one checkpoint to the next, may have been your first idea, as it was ours. It is a bad one: on the plateau predictions move all the time and go nowhere.)
#
# The quarter was chosen on (30, 6) at batch 32, by looking. Then it was left alone and tried on settings that it had not seen: other problems, batch sizes, widths, and Adam, three teachers each, with every rule against the *best* checkpoint of a sweep (recipe `parity-choose-checkpoint`, `data/runs/parity-choose-checkpoint`).

# %%
kept = data_path("runs/parity-choose-checkpoint")
by_seed = pd.read_csv(kept / "by_seed.csv")
fig = plots.choose_figure(pd.read_csv(kept / "students.csv"), by_seed)
plt.show()

# %% [markdown]
# Above: students by how far their $C_1$ agrees with the final checkpoint; the dotted line is the quarter. Below: what each rule costs, in steps, as a multiple of the best checkpoint's; hollow if not all students learned. *Correlation* is the rule that knows the support, *loss* the same quarter of the way but in held-out loss, for which labels are needed, *steepest* the largest gain in agreement, *median* the middle of all checkpoints.

# %%
settings = list(dict.fromkeys(by_seed["setting"]))
unseen = by_seed[by_seed["setting"].isin(settings[1:])]
regret = unseen.groupby("rule")["regret"].median()
solved = unseen[~unseen["setting"].str.contains("T = 300")]  # see below
print("settings other than the one where the quarter was chosen:", len(settings) - 1)
print("agreement, median regret below 1.5:", bool(regret["agreement"] < 1.5))
print("no worse than the rule that knows the support:", bool(regret["agreement"] <= regret["correlation"]))
print("all its students learn, in all of these settings but one:",
      bool((solved[solved.rule == "agreement"]["learned"] == 1).all()))

# %% tags=["nbval-ignore-output"]
summary = pd.read_csv(kept / "results.csv").pivot(index="rule", columns="setting", values="regret")
summary.loc[list(dict.fromkeys(by_seed["rule"])), settings].round(2)

# %% [markdown]
# It does better than the rule that knows the support. And it can fail. In the fifth setting (Adam, $T = 300$) two students in three fail with it, as they do with nearly *every* checkpoint: 300 updates are too few to take over what $C_1$ has to offer. With $T = 900$, which we added as a sixth setting to find out, all of them learn. The rule chooses the checkpoint; nobody chooses $T$ for you. And a rule for *one* checkpoint can't help where one isn't enough (section 2).
#
# Finally, live, on models that it had never seen either, the three Transformers of section 1: a $C_1$ chosen by agreement against one at the peak of in-support correlations.

# %%
by_rule = recipe.compare(
    {
        "C₁ by agreement": lambda seed: recipe.two_shot(teachers.of(seed), chosen[seed]),
        "C₁ at the peak": lambda seed: recipe.two_shot(teachers.of(seed), peaks[seed]),
    },
    seeds=seeds,
    steps=1500,
)
rule_steps = by_rule.results(threshold=recipe.threshold).pivot(index="seed", columns="method", values="steps")

# %% tags=["nbval-ignore-output"]
rule_steps.assign(**{"chosen": chosen, "peak": peaks})

# %%
print("a C₁ chosen without the support: every Transformer student learns:", bool(rule_steps["C₁ by agreement"].notna().all()))

# %% [markdown]
# ## 4 What we saw, and what the paper reports

# %%
from pdtutor import Claims


def shown(number):
    """A median number of steps, in words where it was not reached."""
    return f"{number:,.0f}" if np.isfinite(number) else "not within the budget"


e2 = paper("E2")
claims = Claims()
claims.add(
    "a Transformer teacher leans on in-support coordinates at its transition, at least 3 times more than on others",
    measured=f"ratio at the peak {levels['ratio'].min():.1f} to {levels['ratio'].max():.1f}; {levels['inside'].mean():.3f} inside, {late[True]:.4f} at the end",
    seeds=3,
    holds=bool((levels["ratio"] >= 3).all() and late[True] < levels["inside"].mean() / 2),
)
jump = e2[(e2.method == "progressive")]["value"].iloc[0]
never = e2[(e2.method == "one-shot")]["at"].iloc[0]
claims.add(
    "Transformer students by (2,T) need at most half of the steps of labels and of one-shot, in the median",
    paper=f"progressive jumps at ≈ {jump / 1e6:.1f}M examples; labels and one-shot ≈ 0.5 to {never / 1e6:.0f}M",
    measured=f"median progressive {shown(median['progressive'])}, (2,T) {shown(median['(2,T)'])}; "
    f"one-shot {shown(median['one-shot'])}, labels {shown(median['cross-entropy'])}",
    seeds=6,
    holds=bool(median["(2,T)"] <= min(median["one-shot"], median["cross-entropy"], recipe.steps) / 2),
)
tree_median = tree_found.assign(steps=tree_found["steps"].astype(float).fillna(np.inf)).groupby("method")["steps"].median()
claims.add(
    "a teacher of hierarchical parity learns from the root down, each level later than the one above, on average",
    measured=f"mean step by depth {', '.join(f'{step:,.0f}' for step in by_depth.mean())}",
    seeds=3,
    holds=bool((by_depth[0] < by_depth[1]).all() and (by_depth[1] < by_depth[2]).all()),
)
claims.add(
    "on hierarchical parity progressive is faster than labels, and (2,T) with one checkpoint is not",
    measured=f"median progressive {shown(tree_median['progressive'])}, labels {shown(tree_median['cross-entropy'])}, (2,T) {shown(tree_median['(2,T)'])}",
    seeds=6,
    holds=bool(tree_median["progressive"] < 0.8 * tree_median["cross-entropy"] < tree_median["(2,T)"]),
)
claims.add(
    "C₁ can be chosen without the support: at most 1.5 times the steps of the best checkpoint, in the median over settings where the rule was not made",
    measured=f"{regret['agreement']:.2f} (rule that knows the support {regret['correlation']:.2f}, one-shot {regret['one-shot']:.2f}) over {len(settings) - 1} settings, 3 teachers each",
    seeds=3 * (len(settings) - 1),
    holds=bool(regret["agreement"] <= 1.5),
)

# %% tags=["nbval-ignore-output"]
claims

# %%
claims.verdicts()

# %% [markdown]
# The paper's Transformers are larger, on (100, 6); ours show the same order of the four supervisions, with more luck in it. On hierarchical parity we know of no published numbers to compare with.
#
# ## Exercises
#
# Fill in a function and run its cell. The checker says ✓, or shows you a case and a hint. Solutions are in `notebooks/solutions/03b_transformers_and_trees.ipynb`.
#
# **1** The label of hierarchical parity. Nodes are numbered level by level from the root, 0; below node $v$ are $2v+1$ (left) and $2v+2$ (right). A parity of $+1$ sends the input left, and the leaves are numbered from left to right, from 0.

# %%
def tree_label(parities, depth):
    """parities: ±1 of every node, (2^depth − 1,) → the leaf, 0 … 2^depth − 1."""
    ...


checks.tree_label(tree_label)


# %% [markdown]
# **2** How far a checkpoint agrees with the final one, corrected for chance: $1 - \mathbb{E}_x\,\mathrm{TV}(p, p_T)\,/\,\mathbb{E}_x\,\mathrm{TV}(\bar p_T, p_T)$. A row of `p` and `final` is one input's probabilities.

# %%
def agreement(p, final):
    """(n, classes) twice → 1 − E TV(p, final) / E TV(mean of final, final)."""
    ...


checks.agreement(agreement)


# %% [markdown]
# **3** What the Transformer reads: $+1 \to 0$ and $-1 \to 1$, as integers, because they pick rows of the embedding table.

# %%
def tokens(x):
    """signs (n, d) of ±1 → token ids (n, d) int64: 0 for +1, 1 for −1."""
    ...


checks.tokens(tokens)

# %% [markdown]
# **4** (no checker) On the tree, how many checkpoints does a student need, and which? `pdtutor.n_shot` and `explicit` build schedules of three and more; `node_steps` knows when each node is learned. Then raise the student's learning rate to 0.6 (`dataclasses.replace(recipes.recipe("hierarchical-progressive"), lr=0.6)`): why does the advantage over labels disappear?
#
# ## What to read next
#
# - Barak et al. 2022, *Hidden progress in deep learning: SGD learns parities near the computational limit*: parities by every architecture, Transformers among them.
# - Abbe, Boix-Adserà and Misiakiewicz 2023, *SGD learning on neural networks: leap complexity and saddle-to-saddle dynamics*: why targets are learned one step after the other.
# - Cho and Hariharan 2019, *On the efficacy of knowledge distillation*: an early hint that a teacher stopped early teaches better.
