"""Trained networks that come with the package, so that an example starts at once; `make artefacts` makes them again."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from tsynd import store
from tsynd.arguments import check_name
from tsynd.autoencoding import ConvAutoencoder, build_autoencoder, train_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset, Split, load
from tsynd.data.phantom.oracle import Oracle
from tsynd.errors import TsyndError
from tsynd.randomness import seed_for, seeded
from tsynd.tensors import read_tensors, weights_hash, write_tensors
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.versions import versions

__all__ = ["Example", "breastmnist", "oracle", "phantom", "phantom_withheld"]

FOLDER = Path(__file__).resolve().parent
ORACLE = FOLDER / "oracle.safetensors"
PER_CLASS, SEED = 60, 0
# Which data, and whether an autoencoder comes with the classifier.
DATA = {
    "phantom": ("phantom", True),
    "phantom_withheld": ("phantom:withheld=irregular-enhancing", False),
    "breastmnist": ("breastmnist", True),
}

Progress = Callable[[str, int, float], None]


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


def oracle() -> Oracle:
    """The oracle that recovers the factors of phantoms of 28 px from their images, trained and in eval mode.

    Raises:
        TsyndError: when its file is missing or damaged.

    >>> import tsynd
    >>> from tsynd.data.phantom import classify
    >>> images = tsynd.load("phantom", count=1).train.images.float() / 255
    >>> classify(oracle().recover(images)).shape
    torch.Size([2])
    """
    with seeded(0):  # layers initialise from torch's global state, which is not ours to change
        network = Oracle()
    store.load_weights(ORACLE, network)
    _check(ORACLE, (store.load_notes(ORACLE) or {}).get("hash"), weights_hash(network))
    return network


def train(name: str, recipe: Recipe | None = None, progress: Progress | None = None) -> Example:
    """Train an example's networks anew: a minute on one core.

    Args:
        name: a key of `DATA`.
        recipe: steps and all else; the budget `cpu` by default.
        progress: called with (stage, step, loss) after each step.

    Raises:
        TsyndError: for an unknown name.
        DataUnavailable: when its data can be neither found nor downloaded.
    """
    check_name("example", name, DATA)
    recipe = Recipe() if recipe is None else recipe
    data_name, with_autoencoder = DATA[name]
    data = load(data_name)
    split = data.subset(PER_CLASS, SEED).train
    images_BCHW = split.images.float() / 255
    example = _untrained(name, data.channels, data.size, len(data.classes))

    def reporter(stage: str) -> Callable[[int, float], None] | None:
        return None if progress is None else lambda step, loss: progress(stage, step, loss)

    if with_autoencoder:
        assert example.autoencoder is not None
        train_autoencoder(
            example.autoencoder,
            images_BCHW,
            steps=recipe.autoencoder_steps,
            latent_noise=recipe.latent_noise,
            seed=SEED,
            progress=reporter("autoencoder"),
        )
    train_classifier(
        example.classifier, images_BCHW, split.labels, parse_arm("none"), recipe, seed=SEED, progress=reporter("classifier")
    )
    return example


def write(name: str, example: Example, recipe: Recipe) -> None:
    """Write an example's networks, in half precision, with how they were made and a hash of what `read` gives."""
    halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in _weights(example).items()}
    _load(example, halves)  # what is read is what is hashed
    size = {"channels": example.classifier.channels, "size": example.classifier.size, "classes": example.classifier.classes}
    config = {"data": example.data_name, "per_class": PER_CLASS, "seed": SEED, "arm": "none", "recipe": asdict(recipe)}
    notes = size | {"config": config, "hash": _hash(example), "command": "make artefacts", "versions": versions()}
    write_tensors(FOLDER / f"{name}.safetensors", halves, notes)


def read(name: str) -> Example:
    """The example of that name, as `make artefacts` wrote it.

    Raises:
        TsyndError: when its file is missing or damaged.
    """
    path = FOLDER / f"{name}.safetensors"
    weights, notes = read_tensors(path, "example")
    try:
        example = _untrained(name, notes["channels"], notes["size"], notes["classes"])
        _load(example, weights)
    except (KeyError, RuntimeError) as error:
        raise TsyndError(f"{path} is damaged: {str(error).splitlines()[0]}; make artefacts makes it again") from error
    _check(path, notes.get("hash"), _hash(example))
    return example


def _untrained(name: str, channels: int, size: int, classes: int) -> Example:
    """An example's networks as they were initialised, in eval mode."""
    data_name, with_autoencoder = DATA[name]
    classifier = build_classifier(channels, size, classes, seed_for(SEED, "initialise classifier")).eval()
    autoencoder = None
    if with_autoencoder:
        autoencoder = build_autoencoder(channels, size, seed_for(SEED, "initialise autoencoder")).eval()
    return Example(data_name, PER_CLASS, SEED, classifier, autoencoder)


def _weights(example: Example) -> dict[str, Tensor]:
    """The weights of both networks, under the name of each."""
    networks = {"classifier": example.classifier, "autoencoder": example.autoencoder}
    return {
        f"{kind}.{key}": tensor for kind, network in networks.items() if network for key, tensor in network.state_dict().items()
    }


def _load(example: Example, weights: dict[str, Tensor]) -> None:
    for kind, network in (("classifier", example.classifier), ("autoencoder", example.autoencoder)):
        if network is not None:
            network.load_state_dict({k.removeprefix(f"{kind}."): v for k, v in weights.items() if k.startswith(f"{kind}.")})


def _hash(example: Example) -> str:
    parts = [weights_hash(network) for network in (example.classifier, example.autoencoder) if network is not None]
    return " ".join(parts)


def _check(path: Path, noted: str | None, found: str) -> None:
    if noted != found:
        raise TsyndError(f"{path} is damaged: its weights are not those that it was written with; make artefacts makes it again")
