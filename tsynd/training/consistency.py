"""A second loss, on images without labels: what a teacher says of an image, the classifier must say of a changed one."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.augmentation.trivialaugment import rand_augment, trivial_augment
from tsynd.classification import Classifier, as_targets
from tsynd.training.bank import Bank
from tsynd.training.checkpoint import restore, states
from tsynd.training.recipe import Recipe
from tsynd.utils.batching import as_float
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import generator_for

CANDIDATES = 256  # unlabelled images that the sources of a search are chosen from, where not evenly
Weights = list[Tensor] | tuple[Tensor, ...]
STREAMS = ("batches", "augmentation", "strong augmentation", "bank picks", "candidates")


def sharpen(
    probs_BC: Tensor, mean_C: Tensor, prior_C: Tensor, *, alignment: float, power: float, hard: bool
) -> tuple[Tensor, Tensor]:
    """Turn a teacher's probabilities into targets.

    First they are aligned: p (prior / mean)^alignment, renormalised, so that a teacher that drifts to one class is drawn back
    (ReMixMatch, Berthelot et al. 2020, arXiv 1911.09785). Then they are raised to `power` and renormalised, or made one-hot.

    `probs_BC` is (B, C), or (B, L, 2) of several labels. `mean_C` is the teacher's mean answer so far, `prior_C` the shares of
    the classes among the labelled images.

    Returns:
        The targets, of the shape of `probs_BC`, and the confidence (B,): the largest aligned probability, of several labels the
        least of these.

    >>> sharpen(torch.tensor([[0.8, 0.2]]), torch.ones(2), torch.ones(2), alignment=1.0, power=2.0, hard=False)
    (tensor([[0.9412, 0.0588]]), tensor([0.8000]))
    """
    aligned_BC = probs_BC * (prior_C / mean_C.clamp_min(1e-6)) ** alignment
    aligned_BC = aligned_BC / aligned_BC.sum(dim=-1, keepdim=True)
    confidence_B = aligned_BC.amax(dim=-1).flatten(1).amin(dim=1) if aligned_BC.ndim == 3 else aligned_BC.amax(dim=-1)
    if hard:
        return F.one_hot(aligned_BC.argmax(dim=-1), aligned_BC.shape[-1]).to(probs_BC), confidence_B
    sharp_BC = aligned_BC**power
    return sharp_BC / sharp_BC.sum(dim=-1, keepdim=True), confidence_B


def moving_average(classifier: Classifier, decay: float) -> AveragedModel:
    """An exponential moving average of a classifier's weights, to be updated after each step.

    The decay of step n is min(decay, (1 + n) / (10 + n)), so that the first weights are soon forgotten in a short training
    too (as in TensorFlow's ExponentialMovingAverage). The running statistics of batch norm are averaged like the weights:
    the last ones belong to the last weights, and averaged features have averaged statistics, to first order.
    """

    def update(averaged: Weights, present: Weights, count: Tensor | int) -> None:
        n = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, present, count)

    return AveragedModel(classifier, multi_avg_fn=update, use_buffers=True)


class Consistency:
    """The teacher, what it has said so far, and the images without labels.

    The classifier is the student, and the average of its weights the teacher. `images_UCHW` are in [0, 1] or of 8 bits, on its
    device; the labels of the training set give the shares of the classes that `alignment` draws the teacher's answers to.
    """

    def __init__(self, classifier: Classifier, recipe: Recipe, images_UCHW: Tensor, labels_B: Tensor, seed: int) -> None:
        self.recipe, self.images_UCHW, self.multi_label = recipe, images_UCHW, classifier.multi_label
        self.average = moving_average(classifier, recipe.teacher_decay)
        self.prior_C = self._both(as_targets(labels_B, classifier).float()).mean(dim=0)
        self.mean_C = self.prior_C.clone()
        self.answered = 0
        self.generators = {name: generator_for(seed, f"unlabelled {name}") for name in STREAMS}

    @property
    def teacher(self) -> Classifier:
        """The average of the classifier so far."""
        return self.average.module  # type: ignore[return-value]

    def weight(self, step: int, steps: int) -> float:
        """The weight of the loss at a step: 0 before it begins, then rising linearly."""
        begun = step - round(self.recipe.unlabelled_start * steps) + 1
        if begun <= 0:
            return 0.0
        return self.recipe.unlabelled_weight * min(1.0, begun / max(1, round(self.recipe.unlabelled_ramp * steps)))

    def batch(self, bank: Bank, searching: bool, weight: float = 1.0) -> tuple[Tensor, Tensor, Tensor] | None:
        """Draw images for the student with their targets, and `weight` for those that count: (U, C, H, W), (U, classes), (U,).

        None for no images. Where the arm searches, a share of them are of the bank; the teacher answers on their sources.
        """
        recipe, draw = self.recipe, self.generators
        targeted = round(recipe.unlabelled_share * recipe.unlabelled_batch) if searching else 0
        plain = recipe.unlabelled_batch - targeted
        index_U = torch.randint(len(self.images_UCHW), (plain,), generator=draw["batches"])
        found_BCHW = None
        if targeted and len(bank):
            found_BCHW, source_B = bank.pick(targeted, draw["bank picks"])
            index_U = torch.cat([index_U, source_B.cpu()])
        if not len(index_U):
            return None
        weak_UCHW = augment(as_float(self.images_UCHW[index_U.to(self.images_UCHW.device)]), TRAIN_RANGE, draw["augmentation"])
        targets_UC, counts_U = self.answer(weak_UCHW)
        strong_UCHW = weak_UCHW[:plain]
        if plain:
            change = trivial_augment if recipe.strong_augmentation == "trivialaugment" else rand_augment
            strong_UCHW = change(strong_UCHW, draw["strong augmentation"])
        images_UCHW = strong_UCHW if found_BCHW is None else torch.cat([strong_UCHW, found_BCHW])
        return images_UCHW, targets_UC, weight * counts_U

    def answer(self, images_UCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Ask the teacher, and remember its mean answer: targets (U, classes), and 1 or 0 for each image that counts or not."""
        recipe, probs_UC = self.recipe, self._ask(images_UCHW)
        keep = min(0.99, (1 + self.answered) / (10 + self.answered))
        self.mean_C = keep * self.mean_C + (1 - keep) * probs_UC.mean(dim=0)
        self.answered += 1
        hard = recipe.pseudo_labels == "hard"
        settings: dict[str, Any] = {"alignment": recipe.alignment, "power": recipe.sharpening, "hard": hard}
        targets_UC, confidence_U = sharpen(probs_UC, self.mean_C, self.prior_C, **settings)
        found_UC = targets_UC[..., 1] if self.multi_label else targets_UC
        return found_UC, (confidence_U >= recipe.threshold).to(targets_UC)

    def candidates(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw unlabelled images that a search may start from, with the teacher's classes, and their numbers among all."""
        count = self.recipe.refresh_count if self.recipe.sources == "uniform" else max(CANDIDATES, self.recipe.refresh_count)
        number_U = torch.randint(len(self.images_UCHW), (count,), generator=self.generators["candidates"])
        number_U = number_U.to(self.images_UCHW.device)
        images_UCHW = as_float(self.images_UCHW[number_U])
        return images_UCHW, self._ask(images_UCHW).argmax(dim=-1), number_U

    def _ask(self, images_UCHW: Tensor) -> Tensor:
        with torch.no_grad(), frozen(self.teacher):
            logits_UC = self.teacher(images_UCHW).float()
        return self._both(logits_UC.sigmoid()) if self.multi_label else logits_UC.softmax(dim=1)

    def _both(self, probs_BC: Tensor) -> Tensor:
        """Of several labels, the probabilities of absence and presence: (B, L, 2)."""
        return torch.stack([1 - probs_BC, probs_BC], dim=-1) if self.multi_label else probs_BC

    def dump(self) -> dict[str, Any]:
        """As `State.dump`; the images are no part of it."""
        return states({name: getattr(self, name) for name in ("average", "mean_C", "answered", "generators")})

    def load(self, tree: dict[str, Any]) -> None:
        """As `State.load`."""
        restore({"average": self.average, "generators": self.generators}, tree)
        self.mean_C, self.answered = tree["mean_C"].to(self.mean_C), tree["answered"]
