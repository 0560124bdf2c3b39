"""Targeting: the ball, the best iterate, the controls, the guard, and a plain reimplementation as reference."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tsynd.autoencoding import ConvAutoencoder, build_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.targeting import Guard, target
from tsynd.uncertainty import mutual_information

IMAGES = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1])


def networks() -> tuple[ConvAutoencoder, Classifier]:
    autoencoder, classifier = build_autoencoder(1, 28, seed=0), build_classifier(1, 28, 3, seed=0)
    autoencoder.standardise(IMAGES)
    return autoencoder.eval(), classifier.eval()


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


class Line:
    """A toy on which the answer is known: 'images' are codes, and the log-odds of two classes a linear function of them."""

    networks: tuple[nn.Module, ...] = ()
    samples = 2
    direction = torch.tensor([3.0, 4.0]) / 5

    def encode(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.flatten(1)

    def decode(self, latents_BD: Tensor) -> Tensor:
        return latents_BD.view(-1, 1, 1, 2)

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        height = images_BCHW.flatten(1) @ self.direction.to(images_BCHW)
        return torch.stack([height, -height], dim=-1).log_softmax(-1).unsqueeze(1).expand(-1, 2, -1)

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Nothing is drawn."""


@pytest.mark.parametrize("radius", [0.1, 1.0])
def test_linear_objective_ends_at_the_ball_s_top(radius: float) -> None:
    toy, start = Line(), torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    height = lambda log_probs_BKC, labels_B: log_probs_BKC[:, 0, 0] - log_probs_BKC[:, 0, 1]  # noqa: E731
    found = target(start, torch.zeros(1).long(), toy, toy, objective=height, radius=radius, steps=10, noise=0.0)
    expected = toy.direction.double() * radius * math.sqrt(2)
    torch.testing.assert_close(found.images.flatten(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("objective", ["mutual_information", "entropy", "cross_entropy", "random"])
def test_radius_is_respected(objective: str) -> None:
    autoencoder, classifier = networks()
    found = target(
        IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 16, seeded()), objective=objective, radius=0.3, generator=seeded()
    )
    assert (found.latent_displacement <= 0.3 + 1e-6).all()
    assert (found.latent_displacement > 0).all()
    assert (found.pixel_displacement > 0).all()


@pytest.mark.parametrize("setting", [{"radius": 0.0}, {"steps": 0}, {"objective": "reconstruction"}])
def test_no_radius_or_no_steps_is_the_reconstruction(setting: dict[str, Any]) -> None:
    autoencoder, classifier = networks()
    found = target(IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8, seeded()), generator=seeded(), **setting)
    with torch.no_grad():
        torch.testing.assert_close(found.images, autoencoder(IMAGES), atol=0, rtol=0)
    assert (found.latent_displacement == 0).all()
    torch.testing.assert_close(found.mutual_information_before, found.mutual_information_after, atol=0, rtol=0)


def test_objective_never_ends_below_its_start() -> None:
    autoencoder, classifier = networks()
    seen: list[Tensor] = []

    def record(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        seen.append(mutual_information(log_probs_BKC))
        return seen[-1]

    posterior = HeadDropout.of(classifier, 16, seeded())
    found = target(
        IMAGES, LABELS, autoencoder, posterior, objective=record, radius=2.0, steps=4, step_size=3.0, generator=seeded()
    )
    ascent = torch.stack([value.detach() for value in seen[:5]])  # the last two calls are the report on fresh samples
    posterior.resample(generator := seeded())
    generator.set_state(seeded().get_state())
    torch.randn(5, 256, generator=generator)  # the first step's noise is drawn before the samples
    posterior.resample(generator)
    with torch.no_grad():
        best = mutual_information(posterior(found.images))
    torch.testing.assert_close(best, ascent.max(dim=0).values, atol=1e-5, rtol=1e-4)
    assert (best >= ascent[0] - 1e-6).all()


@pytest.mark.parametrize("guard", [None, Guard(weight=2.0, bound=0.001)])
def test_equals_a_plain_implementation(guard: Guard | None) -> None:
    """One image at a time, K full passes of the head in a Python loop, `.backward()`, in double."""
    autoencoder, classifier = networks()
    autoencoder, classifier = autoencoder.double(), classifier.double()
    images, radius, steps, samples, lowest = IMAGES.double(), 0.5, 3, 6, 0.0
    posterior = HeadDropout.of(classifier, samples, seeded())
    found = target(images, LABELS, autoencoder, posterior, radius=radius, steps=steps, noise=0.0, guard=guard, generator=seeded())

    generator = seeded()
    torch.randn(5, 256, generator=generator)
    posterior.resample(generator)
    posterior(images)
    masks = posterior.masks
    for row in range(len(images)):
        start = autoencoder.encode(images[row : row + 1]).detach()
        limit = radius * math.sqrt(start.shape[1])
        z, best_z, best = start.clone(), start.clone(), -math.inf
        for step in range(steps + 1):
            z = z.detach().requires_grad_()
            probs = []
            for k in range(samples):
                x = classifier.trunk(autoencoder.decode(z))
                for index, layer in enumerate(classifier.head):
                    x = x * masks[f"head.{index}"][k] if isinstance(layer, nn.Dropout) else layer(x)
                probs.append(x.softmax(-1))
            mean = torch.stack(probs).mean(dim=0)
            value = -(mean * mean.log()).sum()
            for p in probs:
                value = value + (p * p.log()).sum() / samples
            if guard is not None:
                log_p = mean[0, LABELS[row]].log()
                if step == 0:
                    lowest = log_p.item() - (guard.bound if mean.argmax() == LABELS[row] else 0.0)
                value = value - guard.weight * (lowest - log_p).relu()
            if value.item() > best:
                best, best_z = value.item(), z.detach()
            if step < steps:
                value.backward()
                assert z.grad is not None
                z = z.detach() + 0.4 * limit * z.grad / z.grad.norm()
                if (z - start).norm() > limit:
                    z = start + (z - start) * limit / (z - start).norm()
        with torch.no_grad():
            torch.testing.assert_close(found.latents[row], best_z[0], atol=1e-9, rtol=0)
            torch.testing.assert_close(found.images[row], autoencoder.decode(best_z)[0], atol=1e-9, rtol=0)


def test_does_not_depend_on_the_other_images_of_the_batch() -> None:
    autoencoder, classifier = networks()
    both = [
        target(images, labels, autoencoder, HeadDropout.of(classifier, 16, seeded()), radius=0.5, noise=0.0, generator=seeded())
        for images, labels in ((IMAGES, LABELS), (IMAGES[:1].expand(5, -1, -1, -1), LABELS[:1].expand(5)))
    ]
    torch.testing.assert_close(both[0].images[0], both[1].images[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [1, 5])
def test_random_keeps_the_length_of_the_ascent_and_not_its_direction(steps: int) -> None:
    autoencoder, classifier = networks()
    found = {
        objective: target(
            IMAGES,
            LABELS,
            autoencoder,
            HeadDropout.of(classifier, 16, seeded()),
            objective=objective,
            steps=steps,
            generator=seeded(),
        )
        for objective in ("mutual_information", "random")
    }
    torch.testing.assert_close(
        found["random"].latent_displacement, found["mutual_information"].latent_displacement, atol=1e-5, rtol=1e-4
    )
    assert (found["random"].latent_displacement < 0.24).all() == (steps == 1)  # five steps reach the edge, one does not
    assert (found["random"].images - found["mutual_information"].images).abs().max() > 1e-3


def test_what_is_reported_is_measured_on_samples_that_the_search_has_not_seen() -> None:
    autoencoder, classifier = networks()
    posterior = HeadDropout.of(classifier, 8, seeded())
    found = target(IMAGES, LABELS, autoencoder, posterior, radius=0.5, generator=seeded())
    with torch.no_grad():
        reported_on = mutual_information(posterior(found.images))  # the samples held now
        torch.testing.assert_close(found.mutual_information_after, reported_on, atol=1e-6, rtol=1e-4)
        generator = seeded()
        torch.randn(5, 256, generator=generator)
        posterior.resample(generator)  # those that were held during the search
        searched_on = mutual_information(posterior(found.images))
    assert ((found.mutual_information_after - searched_on).abs() > 1e-3 * searched_on).any()


def test_the_guard_s_bound_is_free_for_images_that_start_right_and_not_for_the_others() -> None:
    log_probs_BKC = torch.tensor([[[0.7, 0.3], [0.9, 0.1]], [[0.2, 0.8], [0.4, 0.6]]]).log()
    floor_B = Guard(weight=1.0, bound=0.5).floor(log_probs_BKC, torch.tensor([0, 0]))
    torch.testing.assert_close(floor_B, torch.tensor([math.log(0.8) - 0.5, math.log(0.3)]))


def test_tiny_gradients_still_make_steps_of_fixed_length() -> None:
    toy, start = Line(), torch.zeros(1, 1, 1, 2)
    faint = lambda log_probs_BKC, labels_B: 1e-30 * (log_probs_BKC[:, 0, 0] - log_probs_BKC[:, 0, 1])  # noqa: E731
    found = target(start, torch.zeros(1).long(), toy, toy, objective=faint, radius=1.0, steps=1, noise=0.0)
    torch.testing.assert_close(found.latent_displacement, torch.tensor([0.4]))


def test_guard_holds_the_label_where_the_plain_search_loses_it() -> None:
    autoencoder, classifier = networks()
    with torch.no_grad():
        list(classifier.head.parameters())[-2].mul_(50)  # a steep classifier, so that there is something to lose
    down = lambda log_probs_BKC, labels_B: -log_probs_BKC[torch.arange(5), :, labels_B].mean(dim=1)  # noqa: E731
    fall = {}
    for name, guard in {"off": None, "on": Guard(weight=100.0, bound=0.0)}.items():
        posterior = HeadDropout.of(classifier, 64, seeded())
        found = target(
            IMAGES, LABELS, autoencoder, posterior, objective=down, radius=2.0, noise=0.0, guard=guard, generator=seeded()
        )
        fall[name] = found.log_prob_fall
    assert fall["off"].mean() > 0.05
    assert fall["on"].mean() < 0.2 * fall["off"].mean()


def test_networks_come_back_as_they_were_also_after_an_exception() -> None:
    autoencoder, classifier = networks()
    classifier.train()
    classifier.head[1].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    random_state = torch.get_rng_state()

    def broken(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        raise RuntimeError("broken")

    posterior = HeadDropout.of(classifier, 8, seeded())
    target(IMAGES, LABELS, autoencoder, posterior, generator=seeded())
    with pytest.raises(RuntimeError, match="broken"):
        target(IMAGES, LABELS, autoencoder, posterior, objective=broken, generator=seeded())
    assert classifier.training
    assert not autoencoder.training
    assert [p.requires_grad for p in classifier.head.parameters()] == [False, True, True, True]
    for name, tensor in classifier.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=0, rtol=0)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(parameter.grad is None for parameter in classifier.parameters())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"radius": -0.5}, "radius must be >= 0, got -0.5"),
        ({"radius": float("nan")}, "radius must be >= 0, got nan"),
        ({"steps": -1}, "steps must be >= 0, got -1"),
        ({"step_size": -0.1}, "step_size must be >= 0, got -0.1"),
        ({"objective": "entrpy"}, "did you mean 'entropy'"),
    ],
)
def test_bad_settings_are_refused(setting: dict[str, object], message: str) -> None:
    autoencoder, classifier = networks()
    with pytest.raises(TsyndError, match=message):
        target(IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8, seeded()), **setting)  # type: ignore[arg-type]


def test_labels_that_do_not_fit_are_refused() -> None:
    autoencoder, classifier = networks()
    with pytest.raises(TsyndError, match=r"labels must have shape \(5,\)"):
        target(IMAGES, LABELS[:2], autoencoder, HeadDropout.of(classifier, 8, seeded()))
