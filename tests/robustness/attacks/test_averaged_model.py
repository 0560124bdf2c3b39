"""A stochastic model is attacked on its average: the right function, the right gradient, and nothing is changed by it."""

import pytest
import torch
from torch import Tensor, nn

from tests.robustness.toys import images_and_labels, small_network, trained
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import FullDropout, HeadDropout
from tsynd.robustness.attacks.averaged_model import averaged_model, eot_model
from tsynd.robustness.attacks.gradient import margin_loss, pgd
from tsynd.utils.rng import generator_for


class Wavering(nn.Module):
    """A network that adds noise to its logits in every call, with a gradient that points anywhere."""

    def __init__(self, network: nn.Module, spread: float) -> None:
        super().__init__()
        self.network, self.spread = network, spread

    def forward(self, images: Tensor) -> Tensor:
        turns = torch.randn(len(images), 1, *images.shape[2:], device=images.device)
        shaken: Tensor = self.network(images + self.spread * turns)
        return shaken


def test_the_average_of_a_posterior_is_the_mean_probability() -> None:
    images, _ = images_and_labels(5, size=28)
    posterior = HeadDropout.of(build_classifier(1, 28, 3, seed=0).eval(), 7, generator_for(0, "masks"))
    model = averaged_model(posterior)
    with torch.no_grad():
        torch.testing.assert_close(model(images), posterior(images).exp().mean(dim=1).log())
        assert torch.equal(model(images), model(images))
    attacked = pgd(model, images, torch.zeros(5, dtype=torch.int64), eps=0.1, steps=5, generator=generator_for(0, "start"))
    loss, loss_before = (margin_loss(model, x, torch.zeros(5, dtype=torch.int64))[0] for x in (attacked, images))
    assert (loss > loss_before).all()
    posterior.networks[0].train()
    with pytest.raises(TsyndError, match="training mode"):
        pgd(model, images, torch.zeros(5, dtype=torch.int64), eps=0.1)


def test_several_labels_stay_one_logit_each() -> None:
    images, _ = images_and_labels(4)
    network = small_network(1, 12, 3)
    network.multi_label = True  # type: ignore[assignment]
    posterior = FullDropout(network, 6, generator_for(0, "masks"))
    with torch.no_grad():
        torch.testing.assert_close(averaged_model(posterior)(images).sigmoid(), posterior(images)[..., 1].exp().mean(dim=1))


def test_eot_is_stronger_on_a_noisy_model_than_a_single_draw() -> None:
    images, labels = images_and_labels(40)
    sure = trained(small_network(1, 12, 2), images, labels)
    model = Wavering(sure, 0.6).eval()
    before = torch.get_rng_state()
    single = pgd(eot_model(model, 1, generator_for(0, "draw")), images, labels, eps=0.06, generator=generator_for(0, "start"))
    many = pgd(eot_model(model, 30, generator_for(0, "draw")), images, labels, eps=0.06, generator=generator_for(0, "start"))
    assert torch.equal(torch.get_rng_state(), before)
    judge = eot_model(model, 300, generator_for(1, "judge"))
    with torch.no_grad():
        loss, single_loss = (margin_loss(judge, x, labels)[0].mean() for x in (many, single))
    assert loss > single_loss + 0.02


def test_bad_input_is_refused() -> None:
    with pytest.raises(TsyndError, match="draws must be >= 1, got 0"):
        eot_model(small_network(1, 12, 2), 0)
    with pytest.raises(TsyndError, match="batch norm is in training mode"):
        eot_model(small_network(1, 12, 2).train())


def test_fresh_draws_of_several_labels_and_of_probabilities() -> None:
    noisy = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Dropout(0.5))
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    noisy.multi_label = True  # type: ignore[assignment]
    found = eot_model(noisy, 400, torch.Generator().manual_seed(0))(images)
    logits = noisy[1](images.flatten(1))
    torch.testing.assert_close(found.sigmoid(), ((2 * logits).sigmoid() + 0.5) / 2, rtol=0, atol=0.06)  # dropped half of the time
    with pytest.raises(TsyndError, match="gives probabilities"):
        eot_model(nn.Sequential(*noisy, nn.Softmax(dim=1)), 2)(images)
