# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Sparse parity: why labels are nearly blind
#
# A network that learns a parity from its labels has almost nothing to see at the start, and an unfinished teacher shows it where to look.

# %% [markdown] tags=["badge"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/01_sparse_parity_theory.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/OWNER/pdtutor/blob/main/notebooks/01_sparse_parity_theory.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/01_sparse_parity_theory.ipynb)

# %% [markdown]
# **You will learn**
#
# - what a sparse parity is, and why it is the favourite test of *feature learning*;
# - to read a function of ±1 inputs as a sum of parities (its Fourier expansion);
# - why the first gradient on labels is tiny, exactly how tiny, and what that costs in samples;
# - what a half-trained teacher adds to that gradient;
# - to measure both costs and compare them with the theory.
#
# **You need** Python, numpy and a first course in machine learning: gradients, ReLU, variance. No Fourier analysis. No GPU.
#
# **Where in the paper** Section 3 of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025): sparse parity, and the theorem on two checkpoints. The gradient argument is from Barak et al. 2022, *Hidden progress in deep learning*.
#
# **Whose numbers are whose** A sentence marked 📄 repeats what the paper, or a public review of it, reports. Everything else is computed in this notebook.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | exact computations, and the teacher's expansion (sections 1–5) | 8 s |
# | counting samples (section 6) | 17 s |
# | two-stage training (section 7) | 17 s |
# | exercises | 1 s |

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from pdtutor import checks, plots, theory

plots.style()
IN, OUT = plots.INSIDE, plots.OUTSIDE  # the colours of the support and of all else, in every lesson

# %% [markdown]
# ## 1 The problem
#
# An input $x$ is a row of $d$ fair coin flips, written $+1$ and $-1$. A hidden set $S$ of $k$ coordinates, the **support**, decides the label:
#
# $$y = \prod_{i \in S} x_i .$$
#
# This is the **$(d,k)$-sparse parity**. The label says whether the number of $-1$s in the support is even.
#
# The code for this lesson is the package `pdtutor/theory/`. Inputs and parities are in `pdtutor/theory/fourier.py`.

# %%
rng = np.random.default_rng(0)
x = theory.random_signs(rng, 5, 8)  # (n, d) = (5, 8)
y = theory.parity(x, [1, 4, 6])  # (n,): k = 3
pd.DataFrame(x.astype(int), columns=[f"x{j}" for j in range(8)]).assign(y=y.astype(int))

# %% [markdown]
# Flip any one coordinate of the support and the label flips. Now forget one of them: what do the others say about the label?
#
# We can ask exactly. For small $d$ we list all $2^d$ inputs.

# %%
d, support = 15, [2, 5, 7, 11]  # k = 4
cube = theory.hypercube(d)  # (2^15, 15): every input once
labels = theory.parity(cube, support)  # (2^15,)
print("all inputs:", cube.shape)
print("mean label:", labels.mean(dtype=float))
print("largest |E[y x_j]| over single coordinates:", np.abs(labels @ cube.astype(float)).max() / len(cube))
print("E[y x_2 x_5 x_7], three of the four:", np.mean(labels * theory.parity(cube, support[:3]), dtype=float))
print("E[y x_2 x_5 x_7 x_11], all four:", np.mean(labels * theory.parity(cube, support), dtype=float))

# %% [markdown]
# Nothing, then nothing, then everything. No coordinate and no proper subset of the support is correlated with the label. There is no partial credit, and gradient descent lives on partial credit.

# %% [markdown]
# ## 2 Functions as sums of parities
#
# For a set $T$ of coordinates write $\chi_T(x) = \prod_{i \in T} x_i$, and $\chi_\emptyset = 1$. There are $2^d$ of these parities, and every function of ±1 inputs is a sum of them:
#
# $$f(x) = \sum_T \hat f(T)\, \chi_T(x), \qquad \hat f(T) = \mathbb{E}_x[f(x)\,\chi_T(x)] .$$
#
# The number $\hat f(T)$ is a **Fourier coefficient**: the correlation of $f$ with one parity. $|T|$ is its **degree**. (O'Donnell's *Analysis of Boolean Functions*, chapter 1, has the proofs.)
#
# Take the majority of three bits.

# %%
small_cube = theory.hypercube(3)  # (8, 3)
majority = np.sign(small_cube.sum(axis=1))  # (8,)
for subset in ([], [0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]):
    print(f"{subset!s:10} {theory.fourier_coefficient(majority, subset):+.2f}")

# %% [markdown]
# So $\mathrm{Maj}(x) = \tfrac12(x_0 + x_1 + x_2) - \tfrac12 x_0x_1x_2$. Check one input in your head: $(+1,+1,-1)$ gives $\tfrac12 + \tfrac12 = 1$.
#
# Two facts do the work in this lesson.
#
# - **Parseval**: $\mathbb{E}[f^2] = \sum_T \hat f(T)^2$. Coefficients share out the energy of $f$.
# - A parity has **one** coefficient. All of its energy sits at degree $k$.
#
# All $2^d$ coefficients come from one fast Walsh–Hadamard transform: $d\,2^d$ additions, where the definition would take $4^d$.

# %%
gate = (cube.sum(axis=1) >= 0).astype(float)  # on/off of a neuron with weights +1; d is odd, so no ties
energy = pd.DataFrame(
    {"parity, k = 4": theory.degree_weights(labels), "majority": theory.degree_weights(2 * gate - 1)}
)
energy.index.name = "degree"
print("Parseval, parity:  ", np.isclose(energy["parity, k = 4"].sum(), np.mean(labels.astype(float) ** 2)))
print("Parseval, majority:", np.isclose(energy["majority"].sum(), 1.0))
print("parity, degrees with energy:", energy.index[energy["parity, k = 4"] > 1e-12].tolist())
print("majority, degrees with energy:", energy.index[energy["majority"] > 1e-12].tolist())

# %%
long = energy.reset_index().melt("degree", var_name="function", value_name="energy")
fig, ax = plt.subplots(figsize=(7, 3.2))
sns.barplot(long, x="degree", y="energy", hue="function", ax=ax)
ax.set(xlabel="degree", ylabel="share of the energy", title=f"Where the energy sits (d = {d})")
ax.legend(title=None)
plt.show()

# %% [markdown]
# Majority puts most of its energy at degree 1, and less and less at 3, 5, 7…. It has none at even degrees, because it is **odd**: $\mathrm{Maj}(-x) = -\mathrm{Maj}(x)$. Keep both in mind.

# %% [markdown]
# ## 3 What the first gradient sees
#
# One neuron of a network at initialisation: $f(x) = a \cdot \mathrm{relu}(w \cdot x + b)$. We take weights $w_j = \pm1$. The loss is the hinge loss $\max(0, 1 - y f(x))$. Neurons start in mirrored pairs with opposite $a$, so the whole network outputs 0 and every margin is active. Then
#
# $$-\frac{\partial L}{\partial w_j} = a\;\mathbb{E}\big[\,y\, x_j\, \mathbb{1}[w\cdot x + b \ge 0]\,\big].$$
#
# Look at $y\,x_j$. It is a product of coordinates, so it is a parity again. If $j$ is in the support, $x_j$ meets itself and cancels ($x_j^2 = 1$), which leaves $\chi_{S\setminus j}$. If not, it joins: $\chi_{S \cup j}$.
#
# **So the gradient is a Fourier coefficient of the neuron's on/off switch**, of degree $k-1$ for coordinates in the support and $k+1$ for the others.
#
# The switch is a threshold of $\pm x_1 \pm \dots \pm x_d$. By symmetry its coefficient depends on the degree alone, up to a sign. Call it $\xi_r$ at degree $r$:
#
# $$-\frac{\partial L}{\partial w_j} = a\,\xi_{k-1}\,\chi_{S\setminus j}(w) \;\; (j \in S), \qquad\quad a\,\xi_{k+1}\,\chi_{S\cup j}(w) \;\; (j \notin S).$$
#
# This is the argument of Barak et al. 2022. For weights ±1 it is exact. We check it against a sum over all inputs (`pdtutor/theory/gradients.py`).

# %%
signs = rng.choice([-1, 1], size=d)  # the neuron's weights, (15,)
enumerated = theory.population_gradient(signs, labels)  # (15,): a sum over 2^15 inputs
closed = theory.parity_gradient(signs, support)  # (15,): the formula
print("shapes:", enumerated.shape, closed.shape)
print("formula equals enumeration to 1e-12:", np.allclose(closed, enumerated, rtol=0, atol=1e-12))
xi_inside, xi_outside = (theory.threshold_coefficient(d, degree) for degree in (3, 5))
print("in-support size is |ξ_3|: ", np.allclose(np.abs(enumerated[support]), abs(xi_inside)))
print("off-support size is |ξ_5|:", np.allclose(np.abs(np.delete(enumerated, support)), abs(xi_outside)))

# %%
fig, ax = plt.subplots(figsize=(7, 3))
colors = [IN if j in support else OUT for j in range(d)]
ax.bar(range(d), np.abs(enumerated), color=colors)
ax.bar(0, 0, color=IN, label="in the support")
ax.bar(0, 0, color=OUT, label="not in the support")
ax.set(xlabel="coordinate j", ylabel="|gradient| per unit of a", title=f"Exact first gradient on labels, d = {d}, k = 4")
ax.set_xticks(range(d))
ax.set_ylim(0, 1.4 * np.abs(enumerated).max())
ax.legend(loc="upper right", ncol=2)
ax.grid(axis="x", visible=False)
plt.show()

# %% [markdown]
# The support does stand out. One exact gradient would solve the problem. But look at the scale of the axis, and remember that we summed over *all* inputs. A sample of $n$ inputs adds noise of about $\sqrt{1/(2n)}$ to each bar.
#
# **Even and odd $k$.** A threshold without bias, at odd $d$, is odd apart from its mean. So $\xi_r = 0$ for even $r \ge 2$. A parity of even $k$ needs $\xi_{k-1}$, which is alive. A parity of odd $k \ge 3$ needs an even degree, and its first gradient is exactly 0. That is why this course uses even $k$.

# %%
print("ξ_2 and ξ_4 at d = 15:", theory.threshold_coefficient(15, 2), theory.threshold_coefficient(15, 4))
odd_k = theory.population_gradient(signs, theory.parity(cube, [2, 5, 7]))
print("largest gradient for k = 3:", np.abs(odd_k).max())

# %% [markdown]
# ## 4 How small is small?
#
# Listing $2^{100}$ inputs is out of the question, but $\xi_r$ has a closed form: an alternating sum of binomials, taken in whole numbers (`pdtutor/theory/threshold.py`). It agrees with the transform where both can be had.

# %%
small_d = 13
for bias in (-3, 0, 2):
    table = (theory.hypercube(small_d).sum(axis=1) + bias >= 0).astype(float)
    by_transform = theory.fourier_coefficients(table)
    by_formula = [theory.threshold_coefficient(small_d, r, bias=bias) for r in range(small_d + 1)]
    agree = all(
        np.isclose(by_transform[theory.subset_index(range(r), small_d)], by_formula[r], rtol=0, atol=1e-14)
        for r in range(small_d + 1)
    )
    print(f"bias {bias:+d}: closed form equals transform at every degree: {agree}")

# %% [markdown]
# Here is the setting of the paper's experiments, $d = 100$. Since 100 is even, $\sum_j x_j$ is even too; a bias of $\pm 1$ avoids ties, and both signs give the same sizes.

# %%
for degree in (1, 3, 5, 7):
    sizes = {f"{abs(theory.threshold_coefficient(100, degree, bias=bias)):.2e}" for bias in (-1, 1)}
    print(f"|ξ_{degree}| at d = 100: {', '.join(sizes)}")

# %% [markdown]
# For $k = 6$ the in-support gradient is $|\xi_5| = 1.24\times10^{-5}$ per unit of $a$, and everything else is noise of size $\sqrt{1/(2n)}$.
#
# What counts is the **Fourier gap** $|\xi_{k-1}| - |\xi_{k+1}|$: how far the support stands out. Theory says it shrinks like $d^{-(k-1)/2}$ (Barak et al. 2022).

# %%
dims = np.array([15, 21, 31, 43, 63, 101, 201, 401, 1001])  # odd, so that no bias is needed
gaps = pd.DataFrame([{"d": dim, "k": k, "gap": theory.fourier_gap(int(dim), k)} for k in (2, 4, 6) for dim in dims])
for k, group in gaps.groupby("k"):
    tail = group[group["d"] >= 101]
    slope = theory.fit_slope(tail["d"], tail["gap"]).exponent
    print(f"k = {k}: measured exponent for d ≥ 101: {slope:.2f}, theory: {-(k - 1) / 2:.2f}")

# %%
fig, ax = plt.subplots(figsize=(7, 3.8))
sns.lineplot(gaps, x="d", y="gap", hue="k", style="k", markers=True, dashes=False, palette="colorblind", ax=ax)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="dimension d",
    ylabel=r"Fourier gap $|\xi_{k-1}| - |\xi_{k+1}|$",
    title="The signal in the first gradient on labels",
)
plt.show()

# %% [markdown]
# A gap $\gamma$ sticks out of noise $\sqrt{1/(2n)}$ once $n \gtrsim 1/\gamma^2 \sim d^{\,k-1}$. With the largest of $d$ noise terms in the account (a factor of about $\ln d$) we get a prediction for the number of labelled samples:

# %%
prediction = pd.DataFrame(
    {f"k = {k}": [f"{theory.predicted_samples(d, k):.1e}" for d in (15, 31, 63, 100)] for k in (2, 4, 6)},
    index=pd.Index([15, 31, 63, 100], name="d"),
)
print(prediction)

# %% [markdown]
# At $d = 100$, $k = 6$ that is tens of billions of samples for one neuron and one step. Real training does better, because it takes many steps and small gains add up: 📄 the paper's teacher (width 50 000, batch 1) starts to move after about 10 million examples. The order of difficulty is the same: a long flat start, then a jump.

# %% [markdown]
# ## 5 What an unfinished teacher gives away
#
# A *perfect* final teacher is the label. As a function on these inputs it is $\chi_S$, and its lessons are as blind as labels are.
#
# Now stop the teacher early. The paper's theory trains in two stages: stage 1 moves the first layer by one large-batch step, stage 2 fits the second layer. Take the teacher **at the end of stage 1**. Its second layer is still the random one.
#
# `theory.stage_one_teacher` builds it from the exact gradient, as if stage 1 had used infinitely many samples. Weight decay erases the initial weights in that step, a device of Barak et al. 2022. (This is our reading of the algorithm; see `pdtutor/theory/algorithm.py`.)

# %%
teacher = theory.stage_one_teacher(d, support, width=64, seed=0)
outputs = teacher(cube.astype(np.float32)).astype(float)  # (2^15,): real numbers, not ±1
print("teacher weights:", teacher.weights.shape, " outputs:", outputs.shape)
print("odd function, f(−x) = −f(x):", np.allclose(outputs, -outputs[::-1], atol=1e-6))
print("coefficient on the label's parity is 0:", abs(theory.fourier_coefficient(outputs, support)) < 1e-6)
degree_one = np.array([theory.fourier_coefficient(outputs, [j]) for j in range(d)])  # (15,)
print("in-support coefficients different from 0:", bool(np.all(np.abs(degree_one[support]) > 1e-3)))

# %% [markdown]
# Read that again. This teacher knows *nothing* about the label: its correlation with $y$ is exactly 0, and its accuracy is chance. (Mirrored neurons make it odd; the parity of an even number of coordinates is even.) Yet it leaks the support, one coordinate at a time.
#
# How much of its output is this leak? Split the energy in three: degree 1 on the support, degree 1 elsewhere, and the rest.

# %% tags=["nbval-ignore-output"]
rows = []
for k in (4, 6):
    for dim in (15, 21, 31, 51, 101):
        for seed in range(8):
            half_trained = theory.stage_one_teacher(dim, range(k), width=64, seed=seed)
            squares = theory.degree_one_coefficients(half_trained, dim, samples=30_000, seed=100 + seed) ** 2  # (dim,)
            inside, outside = squares[:k].sum(), squares[k:].sum() - (dim - k) / 30_000  # less the noise floor
            rows.append({"k": k, "d": dim, "degree 1, in support": inside, "degree 1, elsewhere": outside})
shares = pd.DataFrame(rows)
shares["each in-support coefficient / RMS"] = np.sqrt(shares["degree 1, in support"] / shares["k"])
shares["the rest"] = 1 - shares["degree 1, in support"] - shares["degree 1, elsewhere"]
mean_shares = shares.groupby(["k", "d"]).mean()
mean_shares.round(2)

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
for ax, (k, group) in zip(axes, mean_shares.groupby("k"), strict=True):
    parts = group.droplevel("k")[["degree 1, in support", "degree 1, elsewhere", "the rest"]]
    parts.plot.bar(stacked=True, ax=ax, color=[IN, OUT, "0.9"], width=0.8, legend=False, rot=0)
    ax.set(title=f"k = {k}", xlabel="dimension d", ylabel="share of the teacher's energy")
    ax.grid(axis="x", visible=False)
fig.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncol=3, frameon=False)
fig.suptitle("What a stage-1 teacher says (mean over 8 teachers)")
fig.tight_layout(rect=(0, 0.07, 1, 1))
plt.show()

# %%
share_in = mean_shares["degree 1, in support"]
print("the rest is below 5 % everywhere:", bool((mean_shares["the rest"] < 0.05).all()))
print("k = 6, d = 15: in-support share between 60 % and 75 %:", bool(0.60 < share_in[6, 15] < 0.75))
print("d = 101: in-support share above 90 % for both k:", bool((share_in.xs(101, level="d") > 0.90).all()))

# %% [markdown]
# Nearly all of the teacher is degree 1. The share *on the support* depends on $d$: about 70 % for $k = 6$ at $d = 15$–$21$, where each in-support coefficient is about a third of the teacher's RMS, and above 90 % at $d = 101$. What is missing at small $d$ is not complexity. It is degree 1 on the wrong coordinates, because the teacher's own first step had a weight $|\xi_{k+1}|$ there. That leak fades as $|\xi_{k+1}/\xi_{k-1}| \sim 1/d$.
#
# **What does it do to the student?** Let the teacher's output $t(x)$ take the label's place in the gradient. For an odd $t$ and an odd switch, all terms cancel but one:
#
# $$a\,\mathbb{E}\big[t(x)\,x_j\,\mathbb{1}[w \cdot x \ge 0]\big] = \tfrac{a}{2}\,\hat t(\{j\}).$$
#
# Half of the teacher's coefficient. No $d$ in sight.

# %%
student_gradient = -theory.population_gradient(signs, outputs)  # (15,): the teacher's outputs supervise the neuron
print("gradient from the teacher is c_j/2:", np.allclose(student_gradient, degree_one / 2, atol=1e-7))
typical = np.median(np.abs(degree_one[support])) / np.sqrt(np.mean(outputs**2))
print("per unit of teacher RMS, at least 20 times the label's gradient:", bool(typical / 2 > 20 * abs(xi_inside)))

# %% [markdown]
# Now with noise. We draw 2 000 samples at $d = 31$ and estimate the gradient of one neuron, once from labels and once from a stage-1 teacher.

# %%
d_noisy, noisy_support, n = 31, [3, 10, 17, 24], 2000
noisy_rng = np.random.default_rng(1)
noisy_teacher = theory.stage_one_teacher(d_noisy, noisy_support, width=2, seed=1)
neuron = noisy_rng.choice([-1, 1], size=d_noisy)
x = theory.random_signs(noisy_rng, n, d_noisy)  # (2000, 31)
switched_on = x @ neuron >= 0  # (2000,)
estimates = {}
for name, target in {"labels": theory.parity(x, noisy_support), "stage-1 teacher": noisy_teacher(x)}.items():
    target = target / np.sqrt(np.mean(target**2))  # both with RMS 1, so that the panels compare
    estimates[name] = (target * switched_on) @ x / n  # (31,)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, (name, estimate) in zip(axes, estimates.items(), strict=True):
    colors = [IN if j in noisy_support else OUT for j in range(d_noisy)]
    ax.bar(range(d_noisy), np.abs(estimate), color=colors)
    ax.axhline(np.sqrt(0.5 / n), color="0.3", ls="--", lw=1, label="noise, √(1/2n)")
    ax.set(title=f"{name}, n = {n}", xlabel="coordinate j", ylabel="|estimated gradient|")
    ax.grid(axis="x", visible=False)
axes[0].bar(0, 0, color=IN, label="in the support")
axes[0].bar(0, 0, color=OUT, label="not in the support")
axes[0].legend(loc="upper left")
fig.tight_layout()
plt.show()

# %%
for name, estimate in estimates.items():
    top_four = set(np.argsort(-np.abs(estimate))[:4].tolist())
    print(f"{name}: the four largest entries are the support: {top_four == set(noisy_support)}")

# %% [markdown]
# ### The theorem in words
#
# 📄 The paper proves a gap between two students (its Theorem 3.2; we know the bounds from a public review).
#
# - A student with **two checkpoints** (an intermediate one first, the final one after) learns the parity to error $\varepsilon$ from about $2^k d^2 \varepsilon^{-2} + k^3$ samples, up to logarithms.
# - A **one-shot** student, which sees only the final teacher, needs at least on the order of $d^{\,k-1}$ samples (and $\varepsilon^{-2}$).
#
# The first bound has $d^2$ for every $k$. The second has $k$ in the exponent. You have now seen the reason for both: $\xi_{k-1}$ against $\hat t(\{j\})/2$.

# %% [markdown]
# ## 6 Counting samples
#
# We count for real. One neuron at initialisation, fresh samples, a running estimate $\hat g$ of its gradient. **Separated** means: the smallest $|\hat g_j|$ in the support is larger than the largest outside. We report the first $n$ from which this holds at every look until $4n$, with looks 10 % apart (`pdtutor/theory/samples.py`).
#
# The teacher here is the smallest one, a single mirrored pair, whose in-support coefficients are all of one size. Wide teachers come at the end of this section.

# %% tags=["nbval-ignore-output"]
dims = [15, 21, 31, 43, 63]
counts = pd.concat(
    [theory.sample_complexity(dims, k=2, seeds=range(24)), theory.sample_complexity(dims, k=4, seeds=range(10))]
)
counts.pivot_table(index="d", columns=["k", "supervision"], values="samples", aggfunc="median").round(0)

# %% tags=["nbval-ignore-output"]
slopes = {
    (k, supervision): theory.fit_slope(group["d"], group["samples"])
    for (k, supervision), group in counts.groupby(["k", "supervision"])
}
for (k, supervision), fit in slopes.items():
    print(f"k = {k}, {supervision:8} samples ∝ d^({fit.exponent:.2f} ± {fit.stderr:.2f})")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4), sharey=True)
palette = {"labels": OUT, "teacher": IN}
grid = np.geomspace(dims[0], dims[-1], 50)
for ax, (k, group) in zip(axes, counts.groupby("k"), strict=True):
    style = {"x": "d", "y": "samples", "hue": "supervision", "style": "supervision", "palette": palette, "ax": ax}
    sns.scatterplot(group, **style, s=18, alpha=0.4, legend=False)
    medians = group.groupby(["supervision", "d"], as_index=False)["samples"].median()
    sns.scatterplot(medians, **style, s=80)
    for supervision, color in palette.items():
        fit = slopes[k, supervision]
        ax.plot(grid, fit.prefactor * grid**fit.exponent, color=color, lw=1.5)
        height = 3 * fit.prefactor * dims[-1] ** fit.exponent
        label = f"slope {fit.exponent:.2f} ± {fit.stderr:.2f}".replace("-", "−")
        ax.text(dims[-1], height, label, color=color, ha="right", va="bottom")
    ax.plot(dims, [theory.predicted_samples(dim, k) for dim in dims], "k:", lw=1.5, label="prediction, labels")
    ax.set(xscale="log", yscale="log", title=f"k = {k}", xlabel="dimension d")
    ax.set_ylabel("samples until the support stands out")
    ax.set_xticks(dims, dims)
    ax.minorticks_off()
    ax.set_ylim(3, 3e9)
    ax.legend(title=None, loc="upper left", fontsize=9)
fig.tight_layout()
plt.show()

# %% [markdown]
# Small marks are single neurons, large marks are medians, lines are fits through all neurons. The dotted line is our prediction from the Fourier gap; it was not fitted.
#
# - **Labels** grow about as $d^{\,k-1}$: linearly for $k = 2$, as a cube for $k = 4$.
# - **The teacher** is flat for $k = 4$, within the scatter. For $k = 2$ it grows slowly, to less than twice as many samples over the whole range: more coordinates, so a larger largest error. The theorem's $d^2$ is an upper bound for learning the whole parity; finding the support with one neuron is a smaller job.
#
# The predicted curve itself is a little steeper than $k - 1$ (last lines of the next cell): there is the logarithm, and $d$ is not yet large. For $k = 6$ we only predict. Section 4 has the table: at $d = 63$ the label count is in the billions.

# %%
print("every run separated:", bool(counts["samples"].notna().all()))
for k in (2, 4):
    labels_fit, teacher_fit = slopes[k, "labels"], slopes[k, "teacher"]
    print(f"k = {k}: label slope within 0.5 of k − 1 = {k - 1}:", abs(labels_fit.exponent - (k - 1)) < 0.5)
    print(f"k = {k}: teacher slope less than half of the label slope:", teacher_fit.exponent < labels_fit.exponent / 2)
medians = counts.groupby(["k", "supervision", "d"])["samples"].median().unstack("supervision")
ratio = medians["labels"] / medians["teacher"]
print("k = 4, d = 63: labels need over 10 000 times more samples:", bool(ratio[4, 63] > 10_000))
predicted = pd.Series({(k, dim): theory.predicted_samples(dim, k) for k, dim in medians.index})
within = np.log(predicted / medians["labels"]).abs() < np.log(3)
print("prediction within a factor of 3 of every median:", bool(within.all()))
for k in (2, 4):
    print(f"k = {k}: slope of the predicted curve: {theory.fit_slope(dims, predicted[k]).exponent:.2f}")

# %% [markdown]
# **The catch: luck.** A wide teacher is a sum of many mirrored pairs with random signs. Its in-support coefficients come out unequal, and one may be close to 0. If it is smaller than the leak on some wrong coordinate, no number of samples will separate the support. We count again for 16 teachers of width 64 and stop at 300 000 samples.

# %% tags=["nbval-ignore-output"]
wide = theory.sample_complexity(
    [15, 31, 63], k=4, supervision=["teacher"], seeds=range(16), teacher_width=64, max_samples=300_000
)
by_dimension = wide.groupby("d")["samples"].agg(separated="count", median_of_those="median")
by_dimension

# %%
print("d = 15: fewer than half of the wide teachers separate the support:", bool(by_dimension["separated"][15] < 8))
print("d = 63: more than half do:", bool(by_dimension["separated"][63] > 8))
few = by_dimension["median_of_those"][63] < medians["labels"][4, 63] / 1000
print("d = 63: those that do need under a thousandth of the label samples:", bool(few))

# %% [markdown]
# So an intermediate teacher helps as far as *every* in-support coefficient rises above its leak. That gets better with $d$ (the leak fades as $1/d$), and it is why one looks at a checkpoint before teaching with it: lesson 2 does.

# %% [markdown]
# ## 7 From the support to the parity
#
# Finding the support is half of the job. `theory.two_stage` trains a whole network (width 128) in two stages and reports its accuracy.
#
# - **Stage 1**: three steps of the first layer, each on a third of the stage-1 samples. The taught student follows the intermediate teacher (width 64) in the *first* step only. After that it follows the final teacher, that is, the labels. The other student follows labels in all three.
# - **Stage 2**: fit the second layer on 4 000 labelled samples. Both students do the same.
#
# We use $d = 51$, $k = 4$, and three independent teachers and students. We did not select them.

# %% tags=["nbval-ignore-output"]
d_train, k_train = 51, 4
rows = []
for seed in range(3):
    hidden = np.random.default_rng(seed).choice(d_train, size=k_train, replace=False)
    intermediate = theory.stage_one_teacher(d_train, hidden, width=64, seed=seed)
    for samples in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000):
        for supervision, guide in {"labels only": None, "teacher first": intermediate}.items():
            if guide is not None and samples > 1_000_000:
                continue  # the taught student has long arrived
            result = theory.two_stage(
                d_train, k_train, stage1_samples=samples, steps=3, teacher=guide, support=hidden, seed=seed
            )
            rows.append({"stage-1 samples": samples, "supervision": supervision, "seed": seed, "accuracy": result.accuracy})
trained = pd.DataFrame(rows)
trained.pivot_table(index="stage-1 samples", columns="supervision", values="accuracy").round(3)

# %%
fig, ax = plt.subplots(figsize=(7, 3.8))
palette = {"labels only": OUT, "teacher first": IN}
sns.lineplot(trained, x="stage-1 samples", y="accuracy", hue="supervision", style="supervision", palette=palette,
             markers=True, dashes=False, errorbar=("pi", 100), ax=ax)
ax.axhline(0.5, color="0.4", ls=":", lw=1)
ax.text(1_000, 0.475, "chance", color="0.4", va="top", fontsize=9)
ax.set(xscale="log", ylim=(0.42, 1.03), xlabel="samples in stage 1", ylabel="test accuracy",
       title=f"Two-stage training, d = {d_train}, k = {k_train} (mean and range of 3 seeds)")
ax.legend(title=None)
plt.show()

# %%
accuracy = trained.groupby(["supervision", "stage-1 samples"])["accuracy"]
lowest, highest = accuracy.min(), accuracy.max()
print("100 000 samples, every taught student above 0.8:", bool(lowest["teacher first", 100_000] > 0.8))
print("100 000 samples, every label-only student below 0.6:", bool(highest["labels only", 100_000] < 0.6))
print("labels do get there, with 3 000 000 samples above 0.9:", bool(lowest["labels only", 3_000_000] > 0.9))
first_taught, first_labels = (
    lowest[name][lowest[name] > 0.9].index[0] for name in ("teacher first", "labels only")
)
print("samples until all three seeds pass 0.9, taught at most a tenth of labels:", first_taught <= first_labels / 10)

# %% [markdown]
# **Why three steps and not one?** An odd teacher gives every student neuron the *same* direction, $\hat t(\{j\})/2$. All features are then functions of one number, $z = \sum_j \hat t(\{j\})\,x_j$. In principle one number is enough to tell $2^k$ sign patterns apart; in practice some patterns get almost the same $z$, and the leak outside the support blurs it further. The steps on labels fix that: the switches now depend on the support, so the labels are no longer invisible.

# %% tags=["nbval-ignore-output"]
single = []
for seed in range(3):
    hidden = np.random.default_rng(seed).choice(d_train, size=k_train, replace=False)
    intermediate = theory.stage_one_teacher(d_train, hidden, width=64, seed=seed)
    leak = np.sort(np.abs(theory.degree_one_coefficients(intermediate, d_train)[hidden]))
    result = theory.two_stage(
        d_train, k_train, stage1_samples=100_000, steps=1, teacher=intermediate, support=hidden, seed=seed
    )
    single.append(result.accuracy)
    print(f"seed {seed}: accuracy after one taught step {result.accuracy:.2f}, teacher's in-support |c_j|: {leak.round(2)}")

# %%
three_steps = trained.query("supervision == 'teacher first' and `stage-1 samples` == 100_000")["accuracy"].to_numpy()
print("one taught step is better than chance in every seed:", min(single) > 0.52)
print("three steps beat one in every seed:", bool(np.all(three_steps > np.array(single))))

# %% [markdown]
# One more look at the teacher's side. Train a teacher on labels with plenty of samples ($d = 21$, one step, a million samples) and compare its two checkpoints: the end of stage 1, and the end.

# %%
whole_run = theory.two_stage(21, 4, stage1_samples=1_000_000, seed=0)
early = theory.degree_one_coefficients(whole_run.stage_one, 21)[whole_run.support] ** 2
final = theory.degree_one_coefficients(whole_run.network, 21)[whole_run.support] ** 2
print("the final network has learned the parity, accuracy above 0.9:", whole_run.accuracy > 0.9)
print("in-support degree-1 share, early checkpoint above 10 %:", bool(early.sum() > 0.1))
print("in-support degree-1 share, final checkpoint below 1 %:", bool(final.sum() < 0.01))

# %% [markdown]
# The curriculum is in the checkpoints and gone from the final model. That is what the paper means by *implicit curriculum*.

# %% [markdown]
# ## 8 What we saw, and what the paper reports

# %%
from pdtutor import Claims

claims = Claims()
claims.add(
    "the Fourier gap shrinks as d^(−(k−1)/2)",
    paper="Θ(d^(−(k−1)/2)) (Barak et al. 2022)",
    measured=", ".join(
        f"k = {k}: {theory.fit_slope(g['d'], g['gap']).exponent:.2f}" for k, g in gaps[gaps["d"] >= 101].groupby("k")
    ),
    seeds=0,
    holds=all(
        abs(theory.fit_slope(g["d"], g["gap"]).exponent + (k - 1) / 2) < 0.1
        for k, g in gaps[gaps["d"] >= 101].groupby("k")
    ),
)
claims.add(
    "labelled samples until the support stands out grow as d^(k−1)",
    paper="one-shot: at least of order d^(k−1) (public review of Theorem 3.2)",
    measured=", ".join(f"k = {k}: {slopes[k, 'labels'].exponent:.2f} ± {slopes[k, 'labels'].stderr:.2f}" for k in (2, 4)),
    seeds=10,
    holds=all(abs(slopes[k, "labels"].exponent - (k - 1)) < 0.5 for k in (2, 4)),
)
claims.add(
    "with an intermediate teacher the growth is no faster than d^2, for k = 2 and k = 4",
    paper="two checkpoints: about 2^k·d² samples to learn it (same review)",
    measured=", ".join(f"k = {k}: {slopes[k, 'teacher'].exponent:.2f} ± {slopes[k, 'teacher'].stderr:.2f}" for k in (2, 4)),
    seeds=10,
    holds=all(slopes[k, "teacher"].exponent + 2 * slopes[k, "teacher"].stderr < 2 for k in (2, 4)),
)
claims.add(
    "an early checkpoint carries more in-support degree 1 than the final one",
    paper="stated beside Theorem 3.2 (same review)",
    measured=f"share {early.sum():.2f} against {final.sum():.4f} (d = 21, k = 4)",
    seeds=1,
    holds=bool(early.sum() > 10 * final.sum()),
)
claims.add(
    "two checkpoints learn the parity from at most a tenth of the samples that labels need",
    paper="about 2^k·d² against at least d^(k−1) samples (same review)",
    measured=f"{first_taught:,} against {first_labels:,} stage-1 samples to accuracy 0.9 (d = 51, k = 4)",
    seeds=3,
    holds=bool(first_taught <= first_labels / 10),
)

# %% tags=["nbval-ignore-output"]
claims

# %%
claims.verdicts()

# %% [markdown]
# **What this lesson does not show.** The slopes of section 6 are those of the smallest possible teacher and of one neuron; some wide teachers never separate the support. Stage 2 solves least squares instead of running SGD. We took one label step for granted as *the final teacher*, which is true only of a perfect one. And $k = 6$ is predicted, not run. Lessons 2 and 3 train real networks by SGD.

# %% [markdown]
# ## 9 Exercises
#
# Fill in each function and run its cell again. The checker says ✓, or shows one small case and a hint. Solutions are in `notebooks/solutions/`.
#
# **Exercise 1.** Write the label: the product of the coordinates in the support. `x` has shape `(n, d)`, the answer `(n,)`.


# %%
def parity_label(x, support):
    return ...  # your code


checks.parity_label(parity_label)

# %% [markdown]
# **Exercise 2.** Write one Fourier coefficient from its definition. `f` has shape `(n,)`, the values at the inputs `x` of shape `(n, d)`; `subset` is a list of coordinates. What is the parity of the empty subset?


# %%
def coefficient(f, x, subset):
    return ...  # your code


checks.coefficient(coefficient)

# %% [markdown]
# **Exercise 3.** Write the direction in which descent moves a neuron with weights `signs` (±1, shape `(d,)`), for $a = 1$: $\xi_{k-1}\chi_{S\setminus j}(w)$ in the support, $\xi_{k+1}\chi_{S\cup j}(w)$ outside. The two coefficients are given. The answer has shape `(d,)`.


# %%
def descent_direction(signs, support, xi_inside, xi_outside):
    return ...  # your code


checks.descent_direction(descent_direction)

# %% [markdown]
# **Exercise 4.** A gradient entry of size `signal` is estimated from $n$ samples with standard error $\sqrt{1/(2n)}$. How many samples until it is at least `sigmas` standard errors large? Then try `samples_to_resolve(1.24e-5, 3)`.


# %%
def samples_to_resolve(signal, sigmas):
    return ...  # your code


checks.samples_to_resolve(samples_to_resolve)

# %% [markdown]
# **Exercise 5.** Which share of the variance of a function is degree 1? `f` has shape `(2^d,)`, the values at all inputs `x` of shape `(2^d, d)`. (Variance leaves out the mean; degree 0 is the mean.)


# %%
def degree_one_share(f, x):
    return ...  # your code


checks.degree_one_share(degree_one_share)

# %% [markdown]
# ## What to read next
#
# - **Lesson 2**, `02_teacher_training`: a teacher trained by SGD, and the moment its checkpoints leak the support.
# - Barak et al. 2022, *Hidden progress in deep learning: SGD learns parities near the computational limit*: the Fourier gap, and why many small steps work.
# - O'Donnell, *Analysis of Boolean Functions*, chapters 1, 2 and 5.
# - Panigrahi et al. 2025, section 3 and its proofs.
