"""Options of a search: pixel space, the hard guard, chunks, bf16, several labels; and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.targeting.toys import Toy, run_toy
from tsynd.autoencoding import build_autoencoder
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout, Posterior
from tsynd.targeting import Guard, Synthesis, target

IMAGES = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
AUTOENCODER, CLASSIFIER = build_autoencoder(1, 28, seed=0), build_classifier(1, 28, 3, seed=0).eval()
AUTOENCODER.standardise(IMAGES)
AUTOENCODER.eval()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def search(images: Tensor = IMAGES, labels: Tensor = LABELS, posterior: Posterior | None = None, **settings: Any) -> Synthesis:
    """The same masks and noise each time, unless something is set."""
    posterior = posterior or HeadDropout.of(CLASSIFIER, 16, seeded())
    return target(images, labels, settings.pop("autoencoder", AUTOENCODER), posterior, generator=seeded(), **settings)


def test_pixel_space_moves_the_real_image_inside_its_range() -> None:
    found = search(space="pixel", radius=0.05, autoencoder=None)
    torch.testing.assert_close(found.reconstructions, IMAGES, atol=0, rtol=0)
    torch.testing.assert_close(found.latents, found.images.flatten(1), atol=0, rtol=0)
    torch.testing.assert_close(found.pixel_displacement, found.latent_displacement)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert (found.pixel_displacement <= 0.05 + 1e-6).all()
    assert (found.mutual_information_after > found.mutual_information_before).all()
    corner = run_toy(Toy(lambda x: x @ torch.ones(2).to(x)), [[1.0, 0.98]], space="pixel", radius=0.1)
    torch.testing.assert_close(corner.images.flatten(), torch.ones(2, dtype=torch.float64))  # the ball reaches beyond
    assert search(space="pixel", objective="random", radius=0.5).images.max() <= 1


def test_the_hard_guard_keeps_nothing_below_the_bound() -> None:
    steep = build_classifier(1, 28, 3, seed=0).eval()
    with torch.no_grad():
        list(steep.head.parameters())[-2].mul_(50)  # so that there is something to lose
    settings: dict[str, Any] = {"objective": "cross_entropy", "radius": 1.5, "steps": 8}
    fall = {
        name: search(guard=guard, posterior=HeadDropout.of(steep, 64, seeded()), **settings).log_prob_fall.max().item()
        for name, guard in {"none": None, "soft": Guard(0.01, 0.01), "hard": Guard(0.01, 0.01, hard=True)}.items()
    }
    assert fall["soft"] > 0.05  # so weak a penalty does not hold
    assert fall["none"] >= fall["soft"] - 1e-6
    assert fall["hard"] < 0.03  # .01 on the samples that were held; the report is on fresh ones


@pytest.mark.parametrize("settings", [{}, {"objective": "random"}, {"guard": Guard()}, {"space": "pixel"}])
def test_chunks_change_nothing(settings: dict[str, Any]) -> None:
    whole, parts = search(**settings), search(max_chunk=4, **settings)
    torch.testing.assert_close(whole.latents, parts.latents, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole.mutual_information_after, parts.mutual_information_after, atol=1e-6, rtol=1e-3)
    assert whole.steps_taken.tolist() == parts.steps_taken.tolist()


def test_codes_decode_to_the_images() -> None:
    for objective in ("mutual_information", "random", "reconstruction"):
        found = search(objective=objective)
        with torch.no_grad():
            torch.testing.assert_close(AUTOENCODER.decode(found.latents), found.images)
            torch.testing.assert_close(AUTOENCODER.decode(found.start_latents), found.reconstructions)


def test_several_labels_an_image() -> None:
    class ManyLabels(nn.Module):
        multi_label = True

        def __init__(self) -> None:
            super().__init__()
            self.body = build_classifier(1, 28, 4, seed=0, multi_label=True).eval()

        def forward(self, images_BCHW: Tensor) -> Tensor:
            logits: Tensor = self.body(images_BCHW)
            return logits

    posterior = HeadDropout.from_model(ManyLabels(), split="body.head", samples=16, generator=seeded())
    labels = torch.tensor([[0, 1, 1, 0]] * 6)
    found = search(labels=labels, posterior=posterior, guard=Guard(weight=0.1), objective="cross_entropy", radius=2.0)
    assert found.labels.shape == (6, 4)
    assert (found.objective_after > found.objective_before).all()
    torch.testing.assert_close(found.log_prob_fall, found.objective_after - found.objective_before)
    with pytest.raises(TsyndError, match=r"labels must have shape \(6, 4\) for these predictions, got \(6,\)"):
        search(posterior=posterior)


def test_some_of_a_synthesis() -> None:
    found = search()
    assert found[torch.tensor([4, 1])].labels.tolist() == [1, 1]
    assert found[LABELS == 2].sources.tolist() == [2, 5]
    with pytest.raises(TsyndError, match="an index or a mask"):
        found[0]  # type: ignore[index]


def nan_from(step: int) -> Any:
    """An objective that gives NaN for image 4 from some step on."""
    calls: list[int] = []

    def objective(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        calls.append(len(calls))
        bad = torch.arange(len(labels_B)) == 4
        return log_probs_BKC.mean(dim=(1, 2)).masked_fill(bad & (calls[-1] >= step), torch.nan)

    return objective


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": nan_from(0)}, r"the objective is NaN for image 4 at step 0 \(1 images in all\)"),
        ({"objective": nan_from(3)}, "the objective is NaN for image 4 at step 3"),
        ({"objective": lambda p, y: p.mean()}, r"one value for each image, shape \(6,\), got \(\)"),
        ({"objective": lambda p, y: p}, r"one value for each image, shape \(6,\), got \(6, 16, 3\)"),
        ({"objective": lambda p, y: 3.0}, "got float"),
        ({"objective": lambda p, y: p[:, 0, 0] * 0 + torch.inf}, "is infinite for image 0"),
        ({"objective": lambda p, y: (p[:, 0, 0] * 0).sqrt()}, "the gradient of the objective is NaN for image 0 at step 0"),
        ({"objective": 3}, "unknown objective 3"),
        ({"space": "pixels"}, "unknown space 'pixels': did you mean 'pixel'"),
        ({"autoencoder": None}, "needs an autoencoder, got None"),
        ({"max_chunk": 0}, "max_chunk must be >= 1, got 0"),
        ({"max_chunk": 2.5}, "max_chunk must be a whole number, got 2.5"),
        ({"steps": 2.0}, "steps must be a whole number, got 2.0"),
        ({"radius": "a"}, "radius must be a number, got 'a'"),
        ({"space": ["latent"]}, "unknown space"),
        ({"guard": True}, "guard must be a Guard, got True"),
        ({"posterior": CLASSIFIER}, "posterior must be one, such as HeadDropout.of"),
        ({"sources": torch.arange(3)}, r"sources must have shape \(6,\), one for each image, got \(3,\)"),
        ({"images": IMAGES.half()}, "images must be float32 or float64, got torch.float16"),
        ({"objective": lambda p, y: p[:, 0, 0].detach()}, "has no gradient to the codes"),
        ({"labels": LABELS + 1}, r"labels must be in 0 .. 2, the classifier's classes, got 1 .. 3"),
        ({"labels": LABELS.float()}, "int64 class numbers, got torch.float32"),
        ({"images": IMAGES * 255}, r"images must lie in \[0, 1\], got 0\.\d+ to 255"),
        ({"images": IMAGES * torch.nan}, r"images must lie in \[0, 1\], got nan to nan"),
        ({"images": IMAGES.expand(-1, 3, -1, -1)}, "do not pass through ConvAutoencoder|images must have shape"),
        ({"autoencoder": build_autoencoder(1, 32, seed=0)}, "images must have shape"),
        ({"posterior": HeadDropout.of(build_classifier(3, 28, 3, seed=0), 8)}, "images must have shape"),
    ],
)
def test_bad_input_is_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message) as caught:
        search(**settings)
    assert "\n" not in str(caught.value)


def test_an_autoencoder_that_changes_the_size_is_refused() -> None:
    class Halving:
        def encode(self, images_BCHW: Tensor) -> Tensor:
            return images_BCHW.flatten(1)[:, ::4]

        def decode(self, latents_BD: Tensor) -> Tensor:
            return latents_BD.view(-1, 1, 14, 14)

    with pytest.raises(TsyndError, match=r"Halving decodes images of shape \(1, 14, 14\), but was given \(1, 28, 28\)"):
        search(autoencoder=Halving())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 9 GB")])
def test_when_memory_runs_out_it_says_what_helps(error: Exception) -> None:
    def objective(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        raise error

    with pytest.raises(TsyndError, match="out of memory with 6 of 6 images at a time: try max_chunk=3"):
        search(objective=objective)


@pytest.mark.parametrize("setting", [{"weight": -1.0}, {"bound": float("nan")}])
def test_a_guard_without_sense_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(TsyndError, match=r"(weight|bound) must be >= 0"):
        Guard(**setting)
