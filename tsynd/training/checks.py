"""What training refuses, each in one line, before anything is computed."""

import torch
from torch import Tensor

from tsynd.arguments import check_tensors
from tsynd.classification import Classifier
from tsynd.errors import TsyndError
from tsynd.targeting import Synthesis
from tsynd.training.arms import Arm, Recipe


def check_training_set(classifier: Classifier, images_BCHW: Tensor, labels_B: Tensor) -> None:
    """Refuse images and labels that do not fit the classifier or each other.

    Raises:
        TsyndError: for images that are neither floating-point numbers in [0, 1] nor uint8, of other channels or size, or none;
            labels of another shape or type, or outside the classes; and for either on another device.
    """
    expected_device = classifier.mean.device
    check_tensors(images_BCHW=images_BCHW, labels_B=labels_B)
    for name, tensor in (("images_BCHW", images_BCHW), ("labels_B", labels_B)):
        if tensor.device != expected_device:
            raise TsyndError(f"{name} must be on the classifier's device, {expected_device}, got {tensor.device}")
    _check_images("images_BCHW", images_BCHW, classifier)
    _check_labels("labels_B", labels_B, len(images_BCHW), classifier)


def check_synthetic(classifier: Classifier, arm: Arm, recipe: Recipe, synthetic: Synthesis | None) -> None:
    """Refuse synthetic images that do not fit the classifier, or an arm that cannot use any.

    Raises:
        TsyndError: for an arm with a search and given images; and for given images whose channels, size, classes or values do
            not fit.
    """
    if synthetic is None:
        return
    if arm.objective:
        raise TsyndError(
            f"this arm searches for synthetic images of its own (objective {arm.objective!r}), and synthetic= gives some: "
            "use none, mixup, label-smoothing, trivialaugment or pgd with given images"
        )
    _check_images("synthetic images", synthetic.images_BCHW, classifier)
    _check_labels("synthetic labels", synthetic.labels_B, len(synthetic), classifier)
    if recipe.soft_labels and not bool(synthetic.information_after_B.isfinite().all()):
        raise TsyndError("soft_labels needs the mutual information of each synthetic image, and some is not finite: measure it")


def _check_images(name: str, images_BCHW: Tensor, classifier: Classifier) -> None:
    expected = (classifier.channels, classifier.size, classifier.size)
    if images_BCHW.ndim != 4 or len(images_BCHW) == 0 or tuple(images_BCHW.shape[1:]) != expected:
        wanted = f"(B, {', '.join(map(str, expected))}) with B >= 1"
        raise TsyndError(f"{name} must have shape {wanted}, as the classifier, got {tuple(images_BCHW.shape)}")
    if images_BCHW.dtype == torch.uint8:
        return
    if not images_BCHW.is_floating_point():
        raise TsyndError(f"{name} must be float in [0, 1], or uint8, got {images_BCHW.dtype}")
    lowest, highest = images_BCHW.aminmax()
    if not bool((lowest >= 0) & (highest <= 1)):  # NaN fails too
        raise TsyndError(f"{name} must lie in [0, 1], got {float(lowest):.4g} to {float(highest):.4g}")


def _check_labels(name: str, labels_B: Tensor, count: int, classifier: Classifier) -> None:
    if classifier.multi_label:
        expected = (count, classifier.classes)
        if tuple(labels_B.shape) != expected or not bool(((labels_B == 0) | (labels_B == 1)).all()):
            raise TsyndError(f"{name} must be 0 or 1 of shape {expected}, one for each label, got shape {tuple(labels_B.shape)}")
        return
    if tuple(labels_B.shape) != (count,) or labels_B.dtype != torch.int64:
        got = f"{labels_B.dtype} of shape {tuple(labels_B.shape)}"
        raise TsyndError(f"{name} must be int64 of shape ({count},), one for each image, got {got}")
    lowest, highest = labels_B.aminmax()
    if lowest < 0 or highest >= classifier.classes:
        raise TsyndError(f"{name} must lie in 0 .. {classifier.classes - 1}, got {int(lowest)} to {int(highest)}")
