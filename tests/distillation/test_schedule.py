import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdtutor.distillation.schedule import FINAL, Anneal, explicit, n_shot, on_plateau, one_shot, progressive

SAVED = tuple(range(0, 1001, 100))


def in_force(schedule, saved, steps):
    """The teacher of every student step, from the stages."""
    stages = schedule.stages(saved, steps)
    return [[teacher for start, teacher in stages if start <= step][-1] for step in range(steps)]


@given(every=st.integers(1, 40), speed=st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.5]), gap=st.integers(1, 5))
def test_progressive_follows_the_paper_s_formula_at_every_step(every, speed, gap):
    saved = tuple(range(0, 400, gap))
    if every * min(speed, 1) < gap:
        return  # nothing saved early enough; refused, see below
    for step, teacher in enumerate(in_force(progressive(every, speed=speed), saved, 120)):
        interval = step // every
        target = speed * every * (1 + interval) if speed >= 1 else (1 + int(speed * interval)) * every
        assert teacher == max(s for s in saved if s <= target)


def test_the_progressive_teacher_is_one_interval_ahead_and_ends_at_the_final():
    stages = progressive(300).stages(SAVED, 1500)
    assert stages == [(0, 300), (300, 600), (600, 900), (900, 1000)]


def test_one_shot_is_the_final_checkpoint_always():
    assert one_shot().stages(SAVED, 5000) == [(0, 1000)]


def test_n_shot_gives_each_checkpoint_its_share_and_keeps_the_last():
    assert n_shot([300, FINAL], each=50).stages(SAVED, 5000) == [(0, 300), (50, 1000)]
    assert n_shot(4, each=10).stages(SAVED, 5000) == [(0, 200), (10, 500), (20, 700), (30, 1000)]
    assert n_shot([np.int64(300), FINAL], each=50) == n_shot([300, FINAL], each=50)


def test_explicit_says_it_all_and_stops_with_the_student():
    assert explicit([(0, 100), (7, FINAL), (90, 300)]).stages(SAVED, 50) == [(0, 100), (7, 1000)]


def test_a_plateau_is_patience_evaluations_without_a_gain():
    schedule = on_plateau([100, FINAL], patience=2, min_delta=0.01)
    assert schedule.stages(SAVED, 100) == [(0, 100)]
    assert not schedule.plateaued([0.5, 0.5])
    assert schedule.plateaued([0.5, 0.505, 0.5])
    assert not schedule.plateaued([0.5, 0.505, 0.52])


def test_anneal_moves_linearly_and_stays():
    assert [Anneal(0.0, 1.0, 4).at(s) for s in (0, 1, 4, 9)] == [0.0, 0.25, 1.0, 1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: progressive(0), "every must be a whole number of at least 1, got 0"),
        (lambda: progressive(10, speed=0), "speed must be greater than 0"),
        (lambda: progressive(10, speed=float("nan")), "speed must be a finite number"),
        (lambda: progressive(50).stages(SAVED, 10), "in steps 1…50; saved are 0, 100, 200, 300, …, 800, 900, 1000"),
        (lambda: one_shot().stages((), 10), "trajectory is empty"),
        (lambda: n_shot([], each=5), "names? at least one step, got none"),
        (lambda: n_shot(0, each=5), "checkpoints must be a whole number of at least 1, got 0"),
        (lambda: n_shot(2, each=0), "each must be a whole number of at least 1, got 0"),
        (lambda: n_shot([250, FINAL], each=5).stages(SAVED, 10), "needs the teacher's checkpoint at step 250"),
        (lambda: n_shot(50, each=5).stages(SAVED, 500), "different checkpoints|in steps 1…"),
        (lambda: explicit([(5, 100)]), "must start at 0 and increase"),
        (lambda: explicit([(0, 100), (0, 200)]), "must start at 0 and increase"),
        (lambda: explicit([]), "must start at 0"),
        (lambda: explicit([(0, 150)]).stages(SAVED, 10), "at step 150"),
        (lambda: on_plateau([]), "at least one step"),
        (lambda: on_plateau([150]).stages(SAVED, 10), "at step 150"),
        (lambda: on_plateau([100], patience=0), "patience"),
        (lambda: Anneal(0.0, 1.0, 0), "steps must be a whole number of at least 1, got 0"),
    ],
)
def test_what_cannot_be_served_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_progressive_from_a_first_checkpoint_on():
    saved = range(0, 1001, 50)
    assert progressive(100, speed=2).stages(saved, 400) == [(0, 200), (100, 400), (200, 600), (300, 800)]
    assert progressive(100, speed=2, first=450).stages(saved, 400) == [(0, 450), (200, 600), (300, 800)]
    assert progressive(100, first=1000).stages(saved, 400) == [(0, 1000)]
    assert progressive(100, first=70).stages(saved, 200) == progressive(100).stages(saved, 200)
    with pytest.raises(ValueError, match="first must be a whole number of at least 0, got -1"):
        progressive(100, first=-1)


def test_a_speed_that_no_float_can_hold_reaches_the_checkpoint_all_the_same():
    saved = range(0, 1601, 50)
    assert (4 / 3) * 400 * 3 < 1600  # as floats
    assert progressive(400, speed=4 / 3).stages(saved, 1200) == [(0, 500), (400, 1050), (800, 1600)]
    assert 0.29 * 100 < 29
    assert progressive(1, speed=0.29).stages(range(50), 101)[-1] == (100, 30)
