"""What training refuses, each in one line, before anything is computed."""

import torch
from torch import Tensor

from tsynd.classification import Classifier, check_fitting
from tsynd.errors import TsyndError
from tsynd.targeting import Synthesis
from tsynd.training.arms import Arm
from tsynd.training.recipe import Recipe
from tsynd.utils.shape_errors import check_precision
from tsynd.utils.validation import check_labels


def check_training_set(classifier: Classifier, images_BCHW: Tensor, labels_B: Tensor) -> None:
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


def check_synthetic(classifier: Classifier, arm: Arm, recipe: Recipe, synthetic: Synthesis | None) -> None:
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


def check_unlabelled(classifier: Classifier, arm: Arm, recipe: Recipe, unlabelled: Tensor | None) -> None:
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
