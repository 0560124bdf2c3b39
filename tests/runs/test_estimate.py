"""The estimate of a run's time takes steps on copies only; how good it is, no test can say."""

import pytest
import torch

from tsynd.classification import build_classifier
from tsynd.runs.config import RunConfig
from tsynd.runs.estimate import estimate_seconds
from tsynd.utils.tensor_files import weights_hash

IMAGES = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(20) % 2


@pytest.mark.parametrize("arm", ["guarded", "mixup", "pixel-ridge"])
def test_nothing_changes_and_seconds_come_out(arm: str) -> None:
    classifier = build_classifier(1, 16, 2, 0, architecture="linear" if arm == "pixel-ridge" else "compact")
    before, state = weights_hash(classifier), torch.get_rng_state()
    seconds = estimate_seconds(RunConfig("phantom", arm=arm), classifier, IMAGES, LABELS, evaluated=100)
    assert 0 < seconds < float("inf")
    assert weights_hash(classifier) == before and torch.equal(torch.get_rng_state(), state)


def test_more_images_to_evaluate_take_longer() -> None:
    classifier = build_classifier(1, 16, 2, 0, architecture="linear")
    few, many = (estimate_seconds(RunConfig("phantom", arm="pixel-ridge"), classifier, IMAGES, LABELS, n) for n in (1, 10**6))
    assert few < many
