"""What an audit asks of a group of images: real ones, what a search started from, and what searches found."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tsynd.audit import measures
from tsynd.audit.measures import as_saved, distance_to_subgroup, sharpness
from tsynd.autoencoding.training import ssim
from tsynd.classification import Classifier
from tsynd.data import Dataset
from tsynd.data.phantom import Factors, classify, subgroup
from tsynd.data.phantom.oracle import SIZE, oracle
from tsynd.data.phantom.phantoms import PhantomSplit, withheld_in
from tsynd.posterior import HeadDropout
from tsynd.targeting import Autoencoder
from tsynd.targeting.objectives import log_prob
from tsynd.uncertainty import log_probabilities, mutual_information
from tsynd.utils.batching import fitting, predict
from tsynd.utils.rng import generator_for


@dataclass(frozen=True)
class Group:
    """One kind of image and what was measured of each, a row an image, on the CPU.

    images_BCHW: float in [0, 1]. labels_B: the label that is checked. source_B: the image of `data.train` that each comes from;
    of unseen images their own number. nearest_B: the nearest image of `data.train` that was trained on, or that images were
    made from. judged_BC: the judge's log-probabilities, with several labels an image (B, L, 2). oracle_B: the class that the
    oracle sees, None for no phantoms. columns: the measures, (B,) each by the names in `tsynd.audit.MEASURES`, bool for a share
    of images.
    """

    images: Tensor
    labels: Tensor
    sources: Tensor
    nearest: Tensor
    judged: Tensor
    oracle: Tensor | None
    columns: dict[str, Tensor]


class GroupEvaluator:
    """Asks the same of every group. It holds what answers: the judge, the classifier, real images, on phantoms the oracle.

    Args:
        chosen: which of `data.train` the run trained on, or images were made from: the nearest real image is one of these.
        classifier, autoencoder, judge: in eval mode, on one device. Without an autoencoder, codes are not asked about.
        samples: of the posterior; their masks are drawn here, so that no search has seen them. k: neighbours.
    """

    def __init__(
        self,
        data: Dataset,
        chosen: Tensor,
        classifier: Classifier,
        autoencoder: Autoencoder | None,
        judge: Classifier,
        *,
        samples: int,
        k: int,
        seed: int,
    ) -> None:
        self.data, self.chosen, self.autoencoder, self.judge = data, chosen, autoencoder, judge
        self.device = next(classifier.parameters()).device
        self.posterior = HeadDropout.of(classifier, samples, generator_for(seed, "audit, fresh masks"))
        self.k, self.real_ND = k, self._codes(data.train.images)
        self.real_NCHW = data.train.images if torch.equal(chosen, torch.arange(len(data.train))) else data.train.images[chosen]
        self.typical_distance = measures.typical_distance(self.real_NCHW, generator_for(seed, "audit, typical distance"))
        some = self.real_NCHW[:: max(1, len(self.real_NCHW) // 1000)]
        self.typical_sharpness = sharpness(some.float() / 255).mean().item()
        self.oracle = oracle() if isinstance(data.train, PhantomSplit) and data.size == SIZE else None
        self.withheld = withheld_in(data.name) if self.oracle else None

    def of_real(self, images: Tensor, labels_B: Tensor, source_B: Tensor | None = None) -> Group:
        """Ask of real images, uint8; `source_B` says which of `data.train` they are, None that they are of another split."""
        numbers_B = torch.arange(len(images)) if source_B is None else source_B
        group = self._of(images.float() / 255, self._codes(images), labels_B, numbers_B, source_B)
        return self._near(group, own_B=source_B)

    def of_start(self, images_BCHW: Tensor, codes_BD: Tensor | None, labels_B: Tensor, source_B: Tensor) -> Group:
        """Measure the images that searches started from, float in [0, 1]; `source_B`: the image of `data.train` behind each."""
        group = self._near(self._of(images_BCHW, codes_BD, labels_B, source_B, source_B))
        if codes_BD is not None and self.autoencoder is not None:
            group = _with(group, cycle_error=measures.cycle_error(codes_BD, self.autoencoder).cpu())
        return _with(group, nearest_is_source=group.nearest == source_B)

    def of_found(self, images_BCHW: Tensor, codes_BD: Tensor | None, moved_B: Tensor, start: Group) -> Group:
        """Measure the images that searches found, and how far each is from its `start`, which has their labels and sources.

        moved_B: |z* - z0| / sqrt(D), in the space that was searched.
        """
        group = self.of_start(images_BCHW, codes_BD, start.labels, start.sources)
        pairs = (each.images.split(fitting(self.data.size)) for each in (group, start))
        group = _with(
            group,
            judge_log_prob_fall=_log_prob(start) - _log_prob(group),
            ssim=torch.cat([ssim(one, other) for one, other in zip(*pairs, strict=True)]),
            latent_displacement=moved_B.cpu(),
        )
        if group.oracle is not None and start.oracle is not None:
            group = _with(group, oracle_flipped=group.oracle != start.oracle)
        return group

    def _of(
        self, images_BCHW: Tensor, codes_BD: Tensor | None, labels_B: Tensor, source_B: Tensor, own_B: Tensor | None
    ) -> Group:
        """What can be asked of any image. own_B: what is no neighbour of it among the codes of `data.train`."""
        several = self.data.multi_label
        judged_BC = self._predict(lambda batch: log_probabilities(self.judge(batch).double(), several), images_BCHW)
        agrees = judged_BC.argmax(-1) == labels_B
        columns = {
            "judge_agrees": agrees.double().mean(1) if several else agrees,
            "sharpness": sharpness(images_BCHW.cpu()) / self.typical_sharpness,
            "information": self._predict(lambda batch: mutual_information(self.posterior(batch)), images_BCHW),
        }
        if codes_BD is not None and self.real_ND is not None:
            own_B = None if own_B is None else own_B.to(self.device)
            real = self.real_ND, self.data.train.labels.to(self.device)
            columns["purity"] = measures.purity(codes_BD, labels_B.to(self.device), *real, k=self.k, own_B=own_B).cpu()
        oracle_B = None
        if self.oracle is not None:
            factors = self._recovered(images_BCHW)
            oracle_B = classify(factors, len(self.data.classes))
            columns["oracle_agrees"] = oracle_B == labels_B
            if self.withheld:
                columns["subgroup_distance"] = distance_to_subgroup(factors, self.withheld)
                columns["in_subgroup"] = subgroup(factors, self.withheld)
        unknown_B = torch.full((len(labels_B),), -1)
        return Group(images_BCHW, labels_B, source_B, unknown_B, judged_BC, oracle_B, columns)

    def _predict(self, model: Callable[[Tensor], Tensor], images_BCHW: Tensor) -> Tensor:
        return predict(model, images_BCHW, fitting(self.data.size), self.device)

    def _codes(self, images: Tensor) -> Tensor | None:
        return None if self.autoencoder is None else measures.encoded(images, self.autoencoder, self.device)

    def _near(self, group: Group, own_B: Tensor | None = None) -> Group:
        """The group with its nearest real images; own_B: an image of `data.train` for each that does not count."""
        place_N = torch.full((len(self.data.train),), -1)
        place_N[self.chosen] = torch.arange(len(self.chosen))
        index_B, distance_B = measures.nearest_real(group.images, self.real_NCHW, None if own_B is None else place_N[own_B])
        relative_B = distance_B / self.typical_distance
        return _with(replace(group, nearest=self.chosen[index_B]), nearest_distance=relative_B)

    def about_subgroup(self) -> dict[str, float | int | str] | None:
        """How well the oracle sees the withheld subgroup at all: on its real test images, and on their reconstructions, if any.

        Shares that it places inside, and mean distances, as in the columns `in_subgroup` and `subgroup_distance`.
        """
        if self.withheld is None or not (inside := self.data.test.subgroups[self.withheld]).any():
            return None
        real_BCHW = self.data.test.images[inside].float() / 255
        asked_about = {"real": real_BCHW}
        if (network := self.autoencoder) is not None:
            copies_BCHW = self._predict(lambda batch: network.decode(network.encode(batch)), real_BCHW)
            asked_about["reconstructed"] = as_saved(copies_BCHW)
        found: dict[str, float | int | str] = {"name": self.withheld, "test_images": len(real_BCHW)}
        for name, images_BCHW in asked_about.items():
            factors = self._recovered(images_BCHW)
            found[f"{name}_inside"] = subgroup(factors, self.withheld).double().mean().item()
            found[f"{name}_distance"] = distance_to_subgroup(factors, self.withheld).double().mean().item()
        return found

    def _recovered(self, images_BCHW: Tensor) -> Factors:
        """The factors that the oracle sees in images, on the CPU."""
        assert self.oracle is not None
        with torch.no_grad():
            return self.oracle.recover(images_BCHW)


def _log_prob(group: Group) -> Tensor:
    """The judge's log-probability of each label, in nats: (B,); of several labels the sum."""
    return log_prob(group.judged.unsqueeze(1), group.labels)


def _with(group: Group, **columns: Tensor) -> Group:
    return replace(group, columns=group.columns | columns)
