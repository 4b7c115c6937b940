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
# Three questions that lesson 3 leaves open: does it hold only for MLPs, what if there is more than one thing to learn, and how would you find the right checkpoint of your own teacher?

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/03b_transformers_and_trees.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/03b_transformers_and_trees.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/03b_transformers_and_trees.ipynb)

# %% [markdown]
# **You will learn**
#
# - how a Transformer reads a parity, and which of lesson 3's findings it shares: the spike and (2, T), but not clearly the lead of progressive students;
# - what a teacher learns, and in which order, when a task has *seven* parities in it, and what one checkpoint is worth then;
# - to choose $C_1$ from a teacher's predictions alone, without knowing what it is about to learn;
# - to compare rules honestly: against chance, pair by pair, with failures counted and teachers counted once.
#
# **You need** lesson 3. No GPU; where there is one, the Transformers train on it (`PDTUTOR_DEVICE=cpu` in the environment keeps them off).
#
# **Where in the paper** Section 3 and the appendices of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025): Transformers on sparse parity, and hierarchical parity. How to choose the checkpoint is a question that the paper leaves open; the answer here is ours.
#
# **Whose numbers are whose** Numbers read off the paper's figures are marked 📄; its sizes and settings are named as the paper's. The rest is computed in this notebook, or by the recipe that is named beside it, whose tables lie in `data/runs`.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | Transformers: three teachers and their spikes (section 1) | 80 s |
# | two students in plain PyTorch (section 1) | 10 s |
# | hierarchical parity: teachers (section 2) | 20 s |
# | choosing a checkpoint, and six students (section 3) | 40 s |
# | the rest, most of it read from `data/runs` | 10 s |

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
from math import comb
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

from pdtutor import (
    Claims,
    Thresholds,
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
)

plots.style()
seeds = [0, 1, 2]

# %% [markdown]
# ## 1 Transformers
#
# A Transformer gets the coordinates as a sequence of tokens, $+1 \to 0$ and $-1 \to 1$, and its answer is read at the last position. The paper uses GPT-2's shape, with attention heads of dimension 8, 32 of them in the teacher and 4 in the student, on (100, 6)-sparse parity. Ours are smaller, on (20, 3), trained by Adam: the recipe `transformer-progressive`.

# %%
recipe = recipes.recipe("transformer-progressive", "laptop")
recipe

# %%
task = recipe.teacher.task()
x, y = task.sample(np.random.default_rng(0), 2)
print("tokens:", x.shape, x.dtype, "values", np.unique(x))
for name, width in {"teacher": recipe.teacher.width, "student": recipe.width}.items():
    model = recipe.teacher.model(width=width, seeds=[0])
    size = sum(p.numel() for p in model.parameters())
    print(f"{name}: {len(model.blocks)} blocks, {model.heads} heads, {size:,} parameters")

# %% [markdown]
# **Exercise 1.** What the Transformer reads: $+1 \to 0$ and $-1 \to 1$, as integers, because they pick rows of the embedding table. (In exercises 1, 2 and 4, fill in the function and run its cell. The checker says ✓, or shows a case and a hint. Solutions: `notebooks/solutions/03b_transformers_and_trees.ipynb`.)


# %%
def tokens(x):
    """signs (n, d) of ±1 → token ids (n, d) int64: 0 for +1, 1 for −1."""
    ...


checks.tokens(tokens)

# %% [markdown]
# ### Three teachers
#
# Like all models of this course, a Transformer carries a copies dimension: three seeds train side by side (`pdtutor/models/transformer.py`). The rest is lesson 2 again, except that we save checkpoints every 20 updates (the recipe: 50), for section 3, and measure on half as many examples.
#
# **What do you expect?** Attention can look at all coordinates from the first layer on, and Adam is not SGD. Will there be a plateau and a jump? A spike of single in-support coordinates?

# %%
often = dataclasses.replace(recipe.teacher, save_every=20, eval_examples=1024, probe_examples=4096)
teacher_run = often.train(seeds=seeds)
teachers = teacher_run.trajectory
curriculum = often.curriculum(teachers)
first = often.first_checkpoints(teachers, curriculum).set_index("seed")
peaks = first["step"].to_dict()  # seed → step

# %%
plots.teacher_figure(teacher_run.history, curriculum)
plt.show()

# %% [markdown]
# Above: a teacher each. Below: correlations of $p(y{=}1\,|\,x)$ with single coordinates, the mean inside and outside the support; bands go from the smallest to the largest of a group. The dotted line is the noise floor: one standard deviation of such an estimate where the true correlation is 0.

# %% tags=["nbval-ignore-output"]
accuracies = teacher_run.history.set_index(["seed", "step"])["accuracy"]
levels, late = {}, {}
for seed, of_seed in curriculum.groupby("seed"):
    of_steps = correlation_levels(of_seed)
    levels[seed], late[seed] = of_steps.loc[peaks[seed]], of_steps.loc[teachers.final, "inside"]
levels, late = pd.DataFrame(levels).T, pd.Series(late)
at_peak = {seed: accuracies[seed, peaks[seed]] for seed in seeds}
table = levels.assign(
    peak=peaks, chance=first["chance"], accuracy_there=at_peak, inside_at_the_end=late
)
table.rename_axis("seed").round(4)

# %% tags=["nbval-ignore-output"]
ends = accuracies.xs(teachers.final, level="step")
seen = Thresholds()
seen.add("accuracy at the end, lowest of three", ends.min(), at_least=0.99)
seen.add("at the peak: inside / outside, lowest", levels["ratio"].min(), at_least=3)
seen.add("at the peak: chance, largest", first["chance"].max(), at_most=0.05)
seen.add("inside, at the end / at the peak, largest", (late / levels["inside"]).max(), at_most=0.5)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# A plateau, short for seeds 0 and 1 and long for seed 2, a jump, and a spike during the jump, from another architecture and another optimizer. (*Chance* is the share of random groups of three coordinates that stand out at some checkpoint as far as the support does. The peak is chosen as the largest difference, so a ratio above 1 there is no surprise; chance takes that into account.) At the end the in-support correlations are below the noise floor.
#
# ### A student in plain PyTorch
#
# A Transformer that reads a parity, and a loop that trains it on whatever target it is given:


# %%
class Reader(nn.Module):
    """Token ids (n, 20) → logits (n, 2), read at the last position."""

    def __init__(self, length=20, width=16, heads=2):
        super().__init__()
        self.tokens = nn.Embedding(2, width)
        self.positions = nn.Parameter(torch.randn(length, width))
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.out = nn.Linear(width, 2)

    def forward(self, ids):
        hidden = self.blocks(self.tokens(ids) + self.positions)  # (n, 20, 16)
        return self.out(hidden[:, -1])


# %%
def learn(target, *, steps=600, seed=1):
    """target: (step, ids, labels) → classes (64,). Returns [(step, held-out accuracy), …]."""
    torch.manual_seed(seed)
    rng, student, curve = np.random.default_rng(seed), Reader(), []
    x_new, y_new = map(torch.from_numpy, task.sample(np.random.default_rng(99), 2048))
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    for step in range(1, steps + 1):
        ids, labels = map(torch.from_numpy, task.sample(rng, 64))  # (64, 20), (64,)
        loss = nn.functional.cross_entropy(student(ids), target(step, ids, labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            with torch.no_grad():
                curve.append((step, (student(x_new).argmax(-1) == y_new).float().mean().item()))
    return curve


# %% [markdown]
# This is all that `train` does, once per seed. Under (2, T) the target is the answer of $C_1$ for 300 updates, and then that of the final teacher:

# %%
c1, final = teachers.of(1).at(peaks[1]), teachers.of(1).at(teachers.final)


def two_shot(step, ids, labels):
    """The answers of C₁, later of the final teacher; the labels are not used."""
    teacher = c1 if step <= 300 else final
    with torch.no_grad():
        return teacher(ids[None])[0].argmax(-1)  # temperature 0


plain = {
    "(2,T)": learn(two_shot),
    "cross-entropy": learn(lambda step, ids, labels: labels),
}

# %%
fig, ax = plt.subplots(figsize=(7, 3))
for name, curve in plain.items():
    ax.plot(*zip(*curve, strict=True), label=name, color=plots.METHOD_COLOURS[name])
ax.axvline(300, color="0.5", linestyle=":", label="C₁ is replaced")
ax.set(xlabel="student's step", ylabel="held-out accuracy", ylim=(0.44, 1.02))
ax.set(title="One student each, plain PyTorch, teacher of seed 1")
ax.legend(frameon=False)
plt.show()

# %% tags=["nbval-ignore-output"]
ending = {name: curve[-1][1] for name, curve in plain.items()}
seen = Thresholds()
seen.add("(2,T) after 600 updates", ending["(2,T)"], at_least=0.9)
seen.add("labels after 600 updates", ending["cross-entropy"], at_most=0.7)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# (Temperature 0: the target is the teacher's answer. In this run the student's accuracy stays at chance while $C_1$ teaches, although $C_1$ itself is right more often than that; what it gained shows only when the final teacher takes over.)
#
# One student is an anecdote. The recipe has run the four supervisions of lesson 3 for six seeds of teacher and student, 3600 updates at most, at one learning rate for all (`data/runs/transformer-progressive`; 12 minutes on one core).
#
# **Predict.** The teachers needed some hundred updates. Of six students, how many will learn by each supervision? Put your numbers in; they will be shown beside the measured ones.

# %%
guess = {"cross-entropy": None, "one-shot": None, "progressive": None, "(2,T)": None}

# %%
RECOMPUTE = False  # True: train teachers and students of all six seeds again

if RECOMPUTE:
    kept = Path("transformer-progressive")
    recipe.run(seeds=6, out=kept, resume=True).save(kept)
else:
    kept = data_path("runs/transformer-progressive")
history, found = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "by_seed.csv")
methods = list(guess)
fig, axes = plt.subplots(1, 4, figsize=(11, 2.9), sharey=True)
for ax, method in zip(axes, methods, strict=True):
    rows = history[history.method == method]
    plots.accuracy_by_seed(rows, colour=plots.METHOD_COLOURS[method], ax=ax)
    ax.axvline(recipe.steps, color="0.5", linestyle=":")
    ax.set(title=method, xlim=(0, 1.05 * recipe.steps), xlabel="step")
    ax.set(ylabel="held-out accuracy" if ax is axes[0] else "")
fig.suptitle("One line per seed (training ends when all six have 99 %); dotted: the budget")
fig.tight_layout()
plt.show()

# %%
table = found.pivot(index="method", columns="seed", values="steps").astype("Int64").loc[methods]
counts = {"learned, of six": table.notna().sum(axis=1), "your guess": pd.Series(guess)}
table.assign(**counts)  # updates to 95 %; <NA>: not within 3600

# %%
steps = table.T.astype(float).fillna(np.inf)  # seed × method; inf: never within the budget
labels, stepwise = steps["cross-entropy"], steps["progressive"]
pairs = {
    "faster than labels": (stepwise < labels).sum(),
    "slower": (stepwise > labels).sum(),
    "neither within the budget": (np.isinf(stepwise) & np.isinf(labels)).sum(),
}
print("progressive, paired by seed:", {name: int(count) for name, count in pairs.items()})
reached = np.isfinite(steps).sum()
seen = Thresholds()
seen.add("(2,T): students that learned, of six", reached["(2,T)"], at_least=6)
seen.add("(2,T): slowest of six, in updates", steps["(2,T)"].max(), at_most=600)
ratio = (steps["(2,T)"] / np.minimum(stepwise, labels).clip(upper=recipe.steps)).max()
seen.add("(2,T) / the faster of progressive and labels, largest", ratio, at_most=0.8)
seen.add("progressive: students that learned", reached["progressive"], at_least=3, at_most=5)
seen.add("labels: students that learned", reached["cross-entropy"], at_most=3)
apart = (steps["one-shot"] != labels).sum()
seen.add("one-shot and labels: seeds at which the two differ", apart, at_most=0)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# - **(2, T)**: all six learn, within 300 to 450 updates. ($T$ is 300. Unlike the single student above, four of six are above 0.55 by then, and seed 2 has learned.) ($C_1$ was the peak among checkpoints 50 updates apart. Section 3 has a case in which the peak was *not* a good choice.)
# - **Labels**: two of six learn within the budget. **One-shot** does what labels do, seed by seed, as in lesson 3.
# - **Progressive**: four of six learn. Compared with labels pair by pair, progressive is faster for seeds 0, 1 and 4 and *slower* for seed 3; for seeds 2 and 5 neither learns within the budget. A fair coin gives three or four of four once in three times (two-sided $p = 0.62$). So these six seeds do not show that progressive is faster than labels. The paper's progressive Transformer jumps with its teacher 📄; ours go through the checkpoints four times more slowly than their teacher did ($v = \tfrac14$). That was chosen after a trial: at $v = 1$ none of three students learned (not among the stored runs; a comment in `pdtutor/recipes/parity_transformers.py` says so).
#
# Seeds 0 to 2 are those on which sizes and rates were chosen, 3 to 5 are fresh. In each half, three of three learn by (2, T), two by progressive, one from labels.
#
# ## 2 A tree of parities
#
# Sparse parity has one thing to learn. What if there are several? In *hierarchical parity* every inner node of a binary tree owns $k$ coordinates. Their product sends the input left ($+1$) or right ($-1$), from the root down, and the label is the leaf where it ends: 8 labels at depth 3, from seven hidden parities. (`pdtutor/tasks/hierarchical.py`)
#
# **Exercise 2.** The label of hierarchical parity. Nodes are numbered level by level from the root, 0; below node $v$ are $2v+1$ (left) and $2v+2$ (right). A parity of $+1$ sends the input left, and the leaves are numbered from left to right, from 0.


# %%
def tree_label(parities, depth):
    """parities: ±1 of every node, (2^depth − 1,) → the leaf, 0 … 2^depth − 1."""
    ...


checks.tree_label(tree_label)

# %% [markdown]
# The root's parity decides between the left four and the right four labels for *every* input. A node of the lowest level matters for a quarter of the inputs, and decides between two labels.
#
# **What do you expect** a teacher to learn first, and last? Will the seven parities be learned one by one, or several at once? Will each have a spike?

# %%
tree = recipes.recipe("hierarchical-teacher", "laptop")
tree_task = tree.task()
print(f"(d, k, depth) = {tree.d, tree.k, tree.depth}: {tree_task.classes} labels")
for node, support in enumerate(tree_task.supports):
    print(f"node {node}: coordinates", *support)

# %%
tree_run = tree.train(seeds=seeds)
nodes = tree.nodes(tree_run.trajectory)

# %%
plots.nodes_figure(tree_run.history, nodes)
plt.show()

# %% [markdown]
# Top: the teacher's accuracy on the label, with a thin line at every eighth. Middle: each node's decision, among the inputs that pass the node, and its correlation with the node's own parity; ½ is perfect. Bottom: the same decision's correlation with *single coordinates* of the node, the mean of four. A line per node. Dotted: the same for coordinates that no node owns, at the deepest nodes; in the middle row *products* of four of them, in the bottom row single ones.
#
# In numbers: when does each node's transition begin (correlation with its parity 0.05), when is it half learned (0.25), when done (0.45)? Where does its spike lie, and how often does a random group of four coordinates stand out as far (*chance*)?

# %%
own = nodes[nodes.inside & (nodes.degree == tree.k)]
own = own.pivot(index="step", columns=["seed", "node"], values="value")
spikes = recipes.hierarchical.spikes(nodes[nodes.degree == 1]).set_index(["seed", "node"])
progress = node_steps(nodes).set_index(["seed", "node"]).rename(columns={"step": "half"})
progress["begins"], progress["done"] = (own >= 0.05).idxmax(), (own >= 0.45).idxmax()
progress["spike"], progress["chance"] = spikes["peak_step"], spikes["chance"]
by_node = progress[["depth", "begins", "half", "done", "spike", "chance"]]

# %% tags=["nbval-ignore-output"]
by_node.sort_values(["seed", "half"]).round(3)

# %%
single = nodes[nodes.inside & (nodes.degree == 1)]
single = single.groupby(["step", "seed", "node"])["value"].mean().unstack(["seed", "node"])
sooner, overlaps, after = 0, 0, []
for seed in seeds:
    rows = by_node.loc[seed]
    parents = [rows.half[(node - 1) // 2] for node in range(1, 7)]
    sooner += sum(rows.half[node] < parents[node - 1] for node in range(1, 7))
    ordered = rows.sort_values("half")
    overlaps += (ordered.begins.shift(-1) < ordered.done).sum()  # the next begins before it ends
    for node, row in rows[rows.chance <= 0.05].iterrows():
        of_node = single[seed, node]
        after.append(of_node[row.done] / of_node[row.spike])
real = by_node[by_node.chance <= 0.05]
length = (by_node.done - by_node.begins).median()

# %% tags=["nbval-ignore-output"]
seen = Thresholds()
seen.add("nodes that were learned, of 21", by_node.half.notna().sum(), at_least=21)
seen.add("nodes half learned before their parent, of 18", sooner, at_most=1)
seen.add("successive transitions that overlap, of 18", overlaps, at_least=4)
seen.add("spikes that are more than chance, of 21", len(real), at_least=9)
before = (real.spike <= real.half).mean()
seen.add("of these: share no later than half learned", before, at_least=0.8)
seen.add("of these: single coordinates, when done / at the spike", np.median(after), at_most=0.5)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# (Of 21 spikes without meaning, about one would have a chance of at most 5 %. Random groups are drawn from the node's four coordinates and the eight that nobody owns, so chance can't be small for a faint spike. And an order of seven nodes at random, without ties, has no child before its parent in one case of 63.)
#
# - **From the root down.** No node is half learned at an earlier checkpoint than its parent; teacher 0's node 2 is level with the root, and even begins one checkpoint before it. That is less than "level by level", since subtrees go at their own pace: teacher 0 begins node 6, a grandchild of the root, before node 1, the root's other child.
# - **Often several at once.** A transition lasts some 1500 updates, and in 10 of the 18 successions the next node begins before the one before it is done. Some are half learned at the same checkpoint. This is also why accuracy climbs in uneven stairs.
# - **13 of 21 nodes have a spike that is more than chance**, all of them no later than when the node is half learned. When the node is done, its single coordinates are back at 0.17 of that height, in the median. After that only sampling noise is left (the flat lines at the end). Spikes of different nodes can coincide: teacher 1's nodes 1 and 2 peak at the same checkpoint. (The largest difference of teacher 1's root, at step 250, is noise: 85 % of random groups do as well.)
#
# ### One checkpoint for seven parities?
#
# So here is a curriculum of several parts, which no single checkpoint shows. What does that mean for (2, T), with its one $C_1$? **Decide before you run the next cells: will (2, T) still be faster than progressive? Than labels?** The recipe `hierarchical-progressive` has six seeds of teacher and student, all at the learning rate 0.3 (two minutes of CPU time; `data/runs/hierarchical-progressive`). Its $C_1$ is the checkpoint at which single coordinates stand out most over all nodes together. It teaches for $T = 1000$ updates.

# %%
tree_recipe = recipes.recipe("hierarchical-progressive", "laptop")
kept = data_path("runs/hierarchical-progressive")
tree_history, tree_nodes = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "nodes.csv")
tree_found = pd.read_csv(kept / "by_seed.csv")
plots.node_steps_figure(tree_history, tree_nodes, budget=tree_recipe.steps)
plt.show()

# %% [markdown]
# Above: accuracy, the median of six seeds and a band from the lowest to the highest (cut off at 0.45; chance is ⅛); labels and one-shot coincide. A narrow dip of a band's lower edge is a student or two that lose accuracy for an evaluation or two, and regain it. Below: a dot per node and seed, where that node was half learned (hollow: not within 30 000 updates).

# %%
tree_table = tree_found.pivot(index="method", columns="seed", values="steps").loc[methods]
tree_table.astype("Int64")  # updates to 95 %; <NA>: not within 30 000

# %%
tree_steps = tree_table.T.astype(float).fillna(np.inf)  # seed × method
tree_ratio = tree_steps["progressive"] / tree_steps["cross-entropy"]
learned = tree_nodes.pivot(index=["seed", "node"], columns="method", values="step")
learned = learned.fillna(np.inf)  # (seed, node) × method
early = (learned <= 4000).groupby("seed").sum()  # nodes known after 4000 updates
c1_steps = tree_history[tree_history.method == "(2,T)"].groupby("seed")["teacher_step"].min()
known = learned["teacher"] <= learned.index.get_level_values("seed").map(c1_steps)
summary = pd.DataFrame(
    {
        "C₁": c1_steps.astype(int),
        "nodes that C₁ knows": known.groupby("seed").sum(),
        "(2,T): nodes by 4000": early["(2,T)"],
        "progressive: by 4000": early["progressive"],
        "labels: by 4000": early["cross-entropy"],
    }
)
summary.T

# %%
not_faster = (tree_steps["(2,T)"] >= tree_steps["cross-entropy"]).sum()
seen = Thresholds()
seen.add("progressive / labels, steps to 95 %, largest of six", tree_ratio.max(), at_most=0.95)
seen.add("progressive: learned, of six", np.isfinite(tree_steps["progressive"]).sum(), at_least=6)
seen.add("(2,T): learned, of six", np.isfinite(tree_steps["(2,T)"]).sum(), at_most=4)
seen.add("(2,T): seeds for which it is not faster than labels", not_faster, at_least=5)
ahead = (early["(2,T)"] - early["cross-entropy"]).median()
seen.add("nodes by 4000 updates, (2,T) − labels, median", ahead, at_least=1)
node_by_node = (learned["progressive"] < learned["cross-entropy"]).sum()
seen.add("progressive: nodes learned before labels, of 42", node_by_node, at_least=32)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# - **Progressive** is faster than labels for six of six seeds, by 9 to 49 %, and for 36 of 42 nodes (one is a tie).
# - **(2, T) starts well** for five of six seeds: after 4000 updates, 3000 of them with the final teacher, its students know four to six nodes, those trained on labels one or two (seed 0 is behind, 2 against 3). But it **does not finish**: three of six don't reach 95 % in 30 000 updates, two are slower than labels, and one is level. After $C_1$ they have a finished teacher, whose answers are the labels. For four seeds the last node is one that $C_1$ did not know yet; for seeds 0 and 5 $C_1$ knew it, and the student did not take it over. Why this takes longer than labels from the start, these runs don't show.
#
# For a single parity the right checkpoint was enough (lesson 3). Where the teacher learns one group of things after the other, the student does better to be there each time. All of this at one learning rate; exercise 3 is about another.
#
# **Exercise 3: test a hypothesis** (no checker). "Progressive is faster than labels on the tree, whatever the learning rate." Write down what you expect at 0.6, then run `dataclasses.replace(tree_recipe, lr=0.6)` for three seeds (one to two minutes of CPU time; the rate is the students' alone). And how many checkpoints does a student need, and which? `pdtutor.n_shot` and `explicit` build schedules of three and more; `node_steps` knows when each node is learned. The solutions have a discussion.
#
# ## 3 Which checkpoint?
#
# Until now we chose $C_1$ where in-support correlations peak. That takes the support, which nobody knows before the task is solved. What could *you* do, with a teacher of your own?
#
# Lesson 3 showed when a checkpoint helps: mostly while the teacher is on its way. Before the transition it says little about the function to come, after it nothing but that. So ask each checkpoint how far it agrees with the *final* one, corrected for chance:
#
# $$\text{agreement}_t = 1 - \frac{\mathbb{E}_x\,\mathrm{TV}\big(p_t(x),\, p_T(x)\big)}{\mathbb{E}_x\,\mathrm{TV}\big(\bar p_T,\, p_T(x)\big)},$$
#
# 1 for the final checkpoint and 0 for one that knows only how often each class comes up. ($\bar p_T$ is the mean of the final predictions over $x$.) Then take the checkpoint at which it first reaches **a quarter**, or the one before that if it is nearer. Only inputs are needed, no labels. If the transition falls between two checkpoints there may be none that is near a quarter; then `choose_step` says so rather than name a bad one (`pdtutor/probes/choose.py`).
#
# **Exercise 4.** Write the agreement. A row of `p` and `final` is one input's probabilities.


# %%
def agreement(p, final):
    """(n, classes) twice → 1 − E TV(p, final) / E TV(mean of final, final)."""
    ...


checks.agreement(agreement)

# %% [markdown]
# On the three Transformers of section 1:

# %%
inputs, _ = held_out(task, 2048, seed=1)
scores = checkpoint_table(teachers, inputs)  # a row per checkpoint and seed
chosen = {seed: choose_step(rows) for seed, rows in scores.groupby("seed")}

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True)
for ax, (seed, rows) in zip(axes, scores.groupby("seed"), strict=True):
    ax.plot(rows["step"], rows["agreement"], label="agreement")
    ax.plot(rows["step"], rows["movement"], label="movement")
    ax.axvline(chosen[seed], color="black", linestyle=":", label="chosen: first at a quarter")
    ax.axvline(peaks[seed], color=plots.INSIDE, linestyle="--", label="peak of correlations")
    ax.set(title=f"Transformer teacher, seed {seed}", xlabel="teacher's step")
fig.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncol=4, frameon=False)
fig.tight_layout(rect=(0, 0.09, 1, 1))
plt.show()

# %% [markdown]
# (The vertical axis is for both curves: agreement, and *movement*, the mean TV from a checkpoint's predictions to those of the checkpoint before. The dotted line is the rule's choice, nearest to a quarter; for seed 1 that is the checkpoint just before the quarter, and the two vertical lines coincide. Movement may have been your first idea, as it was ours. But on the plateau predictions move, too, and go nowhere: here the largest movement is the very first.)
#
# ### Does the rule hold elsewhere?
#
# The quarter was chosen on (30, 6) at batch 32, by looking. Then it was left alone and tried on four settings that it had not seen: other problems, batch sizes, widths, and Adam, three teachers each, and each $C_1$ with two students (recipe `parity-choose-checkpoint`, `data/runs/parity-choose-checkpoint`). Rivals, and what they need:
#
# - *agreement*: first at a quarter. Inputs.
# - *loss*: the same quarter of the way, but of the held-out loss. Labels.
# - *steepest*: the largest gain in agreement. *movement*: the largest movement. Inputs.
# - *correlation*: where in-support correlations exceed the others most. The hidden support.
# - *best*: the best checkpoint of the whole sweep, found by training students from all. (It is partly best by luck, so everything else looks a little worse than it is.)
# - *median*: a checkpoint of median rank in that sweep: **chance**. *one-shot*: no $C_1$.
#
# **Which rule do you expect to win? How far behind will those be that don't know the support?**

# %%
kept = data_path("runs/parity-choose-checkpoint")
by_teacher = pd.read_csv(kept / "by_seed.csv")
plots.choose_figure(pd.read_csv(kept / "students.csv"), by_teacher)
plt.show()

# %% [markdown]
# Above: students by how far their $C_1$ agrees with the final checkpoint; the dotted line is the quarter; hollow: not learned within the budget. Below: steps with each rule's $C_1$, as a multiple of the best checkpoint's (dotted: 1; the axis is logarithmic), a dot per teacher; hollow if not both students learned.
#
# Two things to be careful about when we count.
#
# - **What is an independent teacher?** The last two columns have *the same* three teachers: the column $T = 900$ was added after we had seen $T = 300$. So there are twelve teachers in settings that the rule had not seen, not fifteen, and each counts once, with the $T$ that was planned.
# - **What about students that never learned?** They count as the budget, and a mean over two students contains them. Where a rule's students failed, its multiple is therefore too low; for Adam, $T = 300$, some of the best checkpoint's students fail as well, so multiples there say little. So look at how many learned, too.

# %%
settings = list(dict.fromkeys(by_teacher["setting"]))
twelve = by_teacher[by_teacher["setting"].isin(settings[1:5])]
rules = list(dict.fromkeys(twelve["rule"]))
steps_by_rule = twelve.pivot(index=["setting", "seed"], columns="rule", values="steps")[rules]
multiple = steps_by_rule.div(steps_by_rule["best"], axis=0)


def sign_test(wins, losses):
    """The two-sided p-value that one of two rules is ahead in so many pairs (lesson 3)."""
    n, m = wins + losses, min(wins, losses)
    return min(1.0, 2 * sum(comb(n, i) for i in range(m + 1)) / 2**n)


rows = {}
for rule in rules:
    wins = int((steps_by_rule["agreement"] < steps_by_rule[rule]).sum())
    losses = int((steps_by_rule["agreement"] > steps_by_rule[rule]).sum())
    rows[rule] = {
        "students that learned, of 24": int(2 * twelve[twelve.rule == rule]["learned"].sum()),
        "median multiple of best": multiple[rule].median(),
        "largest": multiple[rule].max(),
        "agreement is faster": wins,
        "level": len(multiple) - wins - losses,
        "slower": losses,
        "p": sign_test(wins, losses) if rule not in ("agreement", "best") else np.nan,
    }
against = pd.DataFrame(rows).T
fractions = ["median multiple of best", "largest", "p"]
against.astype({name: int for name in against if name not in fractions}).round(3)

# %%
added = by_teacher[by_teacher["setting"] == settings[5]].set_index("rule")["learned"]
planned = by_teacher[by_teacher["setting"] == settings[4]].set_index("rule")["learned"]
for name, shares in {"T = 300": planned, "T = 900": added}.items():
    learned_here = {rule: int(2 * shares[rule].sum()) for rule in ("best", "agreement", "loss")}
    print(f"Adam, {name}: students that learned, of 6: {learned_here}")

# %% [markdown]
# - **Agreement is far better than chance**: faster than the median checkpoint for 11 of 12 teachers, level for one. It costs about 1.15 times the steps of the best checkpoint in the median. Among the nine teachers whose students all learned with it, the median is 1.24 and the largest 1.45; where some failed, the true multiple isn't known. (*median* and *one-shot* are level for all twelve: most checkpoints lie on the plateau or after the transition, and help no more than none. For nine of the twelve, no student learned with either.)
# - **Against the loss it is a tie.** The loss has the lower median and one more student that learned; pair by pair agreement is faster for five teachers, level for five, and slower for two. These data don't tell them apart. What speaks for agreement is not that it chooses better, but that it needs no labels. If you have labels, the loss will do.
# - **Against the rule that knows the support** it is ahead for 8 teachers and behind for 2. That is suggestive, and no more: $p = 0.11$.
# - **It can fail.** With Adam and $T = 300$, four of six students fail with it, and even with the *best* checkpoint two fail: 300 updates are too few to take over what $C_1$ has to offer. With $T = 900$ all six learn. The rule chooses the checkpoint; nobody chooses $T$ for you. And a rule for *one* checkpoint can't help where one isn't enough (section 2).
#
# ### How can the rule that knows the support do so badly?
#
# Look at where it goes wrong: at its choices, and at how often random groups of coordinates stand out as far.

# %%
of_support = twelve[twelve.rule == "correlation"].set_index(["setting", "seed"])
again = pd.read_csv(kept / "peaks.csv").set_index(["setting", "seed"])
again = again.rename(columns={"step": "again at"})
view = of_support[["checkpoint", "agreement", "accuracy", "learned"]].join(again)
view.assign(refused=view.chance > 0.05).round(3)

# %%
idle = view[view.agreement < 0.03]  # the teacher had hardly begun
refused = view[view.chance > 0.05]
accidents = multiple.index.isin(refused.index.intersection(idle.index))
mended = multiple["correlation"].where(~accidents, multiple["agreement"])
seen = Thresholds()
seen.add("peaks at which the teacher had not begun, of 12", len(idle), at_least=3)
seen.add("their students that learned, share", idle.learned.mean(), at_most=0.6)
seen.add("of these peaks, how many peak_step refuses", (idle.chance > 0.05).sum(), at_least=3)
seen.add("refused though the teacher was on its way", (refused.agreement >= 0.03).sum(), at_most=1)
of_mended = "the three refused on the plateau, by agreement instead: median multiple"
seen.add(of_mended, mended.median(), at_most=1.5)
seen.add("the same: largest multiple", mended.max(), at_most=2.5)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# For four of twelve teachers the largest difference lies on the plateau, where the teacher is right half of the time and its agreement is below 0.01. For three of these, random groups of coordinates stand out as far in 11 to 23 % of cases: an accident of early weights, which happened to be larger than the true spike; later in the transition the difference was 0.013, 0.016 and 0.037, against 0.021, 0.022 and 0.038 here (`history.csv` of the recipe). This rule takes any peak. `peak_step` no longer does: it refuses those that chance explains (chance above 5 %), these three among them. It doesn't see the fourth, at 0.9 %, and it refuses one true spike, at 31 %, since with few coordinates a faint one can't be told from chance. Choosing by agreement in the three cases brings the largest multiple down from 4.58 to 2.02 and the median from 1.45 to 1.27 (agreement everywhere: 1.45 and 1.15). So noise explains its largest multiple, and more than half of the gap in the median (1.45 to 1.27, of 1.15). It does not explain Adam's seed 2, whose two students both failed (as they did by agreement). The recipes keep a refused peak if the teacher is on its way there by its agreement, and else choose by agreement (`first_checkpoints`). (The column *chance* was computed later, on teachers trained again from the same seeds. Their peaks are in the column *again at*; one of the twelve is at another step.)
#
# ### Live
#
# Finally, on models that the rule had not seen either, the three Transformers of section 1: a $C_1$ chosen by agreement against one at the peak of in-support correlations; the peaks of all three passed the test of chance. The budget is 1000 updates.

# %%
by_rule = recipe.compare(
    {
        "C₁ by agreement": lambda seed: recipe.two_shot(teachers.of(seed), chosen[seed]),
        "C₁ at the peak": lambda seed: recipe.two_shot(teachers.of(seed), peaks[seed]),
    },
    seeds=seeds,
    steps=1000,
)
live = by_rule.results(threshold=recipe.threshold)
live = live.pivot(index="seed", columns="method", values="steps")

# %% tags=["nbval-ignore-output"]
at_c1 = scores.set_index(["seed", "step"])["agreement"]
live.assign(
    **{
        "chosen": chosen,
        "peak": peaks,
        "agreement at the peak": [round(at_c1[seed, peaks[seed]], 2) for seed in seeds],
    }
)

# %% tags=["nbval-ignore-output"]
seen = Thresholds()
number = live["C₁ by agreement"].notna().sum()
seen.add("C₁ by agreement: students that learned, of three", number, at_least=3)
seen.add("C₁ at the peak: students that learned", live["C₁ at the peak"].notna().sum(), at_least=1)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# All three learn with a $C_1$ chosen without the support. (`<NA>`: not within 1000 updates. When this was run, the student of seed 0 did not learn with the checkpoint at the peak, at an agreement of 0.75. Lateness alone does not explain it: seed 2's peak is as late (0.73), and its student was faster (300 updates) than by agreement (400). In section 1, with checkpoints every 50, the peak served that seed well. Three teachers are too few to say more than that the rule works here as well.)
#
# ## 4 What we saw, and what the paper reports


# %% jupyter={"source_hidden": true}
def shown(number):
    """A number of steps, in words where it was not reached."""
    return f"{number:,.0f}" if np.isfinite(number) else "not within the budget"


e2 = paper("E2")  # 📄
jump = e2[e2.method == "progressive"]["value"].iloc[0] / 1e6
end = e2[e2.method == "one-shot"]["at"].iloc[0] / 1e6
claims = Claims()
p = sign_test(int(pairs["faster than labels"]), int(pairs["slower"]))
claims.add(
    "Transformers: progressive is faster than labels, seed by seed",
    paper=f"jumps at ≈ {jump:.1f}M examples; labels stay at accuracy ≈ 0.5 "
    f"up to {end:.0f}M examples",
    measured=f"faster for {pairs['faster than labels']} of 6 seeds, slower for {pairs['slower']}, "
    f"neither within the budget for {pairs['neither within the budget']}; learned: progressive "
    f"{reached['progressive']}, labels {reached['cross-entropy']} of 6",
    spread=f"sign test p = {p:.2f}",
    chance="half of the pairs",
    seeds=6,
    holds=bool(pairs["faster than labels"] == 6),
    partly=bool(p <= 0.2 and pairs["faster than labels"] > pairs["slower"]),
)
claims.add(
    "Transformers: one-shot is no faster than labels",
    paper=f"both stay at accuracy ≈ 0.5 up to {end:.0f}M examples",
    measured=f"the same steps for {6 - apart} of 6 seeds; {reached['one-shot']} of 6 learn within "
    f"{recipe.steps:,} updates",
    seeds=6,
    holds=bool(apart == 0),
)
shares = steps["(2,T)"] / np.minimum(stepwise, labels).clip(upper=recipe.steps)
claims.add(
    "Transformers: (2,T) is faster than progressive and than labels, seed by seed",
    measured=f"{(shares < 1).sum()} of 6 seeds; median {shown(steps['(2,T)'].median())} updates, "
    f"progressive {shown(stepwise.median())}, labels {shown(labels.median())}",
    spread="(2,T)'s steps / those of the faster of the two (or the budget): "
    f"{shares.min():.2f} to {shares.max():.2f}",
    chance="1",
    seeds=6,
    holds=bool((shares < 1).all()),
    partly=bool((shares < 1).sum() >= 5),
)
claims.add(
    "at its transition a Transformer leans on in-support coordinates at least 3 times as much "
    "as on others",
    measured=f"inside / outside {levels['ratio'].min():.1f} to {levels['ratio'].max():.1f}; "
    f"inside, at the end / at the peak, at most {(late / levels['inside']).max():.3f}",
    chance=f"1; a random group stands out as far in at most {first['chance'].max():.1%} of cases",
    seeds=3,
    holds=bool((levels["ratio"] >= 3).all() and (first["chance"] <= 0.05).all()),
)
claims.add(
    "a teacher of hierarchical parity learns no node before its parent",
    measured=f"{18 - sooner} of 18 nodes not before their parent; median transition "
    f"{length:,.0f} updates, {overlaps} of 18 successions overlap",
    chance="1 teacher in 63, without ties",
    seeds=3,
    holds=bool(sooner == 0),
    partly=bool(sooner <= 2),
)
claims.add(
    "hierarchical parity, rate 0.3 for all: progressive is faster than labels, seed by seed",
    measured=f"{(tree_ratio < 1).sum()} of 6 seeds; median ratio {tree_ratio.median():.2f}",
    spread=f"{tree_ratio.min():.2f} to {tree_ratio.max():.2f}",
    chance="1",
    seeds=6,
    holds=bool((tree_ratio < 1).all()),
    partly=bool((tree_ratio < 1).sum() >= 5),
)
ties = (tree_steps["(2,T)"] == tree_steps["cross-entropy"]).sum()
never_learned = np.isinf(tree_steps["(2,T)"]).sum()
claims.add(
    "hierarchical parity, rate 0.3 for all: (2,T) is slower than labels, seed by seed",
    measured=f"slower for {not_faster - ties} of 6 seeds, {never_learned} of them not within "
    f"{tree_recipe.steps:,} updates; level for {ties}",
    chance="half of the seeds",
    seeds=6,
    holds=bool(not_faster - ties == 6),
    partly=bool(not_faster >= 5),
)
for rule, statement in {
    "median": "C₁ by agreement is better than a checkpoint of median rank",
    "loss": "C₁ by agreement is better than by the loss, which needs labels",
    "correlation": "C₁ by agreement is better than by the largest in-support correlations",
}.items():
    row = against.loc[rule]
    claims.add(
        f"{statement}, p ≤ 0.05",
        measured=f"faster for {row['agreement is faster']:.0f}, level for {row['level']:.0f}, "
        f"slower for {row['slower']:.0f} of 12 teachers; median multiple of the best "
        f"{multiple['agreement'].median():.2f}, by the other rule {multiple[rule].median():.2f}",
        spread=f"p = {row['p']:.3f}",
        chance="as often faster as slower",
        seeds=12,
        holds=bool(row["p"] <= 0.05 and row["agreement is faster"] > row["slower"]),
        partly=bool(row["p"] <= 0.2 and row["agreement is faster"] > row["slower"]),
    )
taught = against["students that learned, of 24"].astype(int)
both = twelve.pivot(index=["setting", "seed"], columns="rule", values="learned") == 1
within = ((multiple <= 1.5) & both).sum()  # teachers, by rule
sound = multiple["agreement"][both["agreement"]]  # where both students learned
claims.add(
    "in new settings, C₁ by agreement costs at most 1.5 times the best, and all students learn",
    measured=f"{within['agreement']} of 12 teachers; {taught['agreement']} of 24 students learn, "
    f"with the best checkpoint {taught['best']}",
    spread=f"multiple where both learn: median {sound.median():.2f}, largest {sound.max():.2f}",
    chance=f"median checkpoint: {within['median']} of 12; {taught['median']} of 24 students",
    seeds=12,
    holds=bool(within["agreement"] == 12),
    partly=bool(within["agreement"] > 6),
)

# %% tags=["nbval-ignore-output"]
claims

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
claims.verdicts()

# %% [markdown]
# *Partly*: $p \le 0.2$ or, where there is no $p$, most seeds or teachers.
#
# Where ours differs from the paper: its Transformers are larger, on (100, 6), and its progressive student learns with its teacher at $v = 1$; ours goes four times more slowly, and in two of six cases it does not learn within 3600 updates. The paper's students trained on labels stay at chance for 8 million examples 📄; ours had 230 400, on a much easier problem, and two of six learned. All students of one experiment share one learning rate; lesson 3, section 7, shows how much that can matter. The paper's appendix has hierarchical parity, too; we have read no numbers off it, so there is nothing to compare with here.
#
# ## What to read next
#
# - Barak et al. 2022, *Hidden progress in deep learning: SGD learns parities near the computational limit*: parities by several architectures, Transformers among them.
# - Abbe, Boix-Adserà and Misiakiewicz 2023, *SGD learning on neural networks: leap complexity and saddle-to-saddle dynamics*: why targets are learned one step after the other.
# - Cho and Hariharan 2019, *On the efficacy of knowledge distillation*: an early hint that a teacher stopped early teaches better.
