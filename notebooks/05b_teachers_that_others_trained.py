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
# # 5b · Teachers that others trained
#
# So far every teacher was our own. Now the teacher is somebody else's: a set of checkpoints in folders, or on the Hugging Face hub. First the whole thing in 22 lines of PyTorch and `transformers`, then the same through `pdtutor`, then what goes wrong in practice: checkpoints that are not what they say, teachers that cost more than their students, batches that are shared by several devices.

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/05b_teachers_that_others_trained.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/05b_teachers_that_others_trained.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/05b_teachers_that_others_trained.ipynb)

# %% [markdown]
# **You will learn**
#
# - to write progressive distillation from checkpoint folders, in plain PyTorch and `transformers`;
# - what goes wrong in such a loop, and how to find it;
# - to distil from published families (MultiBERTs, Pythia) or from your own folders;
# - to check whether checkpoints are what their names say;
# - to keep a teacher's answers on disk, $k$ classes per token, and what is lost by that;
# - what has to be summed when several devices share a batch.
#
# **You need** lesson 3 up to section 4 (the distillation loss, schedules, the plain loop), and from lesson 4 what masked prediction is. No GPU: what is compared number by number runs on the CPU. Section 7 has a cell for one.
#
# **Where in the paper** In section 4.3 and the appendix of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025), BERTs are distilled on Wikipedia and books; no code was released for that. This lesson is about tools. Whether checkpoints help on text is the question of lesson 5.
#
# **Whose numbers are whose** Everything here is computed in this notebook, with one small teacher. Nothing is read off the paper. What we know of published checkpoints is what the issues say that are named in section 5: **we have not run any of this with published checkpoints**.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | imports, text and a teacher (section 1; the first time, 2 MB are downloaded) | 15 s |
# | the loop, in plain PyTorch and through `pdtutor` (sections 2 and 3) | 10 s |
# | answers on disk (section 6) | 10 s |
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
import copy
import dataclasses
import hashlib
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from transformers import BertConfig, BertForMaskedLM

from pdtutor import (
    AdamW,
    Claims,
    Distill,
    MaskedText,
    Pretrained,
    Stored,
    Stream,
    Thresholds,
    checks,
    evaluate,
    held_out,
    local_family,
    multiberts,
    one_shot,
    plots,
    progressive,
    pythia,
    recipes,
    save_family,
    storage_table,
    store_targets,
    train,
)

plots.style()

# %% [markdown]
# ## 1 A teacher from elsewhere
#
# A published teacher is a set of checkpoints. Each is a folder, or a branch of a repository, with what `save_pretrained` of `transformers` writes: `config.json` says what the network is, `model.safetensors` holds its weights.
#
# A BERT-base is too much for two cores, so we make a stand-in: a BERT of one layer, 64 wide, trained for 480 updates to say which character of Shakespeare's is under a mask, and saved every 40 updates as `transformers` saves models (`save_family`). From then on we treat it as anybody's.

# %%
task = MaskedText("shakespeare", "characters", length=10, limit=300, rate=0.2)  # 300 scenes


def bert(width):
    """The configuration of a small BERT of transformers for this task, without dropout."""
    return BertConfig(
        vocab_size=task.classes,
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=task.length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


somebody = train(
    Pretrained(bert(64), objective="masked"),
    task,
    steps=480,
    batch_size=64,
    optimizer=AdamW(lr=5e-3, betas=(0.9, 0.95), decay="cosine", warmup=0.06),
    eval_every=240,
    save_every=40,
    device="cpu",
    progress=False,
)
folder = Path(tempfile.mkdtemp()) / "somebody"
save_family(somebody.trajectory, folder)
for path in sorted(folder.iterdir())[:3]:  # in alphabetical order
    print(path.name, "holds", *sorted(file.name for file in path.iterdir()))

# %%
teacher = local_family(folder, "masked", name="somebody's")
examples = held_out(task, 2000)  # inputs and labels, both (2000, 10); no training scene among them
rows = []
for step in (0, 40, 80, 160, 240, 320, 480):
    loss, accuracy = evaluate(teacher.at(step), *examples)
    rows.append({"step": step, "loss": loss.item(), "accuracy": accuracy.item()})
taught = pd.DataFrame(rows).set_index("step")
answers = examples[1][examples[1] >= 0]  # the characters under the masks
frequent = np.bincount(answers).max() / len(answers)

# %% tags=["nbval-ignore-output"]
print(f"the most frequent character, always: {frequent:.3f}")
taught.round(3)

# %% [markdown]
# At step 40 it is as accurate as always saying the most frequent character (0.183), and no more. To do better, as it does later, it must use what stands around the mask. It is far from done, and it is one teacher: enough to see whether the tools work, and far too little to say how well the method does.
#
# ## 2 The loop, in plain PyTorch and transformers
#
# This is all there is to it. At every update: which checkpoint teaches now? Open it if it is another one than before. Ask it about the batch. Bring the student nearer to its answer, where there are masks.


# %%
def distil(folder, student, batches, *, every, speed=1, lr=5e-3, temperature=1.0):
    """Train a student on batches (ids, labels); return its losses and who taught: one row each."""
    saved = sorted(int(path.name.removeprefix("step_")) for path in folder.glob("step_*"))
    optimizer = torch.optim.AdamW(student.parameters(), lr=lr, weight_decay=0)
    rows, taught_by = [], None
    for step, (ids, labels) in enumerate(batches):  # both (batch, length)
        target = speed * every * (1 + step // every)  # one interval ahead, for speed ≥ 1
        now = max(s for s in saved if s <= target)
        if now != taught_by:  # another checkpoint takes over
            teacher = BertForMaskedLM.from_pretrained(folder / f"step_{now}").eval()
            taught_by = now
        with torch.no_grad():
            logits = teacher(ids).logits / temperature  # (batch, length, classes)
        log_p = logits.log_softmax(-1)
        log_q = student(ids).logits.log_softmax(-1)
        kl = (log_p.exp() * (log_p - log_q)).sum(-1)  # (batch, length)
        loss = kl[labels != -100].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rows.append({"update": step, "teacher": now, "loss": loss.item()})
    return pd.DataFrame(rows).set_index("update")


# %% [markdown]
# The loss is $\mathrm{KL}(p_T\Vert p_S)$: $-\sum_c p_T \log p_S$ less the teacher's own entropy, which changes no gradient, so that a perfect student has a loss of 0. We take $\tau = 1$ here and not the paper's tiny $\tau$ ($10^{-4}$ or less), because section 6 is about what a teacher says beyond its first choice.
#
# The student is half as wide, and like its teacher a BERT of `transformers`; any masked model with the same ids would do. It has 240 updates for the teacher's 480, so $v = 2$, and $R = 40$. Dropout is off: we want to compare two runs number by number.

# %%
torch.manual_seed(0)
start = BertForMaskedLM(bert(32))  # the weights from which every student of seed 0 starts
every, speed, updates = 40, 2, 240

stream = Stream(task, batch_size=32, seeds=[0], purpose="student data")


def batches(updates):
    """The batches that `train` gives to a student of seed 0: pairs of ids and labels."""
    for update in range(updates):
        stretch = stream.stretch(update, update + 1)
        yield stretch.inputs[0, 0], stretch.labels[0, 0]


plain_student = copy.deepcopy(start)
plain = distil(folder, plain_student, batches(updates), every=every, speed=speed)

# %% tags=["nbval-ignore-output"]
plain.loc[[0, 1, 39, 40, 41, 239]].round(4)

# %% [markdown]
# **Predict.** At update 40 the loss is twice that of update 39, although the student goes on learning. Single batches vary about as much, so look at the figure in section 3 before you are sure that this is a jump. If it is one: why? And will the loss jump as high at each of the next four switches?
#
# **Exercise 1: find the bug.** Somebody wrote the rule like this. It works on their teacher at $v = 1$, which saved a checkpoint every $R$ steps. There are two mistakes in it; the paper's rule is in lesson 3 and in the documentation of `pdtutor.progressive`. For $v < 1$ it reads $(1 + \lfloor v \lfloor s/R\rfloor\rfloor)\,R$. (Fill in or mend the function and run its cell. The checker says ✓, or shows a case and a hint. Solutions: `notebooks/solutions/05b_teachers_that_others_trained.ipynb`.)


# %%
def latest_checkpoint(step, every, speed, saved):
    """student step, R, v, the saved steps (ascending, from 0) → the teacher's step. Mend it."""
    target = speed * every * (1 + step // every)
    return min(saved, key=lambda one: abs(one - target))


checks.latest_checkpoint(latest_checkpoint)


# %% [markdown]
# **Exercise 2: find the bugs.** `from_pretrained` returns a network in eval mode. Somebody who builds the network and loads its weights with `load_state_dict` gets one in train mode, and published BERTs have a dropout of 0.1. The student learns all the same, only from a teacher that mumbles. There is a second mistake, which costs memory.


# %%
def teacher_answers(network, ids, temperature):
    """network: ids (batch, length) → logits (batch, length, classes). Return log p at τ. Mend it."""
    logits = network(ids)
    return (logits / temperature).log_softmax(-1)


checks.teacher_answers(teacher_answers)

# %% [markdown]
# ## 3 The same through pdtutor
#
# The folder becomes a trajectory, the rule a schedule, and the loop is `train`. To compare, the student starts from the same weights; it gets the same batches because it has the same seed.

# %%
schedule = progressive(every, speed=speed)
schedule.table(teacher, steps=updates)


# %%
def a_student(seed=0):
    """A model of pdtutor around the same network; with seed 0, from the weights of `start`."""
    student = Pretrained(bert(32), objective="masked", seed=seed)
    if seed == 0:
        student.network.load_state_dict(start.state_dict())
    return student


settings = {"batch_size": 32, "optimizer": AdamW(lr=5e-3), "device": "cpu", "progress": False}
student = a_student()
run = train(
    student,
    task,
    supervision=Distill(teacher, schedule, temperature=1.0),
    steps=updates,
    eval_every=1,  # to see every update's loss
    eval_examples=32,
    **settings,
)
history = run.history.iloc[1:].set_index("step")  # a row after each update: row 1 is update 0

# %%
fig, ax = plt.subplots(figsize=(9, 3.4))
ax.plot(plain.index, plain.loss, color="0.6", linewidth=3, label="plain loop")
ax.plot(history.index - 1, history.train_loss, color="C0", linewidth=1, label="train")
for first, step in schedule.table(teacher, steps=updates).itertuples(index=False):
    ax.axvline(first, color="0.8", linestyle=":", zorder=0)
    ax.text(first + 2, 0.86, f"teacher {step}", size=9, color="0.4")
ax.set(xlabel="update", ylabel="KL to the teacher in force", ylim=(0, 0.92))
ax.legend(frameon=False, loc="center right")
ax.set(title="One student, trained twice; dotted: another checkpoint takes over")
plt.show()

# %% [markdown]
# The two curves lie on each other, and the loss jumps where another checkpoint takes over: the student knew the old answers and doesn't know the new ones. The highest jump after the start comes with the checkpoint of step 240. Look at the table in section 1: between steps 160 and 240 the teacher's loss fell about twice as much as in the 80 updates before and after. The last jump is hardly to be seen, probably because the teacher hardly moves at its end: section 5 shows that the weights of step 400 are close to the last.
#
# How close are the two, in numbers? And how far apart are two runs that are *not* the same? For comparison the plain loop once more, with the speed $v = 1$.

# %%
slower = distil(folder, copy.deepcopy(start), batches(updates), every=every, speed=1)
by_train = history.train_loss.to_numpy()
first_gap = abs(plain.loss[0] - by_train[0])
largest_gap = np.abs(plain.loss - by_train).max()
other_gap = np.abs(slower.loss - by_train).max()
mismatches = int((plain.teacher.to_numpy() != history.teacher_step.to_numpy()).sum())
other_mismatches = int((slower.teacher.to_numpy() != history.teacher_step.to_numpy()).sum())
twin = a_student()
twin.network.load_state_dict(plain_student.state_dict())
held_out_gap = abs(evaluate(twin, *examples)[0] - evaluate(student, *examples)[0]).item()

# %% tags=["nbval-ignore-output"]
same = Thresholds()
same.add("updates at which another checkpoint taught", mismatches, at_most=0)
same.add("loss on the first batch: difference", first_gap, at_most=1e-5)
same.add("loss over all 240 updates: largest difference", largest_gap, at_most=1e-3)
same.add("held-out loss at the end: difference", held_out_gap, at_most=1e-3)
slower_loop = "for comparison, plain loop with v = 1"
same.add(f"{slower_loop}: updates with another checkpoint", other_mismatches, at_least=100)
same.add(f"{slower_loop}: largest difference of the loss", other_gap, at_least=0.02)
same

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
same.verdicts()

# %% [markdown]
# They differ by rounding, if at all: far less than two schedules do.
#
# What `train` adds to the 22 lines: it refuses a schedule whose checkpoints are not there *before* it starts; it reads the next checkpoint while the student trains; it computes logits at masked positions only; it writes down at each evaluation who taught, saves the student's own checkpoints, resumes bit for bit, and takes a GPU where there is one.
#
# ## 4 Families
#
# A trajectory of this kind is a list of (step, where the weights are): folders, repositories on the hub, or their branches.

# %%
print(teacher)
print(multiberts(seed=0))
print(pythia("160m"))

# %% [markdown]
# - `multiberts(seed)`: a BERT-base trained on Wikipedia and books (the paper's setting), for each of five seeds; 28 checkpoints of 440 MB. Its vocabulary is that of `bert-base-uncased`, 30 522 ids.
# - `pythia(size)`: GPTs, with 154 checkpoints. They have more logits than their tokenizer has tokens: 50 304, 50 432 or 50 688 by size, for 50 277 tokens (issue 68 of EleutherAI/pythia). `pythia("160m", classes=50277)` leaves the surplus out.
# - `local_family(folder, "masked")` or `"causal"`: subfolders whose names end in the step, `step_20k`, `step1000`, `checkpoint-500`, …, as the `Trainer` of `transformers` and others write them. `PretrainedTrajectory([Checkpoint(step, repo, revision), …])` takes any list.
#
# Nothing was downloaded just now. A checkpoint is downloaded when it is to teach, so a (2, T) schedule needs two of the 28. Safetensors are preferred; older `.bin` files are read with `weights_only=True`, so no code in them can run.
#
# **Teacher and student must share the ids.** Otherwise the student is told the probability of another word. `train` compares the number of classes, and no more than that can be seen from the weights: give the task the teacher's tokenizer (`MaskedText(…, tokenizer="google-bert/bert-base-uncased")`).
#
# ## 5 Are they what they say?
#
# Published checkpoints have been mislabelled. From the issues of EleutherAI/pythia, as reported there (we read them and checked none):
#
# | issue | model | report |
# |---|---|---|
# | 205 | 2.8b | 85 steps before the last, step 0 among them, have weights from the end of training |
# | 206 | 12b | steps 50 000 and 58 000 have the first of the final model's three files of weights |
# | 108 | 12b-deduped | step 32 000 was as good as the last checkpoints; it was uploaded again |
# | 83 | all sizes | steps 0 and 1 have equal weights |
#
# allenai/OLMo has one of the kind, too: issue 915, three steps with equal weights. For progressive distillation nothing could be worse: a student that should learn from an early checkpoint learns from the final one, and nothing looks wrong.
#
# **What `pdtutor` does about it.** It reads all files of a branch from one commit, so that a branch that moves between two downloads doesn't mix two models. It refuses a checkpoint with missing weights (`transformers` draws them at random, with a warning). It does *not* compare checkpoints with each other.
#
# So look for yourself. We take a copy of our family and put the final weights under the name of step 80. We compare two digests: the trajectory's, by which a resumed run knows its teacher, and one of all weights, made here. **Predict:** which will notice?


# %%
def weights(model):
    """All weights of a Pretrained as one vector."""
    return torch.cat([weight.flatten() for weight in model.network.parameters()])


def weights_digest(model):
    return hashlib.sha256(weights(model).numpy().tobytes()).hexdigest()[:10]


def copies(trajectory):
    """Return {step: later step with exactly the same weights}."""
    seen, found = {}, {}
    for step in reversed(trajectory.steps):
        digest = weights_digest(trajectory.at(step))
        if digest in seen:
            found[step] = seen[digest]
        seen.setdefault(digest, step)
    return found


mislabelled = folder.with_name("mislabelled")
shutil.copytree(folder, mislabelled)
before = local_family(mislabelled, "masked").digest
shutil.copy(folder / "step_480" / "model.safetensors", mislabelled / "step_80")
suspect = local_family(mislabelled, "masked")
print("copies in the family: ", copies(teacher))
print("copies in the suspect:", copies(suspect))
print("the trajectory's digest has changed:", suspect.digest != before)

# %% [markdown]
# The digest of the weights finds it. The trajectory's does not: it is that of the *list of places*, because the weights may not have been downloaded yet. But a checkpoint that was saved again, in another precision for instance, has another digest of its weights, although they are practically the same. A distance should find that as well; we try it on the exact copy. While a network like this one trains, it comes nearer to where it will end.

# %%
end = weights(teacher.at(teacher.final))
distances = pd.DataFrame(
    {
        name: {step: (weights(one.at(step)) - end).norm().item() for step in one.steps}
        for name, one in (("family", teacher), ("suspect", suspect))
    }
)
fig, ax = plt.subplots(figsize=(8, 3))
ax.plot(distances.index, distances.family, marker="o", color="0.6", label="family")
ax.plot(distances.index, distances.suspect, "x", color="C3", markersize=9, label="suspect")
ax.set(xlabel="step that the name says", ylabel="distance to the final weights")
ax.set(title="One checkpoint isn't where it should be")
ax.legend(frameon=False)
plt.show()

# %%
# How much farther from the end than one checkpoint earlier? A wrong step 80 shows at step 120, just
# after it. The last step is left out: its distance is 0 by definition.
gaps = distances.diff().iloc[1:-1]
honest = Thresholds()
honest.add("family: checkpoints that are copies", len(copies(teacher)), at_most=0)
honest.add("family: moves away from the end", int((gaps.family > 0).sum()), at_most=0)
honest.add("suspect: checkpoints that are copies", len(copies(suspect)), at_least=1)
honest.add("suspect: moves away from the end", int((gaps.suspect > 0).sum()), at_least=1)
honest

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
honest.verdicts()

# %% [markdown]
# A larger network needn't come nearer at every step; what should catch your eye is a checkpoint that stands out from its neighbours. (Issue 206 shows such a jump, in the norms of the embeddings.)
#
# The hub can be asked for the SHA-256 of large files without downloading them. Equal digests are equal files. Different digests prove less: two files can hold equal weights, and a shard is not the whole model. **This cell has not been run by us.**


# %%
def hub_digests(repo, steps, file="model.safetensors"):
    """Return {step: SHA-256 of a file, or None where there is none} for branches step0, step1, …"""
    from huggingface_hub import HfApi

    found = {}
    for step in steps:
        there = HfApi().get_paths_info(repo, file, revision=f"step{step}")
        found[step] = there[0].lfs.sha256 if there else None
    return found


ASK_THE_HUB = False
if ASK_THE_HUB:
    digests = pd.Series(hub_digests("EleutherAI/pythia-2.8b", pythia("2.8b").steps))
    # A digest that occurs twice: one file under two names. None: there is no such file, so nothing
    # was compared.
    print(digests.value_counts(dropna=False).head())

# %% [markdown]
# ## 6 A teacher's answers on disk
#
# A teacher may cost more memory and time than its student. But which examples the student will see is known beforehand, update by update. So the teacher can be asked once, and its $k$ likeliest classes kept at every masked position; the student then reads them, and needs no teacher.
#
# **Exercise 3.** A distribution over GPT-2's 50,257 tokens takes 201 kB in float32, and a run has one at every position. The 32 most probable tokens take 128 bytes: two for each id, two for each probability. (What the package writes is a little smaller; it comes below.) First, what to store: the ids of the `k` most probable classes of each row, the most probable first, and their probabilities, divided by their sum so that they sum to 1 again.


# %%
def top_k_targets(probabilities, k):
    """probabilities (positions, classes) → ids and probabilities, both (positions, k)."""
    ...


checks.top_k_targets(top_k_targets)


# %% [markdown]
# Second, what a student makes of it: $-\sum_c p(c) \log p_S(c)$ over the $k$ stored classes, averaged over the positions. $p_S$ is the student's softmax over *all* classes.


# %%
def top_k_loss(student_logits, ids, probabilities):
    """student_logits (positions, classes); ids and probabilities (positions, k) → a number."""
    ...


checks.top_k_loss(top_k_loss)

# %% [markdown]
# What does it cost, and what is lost? It depends on the temperature: a cold teacher has nearly all of its probability on one class, a warm one spreads it. `storage_table` measures both: here for the final teacher, with a student that has not been trained.

# %%
coming = {"steps": updates, "batch_size": 32, "seed": 0, "updates": 4}  # 4 updates are measured
tables = []
for temperature in (1e-4, 0.5, 1.0, 2.0, 4.0):
    asked = Distill(teacher, one_shot(), temperature=temperature)
    table = storage_table(asked, task, a_student(), **coming)
    tables.append(table.assign(temperature=temperature, left_out=1 - table.share))
stored_table = pd.concat(tables, ignore_index=True)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
colours = plt.cm.viridis_r(np.linspace(0.1, 1, len(tables)))
for colour, (temperature, table) in zip(colours, stored_table.groupby("temperature"), strict=True):
    name = f"τ = {temperature:g}"
    axes[0].plot(table.bytes_per_token, table.left_out, marker="o", color=colour, label=name)
    axes[1].plot(table.bytes_per_token, table.loss_error, marker="o", color=colour, label=name)
for ax in axes:
    ax.set(xscale="log", xlabel="bytes per masked token")
for k, size in stored_table.groupby("k").bytes_per_token.first().items():
    axes[0].annotate(f"{k}", (size, 1.02), ha="center", size=9, color="0.4")
axes[0].set(title="probability left out (numbers on top: $k$)", ylabel="probability")
axes[0].set(ylim=(-0.05, 1.12))  # from below 0, to see the line of τ = 0.0001
axes[1].set(title="error of an untrained student's loss", ylabel="nats")
axes[1].legend(frameon=False)
fig.tight_layout()
plt.show()

# %%
by_k = stored_table.set_index(["temperature", "k"])
costs = Thresholds()
costs.add("τ = 1e-4: probability left out by k = 1", by_k.left_out[1e-4, 1], at_most=0.02)
costs.add("τ = 1: probability left out by k = 8", by_k.left_out[1.0, 8], at_least=0.1)
costs.add("τ = 4: probability left out by k = 8", by_k.left_out[4.0, 8], at_least=0.5)
by_schedule = storage_table(
    Distill(teacher, schedule, temperature=1.0), task, a_student(), ks=[8], **coming
)  # the same four updates, taught by the checkpoints of steps 80, 160, 320 and 480
earlier = 1 - by_schedule.share[0] - by_k.left_out[1.0, 8]
costs.add("τ = 1, k = 8: how much more the schedule's teachers leave out", earlier, at_least=0.02)
costs.add("τ = 1, k = 32: error of the loss", by_k.loss_error[1.0, 32], at_most=0.05)
costs.add(
    "τ = 1, all classes: error of the loss", by_k.loss_error[1.0, task.classes], at_most=1e-4
)

# %% tags=["nbval-ignore-output"]
costs

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
costs.verdicts()

# %% [markdown]
# At $\tau = 10^{-4}$ one class is practically all there is, and costs little more than a byte per token. At $\tau = 1$ eight of 41 classes leave out a quarter, because this teacher is so unsure; what is left out is given to those that are kept. At $\tau = 4$ they leave out two thirds. This is the final checkpoint. The earlier ones, which teach below, are less sure: with the schedule's teachers, eight classes leave out some 0.06 more.
#
# The right panel is the difference between the two KLs. For an untrained student it is nearly the entropy that the teacher loses, and not yet what the trained student pays; that comes below. With all classes only the rounding to half precision is left.
#
# And the bytes? The package stores the $k$ ids, one byte each here and two from 257 classes on, and $k - 1$ gaps of $\log p$ to the most probable class, two bytes each. That is 8 + 14 = 22 for eight classes here, and 32 + 30 = 62 for 16 classes of 30 522. The setting `paper` of the recipe `pretrained-progressive` (24 000 updates of 256 rows of 128 tokens, 15 % of them masked) has some 118 million masked tokens: 7 GB, by arithmetic. The 21 checkpoints that teach progressively are 9 GB.
#
# ### Stored or asked, the same loss
#
# The targets remember the schedule: here progressive, eight classes.

# %%
eight = Distill(teacher, schedule, temperature=1.0, top_k=8)
short = {"steps": 100, "seed": 0, "eval_every": 1, "eval_examples": 32, **settings}
stored = store_targets(
    folder.with_name("answers"), eight, task, steps=100, batch_size=32, seed=0, k=8, progress=False
)
asked = train(a_student(), task, supervision=eight, **short).history
read = train(a_student(), task, supervision=Stored(stored), **short).history
print("who taught:", stored.stages(100), " bytes per masked token:", round(stored.size_per_token))

# %%
all_classes = np.abs(by_train[:100] - asked.train_loss.iloc[1:].to_numpy()).max()
disk = Thresholds()
disk.add(
    "stored − asked: largest difference of 100 losses",
    (asked.train_loss - read.train_loss).abs().max(),
    at_most=2e-3,
)
disk.add(
    "asked: eight classes − all classes, largest difference of 100 losses",
    all_classes,
    at_least=0.1,
)

# %% tags=["nbval-ignore-output"]
disk

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
disk.verdicts()

# %% [markdown]
# What is read back differs from what is asked by half precision only. (The second row is mostly another target's entropy, not another student: the difference is largest at the first update, when both still have the same weights.)
#
# ### What a student loses by it
#
# $k$ classes whose probabilities are divided by their sum tell the student that all others are *impossible*. **Predict.** Three students learn from all classes, three from 32, three from 8. By how much will their held-out loss $-\log p_S(\text{label})$ differ?

# %%
guess = {"32 of 41 classes": None, "8 of 41 classes": None}  # in nats, against all classes

# %%
rows = []
for k in (8, 32, task.classes):
    for seed in range(3):
        supervision = Distill(teacher, schedule, temperature=1.0, top_k=k)
        options = {"steps": 100, "eval_every": 100, "eval_examples": 1000, **settings}
        of_k = train(a_student(seed), task, supervision=supervision, seed=seed, **options).history
        rows.append({"k": k, "seed": seed, "loss": of_k.loss.iloc[-1]})
losses = pd.DataFrame(rows).pivot(index="seed", columns="k", values="loss")
extra = losses[[32, 8]].sub(losses[task.classes], axis=0)  # seed × k

# %% tags=["nbval-ignore-output"]
seen = Thresholds()
seen.add("8 classes: the least that any seed loses", extra[8].min(), at_least=0.15)
seen.add("32 classes: the most that any seed loses", extra[32].max(), at_most=0.1)
print("your guess:", guess)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# A student of eight classes believes what it was told, and pays for every character that it holds impossible: four tenths of a nat in the median. 32 classes cost 0.02 nats (0.033 at worst), but save only a fifth of the bytes. So before you store, look at `storage_table` for your teacher, at the temperature that you will use; choose $k$ by what is left out, not by the disk.
#
# ## 7 Several devices, and a GPU
#
# Under `torchrun` or `accelerate launch` several devices train one model: the same recipe, the same history, but for rounding. Each process has some of the rows of every batch.
#
#     torchrun --nproc_per_node 2 -m pdtutor run pretrained-progressive --scale smoke --out shared
#
# What has to be summed? Masks are drawn at random, so some processes have more labelled positions than others. Here is one batch of 32 rows, cut into eight:

# %%
ids, labels = next(batches(1))  # both (32, 10)
final = BertForMaskedLM.from_pretrained(folder / "step_480").eval()
trained = list(start.parameters())


def gradient(rows):
    """The gradient of the mean loss over these rows' labelled positions, and their number."""
    with torch.no_grad():
        log_p = final(ids[rows]).logits.log_softmax(-1)
    log_q = start(ids[rows]).logits.log_softmax(-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)[labels[rows] != -100]
    parts = torch.autograd.grad(kl.mean(), trained)
    return torch.cat([part.flatten() for part in parts]), len(kl)


whole, _ = gradient(slice(0, 32))
pieces = [gradient(slice(first, first + 4)) for first in range(0, 32, 4)]
gradients = torch.stack([piece for piece, _ in pieces])  # (8, parameters)
labelled = torch.tensor([n for _, n in pieces])
print("labelled positions of each:", labelled.tolist())
plain_average = gradients.mean(0)
plain_error = ((plain_average - whole).norm() / whole.norm()).item()

# %% [markdown]
# **Exercise 4.** One batch, several processes. Each has the gradient of the *mean* loss over its own labelled positions. Return the gradient of the mean over the whole batch, or the training would depend on how many devices share it. A process that has no labelled position holds zeros. (Micro-batches, one after the other on one device, are the same case.)


# %%
def whole_batch_gradient(gradients, labelled):
    """gradients (processes, parameters), labelled (processes,): positions → (parameters,)."""
    ...


checks.whole_batch_gradient(whole_batch_gradient)

# %%
mine = whole_batch_gradient(gradients.numpy(), labelled.numpy())
if mine is not None:
    error = np.linalg.norm(mine - whole.numpy()) / whole.norm().item()
    print(f"error of the plain average: {plain_error:.1%}, of yours: {error:.1e}")

# %% [markdown]
# `train` weights micro-batches and processes in this way. Does it train the same student? Here is the training with eight classes from section 6 once more, each batch in eight pieces. Beside it stands the error of the plain average, of the one gradient above:

# %%
accumulated = train(a_student(), task, supervision=eight, accumulate=8, **short).history
apart = (asked.train_loss - accumulated.train_loss).abs().max()
shared = Thresholds()
shared.add(
    "the plain average's error, of the whole gradient's length", plain_error, at_least=0.005
)
shared.add("`train` in 8 micro-batches: largest difference of 100 losses", apart, at_most=1e-3)

# %% tags=["nbval-ignore-output"]
shared

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
shared.verdicts()

# %% [markdown]
# The first row is an error of one gradient, the second a difference of losses: they cannot be compared. The second alone says that eight pieces train as one batch does.
#
# Two processes on CPUs are tested, and we have run the command above with two of them. Several GPUs are untried.
#
# **On Colab** choose a GPU (Runtime → Change runtime type) and set `ON_A_GPU` to True: four students of four layers (labels, one-shot, progressive, (2, T)), 2000 updates each. 9 of the 28 MultiBERTs checkpoints teach and are downloaded: 4 GB. Matrices are multiplied in float16, because the T4 that Colab lends has no bfloat16. **It has not been run by us with the published checkpoints.** The recipe is tested on a small teacher that it trains itself (`--scale smoke`).

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
# A folder of your own takes its place with `family="my-folder"`. Set `tokenizer` to that teacher's, and `first_checkpoint` to one of its steps (the recipe's is 20 000) or to None, for no (2, T). A step that was not saved is refused, and a teacher with fewer classes than the tokenizer has ids. A wrong tokenizer with as many ids, or fewer, need *not* be noticed. On the command line: `pdtutor run pretrained-progressive --scale paper --family my-folder --tokenizer TOKENIZER --first-checkpoint STEP --out my-students`.
#
# ## 8 What we saw
#
# The paper's claims on text are in lesson 5. These are about the tools, from one teacher.

# %% jupyter={"source_hidden": true}
claims = Claims()
claims.add(
    "the plain loop and `train` train the same student",
    measured=f"another checkpoint at {mismatches} of {updates} updates; "
    f"losses differ by up to {largest_gap:.2g} (for comparison, with v = 1: {other_gap:.2g})",
    seeds=1,
    holds=bool(mismatches == 0 and largest_gap <= 1e-3 and other_gap >= 0.02),
)
on_disk = (asked.train_loss - read.train_loss).abs().max()
claims.add(
    "a teacher's answers on disk teach as the teacher does",
    measured=f"losses differ by up to {on_disk:.2g} "
    f"(for comparison, eight classes against all: {all_classes:.2g})",
    seeds=1,
    holds=bool(on_disk <= 2e-3 and all_classes >= 0.1),
)
claims.add(
    "at τ = 1, eight of 41 classes cost a student at least 0.15 nats of held-out loss",
    measured=f"{extra[8].median():.2f} more than with all classes",
    spread=f"{extra[8].min():.2f} to {extra[8].max():.2f}",
    chance="0",
    seeds=3,
    holds=bool(extra[8].min() >= 0.15),
    partly=bool(extra[8].median() >= 0.15),
)
claims.add(
    "32 of 41 classes cost it at most 0.1",
    measured=f"{extra[32].median():.3f}",
    spread=f"{extra[32].min():.3f} to {extra[32].max():.3f}",
    chance="0",
    seeds=3,
    holds=bool(extra[32].max() <= 0.1),
    partly=bool(extra[32].median() <= 0.1),
)
claims.add(
    "a checkpoint under a wrong name is found by its weights, and not by the trajectory's digest",
    measured=f"copies found: {copies(suspect)}; in the family as it was saved: {copies(teacher) or 'none'}",
    seeds=0,
    holds=bool(copies(suspect) == {80: 480} and not copies(teacher) and suspect.digest == before),
)

# %% tags=["nbval-ignore-output"]
claims

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
claims.verdicts()

# %% [markdown]
# The agreement is exact up to rounding, so one seed shows it. What eight classes cost depends on the teacher: one that is surer of its answers should cost less (the panels by $\tau$ suggest it; we have one teacher).
#
# ## What to read next
#
# - Sellam et al. 2022, *The MultiBERTs: BERT reproductions for robustness analysis*, and Biderman et al. 2023, *Pythia: a suite for analyzing large language models across training and scaling*: the published checkpoints.
# - The issues of EleutherAI/pythia that section 5 names: how people found out.
# - Hinton, Vinyals and Dean 2015, *Distilling the knowledge in a neural network*; Sanh et al. 2019, *DistilBERT*: one-shot distillation of language models.
# - `docs/files.md`, and "On a cluster" in the README.
