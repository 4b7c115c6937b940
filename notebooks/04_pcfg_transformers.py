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
# # 4 · Transformers on probabilistic context-free grammars
#
# A parity is one thing to learn. A language is many things at once, some easy and local, some far-reaching. Here the language is a grammar, so that all of it can be computed: what there is to know, what a model knows, and what nobody could know better.

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/04_pcfg_transformers.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/04_pcfg_transformers.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/04_pcfg_transformers.ipynb)

# %% [markdown]
# **You will learn**
#
# - to read a probabilistic context-free grammar, and how its sentences hide a tree;
# - the *exact* best prediction of a masked token, so that every accuracy is read against its ceiling;
# - that a teacher goes through three phases: in the second it comes to lean on 3-grams, in the third it does so less. An implicit curriculum again;
# - what progressive distillation gains from that, at several budgets; which checkpoint helps; and what the students know of the tree.
#
# **You need** lesson 3, and a little of what a Transformer is. No GPU; where there is one, models train on it (`PDTUTOR_DEVICE=cpu` in the environment keeps them off).
#
# **Where in the paper** Section 4 and the appendices of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025): BERT and GPT-2 on grammars. The grammars are those of Allen-Zhu and Li (2023). The exact optimum is ours.
#
# **Whose numbers are whose** A number marked 📄 is read off the paper's figures. Everything else is computed in this notebook, or by the recipe that is named beside it.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | grammar, sampler, exact optimum (sections 1 and 2) | 15 s |
# | a teacher (section 3) | 45 s |
# | three students (section 5) | 40 s |
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

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from pdtutor import (
    BayesOptimal,
    Grammar,
    MaskedGrammar,
    Stream,
    Trajectory,
    checks,
    data_path,
    derivation,
    evaluate,
    held_out,
    logits_of,
    ngram_closeness,
    ngram_robustness,
    nonterminal_probe,
    paper,
    plots,
    recipes,
)

plots.style()

# %% [markdown]
# ## 1 A grammar
#
# A rule says what a symbol may be replaced by. Start with the root and replace until only tokens are left. In cfg3b every symbol has one or two rules, equally likely, and everything happens in levels: six of symbols, and the tokens 1, 2 and 3.

# %%
grammar = Grammar.load("cfg3b")
fig, ax = plt.subplots(figsize=(11, 5))
plots.grammar_tree(grammar, ax=ax)
plt.show()

# %% [markdown]
# Under each symbol stand the right-hand sides of its rules. As text it is a rule a line (`print(grammar)`), and you can write your own: `Grammar.parse("S -> a S b\nS -> a b")`.
#
# How long are its sentences? The length of a right-hand side is a sum, its distribution a convolution; so mean, spread and extremes are exact.

# %%
names = ["cfg3b", "cfg3b-32", "cfg3f", "cfg3g", "cfg3h", "cfg3i"]
grammars = {name: Grammar.load(name) for name in names}
pd.DataFrame({name: {"rules": len(g.rules), **g.length_statistics()} for name, g in grammars.items()}).T.round(1)

# %% [markdown]
# Three hundred tokens are much for a laptop. But a grammar has smaller ones inside: start at symbol 16 instead of 22, and sentences have about 50 tokens, three levels of hidden symbols, and all the same rules. That is the language of this lesson; the whole cfg3b needs a GPU (`pdtutor run pcfg-budgets --scale paper`).

# %%
task = MaskedGrammar("cfg3b", root="16")  # rate=0.3: what is masked
sentences = task.sentences(np.random.default_rng(4), 40, spans=True)
print("a sentence:", *[task.rules.tokens[t] for t in sentences[1]])
lengths = task.rules.length_statistics()
print(f"lengths: mean {lengths['mean']:.1f}, from {lengths['min']} to {lengths['max']}")

# %% [markdown]
# ## 2 The best that anyone can do
#
# The task is BERT's: 30 % of the tokens are selected; of these 80 % are shown as a mask, 10 % as a random token, 10 % as they are; and the model is to say what they were.
#
# What would an ideal model answer? Not 100 %: two sentences may differ only where nothing is shown. With a grammar the ideal can be computed. The *inside–outside* algorithm sums over all trees, and gives for each token its exact probability given everything that is shown (`pdtutor/pcfg/inference.py`). `BayesOptimal` makes a model of it, which can be evaluated like any other:

# %%
best = BayesOptimal(task)
optimal_loss, optimal_accuracy = (value.item() for value in evaluate(best, *held_out(task, 2000)))
whole = MaskedGrammar("cfg3b")
_, whole_accuracy = evaluate(BayesOptimal(whole), *held_out(whole, 500))
local = MaskedGrammar("cfg3f")
_, local_accuracy = evaluate(BayesOptimal(local), *held_out(local, 50))

# %% tags=["nbval-ignore-output"]
print(f"cfg3b from 16: accuracy {optimal_accuracy:.4f}, cross-entropy {optimal_loss:.4f}")
print(f"cfg3b:         accuracy {whole_accuracy.item():.4f}")
print(f"cfg3f:         accuracy {local_accuracy.item():.4f}")

# %%
print("the paper's teacher of 16k steps, 0.98, is within a point of the optimum of cfg3b:", bool(abs(whole_accuracy - 0.98) < 0.01))
print("cfg3f leaves more than a fifth of the tokens undecided:", bool(local_accuracy < 0.8))

# %% [markdown]
# So cfg3b is a language in which nearly everything can be told from the rest, by who sees the whole tree. On cfg3f a model that is right three times out of four would be perfect. An accuracy means little without its ceiling.
#
# Sentences differ in length. A batch holds sentences of like length, and is cut to its longest, so that little time goes into padding:

# %%
stream = Stream(task, batch_size=64, seeds=[0], purpose="a look")
print("share of padding in training batches below 2 %:", stream.padding_share() < 0.02)

# %% [markdown]
# ## 3 A teacher in three phases
#
# How does a Transformer get there? The paper asks its checkpoints two questions, at a position $i$ of a sentence:
#
# - $M_{\text{robust}}(n)$: mask $i$; then mask the whole $n$-gram around $i$. How far does the prediction at $i$ move, in total variation? Much, if the model **leans on its near neighbours**.
# - $M_{\text{close}}(n)$: mask $i$; then mask $i$ and everything *outside* the $n$-gram. How far does it move? Little, if **the $n$-gram explains** the prediction.
#
# Live, we train a teacher on still shorter sentences (symbol 13, 24 tokens).

# %%
short = dataclasses.replace(recipes.recipe("pcfg-teacher"), root="13", steps=1000, save_every=50, probe_sentences=96)
short_run = short.train(seeds=[0])
short_curriculum = short.curriculum(short_run.trajectory)

# %%
short_loss, _ = short.optimum()
fig = plots.sequence_teacher_figure(short_run.history, short_curriculum, optimal_loss=short_loss)
plt.show()

# %%
medians = short_curriculum.pivot_table(index="step", columns=["probe", "n"], values="median")
robust, close = medians["M_robust"], medians["M_close"]
left = robust.iloc[-1] / robust.max()  # of the largest lean on n-grams, the share that is left at the end
early, late = robust[3].loc[:500].max(), robust[3].loc[750:].max()
print("it leans on 3-grams more in the first half than ever in the last quarter:", bool(early > late))
print("and at the end less than two thirds of its largest lean is left:", bool(left[3] < 2 / 3))
print("of its lean on 7-grams a larger share is left:", bool(left[7] > left[3]))
print("7-grams explain the predictions better at the end than at step 100:", bool(close[7].iloc[-1] < close[7][100] / 2))

# %% [markdown]
# First hardly anything: tokens by their frequency. Then a steep fall, in which the model learns what three neighbouring tokens say, and leans on them. Then a long tail, in which it learns to do without: if a 3-gram is masked, what is further away tells the same. $M_{\text{close}}$ says it from the other side: 3-grams explain less and less of the predictions, 7-grams nearly everything.
#
# The recipe `pcfg-teacher` has done this on sentences of symbol 16, for three seeds and twice as long (26 minutes on one core; `data/runs/pcfg-teacher`):

# %%
kept = data_path("runs/pcfg-teacher")
teacher_history, curriculum = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "curriculum.csv")
fig = plots.sequence_teacher_figure(teacher_history, curriculum, optimal_loss=optimal_loss)
plt.show()

# %% [markdown]
# Where does a phase end? The paper draws its borders at 600 steps, where its teacher's loss begins to fall, and at 2000, where it has gone 86 % of the way down. 📄 We take the first 5 % of the way, and the same 86 %.

# %%
def phases(history):
    """Return the steps at which the second and the third phase begin, by seed."""
    borders = {}
    for seed, of_seed in history.groupby("seed"):
        loss = of_seed.set_index("step")["loss"]
        done = (loss[50] - loss) / (loss[50] - loss.iloc[-1])  # at step 50 it knows the tokens' frequencies
        borders[seed] = [int(done[done >= share].index.min()) for share in (0.05, 0.86)]
    return pd.DataFrame(borders, index=["second", "third"]).T.rename_axis("seed")


def medians_of(table, probe):
    """Return the medians by step, and by seed and n."""
    return table[table["probe"] == probe].pivot(index="step", columns=["seed", "n"], values="median")


borders = phases(teacher_history)
robust, close = medians_of(curriculum, "M_robust"), medians_of(curriculum, "M_close")
peaks = pd.DataFrame({n: robust.xs(n, level="n", axis=1).idxmax() for n in (3, 5, 7)})

# %% tags=["nbval-ignore-output"]
pd.concat({"phase begins": borders, "M_robust(n) is largest": peaks}, axis=1)

# %%
top, end = robust.xs(3, level="n", axis=1).max(), robust.xs(3, level="n", axis=1).iloc[-1]
print("M_robust(3) is largest in the second phase, every teacher:", bool(((peaks[3] >= borders["second"]) & (peaks[3] <= borders["third"])).all()))
print("at the end it is at most two thirds of that:", bool((end < top * 2 / 3).all()))
print("the longer the n-gram, the later its peak, on average:", bool(peaks.mean().is_monotonic_increasing))

# %% [markdown]
# And the optimum? It is a model, so it can be asked the same. These values are exact for each sentence; only which sentences are drawn is chance.

# %%
exact = pd.concat([probe(task, n, sentences=128)(best).assign(probe=name) for n in (3, 5, 7) for name, probe in (("M_robust", ngram_robustness), ("M_close", ngram_closeness))])
exact.pivot(index="n", columns="probe", values="median").round(3)

# %% [markdown]
# The optimum does not lean on 3-grams at all: in the median it loses nothing, whatever three tokens are masked. It is where the teacher is heading, and the reason why a *finished* teacher has nothing to say about 3-grams.
#
# ## 4 One prediction, explained
#
# A sentence and its tree. One token is to be told, the black one at $i$; the brackets are the windows that get masked.

# %%
checkpoints = Trajectory(data_path("runs/pcfg-teacher/checkpoints-seed1"))
early, final = checkpoints.steps
row, position, sizes = 27, 7, (3, 5, 7)
fig, (top_ax, below) = plt.subplots(2, 1, figsize=(14, 7.4), height_ratios=[4.4, 2.1])
plots.parse_tree(derivation(task.rules, sentences, row), position=position, ns=sizes, ax=top_ax)

ids = task.rows(sentences)[row]
tokens = task.rules.tokens
shown = {}
for name, model in {f"step {early}": checkpoints.at(early), f"step {final}": checkpoints.at(final), "optimum": best}.items():
    for n in (1, 3, 7):
        masked = ids.copy()
        masked[position + 1 - n // 2 : position + 2 + n // 2] = task.mask  # ids begin with bos
        p = logits_of(model, torch.from_numpy(masked[None]))[0, 0, position + 1].softmax(-1)
        shown[f"{name}, {n} masked"] = p.tolist()
rows = [{"predictor": name, "token": t, "probability": q} for name, p in shown.items() for t, q in zip(tokens, p, strict=True)]
plots.predictions(pd.DataFrame(rows), truth=tokens[sentences[row][position]], ax=below)
plt.show()

# %%
truth = sentences[row][position]
print("in the second phase: sure with one token masked, lost without its 3-gram:", shown[f"step {early}, 1 masked"][truth] > 0.75 > 0.5 > shown[f"step {early}, 3 masked"][truth])
print("at the end: sure without the 3-gram, too:", shown[f"step {final}, 3 masked"][truth] > 0.8)
print("and lost without its 7-gram, where the optimum is still sure:", shown[f"step {final}, 7 masked"][truth] < 0.5 < 0.99 < shown["optimum, 7 masked"][truth])

# %% [markdown]
# The early checkpoint knows what a token's two neighbours say, and nothing else. The final one does without these two, but not without all six. The optimum puts the whole tree together.
#
# A student that is shown the final teacher's answers sees right answers, and not why. The early one's answers are a simpler function, of three tokens, and a function that leads to the next.
#
# ## 5 Students
#
# The recipe is that of lesson 3, for smaller Transformers (4 heads instead of 16): labels, one-shot, progressive, and (2, T) with $C_1$ the checkpoint at which $M_{\text{robust}}(3)$ has come half-way to its peak. Live, for one teacher, the one with the largest gap (all three follow), and without progressive distillation, for which we would have to ship many checkpoints:

# %%
recipe = recipes.recipe("pcfg-progressive")
live = recipe.compare(
    {name: method for name, method in recipe.methods(checkpoints, {1: early}).items() if name != "progressive"},
    seeds=[1],
)
fig, ax = plt.subplots(figsize=(9, 3.8))
plots.accuracy(live.history, ax=ax)
ax.axhline(optimal_accuracy, color="0.3", linestyle=":")
ax.set(title="students of one teacher; dotted: the Bayes optimum")
plt.show()

# %%
at_the_end = live.history[live.history.step == recipe.steps].set_index("method")["accuracy"]
print("(2,T) is ahead of labels:", bool(at_the_end["(2,T)"] > at_the_end["cross-entropy"]))

# %% [markdown]
# All four, for three seeds of teacher and student, and at three budgets. As in the paper, each budget is a run of its own, with its own learning-rate schedule (`pcfg-budgets`, half an hour; `data/runs/pcfg-budgets`). Beside it, the paper's numbers. 📄

# %%
kept = data_path("runs/pcfg-budgets")
found = pd.read_csv(kept / "by_seed.csv")
e3 = paper("E3")
reported = e3[(e3.quantity == "top-1 accuracy") & (e3.at_unit == "steps")].rename(columns={"at": "budget", "value": "final_accuracy"})
fig, axes = plt.subplots(1, 2, figsize=(13, 4.2))
plots.budgets(found, ax=axes[0])
plots.budgets(reported.assign(optimum=whole_accuracy.item()), ax=axes[1])
axes[0].set(title="here: cfg3b from 16, three seeds")
axes[1].set(title="the paper: cfg3b, with our optimum")
axes[0].get_legend().remove()
plt.show()

# %%
pd.read_csv(kept / "results.csv").pivot(index="method", columns="budget", values="accuracy").round(3)

# %%
by_seed = found.pivot(index=["budget", "seed"], columns="method", values="final_accuracy")
median = by_seed.groupby("budget").median()
ahead = median[["progressive", "(2,T)"]].sub(median[["cross-entropy", "one-shot"]].max(axis=1), axis=0)
print("progressive is ahead of labels and of one-shot at every budget, in the median:", bool((ahead["progressive"] > 0).all()))
print("(2,T) is so at 400 and 800, and no longer at 1600:", bool((ahead["(2,T)"] > 0).tolist() == [True, True, False]))
print("at 800 progressive is ahead of both in every seed:", bool((by_seed.loc[800, "progressive"] > by_seed.loc[800, ["cross-entropy", "one-shot"]].max(axis=1)).all()))
print("every student is further from the optimum than its teacher:", bool((by_seed.drop(columns="teacher").max(axis=1) < by_seed["teacher"]).all()))

# %% [markdown]
# - **Progressive** students are ahead of labels and of one-shot at every budget, as in the paper: clearly at 800, by a hair over one-shot at 400, and by less than a point at 1600, where all have come closer to their teachers.
# - **(2, T)** is ahead as well while the budget is small. One checkpoint shows one step of the way.
# - **One-shot** is ahead of labels in the paper at every budget. Here it is at 400 only.
# - **The ceiling** is far away for all of them. A student of this size learns the lower levels of the tree; its teacher, with four times as many heads, gets further.
#
# The learning rate is the one that is best for labels and for one-shot (of 0.003, 0.01, 0.02 and 0.04, on the first seed). For (2, T), 0.04 would be better still. One thing differs from the paper: there each budget has a teacher of its own, here one teacher of 2000 updates serves all three, and progressive students go through its checkpoints at the speed that brings them to its end.
#
# ## 6 Which checkpoint?
#
# (2, T) again, $C_1$ being one of twelve checkpoints from 50 to 2000 (`pcfg-which-checkpoint`, half an hour; `data/runs/pcfg-which-checkpoint`). The last one is the final checkpoint, which is one-shot.

# %%
kept = data_path("runs/pcfg-which-checkpoint")
by_first = pd.read_csv(kept / "results.csv")
fig = plots.first_checkpoint_figure(by_first, pd.read_csv(kept / "teacher_history.csv"), pd.read_csv(kept / "curriculum.csv"))
plt.show()

# %%
by_first_checkpoint = by_first.pivot(index="checkpoint", columns="seed", values="final_accuracy")
best_first = by_first_checkpoint.idxmax()
mean_by_first = by_first_checkpoint.mean(axis=1)
u = e3[e3.at_unit == "teacher steps"].set_index("at")["value"]

# %% tags=["nbval-ignore-output"]
pd.DataFrame({"best C₁": best_first, "second phase from": borders["second"], "to": borders["third"]})

# %%
second_phase = ((best_first >= borders["second"]) & (best_first <= borders["third"])).all()
print("the best C₁ is one of the second phase, every teacher:", bool(second_phase))
print("on average it is better than the earliest, and than the final one:", bool(mean_by_first.max() > max(mean_by_first.iloc[0], mean_by_first.iloc[-1])))

# %% [markdown]
# The inverted U of the paper: too early a checkpoint knows nothing, too late a one has nothing simpler to say. The best comes soon after $M_{\text{robust}}(3)$ has risen, before its very peak in each of the three. Single students jump around; the shape is in the average.
#
# ## 7 What do the students know of the tree?
#
# Not only what they predict, but what they see: from a model's last hidden states, with its weights frozen, read which symbol stands above each token (level 1: 13 to 15, level 2: 10 to 12). The paper's probe mixes linear maps over positions by an attention that sees positions only; a plain linear map of each token's own state is the control. Students of 1600 updates:

# %%
spans = pd.read_csv(data_path("runs/pcfg-budgets/spans.csv"))
spans = spans[spans["budget"] == 1600]
order = ["cross-entropy", "one-shot", "progressive", "(2,T)", "teacher"]
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
for ax, (kind, of_kind) in zip(axes, spans.groupby("kind"), strict=True):
    for method, colour in plots.colours(order).items():
        of_method = of_kind[of_kind["method"] == method]
        ax.scatter(of_method["level"] + 0.12 * (order.index(method) - 2), of_method["all"], color=colour, label=method)
    chance = of_kind.groupby("level")["chance"].first()
    ax.hlines(chance, chance.index - 0.4, chance.index + 0.4, color="0.3", linestyle=":", label="most frequent symbol")
    ax.set(title=f"{kind} probe", xlabel="level", xticks=[1, 2], ylabel="accuracy", ylim=(0.3, 1.02))
axes[1].legend(frameon=False, bbox_to_anchor=(1, 1))
plt.show()

# %%
exact_spans = pd.concat([nonterminal_probe(task, level)(best) for level in (1, 2)])
print("the optimum knows every span of a whole sentence:", bool((exact_spans["all"] == 1).all()))
read = spans[spans["kind"] == "attention"].pivot_table(index="level", columns="method", values="all")
others = read[["cross-entropy", "one-shot", "(2,T)"]]
print("of the students progressive ones tell most, at both levels, on average:", bool((read["progressive"] > others.max(axis=1)).all()))
print("and less than their teachers:", bool((read["progressive"] < read["teacher"]).all()))

# %% tags=["nbval-ignore-output"]
read.round(3)

# %% [markdown]
# Progressive students know most of the tree, and less than their teachers. Two warnings. The differences between supervisions are no larger than those between seeds (at 800 updates it is (2, T) that leads, at both levels). And a good part of what the attention probe reads is its own doing: it mixes many tokens, and students of 400 updates, who hardly know a 3-gram, let it tell level 1 *better* (0.8) than those of 1600. The linear control, which sees each token's own state alone, is near chance for students, and above it, at level 2, for teachers. (`spans.csv` has all of these.)
#
# ## 8 Token by token
#
# GPT-2's objective instead of BERT's: the next token, from what is before it. The paper scores only tokens that close a span of some level, on cfg3f, where the loss tells whether the model has understood that level. Ours: sentences of cfg3f's symbol 16, tokens that close a span of level 1 (`pcfg-autoregressive`, ten minutes; `data/runs/pcfg-autoregressive`).

# %%
kept = data_path("runs/pcfg-autoregressive")
causal_history, causal_found = pd.read_csv(kept / "history.csv"), pd.read_csv(kept / "by_seed.csv")
fig, ax = plt.subplots(figsize=(9, 3.8))
plots.accuracy(causal_history, ax=ax)
ax.axhline(causal_found["optimum"].mean(), color="0.3", linestyle=":")
ax.set(title="the token that closes a span, dotted: the Bayes optimum", xlim=(0, None))
plt.show()

# %%
causal = causal_found.pivot(index="seed", columns="method", values="final_accuracy")
print("progressive is ahead of labels, every seed:", bool((causal["progressive"] > causal["cross-entropy"]).all()))
print("and of one-shot, in the median:", bool(causal["progressive"].median() > causal["one-shot"].median()))

# %% [markdown]
# Here the temperature matters. At $\tau = 10^{-4}$ a student sees only which token the teacher holds most likely. An early teacher of this task is unsure nearly everywhere, so that its most likely token is the most frequent one, and a student that follows it through all its checkpoints was *behind* labels when we tried. At $\tau = 1$, for one-shot and progressive alike, its doubts are told as well, and progressive is ahead. It is also a task in which the teacher has an advantage: with tokens that close a span of level 2 instead, students learned as fast as their teacher, and there was nothing to gain.
#
# ## 9 What we saw, and what the paper reports

# %%
from pdtutor import Claims


def spread_of(values, digits=3):
    """Median and range."""
    return f"{values.median():.{digits}f} ({values.min():.{digits}f}–{values.max():.{digits}f})"


claims = Claims()
claims.add(
    "a teacher leans on 3-grams in the second phase, and less at the end",
    paper="median M_robust(3) .009 at .6k, ≈ .73 at 1–1.2k, .04 at 2k (E3)",
    measured=f"largest {spread_of(top, 2)} at {', '.join(map(str, peaks[3]))} steps; {spread_of(end, 2)} at the end; optimum {exact.set_index(['probe', 'n'])['median']['M_robust', 3]:.2f}",
    seeds=3,
    holds=bool((end < top * 2 / 3).all() and ((peaks[3] >= borders["second"]) & (peaks[3] <= borders["third"])).all()),
)
claims.add(
    "longer n-grams follow later, and come to explain the predictions",
    measured=f"M_robust largest at {', '.join(f'{peaks[n].mean():.0f} (n = {n})' for n in peaks)} steps on average; M_close(7) {close.xs(7, level='n', axis=1).loc[200].mean():.2f} at 200 steps, {close.xs(7, level='n', axis=1).iloc[-1].mean():.2f} at the end",
    seeds=3,
    holds=bool(peaks.mean().is_monotonic_increasing),
)
rows_of = reported.pivot(index="budget", columns="method", values="final_accuracy")
for budget, of_budget in by_seed.groupby("budget"):
    claims.add(
        f"progressive is ahead of one-shot and labels at a budget of {budget} updates, in the median",
        paper="; ".join(f"{step / 1000:.0f}k: {row['progressive']:.3f}, {row['one-shot']:.3f}, {row['cross-entropy']:.3f}" for step, row in rows_of.iterrows()) + " (E3)",
        measured="; ".join(f"{name} {spread_of(of_budget[name])}" for name in ("progressive", "one-shot", "cross-entropy", "(2,T)")),
        seeds=3,
        holds=bool(of_budget["progressive"].median() > of_budget[["one-shot", "cross-entropy"]].median().max()),
    )
claims.add(
    "(2,T) by first checkpoint: an inverted U with its peak in the second phase",
    paper=f"{u[400]:.3f} at .4k, {u[1000]:.3f} at 1k, {u[8000]:.3f} at 8k, which is one-shot (E3)",
    measured=f"means {mean_by_first.iloc[0]:.3f} at {mean_by_first.index[0]}, {mean_by_first.max():.3f} at {mean_by_first.idxmax()}, {mean_by_first.iloc[-1]:.3f} at {mean_by_first.index[-1]}; best C₁ {', '.join(map(str, best_first))}",
    seeds=3,
    holds=bool(second_phase and mean_by_first.max() > max(mean_by_first.iloc[0], mean_by_first.iloc[-1])),
)
claims.add(
    "token by token, progressive is ahead of one-shot and labels",
    paper="progressive is faster, no table (E4)",
    measured="; ".join(f"{name} {spread_of(causal[name])}" for name in ("progressive", "one-shot", "cross-entropy")),
    seeds=3,
    holds=bool(causal["progressive"].median() > causal[["one-shot", "cross-entropy"]].median().max()),
)
claims.add(
    "the paper's teacher of 16k steps is near the best that masked prediction on cfg3b allows",
    paper="accuracy .980 (E3)",
    measured=f"optimum {whole_accuracy.item():.3f}, for our masks, over 500 sentences",
    seeds=0,
    holds=bool(abs(whole_accuracy - 0.98) < 0.01),
)

# %% tags=["nbval-ignore-output"]
claims

# %%
claims.verdicts()

# %% [markdown]
# The paper's sentences are six times as long, its models larger, its budgets ten times ours. Progressive is first in both. It gains five points over labels at the shortest budget and one at the longest, where the paper has six and three and a half. With three seeds and a spread of several points, single students are to be taken with a grain of salt.
#
# ## Exercises
#
# Fill in a function and run its cell. The checker says ✓, or shows you a case and a hint. Solutions are in `notebooks/solutions/04_pcfg_transformers.ipynb`.
#
# **1** How long is a sentence? `rules` maps a symbol to its rules, each a pair of a probability and a right-hand side, `{"S": [(0.5, ("A", "b")), …], …}`. A symbol that is no key is a token, of length 1; no symbol leads back to itself. Return the expected number of tokens of every symbol (the tokens themselves may be in your answer or not). For cfg3b the root's is 294.

# %%
def expected_lengths(rules):
    """rules: symbol → [(probability, right-hand side), …] → a dict, symbol → expected number of tokens."""
    ...


checks.expected_lengths(expected_lengths)


# %% [markdown]
# **2** How far one prediction leans on its near neighbours: $M_{\text{robust}}(n) = \mathrm{TV}(p, q) = \tfrac12\lVert p - q\rVert_1$ at one position $i$ of one sentence. $p$ is the prediction at $i$ with $i$ alone masked, $q$ the one with all $n$ tokens of the window centred on $i$ masked. $n$ is odd, and the window fits into the sentence. Leave `ids` as it is.

# %%
def m_robust(predict, ids, i, n, mask):
    """predict: ids (length,) → probabilities (length, classes). Returns ½‖p − q‖₁ of its predictions at i."""
    ...


checks.m_robust(m_robust)


# %% [markdown]
# **3** The best prediction that there is, the long way. `sentences` are all the sentences of one length that a small grammar can say, a row each, and `probabilities` says how likely each of them is (among sentences of every length, so they need not sum to 1). Given what is `seen` of a sentence, how likely is each token at each position? Where `seen` is `mask`, nothing is seen. Rows are positions, columns the tokens $0, \dots, \text{classes} - 1$.

# %%
def posterior(sentences, probabilities, seen, mask, classes):
    """(N, length), (N,), (length,) with mask where nothing is seen → P(token at i is c | seen), (length, classes)."""
    ...


checks.posterior(posterior)

# %% [markdown]
# **4** (no checker) Write a grammar of your own in which 3-grams say nothing: every rule's first token is drawn at random, and repeated far away. What do the teacher's phases look like then, and is there a checkpoint that helps?
#
# ## What to read next
#
# - Allen-Zhu and Li 2023, *Physics of language models, part 1: learning hierarchical language structures*: where the grammars and the probe for non-terminals come from.
# - Zhao, Panigrahi, Ge and Arora 2023, *Do Transformers parse while predicting the masked word?*: BERT-like models and inside–outside.
# - Lari and Young 1990, *The estimation of stochastic context-free grammars using the inside-outside algorithm*.
