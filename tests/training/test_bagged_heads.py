"""Bagged heads: one trunk, each head its own initialisation and bootstrap sample, nothing else changed."""

import pytest
import torch

from tsynd.classification import build_classifier, classification_loss, normalise_to
from tsynd.errors import TsyndError
from tsynd.posterior import Ensemble
from tsynd.training.bagged_heads import bagged_heads
from tsynd.uncertainty import mutual_information

LABELS = torch.arange(24) % 2
IMAGES = (0.3 + 0.4 * LABELS.view(-1, 1, 1, 1) * torch.rand(24, 1, 16, 16, generator=torch.Generator().manual_seed(0))).float()


def test_heads_learn_and_disagree_and_the_classifier_stays_as_it_was() -> None:
    classifier = build_classifier(1, 16, 2, seed=0)
    normalise_to(classifier, IMAGES)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    state = torch.get_rng_state()
    heads = bagged_heads(classifier, IMAGES, LABELS, 6, steps=150)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())
    assert classifier.training and all(parameter.requires_grad for parameter in classifier.parameters())
    posterior = Ensemble.of_heads(classifier.trunk, heads)
    log_probs_BKC = posterior(IMAGES)
    assert log_probs_BKC.shape == (24, 6, 2)
    assert (log_probs_BKC.exp().mean(1).argmax(1) == LABELS).double().mean() > 0.9
    assert (mutual_information(log_probs_BKC) > 1e-6).all()
    assert not any(head.training for head in heads)


def test_the_same_seed_gives_the_same_heads() -> None:
    classifier = build_classifier(1, 16, 2, seed=0)
    first, again, other = (bagged_heads(classifier, IMAGES, LABELS, 3, steps=3, seed=seed) for seed in (0, 0, 1))
    weights = [[head.state_dict()["4.weight"] for head in heads] for heads in (first, again, other)]
    assert all(torch.equal(one, two) for one, two in zip(weights[0], weights[1], strict=True))
    assert not torch.equal(weights[0][0], weights[2][0])
    assert not torch.equal(weights[0][0], weights[0][1])


def test_several_labels_an_image() -> None:
    classifier = build_classifier(1, 16, 3, seed=0, multi_label=True)
    heads = bagged_heads(classifier, IMAGES, torch.stack([LABELS, 1 - LABELS, LABELS], 1), 2, steps=2)
    assert Ensemble.of_heads(classifier.trunk, heads)(IMAGES).shape == (24, 2, 3, 2)


def test_weights_count_images_as_often_as_they_are_repeated() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(4)[:3]
    weighted = classification_loss(logits, targets, weights=torch.tensor([2.0, 0.0, 1.0]))
    repeated = classification_loss(logits[[0, 0, 2]], targets[[0, 0, 2]])
    torch.testing.assert_close(weighted, repeated)


def test_one_head_is_refused() -> None:
    with pytest.raises(TsyndError, match=r"count must be >= 2, got 1"):
        bagged_heads(build_classifier(1, 16, 2, seed=0), IMAGES, LABELS, 1)
