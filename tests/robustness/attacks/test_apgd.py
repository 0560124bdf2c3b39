"""APGD: its checkpoints are the published ones, its momentum and halvings those of a naive loop, and it needs no step size."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.robustness.toys import images_and_labels, small_network, trained
from tsynd.robustness.attacks.gradient import _checkpoints, apgd, pgd
from tsynd.utils.rng import generator_for


def test_looks_back_when_the_paper_does() -> None:
    assert sorted(_checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert sorted(_checkpoints(10)) == [3, 5, 6, 7, 8, 9, 10]
    assert max(_checkpoints(1)) == 1


def naively(model: nn.Module, image: Tensor, label: Tensor, eps: float, steps: int, start: Tensor) -> tuple[Tensor, int]:
    """Algorithm 1 of Croce and Hein for one image, in words; the highest loss, and how often the step was halved."""

    def loss_and_gradient(x: Tensor) -> tuple[float, Tensor]:
        x = x.clone().requires_grad_(True)
        loss = F.cross_entropy(model(x), label)
        return float(loss.detach()), torch.autograd.grad(loss, x)[0]

    def project(x: Tensor) -> Tensor:
        return torch.clamp(image + (x - image).clamp(-eps, eps), 0, 1)

    iterates = [project(image + eps * start)]
    losses, size, halvings = [], 0.2 * eps, 0
    best, best_loss = iterates[0], -torch.inf
    since, rises, halved, best_at_last = 0, 0, True, -torch.inf
    for step in range(steps):
        loss, gradient = loss_and_gradient(iterates[-1])
        losses.append(loss)
        if loss > best_loss:
            best, best_loss = iterates[-1], loss
        rises += step > 0 and loss > losses[-2]
        if step in _checkpoints(steps):
            halved = rises <= 0.75 * (step - since) or (not halved and best_loss <= best_at_last)
            if halved:
                size, halvings = size / 2, halvings + 1
                iterates[-1] = best
                _, gradient = loss_and_gradient(best)
            since, rises, best_at_last = step, 0, best_loss
        ahead = project(iterates[-1] + size * gradient.sign())
        momentum = 0.25 * (iterates[-1] - iterates[-2]) if step else 0.0
        iterates.append(project(iterates[-1] + (0.75 if step else 1.0) * (ahead - iterates[-1]) + momentum))
    return torch.stack([best, iterates[-1]]), halvings


def test_equals_a_naive_loop_over_single_images() -> None:
    images, labels = (x.double() if x.is_floating_point() else x for x in images_and_labels(6))
    model = trained(small_network(1, 12, 2), images.float(), labels, steps=20).double()
    start = (2 * torch.rand(images.shape, generator=generator_for(0, "start")) - 1).double()
    attacked = apgd(model, images, labels, eps=0.05, step_size=0.01, steps=30, start=start)
    all_halvings = []
    for image, label, first, found in zip(images, labels, start, attacked, strict=True):
        candidates, halvings = naively(model, image[None], label[None], 0.05, 30, first[None])
        with torch.no_grad():
            wanted = max(float(F.cross_entropy(model(x), label[None])) for x in candidates)
            assert float(F.cross_entropy(model(found[None]), label[None])) == pytest.approx(wanted, abs=1e-6)
        all_halvings.append(halvings)
    assert max(all_halvings) > min(all_halvings) >= 1, "else the halving of single images was not tested"


def test_needs_no_step_size_where_a_fixed_one_is_far_off() -> None:
    images, labels = images_and_labels(60, classes=3)
    model = trained(small_network(1, 12, 3), images, labels)

    def held(attacked: Tensor) -> float:
        with torch.no_grad():
            return float((model(attacked).argmax(dim=1) == labels).double().mean())

    start = 2 * torch.rand(images.shape, generator=generator_for(0, "start")) - 1
    short = pgd(model, images, labels, eps=0.09, steps=20, step_size=1e-4, start=start)
    assert held(apgd(model, images, labels, eps=0.09, steps=20, start=start)) < held(short) - 0.1
    tuned = pgd(model, images, labels, eps=0.09, start=start)
    assert held(apgd(model, images, labels, eps=0.09, steps=60, start=start)) <= held(tuned) + 0.02
