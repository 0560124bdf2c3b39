"""Your classifier, your autoencoder, your objective, with MONAI."""

from pathlib import Path

import torch
from monai.networks.nets import AutoEncoder, DenseNet121
from torch import Tensor, nn

import tsynd
from tsynd.autoencoding import AnyAutoencoder
from tsynd.posterior import HeadDropout
from tsynd.targeting import Guard, Synthesis, target


def load_networks(folder: Path) -> tuple[DenseNet121, AutoEncoder]:
    """The two networks as they were trained elsewhere.

    A file that does not fit is refused by name and shape.
    """
    classifier = DenseNet121(spatial_dims=2, in_channels=1, out_channels=2)
    autoencoder = AutoEncoder(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=(8, 16),
        strides=(2, 2),
    )
    tsynd.load_weights(classifier, folder / "densenet.pt")
    tsynd.load_weights(autoencoder, folder / "autoencoder.safetensors")
    return classifier, autoencoder


def disagreement(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
    """An objective of your own, (B,).

    How much do the posterior samples differ about the label's probability?
    """
    index_BK1 = labels_B[:, None, None].expand(
        -1, log_probs_BKC.shape[1], 1
    )
    return log_probs_BKC.exp().gather(2, index_BK1).squeeze(2).var(dim=1)


def search(
    images_BCHW: Tensor,
    labels_B: Tensor,
    classifier: nn.Module,
    net: AutoEncoder,
    seed: int = 0,
) -> Synthesis:
    """Targeted images from real ones, in [0, 1].

    The networks come back as they were.
    """
    generator = torch.Generator().manual_seed(seed)
    autoencoder = AnyAutoencoder(
        net.encode,
        lambda codes: net.decode(codes).sigmoid(),
        images_BCHW,
        networks=[net],
    )
    posterior = HeadDropout.from_model(
        classifier,
        split="class_layers.out",
        samples=32,
        generator=generator,
    )
    return target(
        images_BCHW,
        labels_B,
        autoencoder,
        posterior,
        objective=disagreement,
        radius=0.25,
        steps=5,
        guard=Guard(),
        generator=generator,
    )


def train_step(
    classifier: nn.Module,
    optimiser: torch.optim.Optimizer,
    real: tuple[Tensor, Tensor],
    found: Synthesis,
) -> float:
    """One step of your own loop on real and targeted images; its loss."""
    classifier.train()
    images_BCHW = torch.cat([real[0], found.images])
    labels_B = torch.cat([real[1], found.labels])
    loss = nn.functional.cross_entropy(classifier(images_BCHW), labels_B)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
