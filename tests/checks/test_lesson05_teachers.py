"""Each checker of lesson 5 about teachers passes the solution and answers typical mistakes with the hint that fits."""

from bisect import bisect_right
from math import ceil, floor

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pdtutor import MaskedGrammar, ngram_closeness, progressive
from pdtutor.recipes.sequences import closest_checkpoints
from pdtutor.seeds import generator


def m_close(predict, ids, i, n, mask):
    alone, near = ids.copy(), np.full_like(ids, mask)
    window = slice(i - n // 2, i + n // 2 + 1)
    near[window] = ids[window]
    alone[i] = near[i] = mask
    return np.abs(predict(alone)[i] - predict(near)[i]).sum() / 2


def closest_checkpoint(steps, robust, close):
    first = np.argmax(robust >= robust.max() / 2)
    return steps[first + np.argmin(close[first:])]


def progressive_stages(every, speed, saved, steps):
    stages = []
    for interval in range(ceil(steps / every)):
        target = speed * every * (1 + interval) if speed >= 1 else (1 + floor(speed * interval)) * every
        teacher = saved[bisect_right(saved, target) - 1]
        if not stages or stages[-1][1] != teacher:
            stages.append((interval * every, teacher))
    return stages


SOLUTIONS = [m_close, closest_checkpoint, progressive_stages]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


# Other ways to the right answer


def close_by_where(predict, ids, i, n, mask):
    away = np.abs(np.arange(len(ids)) - i)
    p, q = (predict(np.where(hidden, mask, ids))[i] for hidden in (away == 0, (away == 0) | (away > n // 2)))
    return np.maximum(p - q, 0).sum()


def close_by_torch(predict, ids, i, n, mask):
    two = torch.tensor(ids).repeat(2, 1)
    two[1, : i - n // 2] = mask
    two[1, i + n // 2 + 1 :] = mask
    two[:, i] = mask
    p, q = (torch.tensor(predict(row))[i] for row in two)
    return (p - q).abs().sum() / 2


def closest_by_loop(steps, robust, close):
    best = None
    for step, m_robust, m in zip(steps, robust, close, strict=True):
        if best or m_robust >= max(robust) / 2:
            best = min(best or (m, step), (m, step))
    return best[1]


def closest_by_pandas(steps, robust, close):
    table = pd.DataFrame({"robust": robust, "close": close}, index=steps)
    return table.loc[(table.robust >= table.robust.max() / 2).idxmax() :, "close"].idxmin()


def closest_by_where(steps, robust, close):
    rising = steps[robust >= robust.max() / 2][0]
    return steps[np.where(steps >= rising, close, np.inf).argmin()]


def stages_by_step(every, speed, saved, steps):
    teachers = []
    for s in range(steps):
        target = speed * every * (1 + s // every) if speed >= 1 else (1 + int(speed * (s // every))) * every
        teachers.append(max(step for step in saved if step <= target))
    return [[s, t] for s, t in enumerate(teachers) if s == 0 or teachers[s - 1] != t]


def stages_by_the_package(every, speed, saved, steps):
    return progressive(every, speed=speed).stages(saved, steps)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("m_close", close_by_where),
        ("m_close", close_by_torch),
        ("closest_checkpoint", closest_by_loop),
        ("closest_checkpoint", closest_by_pandas),
        ("closest_checkpoint", closest_by_where),
        ("closest_checkpoint", lambda *of: float(closest_checkpoint(*of))),
        ("progressive_stages", stages_by_step),
        ("progressive_stages", stages_by_the_package),
        ("progressive_stages", lambda *of: np.array(progressive_stages(*of))),
        ("progressive_stages", lambda *of: tuple(progressive_stages(*of))),
    ],
)
def test_another_way_to_the_right_answer_passes(passes, name, other):
    passes(other, name=name)


# Mistakes


def close(measure=lambda p, q: np.abs(p - q).sum() / 2, *, shown=None, first=True, at=True):
    """A function whose q sees the positions shown(i, n, length); `first`: p has i masked; `at`: at i, or all."""
    shown = shown or (lambda i, n, length: {*range(i - n // 2, i + n // 2 + 1)} - {i})

    def function(predict, ids, i, n, mask):
        places = np.arange(len(ids))
        p = predict(np.where((places == i) & first, mask, ids))
        q = predict(np.where(np.isin(places, list(shown(i, n, len(ids)))), ids, mask))
        return measure(p[i], q[i]) if at else measure(p, q)

    return function


def around(i, n, length):
    return {*range(i - n // 2, i + n // 2 + 1)}


def beyond(i, n, length):
    return {*range(length)} - around(i, n, length)


def one_array(predict, ids, i, n, mask):
    alone = near = ids
    alone[i] = mask
    near[np.abs(np.arange(len(ids)) - i) > n // 2] = mask
    return np.abs(predict(alone)[i] - predict(near)[i]).sum() / 2


def close_in_place(predict, ids, i, n, mask):
    ids[i] = mask
    p = predict(ids)[i]
    ids[np.abs(np.arange(len(ids)) - i) > n // 2] = mask
    return np.abs(p - predict(ids)[i]).sum() / 2


def nothing_seen_is_p(predict, ids, i, n, mask):
    return m_close(predict, ids, i, n, mask) if n > 1 else 0.0


def rising(robust):
    return np.argmax(robust >= robust.max() / 2)


def only_where_high(steps, robust, close):
    return steps[np.where(robust >= robust.max() / 2, close, np.inf).argmin()]


def from_the_peak(steps, robust, close):
    return steps[robust.argmax() + close[robust.argmax() :].argmin()]


def above_half(steps, robust, close):
    first = np.argmax(robust > robust.max() / 2)
    return steps[first + close[first:].argmin()]


def after_half(steps, robust, close):
    first = rising(robust) + 1
    return steps[first + close[first:].argmin()]


def half_of_one(steps, robust, close):
    first = np.argmax(robust >= min(0.5, robust.max() / 2 if robust.max() < 0.5 else 0.5))
    return steps[first + close[first:].argmin()]


def close_in_place_of_steps(steps, robust, close):
    close[: rising(robust)] = np.inf
    return steps[close.argmin()]


def stages(target=None, *, intervals=ceil, choose=None, merge=True, pair=None):
    """A solution with parts of it replaced. target: k, v, R → step; choose: saved, target → teacher."""
    target = target or (lambda k, v, r: v * r * (1 + k) if v >= 1 else (1 + floor(v * k)) * r)
    choose = choose or (lambda saved, target: [s for s in saved if s <= target][-1])

    def function(every, speed, saved, steps):
        found = []
        for k in range(intervals(steps / every)):
            teacher = choose(saved, target(k, speed, every))
            if not merge or not found or found[-1][1] != teacher:
                found.append((k * every, teacher))
        return [pair(s, t, every) for s, t in found] if pair else found

    return function


def trained(saved, target):
    return [s for s in saved if s <= max(target, saved[1])][-1]


def nearest(saved, target):
    return min(saved, key=lambda step: abs(step - target))


def following(saved, target):
    return min([s for s in saved if s >= target], default=saved[-1])


def strictly(saved, target):
    return [s for s in saved if s < target][-1]


def per_step(target):
    def function(every, speed, saved, steps):
        teachers = [max(step for step in saved if step <= target(s, speed, every)) for s in range(steps)]
        return [(s, t) for s, t in enumerate(teachers) if s == 0 or teachers[s - 1] != t]

    return function


def every_step(every, speed, saved, steps):
    spread = progressive_stages(every, speed, saved, steps)
    return [(s, [t for start, t in spread if start <= s][-1]) for s in range(steps)]


def until_the_end(every, speed, saved, steps):
    found = []
    for k in range(ceil(steps / every)):
        target = speed * every * (1 + k) if speed >= 1 else (1 + floor(speed * k)) * every
        if target > saved[-1]:
            break
        teacher = [s for s in saved if s <= target][-1]
        if not found or found[-1][1] != teacher:
            found.append((k * every, teacher))
    return found


def slow(rule):
    """The right rule for v ≥ 1, another one for v < 1."""
    return lambda k, v, r: v * r * (1 + k) if v >= 1 else rule(k, v, r)


def fast(rule):
    """The right rule for v ≤ 1, another one for v > 1."""
    return lambda k, v, r: rule(k, v, r) if v > 1 else (1 + floor(v * k)) * r


CLOSE = [
    (close(first=False), "here it still sees token i"),
    (close(shown=around), "here q still sees token i"),
    (close(shown=around, first=False), "neither p nor q may see token i"),
    (close(shown=beyond), "this is M_robust"),
    (close(shown=lambda *of: beyond(*of) | {of[0]}), "this is M_robust"),
    (close(shown=lambda *of: ()), "everything is masked in q"),
    (close(shown=lambda i, n, length: {*range(i - n // 2, length)} - {i}), "not only those before it"),
    (close(shown=lambda i, n, _: {*range(i + n // 2 + 1)} - {i}), "not only those after it"),
    (close(shown=lambda i, n, _: {*range(i - n, i + n + 1)} - {i}), "not how far it reaches"),
    (close(shown=lambda i, n, _: range(i + 1, i + n)), "Yours begins at i"),
    (close(shown=lambda i, n, _: range(i - n + 1, i)), "Yours ends at i"),
    (close(shown=lambda i, n, _: {*range(i - n // 2, i + n // 2)} - {i}), "a slice ends before its end"),
    (close(shown=lambda i, n, _: {*range(i - n // 2 + 1, i + n // 2 + 1)} - {i}), "first token is masked"),
    (close(lambda p, q: np.abs(p - q).sum()), "the ½ is missing"),
    (close(lambda p, q: np.abs(p - q).sum(1) / 2, at=False), "for each position"),
    (close(at=False), "the sum over all positions"),
    (close(lambda p, q: np.abs(p - q).sum(1).mean() / 2, at=False), "the mean over all positions"),
    (close(lambda p, q: np.abs(p - q).max()), "this is the largest difference"),
    (close(lambda p, q: np.abs(p - q).max() / 2), "this is half the largest"),
    (close(lambda p, q: ((p - q) ** 2).sum() / 2), "squared here; take their absolute"),
    (close(lambda p, q: ((p - q) ** 2).sum()), "squared here; take half the sum"),
    (close(lambda p, q: np.linalg.norm(p - q)), "this is the Euclidean distance"),
    (close(lambda p, q: np.linalg.norm(p - q) / 2), "this is half the Euclidean"),
    (close(lambda p, q: np.abs(p - q).mean() / 2), "don't average."),
    (close(lambda p, q: np.abs(p - q).mean()), "don't average, and halve"),
    (close(lambda p, q: 1.0), "not the most probable tokens"),
    (close(lambda p, q: (p * np.log(p / q)).sum()), "a KL divergence"),
    (close(lambda p, q: np.abs(p - q) / 2), "sum over the classes: return one"),
    (close(lambda p, q: (p - q).sum() / 2), "the absolute values are missing"),
    (one_array, "a second name for one array"),
    (close_in_place, "mask a copy"),
    (close(shown=lambda i, n, _: {i - 1, i + 1} if n > 1 else ()), "yours has 3, whatever n is"),
    (lambda predict, ids, i, n, mask: m_close(predict, ids, i, n, 5), "use the argument `mask`"),
    (nothing_seen_is_p, "it is not p"),
    (lambda predict, ids, i, n, mask: predict(ids[None])[i], "ids of one sentence"),
    (lambda *of: 0.5, "mask everything, then put back"),
]
CLOSEST = [
    (lambda steps, robust, close: steps[close.argmin()], "this is the smallest M_close of all"),
    (lambda steps, robust, close: steps[rising(robust)], "this is where M_robust has come half way"),
    (lambda steps, robust, close: steps[robust.argmax()], "this is where M_robust is largest"),
    (only_where_high, "also where M_robust has fallen again"),
    (lambda *of: list(of[0]).index(closest_checkpoint(*of)), "this is the index of C₁; return its step"),
    (lambda steps, robust, close: close[rising(robust) :].argmin(), "among the steps that are left"),
    (lambda steps, robust, close: steps[close[rising(robust) :].argmin()], "steps[first + index]"),
    (lambda steps, robust, close: steps[close.argmax()], "this is where M_close is largest"),
    (lambda steps, robust, close: steps[-1], "this is the last step"),
    (lambda steps, robust, close: close[rising(robust) :].min(), "this is a value of M_close"),
    (lambda steps, robust, close: steps[np.argmax(robust > 0)], "below half of the largest M_robust"),
    (from_the_peak, "not only from where it is largest"),
    (above_half, "at least half: the step with just half"),
    (after_half, "at least half: the step with just half"),
    (half_of_one, "half of the largest M_robust, not of 1"),
    (close_in_place_of_steps, "work on a copy, as in close[first:].min()"),
    (lambda steps, robust, close: 7000, "find the first index with robust >= robust.max() / 2"),
]
STAGES = [
    (stages(merge=False), "this has one for every interval"),
    (stages(lambda k, v, r: v * r * k), "the untrained step 0 never teaches"),
    (stages(lambda k, v, r: v * r * k, choose=trained), "the untrained step 0 never teaches"),
    (stages(lambda k, v, r: v * r * (2 + k)), "not two"),
    (stages(intervals=lambda share: ceil(share) - 1), "the last interval is missing"),
    (stages(intervals=floor), "the last interval is missing"),
    (stages(intervals=lambda share: floor(share) + 1), "there is an interval too many"),
    (stages(choose=strictly), "one that is saved just there counts"),
    (stages(choose=nearest), "not the nearest"),
    (stages(choose=following), "not the next one"),
    (stages(choose=lambda saved, target: min(target, saved[-1])), "not all of these steps were saved"),
    (stages(pair=lambda s, t, r: (t, s)), "yours are swapped"),
    (stages(pair=lambda s, t, r: (s // r, t)), "it is the number of the interval"),
    (stages(pair=lambda s, t, r: t), "return pairs"),
    (stages(pair=lambda s, t, r: t, merge=False), "return pairs"),
    (lambda *of: [t for _, t in every_step(*of)], "return pairs"),
    (every_step, "this has one for every step"),
    (lambda every, speed, saved, steps: [(0, saved[-1])], "this is one-shot distillation"),
    (stages(fast(lambda k, v, r: r * (1 + k))), "the speed is missing"),
    (stages(fast(lambda k, v, r: r * (1 + floor(v * k)))), "this is the rule for v < 1"),
    (stages(fast(lambda k, v, r: r * (1 + v * k))), "a factor of the whole"),
    (stages(fast(lambda k, v, r: r * floor(v * (1 + k)))), "nothing is rounded but s/R"),
    (stages(fast(lambda k, v, r: v * r * k)), "the teacher is one interval ahead"),
    (per_step(lambda s, v, r: v * (r + s) if v > 1 else r * (1 + floor(v * (s // r)))), "round s/R down first"),
    (stages(slow(lambda k, v, r: v * r * (1 + k))), "this is the rule for v ≥ 1"),
    (stages(slow(lambda k, v, r: v * r * (1 + k)), choose=trained), "this is the rule for v ≥ 1"),
    (stages(slow(lambda k, v, r: r * (1 + v * k))), "round v·⌊s/R⌋ down before you add 1"),
    (stages(slow(lambda k, v, r: r * (1 + round(v * k)))), "not to the nearest whole number"),
    (stages(slow(lambda k, v, r: r * (1 + ceil(v * k)))), "round down, not up"),
    (stages(slow(lambda k, v, r: r * floor(v * (1 + k)))), "add 1 after you have multiplied"),
    (stages(slow(lambda k, v, r: r * floor(v * (1 + k))), choose=trained), "add 1 after you have multiplied"),
    (stages(slow(lambda k, v, r: r * max(1, floor(v * (1 + k))))), "add 1 after you have multiplied"),
    (stages(slow(lambda k, v, r: r * floor(v * k))), "the teacher is one interval ahead"),
    (stages(slow(lambda k, v, r: r * floor(v * k)), choose=trained), "the teacher is one interval ahead"),
    (per_step(lambda s, v, r: v * r * (1 + s // r) if v >= 1 else r * (1 + floor(v * s / r))), "round s/R down first"),
    (stages(slow(lambda k, v, r: r * (1 + k))), "the speed is missing"),
    (until_the_end, "past the teacher's last checkpoint"),
    (lambda *of: progressive_stages(*of) if of[0] <= of[3] else [], "the last interval is missing"),
    (lambda *of: dict(progressive_stages(*of)), "go through the intervals"),
    (lambda *of: [(0, 7)], "go through the intervals"),
]


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        (name, *pair)
        for name, pairs in (("m_close", CLOSE), ("closest_checkpoint", CLOSEST), ("progressive_stages", STAGES))
        for pair in pairs
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)


def test_a_failure_reads_the_same_everywhere(said):
    assert said(stages(merge=False), name="progressive_stages") == (
        "✗ progressive_stages: got shape (4, 2), expected shape (3, 2)\n"
        "  given:    every = 100, speed = 1, saved = [0, 50, 100, 260, 350, 400, 500], steps = 400\n"
        "  expected: [[0, 100], [200, 260], [300, 400]]\n"
        "  hint:     begin a stage only where the teacher changes: this has one for every interval.\n"
    )


# Against the package


class Neighbours(nn.Module):
    """Logits from random embeddings, of the id itself and of others by their distance."""

    def __init__(self, vocabulary, classes):
        super().__init__()
        self.seeds = [0]
        self.embedding = nn.Parameter(torch.randn(vocabulary, classes, generator=torch.Generator().manual_seed(0)))

    def forward(self, ids):
        places = torch.arange(ids.shape[-1])
        return 0.7 ** (places - places[:, None]).abs() @ self.embedding[ids]


def test_the_probe_is_a_mean_of_m_close_with_special_ids_left_visible():
    task = MaskedGrammar("cfg3b", root="10")
    model = Neighbours(task.vocabulary, task.classes)

    def predict_around(row):
        """Predictions for tokens alone; the special ids before and after them are put back."""
        special = ~task.is_token(row)

        def predict(ids):
            with torch.no_grad():
                return model(torch.tensor(np.where(special, row, ids))[None, None])[0, 0].softmax(-1).numpy()

        return predict

    n, seed = 3, 5
    table = ngram_closeness(task, n, sentences=50, positions=task.longest, seed=seed)(model)  # wherever n fits
    drawn = task.sentences(generator(seed, "n-grams"), 50)
    each = [
        m_close(predict_around(row), row, i, n, task.mask)
        for row, length in zip(task.rows(drawn), drawn.lengths, strict=True)
        for i in range(2, length)  # tokens are at 1 … length
    ]
    assert table["pairs"].tolist() == [len(each)]
    assert table["mean"][0] == pytest.approx(np.mean(each), rel=1e-5)


def test_c1_is_that_of_the_recipes_on_text():
    rng = np.random.default_rng(0)
    steps = np.arange(12) * 50
    for _ in range(100):
        robust, close = rng.random(12) ** 3, rng.random(12)
        table = pd.concat(
            pd.DataFrame({"step": steps, "seed": 4, "probe": probe, "n": 3, "median": values})
            for probe, values in (("M_robust", robust), ("M_close", close))
        )
        assert closest_checkpoints(table) == {4: closest_checkpoint(steps, robust, close)}


@given(
    every=st.integers(5, 60),
    speed=st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.5, 2.5]),
    gap=st.integers(1, 5),
    steps=st.integers(1, 300),
)
def test_stages_are_those_of_the_package(every, speed, gap, steps):
    saved = list(range(0, 400, gap))
    assert progressive_stages(every, speed, saved, steps) == progressive(every, speed=speed).stages(saved, steps)
