"""Our classifiers, each of which normalises its input, and the loss that they are trained by."""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.utils.rng import seeded
from tsynd.utils.rules import choice, number, validated, whole
from tsynd.utils.validation import check_range, check_tensors

ARCHITECTURES = ("compact", "resnet18", "linear")


def check_fitting(name: str, images_BCHW: Tensor, classifier: "Classifier") -> None:
    """Refuse images, float in [0, 1] or uint8, that are not of a classifier's channels and size, or none."""
    check_tensors(**{name: images_BCHW})
    expected = (classifier.channels, classifier.size, classifier.size)
    if images_BCHW.ndim != 4 or len(images_BCHW) == 0 or tuple(images_BCHW.shape[1:]) != expected:
        wanted = f"(B, {', '.join(map(str, expected))}) with B >= 1"
        raise TsyndError(f"{name} must have shape {wanted}, as the classifier, got {tuple(images_BCHW.shape)}")
    if images_BCHW.dtype == torch.uint8:
        return
    if not images_BCHW.is_floating_point():
        raise TsyndError(f"{name} must be float in [0, 1], or uint8, got {images_BCHW.dtype}")
    check_range(**{name: images_BCHW})


def normalise_to(classifier: "Classifier", images_BCHW: Tensor) -> None:
    """Set the mean and standard deviation that the network normalises by, per channel, from training images.

    They are float in [0, 1]; 8-bit ones, which are many, are counted: how often each channel has each of the 256 values.
    A network that brings its own normalisation keeps it.
    """
    check_fitting("images", images_BCHW, classifier)
    if not classifier.normalises_to_training:
        return
    if images_BCHW.dtype == torch.uint8:
        counts_CV = torch.zeros(images_BCHW.shape[1], 256, dtype=torch.float64, device=images_BCHW.device)
        for part_bCHW in images_BCHW.split(1024):
            counts_CV += torch.stack([channel.flatten().bincount(minlength=256) for channel in part_bCHW.unbind(1)])
        values_V = torch.arange(256, dtype=torch.float64, device=images_BCHW.device) / 255
        total = counts_CV[0].sum()
        mean_C = (counts_CV * values_V).sum(1) / total
        std_C = ((counts_CV * (values_V - mean_C[:, None]).square()).sum(1) / (total - 1)).sqrt()
    else:
        mean_C, std_C = images_BCHW.mean(dim=(0, 2, 3)), images_BCHW.std(dim=(0, 2, 3))
    classifier.mean.copy_(mean_C.view(1, -1, 1, 1))
    classifier.std.copy_(std_C.clamp_min(0.01).view(1, -1, 1, 1))


class Classifier(nn.Module):
    """A residual network: `trunk` (images to features), then `head` (features to logits).

    *compact*, the default: the trunk pads the images by replication to a multiple of 16 px, halves them at least once and
    until fewer than 32 px are left, and ends in global average pooling: 64 features. The head is 64-64-C with dropout of
    .5 before each linear layer; it is the only stochastic part, so a posterior over it costs one trunk pass
    (`tsynd.posterior.HeadDropout`). *resnet18*: the network of the MedMNIST benchmark at 28 px (He et al., CVPR 2016, with
    a stem of 3 x 3 and no pooling, as for CIFAR): 512 features, a linear head, no dropout. *linear*: the pixels are the features.

    Binary, multi-class and ordinal tasks have one logit for each class; multi-label tasks one for each label.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: side of the square images, in px, at least 16.
        classes: number of classes, at least 2; of labels, at least 1, when `multi_label`.
        architecture: "compact", "resnet18" or "linear".
        multi_label: whether several labels may hold at once.
        trunk_dropout: rate of channel-wise dropout after each residual block of the compact trunk, for
            `tsynd.posterior.FullDropout`; 0 <= rate < 1.

    Raises:
        TsyndError: an argument is out of range, or the architecture is unknown.
    """

    mean: Tensor
    std: Tensor
    split = "head"
    """The layer where the posterior's dropout begins, by its name."""
    readout = "head"
    """The layer that gives the logits, or a sequence that ends in it, by its name."""
    memory_format = torch.channels_last
    """How it lies in memory while it is trained."""
    normalises_to_training = True
    """Whether `mean` and `std` are set from the training images."""

    @validated
    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        *,
        architecture: Annotated[str, choice("architecture", ARCHITECTURES)] = "compact",
        multi_label: bool = False,
        trunk_dropout: float = 0.0,
    ) -> None:
        if not 0 <= trunk_dropout < 1 or (trunk_dropout and architecture != "compact"):
            allowed = "in [0, 1)" if architecture == "compact" else f"0 for {architecture}"
            raise TsyndError(f"trunk_dropout must be {allowed}, got {trunk_dropout}")
        super().__init__()
        self._describe(channels, size, classes, multi_label)
        self.padding = -size % 16 if architecture == "compact" else 0
        self.features: nn.Sequential
        if architecture == "compact":
            self.features = _compact(channels, size, trunk_dropout)
            self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, classes))
        elif architecture == "resnet18":
            self.features, self.head = _resnet18(channels), nn.Sequential(nn.Linear(512, classes))
        else:
            self.features, self.head = nn.Sequential(nn.Flatten()), nn.Sequential(nn.Linear(channels * size**2, classes))

    @validated
    def _describe(self, channels: Annotated[int, whole(1)], size: int, classes: int, multi_label: bool) -> None:
        """Check and keep what all classifiers have: the shape of their images, their classes, and how they normalise."""
        if size < 16 or classes < (1 if multi_label else 2):
            fewest = "1 label" if multi_label else "2 classes"
            raise TsyndError(f"a classifier needs size >= 16 px and at least {fewest}, got size={size}, classes={classes}")
        self.channels, self.size, self.classes, self.multi_label = channels, size, classes, multi_label
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, channels, 1, 1), 0.25))

    def trunk(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to features (B, F); deterministic in eval mode."""
        expected = (self.channels, self.size, self.size)
        if images_BCHW.ndim != 4 or tuple(images_BCHW.shape[1:]) != expected:
            raise TsyndError(f"images must have shape (B, {', '.join(map(str, expected))}), got {tuple(images_BCHW.shape)}")
        before, after = self.padding // 2, self.padding - self.padding // 2
        padded = F.pad(images_BCHW, (before, after, before, after), mode="replicate") if self.padding else images_BCHW
        features: Tensor = self.features((padded - self.mean) / self.std)
        return features

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, classes)."""
        logits: Tensor = self.head(self.trunk(images_BCHW))
        return logits

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return what an optimiser learns, as torch's parameter groups, each with its learning rate."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def reinitialise(self, seed: int) -> None:
        """Draw the weights anew, in place; the input is normalised as before."""
        with seeded(seed):
            for layer in self.modules():
                if callable(reset := getattr(layer, "reset_parameters", None)):
                    reset()

    def identity(self) -> str:
        """Say which network this is, as far as a checkpoint must know before it is trained."""
        weights = sum(tensor.numel() for tensor in self.state_dict().values())
        return f"{weights} numbers for {self.channels} x {self.size} px, {self.classes} classes"


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norm and a shortcut (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def _compact(channels: int, size: int, dropout: float) -> nn.Sequential:
    """The compact trunk: strided convolutions until fewer than 32 px are left, three residual blocks, pooling."""
    halvings = max(1, (-(-size // 16)).bit_length() - 1)
    layers: list[nn.Module] = []
    for inputs in (channels, *[16] * (halvings - 1)):
        layers.append(nn.Sequential(nn.Conv2d(inputs, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()))
    for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
        layers += [Residual(inputs, outputs, stride), *([nn.Dropout2d(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _resnet18(channels: int) -> nn.Sequential:
    """ResNet-18 without its linear layer: a stem at full resolution, then four stages of two residual blocks."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for inputs, outputs, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        layers += [Residual(inputs, outputs, stride), Residual(outputs, outputs, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@validated
def as_targets(labels: Tensor, classifier: Classifier) -> Tensor:
    """Labels as what the loss compares with, (B, C): class numbers one-hot, multi-label ones as they are."""
    if classifier.multi_label:
        return labels
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise TsyndError(f"labels must be int64 class numbers (B,), got {labels.dtype} of shape {tuple(labels.shape)}")
    if labels.device.type == "cpu" and len(labels):  # not on other devices, which would wait for it
        low, high = (int(end) for end in labels.aminmax())
        if low < 0 or high >= classifier.classes:
            raise TsyndError(f"labels must lie in 0 .. {classifier.classes - 1}, got {low} to {high}")
    return F.one_hot(labels, classifier.classes)


@validated
def classification_losses(
    logits_BC: Tensor, targets_BC: Tensor, *, multi_label: bool = False, smoothing: Annotated[float, number(0, 1)] = 0.0
) -> Tensor:
    """What `classification_loss` averages: the loss of each image, (B,) in nats."""
    if logits_BC.ndim != 2 or logits_BC.shape != targets_BC.shape or not logits_BC.is_floating_point():
        found = f"{logits_BC.dtype} of {tuple(logits_BC.shape)} and {tuple(targets_BC.shape)}"
        raise TsyndError(f"logits and targets must be floating-point (B, C), got {found}")
    if not multi_label and not targets_BC.is_floating_point():
        raise TsyndError(f"targets must be probabilities (see `as_targets`), got {targets_BC.dtype}")
    if multi_label:
        even_BC = targets_BC * (1 - smoothing) + 0.5 * smoothing
        return F.binary_cross_entropy_with_logits(logits_BC, even_BC, reduction="none").sum(dim=1)
    return F.cross_entropy(logits_BC, targets_BC, label_smoothing=smoothing, reduction="none")


def classification_loss(
    logits_BC: Tensor,
    targets_BC: Tensor,
    *,
    multi_label: bool = False,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """The loss that a classifier is trained by: cross-entropy, or the sum of one binary cross-entropy for each label.

    It is the mean over the images, in nats. Targets are probabilities (B, C): rows that sum to one, or with multi_label one for
    each label; `smoothing` mixes them with that much of an even guess. `weights` (B,) say how much each image counts.
    """
    loss_B = classification_losses(logits_BC, targets_BC, multi_label=multi_label, smoothing=smoothing)
    return (loss_B if weights is None else loss_B * weights).mean()
