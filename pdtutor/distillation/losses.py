"""The distillation loss (paper section 2): total = α·CE + (1−α)·D(teacher, student).

The temperature τ divides the teacher's logits only, and there is no factor τ², as in the paper. The paper's
distillation term is the cross-entropy −Σ p_T log p_S. `forward_kl` also subtracts the teacher's entropy, which adds
nothing to the gradient, so that the loss of a perfect student is 0. All losses are means over labelled positions, one
per copy.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pdtutor.tasks.task import IGNORED, few_sizes
from pdtutor.validate import instance, number, one_of, whole

TEMPERATURE = 1e-4  # τ of the paper: practically the argmax, so that soft labels can't explain the gain
DIVERGENCES = ("forward_kl", "reverse_kl", "jensen_shannon")


def teacher_log_probabilities(
    logits: Float[Tensor, "*positions classes"], temperature: float | Tensor, *, top_k: int | None = None
) -> Float[Tensor, "*positions classes"]:
    """Return log softmax(logits / τ) over the last axis, in the shape of the logits.

    τ = 0 stands for the limit τ → 0: all probability is on the largest logit, shared equally if several are largest.
    Tiny temperatures such as 1e-20 are exact and finite in float32, because the largest logit is subtracted before the
    division.

    Args:
        logits: (…, classes).
        temperature: τ ≥ 0, or a tensor of such values that broadcasts against logits; a tensor is not checked.
        top_k: keep only the k most probable classes and renormalise; all classes if None.

    Raises ValueError for a temperature that is negative or not finite, and for top_k outside 1 … classes.
    """
    instance("logits", logits, Tensor, "a tensor")
    if not isinstance(temperature, Tensor):
        temperature = torch.tensor(number("temperature", temperature, minimum=0), dtype=logits.dtype)
    temperature = temperature.to(logits)
    gap = logits - logits.amax(-1, keepdim=True)  # 0 at the argmax, negative elsewhere
    cold = temperature < torch.finfo(logits.dtype).tiny  # τ = 0, or so small that this dtype cannot divide by it
    limit = torch.where(gap == 0, 0.0, -torch.inf).to(logits)
    scaled = torch.where(cold, limit, gap / torch.where(cold, 1.0, temperature))
    if top_k is not None:
        classes = logits.shape[-1]
        top_k = whole("top_k", top_k)
        if top_k > classes:
            raise ValueError(f"top_k must be at most the number of classes, {classes}; got {top_k}")
        kept = scaled.topk(top_k, dim=-1)
        scaled = torch.full_like(scaled, -torch.inf).scatter(-1, kept.indices, kept.values)
    return scaled.log_softmax(-1)


def divergence(
    student_logits: Float[Tensor, "*positions classes"],
    teacher_log_p: Float[Tensor, "*the_same classes"],
    *,
    kind: str = "forward_kl",
) -> Float[Tensor, "*positions"]:
    """Return D(teacher, student) at every position: (…, classes) twice → (…).

    Args:
        student_logits: (…, classes).
        teacher_log_p: (…, classes), from `teacher_log_probabilities`.
        kind: "forward_kl" is KL(p_T ‖ p_S) and "reverse_kl" is KL(p_S ‖ p_T). "jensen_shannon" is ½KL(p_T ‖ m) +
            ½KL(p_S ‖ m) with m the mean of the two: symmetric and bounded.

    Raises ValueError for an unknown kind, and for reverse_kl if the teacher gives any class probability 0: then it is
    infinite for every student.
    """
    one_of("divergence", kind, DIVERGENCES)
    log_p_s, p_t = student_logits.log_softmax(-1), teacher_log_p.exp()
    if kind == "forward_kl":
        return torch.xlogy(p_t, p_t).sum(-1) - (p_t * log_p_s).sum(-1)
    p_s = log_p_s.exp()
    if kind == "reverse_kl":
        if teacher_log_p.isneginf().any():
            raise ValueError(
                "reverse_kl is infinite where the teacher's probability is 0: use a larger temperature, no top_k, "
                "or another divergence"
            )
        return (p_s * (log_p_s - teacher_log_p)).sum(-1)
    log_middle = torch.logaddexp(teacher_log_p, log_p_s) - math.log(2)  # finite, because log_p_s is
    from_teacher = torch.xlogy(p_t, p_t) - p_t * log_middle  # xlogy(0, 0) = 0, the limit of p log p
    from_student = p_s * (log_p_s - log_middle)
    return (from_teacher + from_student).sum(-1) / 2


def cross_entropy(
    logits: Float[Tensor, "*positions classes"], labels: Int[Tensor, "*positions"]
) -> Float[Tensor, "*positions"]:
    """Return −log p(label) at every position, and 0 where the label is IGNORED: (…, classes), (…) → (…)."""
    flat = torch.nn.functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), reduction="none", ignore_index=IGNORED
    )
    return flat.view(labels.shape)


def labelled_positions(
    labels: Int[Tensor, "*rows length"],
) -> tuple[Int[Tensor, "*rows n"], Int[Tensor, "*rows n"]]:
    """Return where each row has labels, and these labels: (…, length) → (…, n) int64 and (…, n).

    n is the largest number of labels in any row, but at least 1; on an accelerator it is one of few sizes. Rows with
    fewer labels are filled up with position −1 and label IGNORED. The loss needs the logits at these positions only.
    """
    labelled = labels != IGNORED
    counts = labelled.sum(-1, keepdim=True)
    n = max(1, int(counts.max()))
    if labels.device.type != "cpu":
        n = few_sizes(n, labels.shape[-1])
    first = labelled.byte().sort(dim=-1, descending=True, stable=True).indices[..., :n]  # labelled ones, in order
    there = torch.arange(n, device=labels.device) < counts
    return first.where(there, -1), labels.gather(-1, first).where(there, IGNORED)


def mean_labelled(
    values: Float[Tensor, "copies *positions"], labels: Int[Tensor, "copies *positions"]
) -> Float[Tensor, " copies"]:
    """Return the mean of values over positions whose label is not IGNORED: (copies, …) twice → (copies,).

    It is 0 for a copy without labels, so that an update in which nothing is scored teaches nothing.
    """
    counted = (labels != IGNORED).to(values.dtype)
    return (values * counted).flatten(1).sum(1) / counted.flatten(1).sum(1).clamp(min=1)


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor = TEMPERATURE,
    alpha: float = 0.0,
    kind: str = "forward_kl",
    top_k: int | None = None,
) -> Float[Tensor, " copies"]:
    """Return α·CE + (1−α)·D per copy: (copies, batch, …, classes) twice and (copies, batch, …) → (copies,).

    Raises ValueError for α outside [0, 1], a temperature that is negative or not finite, an unknown divergence, top_k
    outside 1 … classes, and shapes that don't match.
    """
    alpha = number("alpha", alpha, minimum=0, maximum=1)
    if student_logits.shape != teacher_logits.shape or student_logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"student logits {tuple(student_logits.shape)}, teacher logits {tuple(teacher_logits.shape)} and labels "
            f"{tuple(labels.shape)} must agree: logits have one more axis, the classes"
        )
    teacher_log_p = teacher_log_probabilities(teacher_logits, temperature, top_k=top_k)
    distilled = divergence(student_logits, teacher_log_p, kind=kind)
    return mean_labelled(alpha * cross_entropy(student_logits, labels) + (1 - alpha) * distilled, labels)


def soft_targets(
    labels: Int[Tensor, "*positions"],
    teacher_p: Float[Tensor, "*positions classes"] | None,
    alpha: Tensor | float,
    *,
    classes: int,
) -> Float[Tensor, "*positions classes"]:
    """Return q = α·onehot(label) + (1−α)·p_T at every position, 0 where the label is IGNORED: (…) → (…, classes).

    Without a teacher, q = α·onehot(label). Cross-entropy and forward KL are both linear in their target, so −Σ q log
    p_S has the gradient of the whole loss. Copies with different supervision can therefore share one forward and
    backward pass.
    """
    scored = labels != IGNORED
    mixed = 0.0 if teacher_p is None else (1 - alpha) * teacher_p
    if teacher_p is None or torch.as_tensor(alpha).any():  # in most runs labels have no weight
        mixed = mixed + alpha * torch.nn.functional.one_hot(labels.where(scored, 0), classes).float()
    return mixed * scored.unsqueeze(-1)
