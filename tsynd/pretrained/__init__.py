"""Trained networks that come with the package, so that an example starts at once; `make artefacts` makes them again."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tsynd.autoencoding import ConvAutoencoder, build_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset, Split, load
from tsynd.errors import TsyndError
from tsynd.utils.rng import seed_for
from tsynd.utils.tensor_files import read_tensors, weights_hash

__all__ = ["Example", "breastmnist", "phantom", "phantom_withheld"]

FOLDER = Path(__file__).resolve().parent
PER_CLASS, SEED = 60, 0
# Which data, and whether an autoencoder comes with the classifier.
DATA = {
    "phantom": ("phantom", True),
    "phantom_withheld": ("phantom:withheld=irregular-enhancing", False),
    "breastmnist": ("breastmnist", True),
}


@dataclass(frozen=True)
class Example:
    """Networks trained on 60 images of each class, in eval mode, and what they were trained on.

    data_name: what `tsynd.load` takes. per_class, seed: of the subset, and the seed of all else. classifier: by arm `none`,
    on real images only. autoencoder: on the same images; None for `phantom_withheld`.
    """

    data_name: str
    per_class: int
    seed: int
    classifier: Classifier
    autoencoder: ConvAutoencoder | None

    def load(self) -> Dataset:
        """The data set, its test split included.

        Raises:
            DataUnavailable: when it can be neither found nor downloaded.
        """
        return load(self.data_name)

    def subset(self, data: Dataset) -> Split:
        """The images of `data` that the networks were trained on, and their labels."""
        return data.subset(self.per_class, self.seed).train


def phantom() -> Example:
    """Classifier and autoencoder for phantoms of two classes.

    >>> import torch
    >>> phantom().classifier(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3, 2])

    Raises:
        TsyndError: when its file is missing or damaged.
    """
    return read("phantom")


def phantom_withheld() -> Example:
    """A classifier for phantoms that has seen no lesion of the subgroup `irregular-enhancing`; see `phantom`."""
    return read("phantom_withheld")


def breastmnist() -> Example:
    """Classifier and autoencoder for BreastMNIST (images: Al-Dhabyani et al., 2020, CC BY 4.0); see `phantom`."""
    return read("breastmnist")


def read(name: str) -> Example:
    """The example of that name, as `make artefacts` wrote it.

    Raises:
        TsyndError: when its file is missing or damaged.
    """
    path = FOLDER / f"{name}.safetensors"
    found, notes = read_tensors(path, "example")
    try:
        example = untrained(name, notes["channels"], notes["size"], notes["classes"])
        load_into(example, found)
    except (KeyError, RuntimeError) as error:
        raise TsyndError(f"{path} is damaged: {str(error).splitlines()[0]}; make artefacts makes it again") from error
    _check(path, notes.get("hash"), hash_of(example))
    return example


def untrained(name: str, channels: int, size: int, classes: int) -> Example:
    """An example's networks as they were initialised, in eval mode."""
    data_name, with_autoencoder = DATA[name]
    classifier = build_classifier(channels, size, classes, seed_for(SEED, "initialise classifier")).eval()
    autoencoder = None
    if with_autoencoder:
        autoencoder = build_autoencoder(channels, size, seed_for(SEED, "initialise autoencoder")).eval()
    return Example(data_name, PER_CLASS, SEED, classifier, autoencoder)


def weights(example: Example) -> dict[str, Tensor]:
    """The weights of both networks, under the name of each."""
    networks = {"classifier": example.classifier, "autoencoder": example.autoencoder}
    return {
        f"{kind}.{key}": tensor for kind, network in networks.items() if network for key, tensor in network.state_dict().items()
    }


def load_into(example: Example, weights: dict[str, Tensor]) -> None:
    """Load the weights of both networks, as `weights` gives them."""
    for kind, network in (("classifier", example.classifier), ("autoencoder", example.autoencoder)):
        if network is not None:
            network.load_state_dict({k.removeprefix(f"{kind}."): v for k, v in weights.items() if k.startswith(f"{kind}.")})


def hash_of(example: Example) -> str:
    """Return a hash of the weights of each network."""
    parts = [weights_hash(network) for network in (example.classifier, example.autoencoder) if network is not None]
    return " ".join(parts)


def _check(path: Path, noted: str | None, found: str) -> None:
    if noted != found:
        raise TsyndError(f"{path} is damaged: its weights are not those that it was written with; make artefacts makes it again")
