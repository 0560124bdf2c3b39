"""Trained networks that come with the package, so that an example starts at once; `make artefacts` makes them again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from torch import Tensor
from torch.nn import Module

from tsynd.autoencoding import ConvAutoencoder, build_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset, Split, load
from tsynd.errors import TsyndError
from tsynd.utils.rng import seed_for
from tsynd.utils.rules import choice, validated
from tsynd.utils.tensor_files import read_tensors, weights_hash
from tsynd.utils.validation import check_name

__all__ = ["Example", "breastmnist", "phantom", "phantom_withheld"]

FOLDER = Path(__file__).resolve().parent
PER_CLASS, SEED = 60, 0
# Which data, and whether an autoencoder comes with the classifier.
DATA = {
    "phantom": ("phantom", True),
    "phantom_withheld": ("phantom:withheld=irregular-enhancing", False),
    "breastmnist": ("breastmnist", True),
}
# Methods whose classifiers come for each data set that has an autoencoder; `pgd` is adversarial training.
ARMS = ("none", "random", "tsynd", "pgd")


@dataclass(frozen=True)
class Example:
    """Networks trained on 60 images of each class, in eval mode, and what they were trained on.

    data_name: what `tsynd.load` takes. per_class, seed: of the subset, and the seed of all else. classifier: trained
    by `arm`, in a run of full length. autoencoder: of the same images; None for `phantom_withheld`.
    """

    data_name: str
    per_class: int
    seed: int
    classifier: Classifier
    autoencoder: ConvAutoencoder | None
    arm: str = "none"

    def load(self) -> Dataset:
        """The data set, its test split included.

        Raises:
            DataUnavailable: when it can be neither found nor downloaded.
        """
        return load(self.data_name)

    def subset(self, data: Dataset) -> Split:
        """The images of `data` that the networks were trained on, and their labels."""
        return data.subset(self.per_class, self.seed).train


def phantom(arm: str = "none") -> Example:
    """Return the classifier and the autoencoder for phantoms of two classes.

    Args:
        arm: how the classifier was trained, one of `ARMS`; images, initialisation, batches and steps are the same for each.

    >>> import torch
    >>> phantom().classifier(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3, 2])

    Raises:
        TsyndError: for another arm, and when a file is missing or damaged.
    """
    return read("phantom", arm)


def phantom_withheld() -> Example:
    """A classifier for phantoms that has seen no lesion of the subgroup `irregular-enhancing`; see `phantom`."""
    return read("phantom_withheld")


def breastmnist(arm: str = "none") -> Example:
    """Return those for BreastMNIST (images: Al-Dhabyani et al., 2020, CC BY 4.0); see `phantom`."""
    return read("breastmnist", arm)


def read(name: str, arm: str = "none") -> Example:
    """Read the example of that name, with the classifier of that arm; TsyndError when there is none, or a file is damaged."""
    check_names(name, arm)
    path = path_of(name, arm)
    found, notes = read_tensors(path, "example")
    try:
        example = untrained(name, notes["channels"], notes["size"], notes["classes"], arm)
        load_into(example, found)
    except (KeyError, RuntimeError) as error:
        raise TsyndError(f"{path} is damaged: {str(error).splitlines()[0]}; make artefacts makes it again") from error
    if notes.get("hash") != hash_of(example):
        raise TsyndError(f"{path} is damaged: its weights are not those that it was written with; make artefacts makes it again")
    return example if arm == "none" else replace(example, autoencoder=read(name).autoencoder)


def path_of(name: str, arm: str = "none") -> Path:
    """Return the file of an example's classifier of that arm; that of `none` holds the autoencoder too."""
    return FOLDER / f"{name if arm == 'none' else f'{name}_{arm}'}.safetensors"


@validated
def check_names(name: Annotated[str, choice("example", DATA)], arm: str) -> None:
    """Raise TsyndError for an example that does not come with the package."""
    check_name("arm of an example", arm, ARMS if DATA[name][1] else ARMS[:1])


def untrained(name: str, channels: int, size: int, classes: int, arm: str = "none") -> Example:
    """Return an example's networks as they are initialised, in eval mode; an autoencoder for `none` only."""
    data_name, with_autoencoder = DATA[name]
    classifier = build_classifier(channels, size, classes, seed_for(SEED, "initialise classifier")).eval()
    autoencoder = None
    if with_autoencoder and arm == "none":
        autoencoder = build_autoencoder(channels, size, seed_for(SEED, "initialise autoencoder")).eval()
    return Example(data_name, PER_CLASS, SEED, classifier, autoencoder, arm)


def networks(example: Example) -> dict[str, Module]:
    """Return the networks that an example's file holds, by kind."""
    with_autoencoder = example.autoencoder is not None and example.arm == "none"
    return {kind: getattr(example, kind) for kind in ("classifier", *(["autoencoder"] if with_autoencoder else []))}


def weights(example: Example) -> dict[str, Tensor]:
    """Return the weights in an example's file, under the name of each network."""
    return {f"{kind}.{key}": each for kind, network in networks(example).items() for key, each in network.state_dict().items()}


def load_into(example: Example, weights: dict[str, Tensor]) -> None:
    """Load weights, as `weights` gives them."""
    for kind, network in networks(example).items():
        network.load_state_dict({k.removeprefix(f"{kind}."): v for k, v in weights.items() if k.startswith(f"{kind}.")})


def hash_of(example: Example) -> str:
    """Return a hash of the weights of each network in an example's file."""
    return " ".join(weights_hash(network) for network in networks(example).values())
