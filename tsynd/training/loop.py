"""The training loop, one for every arm."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.augmentation.mixup import mixup
from tsynd.augmentation.trivialaugment import trivial_augment
from tsynd.classification import Classifier, as_targets, check_fitting, normalise_to
from tsynd.errors import TsyndError
from tsynd.robustness.attacks.gradient import pgd
from tsynd.targeting import Autoencoder, Synthesis
from tsynd.training.arms import Arm
from tsynd.training.checkpoint import load_checkpoint, save_checkpoint
from tsynd.training.consistency import Consistency
from tsynd.training.recipe import Recipe
from tsynd.training.ridge import fit_ridge
from tsynd.training.state import History, State
from tsynd.utils.batching import as_float
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_trial import tried
from tsynd.utils.progress import Progress, Step
from tsynd.utils.rng import seed_for, seeded
from tsynd.utils.rules import validated, whole
from tsynd.utils.shape_errors import check_precision
from tsynd.utils.tensor_files import tensors_hash, weights_hash
from tsynd.utils.validation import check_labels

CHECKPOINT_EVERY = 100  # steps: writing takes some .6 % of a training on one core


@validated
def train_classifier(
    classifier: Classifier,
    images_BCHW: Tensor,
    labels_B: Tensor,
    arm: Arm,
    recipe: Recipe,
    *,
    autoencoder: Autoencoder | None = None,
    synthetic: Synthesis | None = None,
    unlabelled: Tensor | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Annotated[int, whole(1)] = CHECKPOINT_EVERY,
) -> tuple[History, Synthesis | None]:
    """Train a classifier by one arm's recipe: AdamW, one-cycle schedule, light augmentation, and images from the bank.

    Arms of ridge regression take no steps: their one loss is the leave-one-out loss (see `fit_ridge`).

    Batches, augmentation, TrivialAugment, bank and mixup draw from generators of their own, so arms that share a seed see the
    same real images in the same order.

    Args:
        images_BCHW, labels_B: real training images in [0, 1], or of 8 bits, and their int64 classes, on the classifier's device;
            several labels an image: (B, L) of 0 and 1.
        autoencoder: needed by arms with synthetic images.
        synthetic: synthetic images that are given, in place of a search: from the end of the warm-up on, `recipe.share` of
            each batch is drawn from them. For arms without a search of their own.
        unlabelled: (U, C, H, W) images without labels, in [0, 1] or of 8 bits, on the classifier's device: for arms with
            `consistency`. The sources of the searches of such an arm count among these.
        progress: called after each step. What it raises stops the training and passes through.
        checkpoint: a file that the state is written to, whole or not at all, every `checkpoint_every` steps. When it exists,
            training goes on from it, on a CPU to the same bits as without a stop. Who calls deletes it when all is done.

    Returns:
        What was recorded, and the images in the bank at the end (None without synthetic images). The classifier is in eval
        mode; with `recipe.ema` its weights are the averaged ones.

    Raises:
        TsyndError: for images or labels that do not fit the classifier, an arm without what it needs, and a checkpoint that
            is damaged or belongs to another training.
    """
    _check_training_set(classifier, images_BCHW, labels_B)
    _check_synthetic(classifier, arm, recipe, synthetic)
    _check_unlabelled(classifier, arm, recipe, unlabelled)
    if arm.objective and autoencoder is None:
        raise TsyndError("an arm with synthetic images needs an autoencoder, got None")
    file = Path(checkpoint) if checkpoint is not None else None
    belongs: dict[str, Any] = {}
    if file:  # it continues this training and no other
        columns = ("images", "labels", "mutual_information_after")  # of given images, these reach the training
        given = {name: getattr(synthetic, name) for name in columns} if synthetic is not None else {}
        belongs = {
            **{f"arm.{name}": value for name, value in asdict(arm).items() if name != "what"},
            **{f"recipe.{name}": value for name, value in asdict(recipe).items()},
            "form": 2,  # of the tree in the file
            "seed": seed,
            "classifier": classifier.identity(),
            "data": tensors_hash({"images": images_BCHW, "labels": labels_B}),
            "autoencoder": weights_hash(autoencoder) if isinstance(autoencoder, nn.Module) else None,
            "synthetic": tensors_hash(given) if given else None,
            "unlabelled": tensors_hash({"images": unlabelled}) if unlabelled is not None else None,
        }
    saved = load_checkpoint(file, belongs) if file and file.exists() else None
    normalise_to(classifier, images_BCHW)
    if arm.ridge:
        started = time.perf_counter()
        with tried(classifier, as_float(images_BCHW[:8]), labels_B):
            history = History(loss=[fit_ridge(classifier, images_BCHW, labels_B)])
        history.seconds["training"] = time.perf_counter() - started
        return history, None
    with (
        tried(classifier, as_float(images_BCHW[:8]), labels_B, gradient=True),
        torch.enable_grad(),
        _in_training(classifier),
        seeded(seed_for(seed, "dropout")),  # dropout layers draw from torch's global state
    ):
        without = images_BCHW if unlabelled is None else unlabelled
        second = Consistency(classifier, recipe, without, labels_B, seed) if arm.consistency else None
        state = State(classifier, arm, recipe, seed, synthetic, second)
        if saved is not None:
            state.load(saved)
        warmup = round(recipe.warmup * state.steps)
        for step in range(state.step, state.steps):
            due = step >= warmup and (step - warmup) % recipe.refresh_every == 0
            if arm.objective and autoencoder is not None and due:
                _refresh(state, images_BCHW, labels_B, autoencoder)
            started = time.perf_counter()
            loss = _take_step(state, images_BCHW, labels_B, mix_in=step >= warmup and len(state.bank) > 0)
            warming_up = step < warmup and (arm.objective or synthetic is not None)
            state.history.seconds["warmup" if warming_up else "training"] += time.perf_counter() - started
            if file and (step + 1) % checkpoint_every == 0 and step + 1 < state.steps:
                save_checkpoint(file, state.dump(), belongs)
            if progress:
                progress(Step("training", step + 1, state.steps, f"loss {loss:.4f}"))
        if state.averaged is not None:
            classifier.load_state_dict(state.averaged.module.state_dict())
    return state.history, state.bank.content()


def _refresh(state: State, images_BCHW: Tensor, labels_B: Tensor, autoencoder: Autoencoder) -> None:
    """Let new images enter the bank, and record what the search did."""
    assert state.posterior is not None
    started, history = time.perf_counter(), state.history
    numbers_N = None
    if state.consistency is not None:
        images_BCHW, labels_B, numbers_N = state.consistency.candidates()
    new = state.bank.refresh(images_BCHW, labels_B, autoencoder, state.posterior, state.classifier, numbers_N)
    history.refresh_step.append(state.step)
    history.mutual_information_before.append(new.mutual_information_before.mean().item())
    history.mutual_information_after.append(new.mutual_information_after.mean().item())
    history.seconds["targeting"] += time.perf_counter() - started


def _take_step(state: State, images_BCHW: Tensor, labels_B: Tensor, *, mix_in: bool) -> float:
    """One optimiser step on one batch; gives its loss."""
    classifier, arm, recipe, draw = state.classifier, state.arm, state.recipe, state.generators
    index_B = torch.randint(len(images_BCHW), (recipe.batch_size,), generator=draw["batches"]).to(images_BCHW.device)
    batch_BCHW, batch_B = augment(as_float(images_BCHW[index_B]), TRAIN_RANGE, draw["augmentation"]), labels_B[index_B]
    if arm.trivialaugment:
        batch_BCHW = trivial_augment(batch_BCHW, draw["trivialaugment"])
    targets_BC = as_targets(batch_B, classifier).to(batch_BCHW.dtype)
    if mix_in and state.consistency is None:
        batch_BCHW, batch_B, targets_BC = state.bank.mix_in(batch_BCHW, batch_B, targets_BC, draw["bank picks"])
    if arm.adversarial:
        eps, steps, start = recipe.pgd_eps, recipe.pgd_steps, draw["adversarial training"]
        with frozen(classifier):
            batch_BCHW = pgd(classifier, batch_BCHW, batch_B, eps=eps, steps=steps, generator=start)
    if arm.mixup:
        batch_BCHW, targets_BC = mixup(batch_BCHW, targets_BC, recipe.mixup_alpha, draw["mixup"])
    smoothing = recipe.label_smoothing if arm.label_smoothing else 0.0
    unlabelled = None
    if state.consistency is not None and (weight := state.consistency.weight(state.step, state.steps)):
        unlabelled = state.consistency.batch(state.bank, searching=bool(arm.objective), weight=weight)
    weights_B = image_weights(targets_BC, labels_B) if recipe.class_weights else None
    loss, *_ = [each.learn(batch_BCHW, targets_BC, smoothing, unlabelled, weights_B) for each in state.learners]
    if state.consistency is not None:
        state.consistency.average.update_parameters(classifier)
    if state.averaged is not None:
        state.averaged.update_parameters(classifier)
    state.history.loss.append(loss)
    return loss


def image_weights(targets_BC: Tensor, labels_N: Tensor) -> Tensor:
    """How much each image of a batch counts if each class of the training set is to count alike: (B,), 1 on average.

    Targets (B, C) are probabilities; one that is shared between classes, as by mixup, has the mean of their weights.

    >>> image_weights(torch.eye(2), torch.tensor([0, 0, 0, 1]))
    tensor([0.6667, 2.0000])
    """
    if labels_N.ndim == 2:
        raise TsyndError("class_weights lets classes count alike, and images here have several labels each: leave it out")
    counts_C = labels_N.bincount(minlength=targets_BC.shape[1])
    weights_C = len(labels_N) / (counts_C.clamp_min(1) * (counts_C > 0).sum())
    return targets_BC @ weights_C.to(targets_BC)


@contextmanager
def _in_training(network: Classifier) -> Iterator[None]:
    """Channels last in memory, where a step takes a fifth less time; afterwards in eval mode, laid out as loaded from a file."""
    try:
        network.to(memory_format=network.memory_format)  # type: ignore[call-overload]  # a form that its annotations do not know
        yield
    finally:
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        network.eval()


def _check_training_set(classifier: Classifier, images_BCHW: Tensor, labels_B: Tensor) -> None:
    """Refuse images and labels that do not fit the classifier or each other, or lie on another device."""
    expected_device = classifier.mean.device
    for name, tensor in (("images_BCHW", images_BCHW), ("labels_B", labels_B)):
        if tensor.device != expected_device:
            raise TsyndError(f"{name} must be on the classifier's device, {expected_device}, got {tensor.device}")
    check_fitting("images_BCHW", images_BCHW, classifier)
    if classifier.mean.dtype not in (torch.float32, torch.float64):
        raise TsyndError(f"a classifier is trained in float32 or float64, got {classifier.mean.dtype}: call .half() afterwards")
    check_precision(images_BCHW, classifier)
    several = (classifier.classes,) if classifier.multi_label else ()
    check_labels(labels_B, (len(images_BCHW), *several), classifier.classes, name="labels_B")


def _check_synthetic(classifier: Classifier, arm: Arm, recipe: Recipe, synthetic: Synthesis | None) -> None:
    """Refuse synthetic images that do not fit the classifier, or an arm that cannot use any."""
    if synthetic is None:
        return
    if arm.ridge:
        raise TsyndError("ridge regression in closed form takes no synthetic images, and synthetic= gives some: use another arm")
    if arm.objective:
        raise TsyndError(
            f"this arm searches for synthetic images of its own (objective {arm.objective!r}), and synthetic= gives some: "
            "use none, mixup, label-smoothing, trivialaugment or pgd with given images"
        )
    check_fitting("synthetic images", synthetic.images, classifier)
    several = (classifier.classes,) if classifier.multi_label else ()
    check_labels(synthetic.labels, (len(synthetic), *several), classifier.classes, name="synthetic labels")
    if recipe.soft_labels and not bool(synthetic.mutual_information_after.isfinite().all()):
        raise TsyndError("soft_labels needs the mutual information of each synthetic image, and some is not finite: measure it")


def _check_unlabelled(classifier: Classifier, arm: Arm, recipe: Recipe, unlabelled: Tensor | None) -> None:
    """Refuse images without labels that do not fit the classifier, that the arm lacks, or that it has no use for."""
    if unlabelled is None:
        if arm.consistency and recipe.consistency_images == "unlabelled":
            raise TsyndError("an arm with consistency needs images without labels, got None: give unlabelled=")
        return
    if not arm.consistency:
        raise TsyndError("this arm has no use for images without labels: add consistency to it, or leave unlabelled= out")
    if unlabelled.device != classifier.mean.device:
        raise TsyndError(f"unlabelled must be on the classifier's device, {classifier.mean.device}, got {unlabelled.device}")
    check_fitting("unlabelled", unlabelled, classifier)
