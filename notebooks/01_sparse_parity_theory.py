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
# - what a half-trained teacher adds to that gradient, and when its checkpoint has anything to add;
# - to write the two-stage algorithm of the theory in 25 lines, and to test how its samples grow.
#
# **You need** Python, numpy and a first course in machine learning: gradients, ReLU, variance. No Fourier analysis. No GPU.
#
# **Where in the paper** Section 3 of *Progressive distillation induces an implicit curriculum* (Panigrahi et al., ICLR 2025): sparse parity, and the theorem on two checkpoints. The gradient argument is from Barak et al. 2022, *Hidden progress in deep learning*.
#
# **Whose numbers are whose** A sentence marked 📄 repeats what the paper, or a public review of it, reports. Everything else is computed in this notebook.
#
# | part | run time on 2 CPU cores |
# |---|---|
# | exact computations, and the teacher's expansion (sections 1–5) | 10 s |
# | counting samples (section 6) | 10 s |
# | two-stage training, and stored experiments (sections 7–9) | 10 s |
# | the stored experiments, if you run them again | about 7 min |

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

from pdtutor import Thresholds, checks, data_path, plots, recipes, theory

plots.style()

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
# What do you expect for three of the four coordinates? We can ask exactly. For small $d$ we list all $2^d$ inputs.

# %%
d, support = 15, [2, 5, 7, 11]  # k = 4
cube = theory.hypercube(d)  # (2^15, 15): every input once
labels = theory.parity(cube, support)  # (2^15,)
print("all inputs:", cube.shape)
print("mean label:", labels.mean(dtype=float))
singles = labels @ cube.astype(float) / len(cube)  # (15,)
three, four = (theory.parity(cube, part) for part in (support[:3], support))
print("largest |E[y x_j]| over single coordinates:", np.abs(singles).max())
print("E[y x_2 x_5 x_7], three of the four:", np.mean(labels * three, dtype=float))
print("E[y x_2 x_5 x_7 x_11], all four:", np.mean(labels * four, dtype=float))

# %% [markdown]
# Nothing, then nothing, then everything. No coordinate and no proper subset of the support is correlated with the label. There is no partial credit, and gradient descent lives on partial credit.

# %% [markdown]
# **Exercise 1.** Write the label: the product of the coordinates in the support. `x` has shape `(n, d)`, the answer `(n,)`. (In each exercise fill in the function and run its cell again: the checker says ✓, or shows one small case and a hint. Solutions are in `notebooks/solutions/`.)


# %%
def parity_label(x, support):
    return ...  # your code


checks.parity_label(parity_label)

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
# - **Parseval**: $\mathbb{E}[f^2] = \sum_T \hat f(T)^2$. We call $\mathbb{E}[f^2]$ the **energy** of $f$, and its root the **RMS**; each coefficient has its share of the energy.
# - A parity has **one** coefficient. All of its energy sits at degree $k$.
#
# All $2^d$ coefficients come from one fast Walsh–Hadamard transform: $d\,2^d$ additions, where the definition would take $4^d$.

# %%
gate = (cube.sum(axis=1) >= 0).astype(
    float
)  # on/off of a neuron with weights +1; d is odd, so no ties
functions = {"parity, k = 4": labels, "majority": 2 * gate - 1}
energy = pd.DataFrame({name: theory.degree_weights(f) for name, f in functions.items()})
energy.index.name = "degree"
energy.loc[1::2].round(3).T.assign(total=energy.sum().round(3))  # the odd degrees, and all

# %% [markdown]
# Majority has most of its energy at degree 1. The share falls until degree 11 and rises a little at the end. There is none at even degrees, because majority is **odd**: $\mathrm{Maj}(-x) = -\mathrm{Maj}(x)$. (The table leaves out even degrees; the parity has all of its energy at one of them, 4.)
#
# **Exercise 2.** Write one Fourier coefficient from its definition. `f` has shape `(n,)`, the values at the inputs `x` of shape `(n, d)`; `subset` is a list of coordinates. What is the parity of the empty subset?


# %%
def coefficient(f, x, subset):
    return ...  # your code


checks.coefficient(coefficient)

# %% [markdown]
# ## 3 What the first gradient sees
#
# One neuron of a network at initialisation: $f(x) = a \cdot \mathrm{relu}(w \cdot x + b)$, with **readout** $a$ and weights $w_j = \pm1$. The **margin** of an example is $y f(x)$, and the hinge loss is $\max(0, 1 - y f(x))$. Its derivative with respect to $f$ is $-y$ where the margin is below 1, and 0 elsewhere. Neurons start in mirrored pairs, with the same $w$ and $b$ and opposite $a$, so the whole network outputs 0: every margin is 0, and every example counts. The derivative of $\mathrm{relu}$ is 1 where the neuron is on. So
#
# $$-\frac{\partial L}{\partial w_j} = a\;\mathbb{E}\big[\,y\, x_j\, \mathbb{1}[w\cdot x + b \ge 0]\,\big].$$
#
# $y\,x_j$ is a parity again: $\chi_{S\setminus j}$ if $j$ is in the support ($x_j^2 = 1$), $\chi_{S \cup j}$ if not.
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
xi_inside, xi_outside = (theory.threshold_coefficient(d, degree) for degree in (3, 5))
print("sum and formula agree to 1e-12:", np.abs(closed - enumerated).max() < 1e-12)
sizes = np.abs(enumerated).round(6)
print("in the support:", np.unique(sizes[support]), f" |ξ_3| = {abs(xi_inside):.6f}")
print("outside:", np.unique(np.delete(sizes, support)), f" |ξ_5| = {abs(xi_outside):.6f}")

# %%
fig, ax = plt.subplots(figsize=(7, 2.8))
plots.coordinates(enumerated, support, ax=ax)
ax.set(ylabel="|gradient| per unit of a", title=f"Exact first gradient on labels, d = {d}, k = 4")
ax.legend(loc="upper right", ncol=2)
plt.show()

# %% [markdown]
# The support stands out. But look at the scale of the axis, and remember that we summed over *all* inputs. A sample of $n$ inputs adds noise of about $\sqrt{1/(2n)}$ to each bar: the neuron is on for half of the inputs.
#
# **Exercise 3.** Write the direction in which descent moves a neuron with weights `signs` (±1, shape `(d,)`), for $a = 1$: $\xi_{k-1}\chi_{S\setminus j}(w)$ in the support, $\xi_{k+1}\chi_{S\cup j}(w)$ outside. The two coefficients are given. The answer has shape `(d,)`.


# %%
def descent_direction(signs, support, xi_inside, xi_outside):
    return ...  # your code


checks.descent_direction(descent_direction)

# %% [markdown]
# **Exercise 4 (predict).** This course uses even $k$. What does the first gradient of a neuron *without* bias say about a parity of $k = 3$, at $d = 15$? And with a bias of 2? Decide before you run the next cell. (The solutions discuss it.)

# %%
for bias in (0, 2):
    gradient = theory.population_gradient(signs, theory.parity(cube, [2, 5, 7]), bias=bias)
    sizes = np.abs(gradient)
    inside, outside = sizes[[2, 5, 7]].mean(), np.delete(sizes, [2, 5, 7]).mean()
    print(f"k = 3, bias {bias}: mean |gradient| inside {inside:.4f}, outside {outside:.4f}")

# %% [markdown]
# ## 4 How small is small?
#
# Listing $2^{100}$ inputs is out of the question, but $\xi_r$ has a closed form: an alternating sum of binomials, taken in whole numbers (`pdtutor/theory/threshold.py`; `tests/theory` compares it with the transform). Here is the setting of the paper's experiments, $d = 100$. Since 100 is even, so is $\sum_j x_j$; a bias of 1 avoids ties.

# %%
for degree in (1, 3, 5, 7):
    print(f"|ξ_{degree}| at d = 100: {abs(theory.threshold_coefficient(100, degree, bias=1)):.2e}")

# %% [markdown]
# For $k = 6$ the in-support gradient is $|\xi_5| = 1.24\times10^{-5}$ per unit of $a$.
#
# What counts is the **Fourier gap** $|\xi_{k-1}| - |\xi_{k+1}|$: how far the support stands out. Theory says it shrinks like $d^{-(k-1)/2}$ (Barak et al. 2022).

# %%
dims = np.array([15, 21, 31, 43, 63, 101, 201, 401, 1001])  # odd, so that no bias is needed
rows = [{"d": n, "k": k, "gap": theory.fourier_gap(int(n), k)} for k in (2, 4, 6) for n in dims]
gaps = pd.DataFrame(rows)
exponents = {}
for k, group in gaps[gaps["d"] >= 101].groupby("k"):
    exponents[k] = theory.fit_slope(group["d"], group["gap"]).exponent
    print(f"k = {k}: exponent for d ≥ 101: {exponents[k]:.2f}, theory: {-(k - 1) / 2:.2f}")

fig, ax = plt.subplots(figsize=(7, 3.4))
style = {"hue": "k", "style": "k", "markers": True, "dashes": False, "palette": "colorblind"}
sns.lineplot(gaps, x="d", y="gap", **style, ax=ax)
ax.set(xscale="log", yscale="log", xlabel="dimension d", title="The signal in the first gradient")
ax.set_ylabel(r"Fourier gap $|\xi_{k-1}| - |\xi_{k+1}|$")
plt.show()

# %% [markdown]
# A gap $\gamma$ sticks out of noise $\sqrt{1/(2n)}$ once $n \gtrsim 1/\gamma^2 \sim d^{\,k-1}$. Taking the largest of $d$ noise terms into account (a factor of about $\ln d$), we get a prediction for the number of labelled samples:

# %%
predicted = pd.DataFrame(
    {f"k = {k}": [theory.predicted_samples(n, k) for n in (15, 31, 63, 100)] for k in (2, 4, 6)},
    index=pd.Index([15, 31, 63, 100], name="d"),
)
print(predicted.map("{:.1e}".format))

# %% [markdown]
# At $d = 100$, $k = 6$ that is $8.7\times10^{10}$ samples for one neuron and one step. 📄 The paper's teacher (width 50 000, batch 1) starts to move after about $10^7$ examples, almost $10^4$ times fewer. So this number is not a prediction for SGD, which takes many small steps with many neurons, from other initial weights. What it predicts is how the difficulty *grows*, and that is what we test below.
#
# **Exercise 5.** A gradient entry of size `signal` is estimated from $n$ samples with standard error $\sqrt{1/(2n)}$. How many samples until it is at least `sigmas` standard errors large? Then try `samples_to_resolve(1.24e-5, 3)`.


# %%
def samples_to_resolve(signal, sigmas):
    return ...  # your code


checks.samples_to_resolve(samples_to_resolve)

# %% [markdown]
# ## 5 What an unfinished teacher gives away
#
# A *perfect* final teacher is the label. As a function on these inputs it is $\chi_S$, and its lessons are as blind as labels are.
#
# Now stop the teacher early. The paper's theory trains in two stages: stage 1 moves the first layer by a large-batch step, stage 2 fits the readout. Take the teacher **at the end of stage 1**, when its readout is still the initial one. `theory.stage_one_teacher` builds it from the exact gradient, as if stage 1 had used infinitely many samples. Weight decay erases the initial weights in that step, a device of Barak et al. 2022, and the step is scaled to a fixed norm: *the learning rate takes care of the gradient's size*, $d^{-(k-1)/2}$, and only its direction is left. (Our reading; see `pdtutor/theory/algorithm.py`.)
#
# What do you expect: how well does this teacher predict the label?

# %% tags=["nbval-ignore-output"]
teacher = theory.stage_one_teacher(d, support, width=64, seed=0)
outputs = teacher(cube.astype(np.float32)).astype(float)  # (2^15,): real numbers, not ±1
degree_one = np.array([theory.fourier_coefficient(outputs, [j]) for j in range(d)])  # (15,)
rms = np.sqrt(np.mean(outputs**2))
seen = Thresholds()
seen.add("|correlation| with the label", abs(np.mean(outputs * labels)) / rms, at_most=1e-6)
seen.add("share of degree 1 in the energy", np.sum(degree_one**2) / rms**2, at_least=0.95)
seen.add("smallest in-support |c_j| / RMS", np.abs(degree_one[support]).min() / rms, at_least=0.01)
seen

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
seen.verdicts()

# %% [markdown]
# This teacher knows *nothing* about the label: its correlation with $y$ is 0, and its accuracy is chance. Its output is almost a linear function $\sum_j c_j x_j$. Two lines say why:
#
# - After the step the neurons of a pair have opposite weights, $\pm g$, and opposite readouts: together $a\,[\mathrm{relu}(g\cdot x + b) - \mathrm{relu}(-g\cdot x + b)]$. For $b = 0$ this is exactly $a\,g\cdot x$, since $\mathrm{relu}(z) - \mathrm{relu}(-z) = z$. A bias bends it (a little on average, much in a single pair with a strongly negative bias), and it stays odd.
# - The gradient $g$ of a pair has size $|\xi_{k-1}|$ on the support and $|\xi_{k+1}|$ elsewhere. So $c_j$ is large on the support.
#
# What does it do to the student? Let the teacher's output $t(x)$ take the label's place. For an odd $t$ and a switch that is ½ plus an odd function (as it is without bias), all terms cancel but one, and no $d$ is in sight:
#
# $$a\,\mathbb{E}\big[t(x)\,x_j\,\mathbb{1}[w \cdot x \ge 0]\big] = \tfrac{a}{2}\,c_j, \qquad c_j = \hat t(\{j\}).$$
#
# Now with noise: the gradient of one neuron, estimated from 2 000 samples at $d = 31$, with three supervisions, each scaled to RMS 1. The teachers are one mirrored pair (width 2), and 32 pairs (width 64). In which panels do you expect to see the support?

# %%
d_noisy, noisy_support, n = 31, [3, 10, 17, 24], 2000
noisy_rng = np.random.default_rng(1)
neuron = noisy_rng.choice([-1, 1], size=d_noisy)
x = theory.random_signs(noisy_rng, n, d_noisy)  # (2000, 31)
targets = {"labels": theory.parity(x, noisy_support)}
for width in (2, 64):
    targets[f"teacher of width {width}"] = theory.stage_one_teacher(
        d_noisy, noisy_support, width=width, seed=1
    )(x)

fig, axes = plt.subplots(1, 3, figsize=(11, 3), sharey=True)
for ax, (name, target) in zip(axes, targets.items(), strict=True):
    target = target / np.sqrt(np.mean(target**2))
    estimate = (target * (x @ neuron >= 0)) @ x / n  # (31,)
    plots.coordinates(estimate, noisy_support, ax=ax)
    ax.axhline(np.sqrt(0.5 / n), color="0.3", ls="--", lw=1, label="noise, √(1/2n)")
    ax.set(title=name, ylim=(0, 0.45))
    top = np.argsort(-np.abs(estimate))[:4].tolist()
    print(f"{name}: in the support {len(set(top) & set(noisy_support))} of the four largest")
axes[0].set_ylabel("|estimated gradient|")
axes[0].legend(fontsize=9)
fig.tight_layout()
plt.show()

# %% [markdown]
# One pair has equal bars in the support. With 32 pairs each $c_j$ is a sum of 32 terms of random sign: the bars are unequal, and one may be close to 0. If it is smaller than $|c_j|$ of some wrong coordinate, no number of samples separates the support. Relative to those, wrong coordinates have $|\xi_{k+1}/\xi_{k-1}| = (k-1)/(d-k)$. So a wide teacher fails when the smallest of $k$ Gaussian numbers is below that fraction of the largest of $d - k$. How often is that, and does it agree with what teachers do?

# %% tags=["nbval-ignore-output"]
chance_rng, rows = np.random.default_rng(0), []
for dim in (15, 31, 63):
    weakest = np.abs(chance_rng.normal(size=(20_000, 4))).min(axis=1)
    largest = 3 / (dim - 4) * np.abs(chance_rng.normal(size=(20_000, dim - 4))).max(axis=1)
    row = {"d": dim, "many pairs, predicted": 16 * np.mean(weakest > largest)}
    for width in (2, 64):
        margins = []
        for seed in range(16):
            made = theory.stage_one_teacher(dim, range(4), width=width, seed=seed)
            sizes = np.abs(theory.degree_one_coefficients(made, dim, samples=100_000, seed=seed))
            margins.append(sizes[:4].min() / sizes[4:].max())
        row[f"width {width}"] = sum(margin > 1 for margin in margins)
    rows.append(row)
separating = pd.DataFrame(rows).set_index("d")
separating.round(1)  # of 16 teachers, how many have their four largest coefficients on the support

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
print("width 2, teachers that separate:", separating["width 2"].tolist())
off = (separating["width 64"] - separating["many pairs, predicted"]).abs().max()
print("width 64, at most 4 of 16 from the prediction:", bool(off <= 4))

# %% [markdown]
# **Exercise 6 (test a hypothesis).** The hypothesis: *a teacher separates the support, given enough samples, exactly if its smallest in-support $|c_j|$ is above its largest one outside.* Write this rule. Then test it with `theory.sample_complexity([31], k=4, supervision=["teacher"], seeds=range(16), teacher_width=64, max_samples=300_000)`, whose `samples` is nan where the support was never separated. The support of seed `s` is `np.random.default_rng([s, 31, 1]).choice(31, size=4, replace=False)`. How many agreements would convince you? (The solutions run the test.)


# %%
def will_separate(coefficients, support):
    return ...  # your code: True or False


checks.will_separate(will_separate)

# %% [markdown]
# ### When does a checkpoint carry the curriculum?
#
# A real teacher has finitely many samples. Its $c_j$ is the mean over $P$ pairs of $\pm g_j$, and the signs decide what is left:
#
# - the **signal** $\xi_{k-1}$ has a random sign in each pair, so its mean has size $|\xi_{k-1}|/\sqrt P$;
# - the **noise** has a part that all pairs *share*, since they saw the same samples: $\tfrac12 \hat{\mathbb{E}}_n[y\,x_j]$, of variance $1/4n$. Averaging does nothing to it. (The other half, from the switches, averages out.)
#
# Signal and noise are equal at $n^* = (P + 1)/(4\,\xi_{k-1}^2)$: as hard as labels, $\sim d^{\,k-1}$, and **the wider the teacher, the later its output shows the support**. Before $n^*$ its degree 1 is spread evenly: inside and outside alike, a share of $k/d$ on the support. `theory.samples_to_appear` is this formula. We test it on 12 teachers of each width at $d = 15$.

# %% tags=["nbval-ignore-output"]
rows = []
for width in (2, 16, 128):
    appears = theory.samples_to_appear(15, 4, width=width)
    for times in (1 / 16, 1, 16):
        for seed in range(12):
            drawn = int(times * appears)
            early = theory.stage_one_teacher(15, range(4), width=width, seed=seed, samples=drawn)
            rows.append(
                {"width": width, "n*": round(appears), "n / n*": times}
                | theory.degree_one_energy(early, range(4), 15)
            )
emerging = pd.DataFrame(rows).groupby(["width", "n*", "n / n*"]).mean()
emerging.round(
    3
)  # energy per coordinate, and share on the support (chance 4/15 = 0.27): means of 12 teachers

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
shares = emerging["share"].droplevel("n*").unstack("n / n*")
print(
    "a sixteenth of n*: share at most 0.40 at every width:", bool((shares[1 / 16] <= 0.40).all())
)
print("16 n*: share at least 0.55 at every width:", bool((shares[16.0] >= 0.55).all()))

# %% [markdown]
# At a sixteenth of $n^*$ the share on the support is about what chance gives; at $16\,n^*$ it is most of the degree 1. So *"an early checkpoint carries the curriculum"* is true only of a checkpoint that has seen $n^*$ samples or more (and section 7 shows that more may be needed). The infinite-sample teacher above has, by definition. That most of a stage-1 output is degree 1 holds at every $n$ we tried (on average 86 % at width 2, 98 % or more at widths 16 and 128), and says nothing of the support. And mind the order: one neuron's gradient stands out after about $1/(2\xi_{k-1}^2)$ samples, $(P+1)/2$ times earlier. A wide network has the support in its **weights** before it shows in its **output**.
#
# **Exercise 7.** Which share of the variance of a function is degree 1? `f` has shape `(2^d,)`, the values at all inputs `x` of shape `(2^d, d)`. (Variance leaves out the mean; degree 0 is the mean.)


# %%
def degree_one_share(f, x):
    return ...  # your code


checks.degree_one_share(degree_one_share)

# %% [markdown]
# ## 6 Counting samples
#
# We count for real. One neuron at initialisation, fresh samples, a running estimate $\hat g$ of its gradient. **Separated** means: the smallest $|\hat g_j|$ in the support is larger than the largest outside. We report the first $n$ from which this holds at every look until $4n$, with looks 10 % apart (`pdtutor/theory/samples.py`). The teacher is one exact pair, whose in-support coefficients are all of one size.
#
# Which slopes do you expect on logarithmic axes, for $k = 2$ and $k = 4$, on labels and with the teacher?

# %% tags=["nbval-ignore-output"]
dims = [15, 21, 31, 43, 63]
counts = pd.concat(
    [
        theory.sample_complexity(dims, k=2, seeds=range(12)),
        theory.sample_complexity(dims, k=4, seeds=range(6)),
    ]
)
counted = Thresholds()
for (k, supervision), group in counts.groupby(["k", "supervision"]):
    fit = theory.bootstrap_slope(group, "d", "samples")
    name = f"k = {k}, {supervision}"
    print(
        f"{name}: exponent of d {fit.exponent:.2f}, 95 % interval {fit.low:.2f} to {fit.high:.2f}"
    )
    if supervision == "labels":
        counted.add(f"{name}: exponent of d", fit.exponent, at_least=k - 1.5, at_most=k - 0.5)
        medians = group.groupby("d")["samples"].median()
        curve = [theory.predicted_samples(d, k) for d in dims]
        print(f"{name}: exponent of the prediction {theory.fit_slope(dims, curve).exponent:.2f}")
        counted.add(f"{name}: largest factor from the prediction", max(curve / medians), at_most=4)
counted

# %% jupyter={"source_hidden": true} tags=["hide-cell"]
counted.verdicts()

# %%
plots.neuron_samples_figure(
    counts, {k: [theory.predicted_samples(d, k) for d in dims] for k in (2, 4)}
)
plt.show()

# %% [markdown]
# Small marks are single neurons, large marks are medians. The dotted line is our prediction from the Fourier gap; it was not fitted. **Labels** grow about as $d^{\,k-1}$. **The teacher** is flat for $k = 4$ (exponent −0.13, interval −0.50 to 0.20) and grows slowly for $k = 2$ (0.45, 0.25 to 0.67): its signal hardly depends on $d$, while the largest of more errors grows. Finding the support with one neuron is a smaller job than learning the parity, so this is not yet a test of the theorem.
#
# ## 7 The two-stage algorithm
#
# 📄 The paper proves a gap between two students (its Theorem 3.2; we know the bounds from a public review).
#
# - With **two checkpoints** (an intermediate one first, the final one after) a student learns the parity to error $\varepsilon$ from $\tilde O(2^k d^2 \varepsilon^{-2} + k^3)$ samples. This is an *upper* bound.
# - A **one-shot** student needs at least $\Omega(d^{\,k-1}, \varepsilon^{-2})$. This is a *lower* bound.
#
# > **Two-stage training, our reading.** Given: first teacher $t_1$, final teacher $t_2$, $n$ samples for stage 1.
# >
# > 1. Initialise `width/2` pairs: weights ±1, biases uniform in (−1, 1), readouts $\pm a$.
# > 2. **Stage 1**, three steps on $n/3$ fresh inputs each. Step 1 follows $t_1$ and replaces the weights; steps 2 and 3 follow $t_2$ and are added. Each step is scaled to mean norm $1/\sqrt k$.
# > 3. **Stage 2**: fit the readout to $t_2$ by least squares, on fresh inputs.
# >
# > One-shot: $t_1 = t_2$. Labels: $t_1 = t_2 = y$. Two checkpoints with a perfect final teacher: $t_1$ is the stage-1 teacher, $t_2 = y$.


# %%
def step(x, target, weights, biases, readout):
    """Return −gradient of the hinge loss per unit of |readout|, (width, d)."""
    on = x @ weights.T + biases >= 0  # (n, width): the derivative of the ReLU
    return np.sign(readout)[:, None] * (on.T @ (x * target[:, None])) / len(x)


def two_stage(d, k, n, first, final, rng, width=128):
    signs = rng.choice([-1.0, 1.0], size=(width // 2, d))
    weights, readout = np.vstack([signs, signs]), np.repeat([1.0, -1.0], width // 2)
    biases = np.tile(rng.uniform(-1, 1, size=width // 2), 2)
    for i, teacher in enumerate([first, final, final]):
        x = rng.choice([-1.0, 1.0], size=(n // 3, d))
        update = step(x, teacher(x), weights, biases, readout)
        update /= np.linalg.norm(update, axis=1).mean() * np.sqrt(k)
        weights = update if i == 0 else weights + update

    def features(x):  # (n, width + 1): the hidden layer, and a constant
        return np.column_stack([np.maximum(x @ weights.T + biases, 0), np.ones(len(x))])

    x = rng.choice([-1.0, 1.0], size=(25 * width, d))
    readout = np.linalg.lstsq(features(x), final(x), rcond=1e-4)[0]
    return lambda x: features(x) @ readout


# %% tags=["nbval-ignore-output"]
def label(x):
    return theory.parity(x, noisy_support)


pair = theory.stage_one_teacher(31, noisy_support, width=2, seed=1)
x_test = theory.random_signs(np.random.default_rng(2), 8192, 31)
for n in (30_000, 600_000):
    for name, first in {"labels": label, "two checkpoints": pair}.items():
        student = two_stage(31, 4, n, first, label, np.random.default_rng(3))
        print(
            f"{n:9,} samples, {name:15}: accuracy {np.mean(np.sign(student(x_test)) == label(x_test)):.3f}"
        )

# %% [markdown]
# `theory.two_stage` does this, returns both checkpoints, and draws inputs in chunks, so that millions of samples fit into memory; where $n > 2^d$ it draws *how often* each input occurs, which is the same distribution and takes no longer for more samples.
#
# 📄 The paper also states that intermediate checkpoints hold more in-support degree 1 than the final one. We compare both checkpoints of 12 runs on labels ($d = 15$, $k = 4$, width 128, one step; $n^* = 250\,000$): energy per coordinate inside the support *minus outside*. What do you expect with 131 072 samples, and with 4 194 304?

# %% tags=["nbval-ignore-output"]
rows = []
for n in (2**17, 2**22):
    for seed in range(12):
        run = theory.two_stage(15, 4, stage1_samples=n, support=range(4), seed=seed)
        found = {"samples": n, "accuracy": run.accuracy}
        for name, network in {"early": run.stage_one, "final": run.network}.items():
            energy = theory.degree_one_energy(network, range(4), 15)
            found[name] = energy["inside"] - energy["outside"]
        rows.append(found | {"early is larger": found["early"] > found["final"]})
checkpoints = pd.DataFrame(rows).groupby("samples")
shown = {
    "accuracy": "median",
    "early": ["min", "median", "max"],
    "final": ["min", "max"],
    "early is larger": "sum",
}
checkpoints.agg(shown).round(4)

# %% [markdown]
# With 131 072 samples, about half of $n^*$, the networks have mostly learned, and yet the early checkpoint's output favours the support in hardly more runs than a coin would. With 4 194 304 it does in 11 of 12. In the final network degree 1 favours neither side: the difference is at most 0.0003. So the statement holds for a checkpoint that has seen enough samples.
#
# **Exercise 8 (find the bug).** Somebody's first-layer step. Their network outputs exactly 0 before the step *and after it*, whatever the data. Why? Mend it.


# %%
def first_layer_step(x, target, weights, biases, readout):
    on = x @ weights.T + biases >= 0  # (n, width)
    return on.T @ (x * target[:, None]) / len(x)  # (width, d)


checks.first_layer_step(first_layer_step)

# %% [markdown]
# ### Why step 1 alone is exact only in an ideal case
#
# After a step on a linear teacher all student neurons have the *same* direction, so all features are functions of one number, $z = \sum_j c_j x_j$. Can one number tell the label? For one pair, $\pm c$ on the support, $z$ takes $k + 1$ values, whose labels alternate. For a wide teacher $c_j$ are unequal, and there are $2^k$ values. What will the wrong coordinates do to them?

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3))
x = theory.random_signs(np.random.default_rng(4), 200_000, 51)
panels = [
    ("one pair, without wrong coordinates", 2, True),
    ("one pair", 2, False),
    ("width 64", 64, False),
]
for ax, (name, width, only_support) in zip(axes, panels, strict=True):
    made = theory.stage_one_teacher(51, range(4), width=width, seed=1)
    c = theory.degree_one_coefficients(made, 51, samples=400_000)
    z = x[:, :4] @ c[:4] if only_support else x @ c
    y = theory.parity(x, range(4))
    plots.clusters(z / z.std(), y, ax=ax)
    ax.set_title(name)
    cells = np.digitize(z, np.quantile(z, np.linspace(0, 1, 200)[1:-1]))  # 199 slices of z
    majority = np.abs(np.bincount(cells, weights=y)).sum() / len(
        y
    )  # each slice gets its commoner label
    print(f"{name}: best accuracy from z alone {(1 + majority) / 2:.2f}")
axes[0].legend(fontsize=9)
fig.suptitle("One number for each input, d = 51, k = 4: label +1 upwards, −1 downwards")
fig.tight_layout()
plt.show()

# %% [markdown]
# Without the wrong coordinates one pair is enough: five clusters, with alternating labels. Wrong coordinates blur them, with a width of $(k-1)/\sqrt{d-k}$ relative to $c$, whatever the number of samples. With 32 pairs the coefficients are unequal, some of the 16 values nearly coincide, and no function of $z$ can tell them apart. Steps 2 and 3, on labels, can mend both: the switches now depend on the support, so labels are no longer invisible.
#
# ### Testing the theorem's scaling
#
# `pdtutor run parity-two-stage` doubles the stage-1 samples until the test error stays below $\varepsilon$, for six students of each kind. What we assume: width $8\cdot 2^k$; the final teacher is the label; the intermediate teacher is exact, as if it had seen infinitely many samples, so *its samples are not counted* (we count them below); error is the share of wrong signs; stage 2 has 25 samples per neuron in all cases, and *they are not counted either*: "samples" below means those of stage 1.
#
# That an exponent lies *below an upper bound* is weak evidence: a proved bound may be far from tight, and ours is a small range of $d$. Sharper questions are (a) whether labels grow as $d^{\,k-1}$, and (b) whether taught students grow more slowly than labels, by seed. Thresholds, written down before the run: (a) within 0.5 of $k - 1$ for $k = 2, 4$; (b) the 95 % interval of the difference of exponents is above 0 for $k = 4$. Is there a difference for $k = 2$, where the bounds are $d^2$ against $d$?

# %%
RECOMPUTE = False  # True: run the three experiments again; the table at the top has times


def stored(name):
    """Return the folder with the tables of a recipe."""
    if RECOMPUTE:
        recipes.recipe(name).run(seeds=6, out=Path(name)).save(name)
        return Path(name)
    return data_path("runs") / name


two_stage_runs = stored("parity-two-stage")
by_seed = pd.read_csv(two_stage_runs / "by_seed.csv")
plots.two_stage_figure(by_seed, error=0.1)
plt.show()

# %%
slopes = pd.read_csv(two_stage_runs / "results.csv")
at = slopes[slopes["error"] == 0.1].set_index(["supervision", "k"]).drop(columns="error")
at.round(2)  # unreached: students that never stayed below the error; low, high: 95 % interval

# %% [markdown]
# (× in the figure: with a wide teacher one of six students at $k = 6$ did not get there with a million samples.)
#
# - **(a) fails.** The samples of students on labels grow *faster* than $d^{\,k-1}$: with exponent 1.82 for $k = 2$ and 3.66 for $k = 4$. The lower bound holds; our guess that growth stays near it does not. A likely reason, which we have not tested: to find the support each entry of the gradient must rise above its noise, but a feature *sums* the noise of $d$ coordinates. That takes $d$ times more samples, $d^{\,k}$ in all, and the exponents lie between $k - 1$ and $k$.
# - **(b) holds**: for $k = 4$ the exponents differ by 1.92 (1.49 to 2.35) over the dimensions that both have, 15 to 45 (the 1.59 in the table also uses $d = 63$), and at $d = 45$ the taught student needs 31 times fewer samples. For $k = 2$ the one-pair teacher does *not* help; its exponent is even larger, by 0.31 (0.13 to 0.54). The bounds, $d^2$ against $d$, leave room for that (the taught exponent, 2.13 with interval 1.84 to 2.40, is compatible with 2). With a wide teacher the exponent is smaller by 0.21 (0.03 to 0.42), over three dimensions.
# - For $k = 6$ the range of $d$ is too short, and too close to $k$, for its exponents to mean much. At $d = 17$ labels need 68 times the samples.

# %%
of_15 = by_seed[by_seed["d"] == 15].groupby(["k", "supervision", "error"])["samples"].median()
errors = of_15.unstack("error")  # median samples at d = 15, by the error that is reached
errors.assign(ratio=errors[0.03] / errors[0.3]).round(1)  # ε^(−2) would be a ratio of 100

# %% [markdown]
# Ten times less error costs a taught student 13 to 40 times the samples (one pair), within the bound's 100, and a student on labels 3 to 5 times. A likely reason, not tested here: the first step gives taught students features that are right but blurred, and sharpening them takes steps on labels. So at error 0.03 and $d = 15$ the student of a wide teacher needs *more* samples than labels even at $k = 4$ (55 439 against 36 781).
#
# ### The bill, with the teacher's samples on it
#
# Now the teacher learns from $n_T$ samples, too. `pdtutor run parity-early-checkpoint` has $d = 19$, $k = 4$, and teachers of three widths. Above: what the checkpoint's output shows. Below: how many samples its student needs for an error of 0.1.

# %%
early_runs = stored("parity-early-checkpoint")
appears = {width: theory.samples_to_appear(19, 4, width=width) for width in (2, 16, 128)}
plots.early_checkpoint_figure(pd.read_csv(early_runs / "by_seed.csv"), appears=appears)
plt.show()

# %%
paid = pd.read_csv(early_runs / "results.csv").set_index(["width", "teacher_samples"])
paid[["share", "weights", "student_samples", "students"]].round(2)

# %% [markdown]
# (Dotted: $n^*$ from section 5. Dashed: the median student on labels. Thin lines are seeds; × did not get there with 2 million samples. In the table: medians; `weights`, the share of the squared first-layer weights on the support; `students`, from how many students on teacher and students together need fewer samples than labels.)
#
# - A checkpoint from before $n^*$ is not neutral. It *costs*: its student needs many times the samples of labels, because all of its neurons start in one direction that says nothing.
# - A teacher of one pair pays from two students on, since it needs about as many samples as labels do. One of width 16 pays from about 30 students on. One of width 128 does not pay within 16.8 million samples, 240 times what labels need.
# - At width 128 and 65 536 samples, half of the first layer's squared weights lie on the support, and the output has chance level there.
#
# So somebody pays $d^{\,k-1}$. Two checkpoints save samples where a teacher that shows the support clearly is there already, or has many students. Passing $n^*$ is not enough: a teacher of width 16 with 262 144 samples (3.5 $n^*$) and one of width 128 with 16.8 million (31 $n^*$) still cost their students more than labels. This is our mirrored stage-1 teacher, whose readout is still random; one trained by SGD moves its readout as well (lesson 2), and may show the support sooner.
#
# ## 8 A final teacher that is not the label
#
# The lower bound is about a one-shot student whose teacher is as good as the label. A real final teacher errs a little, by $d^{-c}$ say. What does its error give away? Take the label plus an error on the support, $t = \chi_S + d^{-c}\, r$, with $r$ of degree 1, 2 or 3 and RMS 1. The first gradient sees a part of degree 1 with weight $\tfrac12$, one of degree 2 with $\xi_1 \sim d^{-1/2}$, and one of degree 3 with $\xi_2$ and $\xi_4$, which are 0. So samples should grow as $d^{2c}$, $d^{2c+1}$ and, for degree 3, as for labels. **For which $c$ do you expect a one-shot student to be as fast as one with two checkpoints?**

# %%
imperfect_runs = stored("parity-imperfect-teacher")
imperfect, networks = (
    pd.read_csv(imperfect_runs / f"{name}.csv") for name in ("by_seed", "networks")
)
plots.imperfect_teacher_figure(imperfect, networks)
plt.show()

# %%
middle = imperfect.groupby(["degree", "power"])["samples"].median()
labels_need, taught_need = middle[0, np.inf], middle[0, 0.0]
print(f"labels: {labels_need:,.0f} samples, two checkpoints: {taught_need:,.0f}")
print(
    (middle.drop(0) / labels_need).unstack("power").round(2),
    "\n(samples relative to labels, by c)",
)
networks.groupby("teacher_samples")[
    ["error", "degree_1_in", "degree_1_out", "degree_2_in", "samples"]
].median()

# %% [markdown]
# ($d = 25$ left, $d = 15$ right; × did not get there with a million samples.) **The lower bound's story needs a teacher whose error hides the support.**
#
# - With an error of degree 1, one-shot is as fast as two checkpoints up to $c = 0.75$. For $c = 1$ we had expected at least half of the samples of labels; it is a sixth. Samples grow with $c$, but more slowly than $d^{2c}$, since the first step is not all that costs. With degree 2 there is a smaller gain, with degree 3 none: within 9 % of labels.
# - The networks that were trained on labels give nothing away. Once they make under 1 % of errors, at most 0.07 % of their energy is degree 1 on the support. Of the twelve students of these networks, nine need more samples than the median on labels at $d = 15$ (22 555), one slightly fewer, and two do not arrive within a million.
#
# So a teacher's error is not described by its size alone: at $d = 25$ and $c = 1$, an error of degree 1 leaves a sixth of the samples of labels, one of degree 3 nearly all of them. If samples grow no faster than $d^{2c}$, as argued above, then for $k = 4$ a bound that knows only the teacher's loss, $O(d^{-c})$, cannot hold for *every* teacher with $c = 1$. One value of $d$ cannot show that growth.
#
# ## 9 What we saw, and what the paper reports

# %% jupyter={"source_hidden": true}
from pdtutor import Claims

claims = Claims()
claims.add(
    "the Fourier gap shrinks as d^(−(k−1)/2)",
    paper="Θ(d^(−(k−1)/2)) (Barak et al. 2022)",
    measured=", ".join(f"k = {k}: {found:.2f}" for k, found in exponents.items()),
    seeds=0,
    holds=all(abs(found + (k - 1) / 2) < 0.1 for k, found in exponents.items()),
)
whole, gain = at.loc["labels"], at.loc["labels − teacher of one pair"]
on_labels = {
    "measured": ", ".join(f"k = {k}: {whole.exponent[k]:.2f}" for k in (2, 4, 6)),
    "spread": ", ".join(f"{whole.low[k]:.2f} to {whole.high[k]:.2f}" for k in (2, 4, 6)),
    "seeds": 6,
}
claims.add(
    "samples of a whole student on labels grow at least as fast as d^(k−1), k = 2 and 4",
    paper="one-shot: at least of order d^(k−1) (public review of Theorem 3.2)",
    holds=all(whole.low[k] >= k - 1 for k in (2, 4)),
    partly=all(whole.high[k] >= k - 1 for k in (2, 4)),
    **on_labels,
)
claims.add(
    "and no faster: their exponents are within 0.5 of k − 1, k = 2 and 4",
    holds=all(abs(whole.exponent[k] - (k - 1)) < 0.5 for k in (2, 4)),
    partly=any(abs(whole.exponent[k] - (k - 1)) < 0.5 for k in (2, 4)),
    **on_labels,
)
claims.add(
    "with two checkpoints samples grow more slowly than on labels, k = 4",
    paper="order 2^k·d² at most, against d^(k−1) at least (same review)",
    measured=f"difference of exponents {gain.exponent[4]:.2f}",
    spread=f"{gain.low[4]:.2f} to {gain.high[4]:.2f}",
    chance="0",
    seeds=6,
    holds=bool(gain.low[4] > 0),
)
wins = checkpoints["early is larger"].sum()
claims.add(
    "an early checkpoint favours in-support degree 1 more than the final one, in 11 of 12 runs",
    paper="stated beside Theorem 3.2 (same review)",
    measured=f"{wins[2**22]} with 4 194 304 samples, {wins[2**17]} with 131 072",
    chance="6",
    seeds=12,
    holds=bool(wins.min() >= 11),
    partly=bool(wins.max() >= 11),
)
low, high = shares[1 / 16].max(), shares[16.0].min()
claims.add(
    "a stage-1 checkpoint shows the support only around n* = (P + 1)/4ξ² samples, P pairs",
    measured=f"share on the support: at most {low:.2f} at n*/16, at least {high:.2f} at 16 n*",
    chance="0.27",
    seeds=12,
    holds=bool(low <= 0.40 and high >= 0.55),
)
pays = paid["students"].groupby("width").min()
claims.add(
    "with the teacher's samples counted, two checkpoints save samples for a single student",
    measured=f"students needed: {pays[2]:.0f} at width 2, {pays[16]:.0f} at 16, none enough at 128",
    seeds=6,
    holds=bool(pays.min() <= 1),
)
gains = (middle.drop(0) / labels_need).unstack("power")
claims.add(
    "a one-shot student of label + d^(−1/2)·(degree 1 on the support) is as fast as one with two checkpoints",
    measured=f"{middle[1, 0.5]:,.0f} against {taught_need:,.0f} samples (labels {labels_need:,.0f})",
    seeds=6,
    holds=bool(middle[1, 0.5] <= taught_need),
)
claims.add(
    "an error of degree 3 gives a one-shot student nothing: within a factor of 2 of labels",
    measured=f"{gains.loc[3].min():.2f} to {gains.loc[3].max():.2f} of the samples that labels need",
    chance="1",
    seeds=6,
    holds=bool(gains.loc[3].between(0.5, 2).all()),
)

# %% tags=["nbval-ignore-output"]
claims

# %%
claims.verdicts()

# %% [markdown]
# **What this lesson does not show.** Stage 2 solves least squares instead of running SGD, and its samples, 25 per neuron, are not counted. The error is that of signs, not a loss. Our intermediate teacher has a random readout, and the one whose students need the fewest samples for $k = 4$ and $6$ is a single pair. For $k = 6$ labels were affordable up to $d = 17$ only. Lessons 2 and 3 train real networks by SGD.
#
# ## What to read next
#
# - **Lesson 2**, `02_teacher_training`: a teacher trained by SGD, and the moment its checkpoints show the support.
# - Barak et al. 2022, *Hidden progress in deep learning: SGD learns parities near the computational limit*: the Fourier gap, and why many small steps work.
# - O'Donnell, *Analysis of Boolean Functions*, chapters 1, 2 and 5.
# - Panigrahi et al. 2025, section 3 and its proofs.
