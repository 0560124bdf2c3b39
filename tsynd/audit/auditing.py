"""The audit: is a synthetic image still of its class, and did the search find something that its controls do not?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from tsynd.audit.controls import codes, searched_again
from tsynd.audit.evaluator import Group, GroupEvaluator
from tsynd.audit.measures import as_saved
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset, Split
from tsynd.data.dataset import SPLITS
from tsynd.errors import TsyndError
from tsynd.metrics.classification import balanced_accuracy
from tsynd.metrics.intervals import interval
from tsynd.targeting import Autoencoder, Guard, Synthesis
from tsynd.targeting.search import check_verbs
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.batching import for_training
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_trial import tried
from tsynd.utils.progress import Progress, Step, silent
from tsynd.utils.rng import generator_for, seed_for
from tsynd.utils.rules import choice, instance, validated, whole
from tsynd.utils.validation import check_labels, check_range

# What is measured, in words; a measure that says nothing of a group is left out there.
MEASURES = {
    "judge_agrees": "judge sees the label",
    "judge_log_prob_fall": "fall of the judge's log p(label), nats",
    "purity": "neighbours with the label, in code space",
    "cycle_error": "code lost on a round trip",
    "ssim": "SSIM to the start",
    "sharpness": "sharpness, as a share of a real image's",
    "information": "mutual information, nats",
    "latent_displacement": "displacement of the code",
    "nearest_distance": "distance to the nearest real image",
    "nearest_is_source": "nearest real image is the source",
    "oracle_agrees": "oracle sees the label",
    "oracle_flipped": "oracle sees another class than at the start",
    "subgroup_distance": "distance to the withheld subgroup",
    "in_subgroup": "inside the withheld subgroup",
}
CONTROLS = ("reconstruction", "random", "sham", "minimised")
# Of the unseen images at most so many are asked about, so that the cost does not grow with the split.
UNSEEN = 2000
GROUPS = ("unseen", "source", *CONTROLS, "targeted")


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    groups: by the names in `GROUPS`, without the last three `CONTROLS` where there was no autoencoder to search with. Rows of
    the last five belong together: where a search started, what three controls found from there, what the search found.
    judge: what it was trained on, and its balanced accuracy on the unseen images of `split`, whose classes may be less even
    than those of the sources. settings: of searches and measures; `typical_distance` is between two real images, in
    intensity; with several labels an image `labels` is how many. subgroup: on phantoms with a withheld subgroup, how well the
    oracle sees it at all. seed: of the intervals.
    """

    groups: dict[str, Group]
    judge: dict[str, Any]
    settings: dict[str, Any]
    subgroup: dict[str, Any] | None
    seed: int

    def to_json(self) -> dict[str, Any]:
        """For `metrics.json`: mean and 95 % interval of every measure in every group, and of the paired differences.

        With several labels an image, shares of images are shares of all its labels.
        `differences` are targeted minus each of the `CONTROLS` that there are, image by image.
        """
        targeted = self.groups["targeted"]
        groups = {
            name: {"n": len(group.labels), "sources": len(group.sources.unique())}
            | {measure: self._interval(values_B, group.sources) for measure, values_B in group.columns.items()}
            for name, group in self.groups.items()
        }
        differences = {
            name: {
                measure: self._interval(values_B.double() - self.groups[name].columns[measure].double(), targeted.sources)
                for measure, values_B in targeted.columns.items()
                if measure in self.groups[name].columns
            }
            for name in CONTROLS
            if name in self.groups
        }
        sections = {"judge": self.judge, "settings": self.settings, "subgroup": self.subgroup}
        return sections | {"groups": groups, "differences": differences}

    def to_rows(self) -> list[dict[str, Any]]:
        """For a table of one's own: a row for each group and measure, with `mean`, `low`, `high`, `n` and `sources`."""
        return [
            {"group": name, "measure": measure} | found[measure] | {"n": found["n"], "sources": found["sources"]}
            for name, found in self.to_json()["groups"].items()
            for measure in MEASURES
            if measure in found
        ]

    def _interval(self, values_B: Tensor, sources_B: Tensor) -> dict[str, float]:
        return interval(values_B, sources_B, generator_for(self.seed, "audit, intervals"))


@validated
def audit(
    synthesis: Synthesis,
    classifier: Classifier,
    autoencoder: Autoencoder | None,
    data: Dataset,
    *,
    chosen: Tensor | None = None,
    judge: Annotated[Classifier, instance(nn.Module, optional=True)] | None = None,
    recipe: Recipe | None = None,
    build: Callable[[int], Classifier] | None = None,
    split: Annotated[str, choice("split of unseen images", SPLITS[1:])] = "test",
    guard: Guard | None = None,
    samples: Annotated[int, whole(2)] = 64,
    k: Annotated[int, whole(1)] = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """Ask whether synthetic images are still of their class, and whether the search found something that controls do not.

    Searches start from *augmented* sources. So what they find is compared with the reconstructions that they started from,
    and the controls start there too. Images are judged as a file holds them, in 8 bits.

    Args:
        synthesis: the images; `source_B` counts in `data.train`.
        classifier: the one that was trained; mutual information is its own now, on masks that no search has seen.
        autoencoder: that of the searches, on the classifier's device; of searches in pixel space, any: it gives the codes of
            neighbours and round trips, and the controls search pixels too. None for images whose autoencoder is not at hand:
            what needs it is left out, the three searches of the controls and all that is asked about codes.
        data: where the sources come from; the judge learns from all of `data.train`.
        chosen: which of `data.train` the run trained on; all by default. The nearest real image is one of these, or a source.
        judge: another classifier of the same classes, on the same device; by default `train_judge` trains one.
        recipe: of the judge's training; by default that of the budget `cpu`.
        build: from a seed to the judge that is trained, such as one of the classifier's kind; by default our own.
        split: real images that neither judge nor classifier has seen, `test` or `val`; of more than `UNSEEN` so many are
            asked about.
        guard: that of the searches, for the controls.
        samples: of the posterior.
        k: neighbours in code space; in a set too small for so many, all others.
        seed: of the judge's training, of the controls and of the intervals.
        progress: called as each part begins.

    Raises:
        TsyndError: for an empty synthesis, or one that does not belong to the data.
    """
    if autoencoder is not None:
        check_verbs(autoencoder)
    _check(synthesis, data)
    if chosen is None:
        chosen = torch.arange(len(data.train))
    elif chosen.ndim != 1 or not len(chosen):
        raise TsyndError(f"chosen must be numbers (N,) of training images, N at least 1, got shape {tuple(chosen.shape)}")
    check_labels(chosen, (len(chosen),), len(data.train), name="chosen")
    chosen = chosen.cpu()
    say, device = progress or silent, next(classifier.parameters()).device
    k = min(k, len(data.train) - 1)
    if judge is None:
        say(Step("audit", text="training the judge"))
        judge = train_judge(data, seed=seed, recipe=recipe, device=device, build=build)
    networks = [network for network in (classifier, judge, autoencoder) if isinstance(network, nn.Module)]
    first_BCHW = as_saved(synthesis.reconstructions[:8]).to(device)
    with tried(judge, first_BCHW, synthesis.labels), frozen(*networks):
        again: dict[str, Synthesis] = {}
        start_BD = codes(synthesis, autoencoder, device)[0] if autoencoder is not None else None
        if autoencoder is not None and start_BD is not None:
            say(Step("audit", text="controls: random, sham, minimised"))
            again = searched_again(synthesis, start_BD, classifier, autoencoder, samples=samples, guard=guard, seed=seed)
        say(Step("audit", text="judge, neighbours, oracle"))
        elsewhere = synthesis.sources.cpu().unique()  # of given images, sources may be images that this run did not train on
        known = torch.cat([chosen, elsewhere[~torch.isin(elsewhere, chosen)]])
        asked = GroupEvaluator(data, known, classifier, autoencoder, judge, samples=samples, k=k, seed=seed)
        unseen, source_B = _some(getattr(data, split)), synthesis.sources.cpu()
        start = asked.of_start(as_saved(synthesis.reconstructions.cpu()), start_BD, synthesis.labels.cpu(), source_B)
        groups = {
            "unseen": asked.of_real(unseen.images, unseen.labels),
            "source": asked.of_real(data.train.images[source_B], data.train.labels[source_B], source_B),
            "reconstruction": start,
        }
        for name, found in (again | {"targeted": synthesis}).items():
            found_BD = codes(found, autoencoder, device)[1] if autoencoder is not None else None
            groups[name] = asked.of_found(as_saved(found.images.cpu()), found_BD, found.latent_displacement, start)
        subgroup = asked.about_subgroup()
    on_unseen = balanced_accuracy(groups["unseen"].judged, unseen.labels)
    trained = {"trained_on": len(data.train), "run_trained_on": len(chosen), "split": split, "balanced_accuracy": on_unseen}
    settings = {"radius": synthesis.radius, "steps": synthesis.steps, "samples": samples, "k": k}
    settings |= {"typical_distance": asked.typical_distance} | ({"labels": len(data.classes)} if data.multi_label else {})
    return Audit(groups, trained, settings, subgroup, seed)


@validated
def train_judge(
    data: Dataset,
    *,
    seed: int = 0,
    recipe: Recipe | None = None,
    device: torch.device | None = None,
    build: Callable[[int], Classifier] | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """A second opinion: a classifier trained on the *whole* training split by arm `none`, in eval mode.

    Its initialisation and its batches come from `seed`, but are not those of a run with that seed.
    """
    own = seed_for(seed, "judge")
    judge = (
        build(own) if build else build_classifier(data.channels, data.size, len(data.classes), own, multi_label=data.multi_label)
    )
    judge.to(device)
    images_BCHW, labels_B = for_training(data.train.images, device), data.train.labels.to(device)
    train_classifier(judge, images_BCHW, labels_B, parse_arm("none"), recipe or Recipe(), seed=own, progress=progress)
    return judge


def _some(split: Split) -> Split:
    """At most `UNSEEN` images, evenly spread over the split."""
    return split if len(split) <= UNSEEN else split[torch.linspace(0, len(split) - 1, UNSEEN).long()]


def _check(synthesis: Synthesis, data: Dataset) -> None:
    """Refuse a synthesis that is empty or not of these data."""
    if not len(synthesis):
        raise TsyndError("an audit needs at least one synthetic image, got none")
    shape, wanted = tuple(synthesis.images.shape[1:]), tuple(data.train.images.shape[1:])
    if shape != wanted:
        raise TsyndError(f"synthetic images must be {wanted} as those of {data.name}, got {shape}")
    check_range(**{"synthetic images": synthesis.images, "reconstructions": synthesis.reconstructions})
    check_labels(synthesis.sources, (len(synthesis),), len(data.train), name="sources")
    check_labels(synthesis.labels, (len(synthesis), *((len(data.classes),) if data.multi_label else ())), len(data.classes))
