"""The controls of an audit: searches from the same starts as far, in directions that know nothing, or down in place of up."""

import copy

import torch
from torch import Tensor, nn

from tsynd.audit.measures import as_saved, encoded
from tsynd.classification import Classifier
from tsynd.posterior import HeadDropout, Posterior
from tsynd.targeting import OBJECTIVES, Autoencoder, Guard, Synthesis, concatenate, target
from tsynd.utils.rng import generator_for, seed_for

BATCH = 64  # images a search; bounds the memory


class StartingAt(nn.Module):
    """An autoencoder that encodes whatever it is given to these codes, so that a search starts where another one did."""

    def __init__(self, autoencoder: Autoencoder, start_BD: Tensor) -> None:
        super().__init__()
        self.autoencoder, self.start_BD = autoencoder, start_BD

    def encode(self, images_BCHW: Tensor) -> Tensor:
        return self.start_BD[: len(images_BCHW)]  # of a trial that asks about fewer images, theirs

    def decode(self, latents_BD: Tensor) -> Tensor:
        return self.autoencoder.decode(latents_BD)


def codes(synthesis: Synthesis, autoencoder: Autoencoder, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each search started and what it found, as codes (B, D): z0 and z*; of a search in pixel space, the images' codes."""
    if synthesis.space == "latent":
        return synthesis.start_latents.to(device), synthesis.latents.to(device)
    pictures = (as_saved(synthesis.reconstructions), as_saved(synthesis.images))
    start_BD, found_BD = (encoded(images_BCHW, autoencoder, device) for images_BCHW in pictures)
    return start_BD, found_BD


def untrained(network: Classifier, seed: int) -> Classifier:
    """A copy with fresh weights, which normalises its input as the network does: it looks alike and knows nothing."""
    fresh = copy.deepcopy(network)
    fresh.reinitialise(seed)
    return fresh.eval()


def searched_again(
    synthesis: Synthesis,
    start_BD: Tensor,
    classifier: Classifier,
    autoencoder: Autoencoder,
    *,
    samples: int,
    guard: Guard | None,
    seed: int,
) -> dict[str, Synthesis]:
    """Three searches from where a synthesis started, in its space, with its radius and its number of steps.

    `random`: the search for mutual information is run, but only the length of its displacement is kept. `sham`: up the
    mutual information of an untrained copy, which has no label to guard. `minimised`: down the objective of the synthesis on
    the classifier; down mutual information where that was no search or has no name in `OBJECTIVES`.
    """
    seeds = {name: generator_for(seed, f"audit, {name}") for name in ("random", "sham", "minimised")}
    knowing = HeadDropout.of(classifier, samples, seeds["random"])
    ignorant = HeadDropout.of(untrained(classifier, seed_for(seed, "audit, untrained")), samples, seeds["sham"])
    climbed = OBJECTIVES.keys() - {"random", "reconstruction"}
    own = synthesis.objective if synthesis.objective in climbed else "mutual_information"
    searches: dict[str, tuple[str, bool, Posterior, Guard | None]] = {
        "random": ("random", False, knowing, guard),
        "sham": ("mutual_information", False, ignorant, None),
        "minimised": (own, True, knowing, guard),
    }
    latent = synthesis.space == "latent"
    return {
        name: concatenate(
            [
                target(
                    synthesis.reconstructions[rows].to(start_BD),
                    synthesis.labels[rows].to(start_BD.device),
                    StartingAt(autoencoder, start_BD[rows.to(start_BD.device)]) if latent else None,
                    posterior,
                    objective=objective,
                    space=synthesis.space,
                    decode=synthesis.decode,
                    displacement=synthesis.displacement,
                    minimise=minimise,
                    radius=synthesis.radius,
                    steps=synthesis.steps,
                    guard=keeping,
                    sources=synthesis.sources[rows].to(start_BD.device),
                    generator=seeds[name],
                )
                for rows in torch.arange(len(synthesis)).split(BATCH)
            ]
        )
        for name, (objective, minimise, posterior, keeping) in searches.items()
    }
