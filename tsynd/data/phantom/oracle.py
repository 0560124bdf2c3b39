"""The oracle: a network that recovers the factors of a phantom from its image, and so its true class."""

from pathlib import Path

from torch import Tensor, nn

from tsynd.classification.networks import Residual
from tsynd.data.phantom.factors import LOBES, Factors
from tsynd.data.phantom.rendering import smooth
from tsynd.errors import TsyndError
from tsynd.utils.rng import seeded
from tsynd.utils.tensor_files import load_network, load_notes, weights_hash

SIZE = 28
ORACLE = Path(__file__).with_name("oracle.safetensors")
# What the network gives, as mean and standard deviation of its distribution: the network works in these units.
UNITS = {
    "radius": (0.185, 0.0375),
    "aspect": (-0.2, 0.318),
    "irregularity": (0.5, 0.289),
    "contrast": (-16.0, 3.46),
    "shadow": (5.0, 8.66),
    "x": (0.5, 0.127),
    "y": (0.425, 0.072),
    "gain": (0.0, 4.0),
}
# Decoded images are smoother than phantoms: half of each batch is blurred by up to this, in pixels.
BLUR = 1.2


def blur(images_BCHW: Tensor, sigma: float) -> Tensor:
    """Blur images with a Gaussian of `sigma` pixels; 0 leaves them as they are."""
    side = images_BCHW.shape[-1]
    return smooth(images_BCHW, sigma / side, sigma / side) if sigma > 0.05 else images_BCHW


class Oracle(nn.Module):
    """Recovers the factors of phantoms of 28 px: all but the shape of the outline.

    It gives the mean of each factor that an image leaves possible, so what cannot be seen comes out as average. The
    class follows by the rule: `classify(oracle.recover(images))`. How far to believe it: the book's page on phantoms.
    """

    def __init__(self) -> None:
        super().__init__()
        stem = (nn.Conv2d(1, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        blocks = (Residual(32, 32, 1), Residual(32, 64, 2), Residual(64, 64, 1))
        self.features = nn.Sequential(*stem, *blocks, nn.Conv2d(64, 16, 1), nn.ReLU(), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(16 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, len(UNITS)))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1] to factors (B, 8) in the units of `UNITS`."""
        if tuple(images_BCHW.shape[1:]) != (1, SIZE, SIZE):
            raise TsyndError(f"the oracle knows grey images of {SIZE} px, (B, 1, {SIZE}, {SIZE}), got {tuple(images_BCHW.shape)}")
        estimates: Tensor = self.head(self.features((images_BCHW - 0.35) / 0.2))
        return estimates

    def recover(self, images_BCHW: Tensor) -> Factors:
        """The factors of images (B, 1, 28, 28) in [0, 1], with an outline of zeros; differentiable in the images."""
        estimates = zip(UNITS.items(), self(images_BCHW).unbind(1), strict=True)
        columns = {name: column * deviation + mean for (name, (mean, deviation)), column in estimates}
        columns["aspect"] = columns["aspect"].exp()
        return Factors(**columns, outline=images_BCHW.new_zeros(len(images_BCHW), 2, len(LOBES)))


def oracle() -> Oracle:
    """The oracle that recovers the factors of phantoms of 28 px from their images, trained and in eval mode.

    >>> import tsynd
    >>> images = tsynd.load("phantom", count=1).train.images.float() / 255
    >>> oracle().recover(images).aspect.shape
    torch.Size([2])
    """
    with seeded(0):  # layers initialise from torch's global state, which is not ours to change
        network = Oracle()
    load_network(ORACLE, network)
    if (load_notes(ORACLE) or {}).get("hash") != weights_hash(network):
        raise TsyndError(
            f"{ORACLE} is damaged: its weights are not those that it was written with; make artefacts makes it again"
        )
    return network
