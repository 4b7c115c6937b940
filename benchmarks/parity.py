"""What is measured: pairs of ways to do one piece of work, the plain one first.

Each way is a function that takes a number of updates and does them from fresh weights. What `train` does once per call
(two evaluations on 64 examples and the final checkpoint, some hundredths of a second) is part of its time. How well a
teacher has learned hardly changes what it costs to run, so these are hardly trained.
"""

from benchmarks.plain import Batches, distil, fit, sequential
from benchmarks.work import Work
from pdtutor import (
    MLP,
    SGD,
    Comparison,
    Distill,
    Labels,
    Run,
    SparseParity,
    Trajectory,
    compare,
    explicit,
    one_shot,
    train,
)

WIDTH, TEACHER_WIDTH, LR, TEMPERATURE = 100, 1000, 0.01, 1e-4
QUIET = {"eval_examples": 64, "progress": False}


def works() -> list[Work]:
    """Return the rows of the table."""
    return [
        labels(width=100, target=250),
        labels(width=1000, target=30),
        labels(width=50_000, target=4),
        distillation(d=100, batch_size=1, target=100),
        distillation(d=30, batch_size=32, target=3),
        nine_students("autograd", target=3),
        nine_students("kernel", target=None),
    ]


def labels(*, width: int, target: float) -> Work:
    """One network on (100,6)-sparse parity, the paper's size, batch 1: the plain loop against `train` as it comes."""
    d, task = 100, SparseParity(100, k=6)

    def plain(steps: int) -> None:
        fit(sequential(MLP(d, width=width)), Batches(task, batch_size=1, seed=0), steps=steps, lr=LR)

    def ours(steps: int) -> Run:
        return train(
            MLP(d, width=width), task, steps=steps, batch_size=1, optimizer=SGD(lr=LR), eval_every=steps, **QUIET
        )

    return Work(f"train width {width}, d = {d}, batch 1 (examples/s)", plain, ours, 1, 1, target)


def distillation(*, d: int, batch_size: int, target: float | None) -> Work:
    """One student under one teacher: the plain loop against `train` as it comes.

    Same sizes, batch, teacher, loss, optimizer and sampler of examples; a test holds both to the same weights.
    """
    task, teacher = SparseParity(d, k=6), teacher_of(d)
    plain_teacher = sequential(teacher.at(teacher.final))

    def plain(steps: int) -> None:
        batches = Batches(task, batch_size=batch_size, seed=0)
        student = sequential(MLP(d, width=WIDTH))
        distil(student, plain_teacher, batches, steps=steps, lr=LR, temperature=TEMPERATURE)

    def ours(steps: int) -> Run:
        return train(
            MLP(d, width=WIDTH),
            task,
            steps=steps,
            batch_size=batch_size,
            optimizer=SGD(lr=LR),
            supervision=Distill(teacher, one_shot(), temperature=TEMPERATURE),
            eval_every=steps,
            **QUIET,
        )

    name = f"distil width {WIDTH} from width {TEACHER_WIDTH}, d = {d}, batch {batch_size} (examples/s)"
    return Work(name, plain, ours, batch_size, batch_size, target)


def nine_students(engine: str, *, target: float | None) -> Work:
    """Three methods × three seeds by one call of `compare`: one student after the other, or all nine in one pass.

    Same engine, methods and teacher on both sides. One after the other takes one student of each method, since seeds
    cost the same. So 9 / ratio is what nine side by side cost in single students. The methods are labels and two
    checkpoints of a teacher, both of which run over all three seeds' examples, as one-shot and progressive do.
    """
    d, batch_size = 30, 32
    task, teacher = SparseParity(d, k=6), teacher_of(d)
    methods = {
        "labels": Labels(),
        "final checkpoint": Distill(teacher, one_shot(), temperature=TEMPERATURE),
        "earlier checkpoint": Distill(teacher, explicit([(0, teacher.steps[0])]), temperature=TEMPERATURE),
    }

    def students(seeds: list[int], steps: int, *, side_by_side: bool, engine: str = engine) -> Comparison:
        return compare(
            lambda seeds: MLP(d, width=WIDTH, seed=seeds),
            task,
            methods,
            seeds=seeds,
            side_by_side=side_by_side,
            steps=steps,
            batch_size=batch_size,
            optimizer=SGD(lr=LR),
            eval_every=steps,
            engine=engine,
            **QUIET,
        )

    return Work(
        f"nine students side by side, batch {batch_size}, {engine} (updates/s × students; against one at a time)",
        lambda steps: students([0], steps, side_by_side=False),
        lambda steps: students([0, 1, 2], steps, side_by_side=True),
        len(methods),
        3 * len(methods),
        target,
        baseline_trainings=len(methods),
        counted=lambda steps: students([0], steps, side_by_side=False, engine="autograd"),
    )


def teacher_of(d: int) -> Trajectory:
    """Return two checkpoints of a wide teacher."""
    return train(MLP(d, width=TEACHER_WIDTH, seed=1), SparseParity(d, k=6), steps=2, save_every=1, **QUIET).trajectory
