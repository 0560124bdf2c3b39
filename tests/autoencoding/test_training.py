"""Autoencoders: what training minimises, what a code is, and networks that come back as they were."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from tests.autoencoding.toys import IMAGES, LABELS, quickly, seeded, untouched
from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.autoencoding import VAE, build_autoencoder, train_autoencoder
from tsynd.autoencoding.training import ssim
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.targeting import target
from tsynd.utils.rng import generator_for, normal

BOTH = pytest.mark.parametrize("kind", ["conv", "vae"])


def test_training_minimises_the_squared_error_of_noisy_codes() -> None:
    """The loop written out, to the last bit."""
    autoencoder, losses = quickly(steps=4, seed=7)
    plain, generator, expected = build_autoencoder(1, 28, seed=0), generator_for(7, "autoencoder batches"), []
    plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(plain.parameters(), weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, 4)
    for _ in range(4):
        batch = augment(IMAGES[torch.randint(12, (4,), generator=generator)], TRAIN_RANGE, generator)
        codes = plain.encoder(plain.pad(batch)) + plain.linear_encoder(plain.pad(batch) - 0.5)
        noisy = codes + normal(tuple(codes.shape), generator, codes) * codes.detach().std() * 0.05
        made = plain.crop((plain.decoder(noisy) + plain.linear_decoder(noisy)).sigmoid())
        error = made - batch
        down, across = (error.diff(dim=dim).square().mean() for dim in (-2, -1))
        loss = F.mse_loss(made, batch) + 1.0 * (down + across)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        expected.append(loss.item())
    assert losses == expected
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    plain.standardise(IMAGES)
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in autoencoder.state_dict().items())


@BOTH
def test_training_depends_on_its_seed_only_and_ends_in_eval_mode(kind: str) -> None:
    before = torch.get_rng_state()
    autoencoder, losses = quickly(kind, seed=1)
    torch.manual_seed(99)
    again, same = quickly(kind, seed=1)
    assert losses == same
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in autoencoder.state_dict().items())
    assert losses != quickly(kind, seed=2)[1]
    assert not autoencoder.training
    torch.set_rng_state(before)
    quickly(kind)
    assert torch.equal(torch.get_rng_state(), before)


@BOTH
def test_training_learns_and_standardises(kind: str) -> None:
    smooth = F.interpolate(torch.rand(12, 1, 4, 4, generator=seeded()), (28, 28), mode="bilinear")
    autoencoder = build_autoencoder(1, 28, seed=0, kind=kind)
    losses = train_autoencoder(autoencoder, smooth, steps=80, batch_size=12)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    with torch.no_grad():
        codes_BD = autoencoder.encode(smooth)
    torch.testing.assert_close(codes_BD.mean(dim=0), torch.zeros(256), atol=1e-4, rtol=0)
    assert (codes_BD.std(dim=0, correction=0) < 1.001).all()


@BOTH
@pytest.mark.parametrize("size", [28, 64])
def test_colours_and_sizes_train_with_every_term(kind: str, size: int) -> None:
    images = torch.rand(3, 3, size, size, generator=seeded())
    autoencoder = build_autoencoder(3, size, seed=0, kind=kind)
    settings: dict[str, Any] = {"ssim_weight": 0.1, "feature_weight": 0.1, "features": nn.AvgPool2d(4)}
    losses = train_autoencoder(autoencoder, images, steps=2, batch_size=2, **settings)
    assert torch.tensor(losses).isfinite().all()
    assert autoencoder(images).shape == images.shape


@BOTH
def test_one_image_in_batches_of_one_is_enough(kind: str) -> None:
    autoencoder = build_autoencoder(1, 28, seed=0, kind=kind)
    assert torch.tensor(train_autoencoder(autoencoder, IMAGES[:1], steps=2, batch_size=1)).isfinite().all()
    assert autoencoder(IMAGES[:1]).isfinite().all()


def test_terms_add_to_the_loss_by_their_weight() -> None:
    """The first step's loss is of the same reconstruction whatever the weights."""
    base = quickly(steps=1, edge_weight=0)[1][0]
    none: dict[str, Any] = {"edge_weight": 0.0}
    for term, least in (("ssim_weight", 0.2), ("edge_weight", 0.05)):
        once, twice = (quickly(steps=1, **none | {term: weight})[1][0] - base for weight in (1.0, 2.0))
        assert least < once < 2
        assert twice == pytest.approx(2 * once, rel=1e-5)
    features: dict[str, Any] = {"feature_weight": 3.0, "features": lambda images: images}
    assert quickly(steps=1, edge_weight=0, **features)[1][0] == pytest.approx(4 * base, rel=1e-5)


@pytest.mark.parametrize(
    ("size", "settings", "shape"),
    [
        (16, {}, (16, 2, 2)),
        (28, {}, (16, 4, 4)),
        (40, {"width": 32, "depth": 2}, (16, 5, 5)),
        (64, {}, (32, 8, 8)),
        (128, {"width": 32}, (32, 16, 16)),
        (224, {"width": 32}, (32, 14, 14)),
        (64, {"latent_channels": 4, "stride": 16, "width": 32}, (4, 4, 4)),
    ],
)
@BOTH
def test_the_code_grows_with_the_image_and_as_it_is_told(
    kind: str, size: int, settings: dict[str, int], shape: tuple[int, int, int]
) -> None:
    autoencoder = build_autoencoder(1, size, seed=0, kind=kind, **settings)
    images = torch.rand(2, 1, size, size, generator=seeded())
    if kind == "vae" and "latent_channels" not in settings:
        shape = (16, *shape[1:])
    assert autoencoder.shape == shape
    assert autoencoder.encode(images).shape == (2, torch.Size(shape).numel())
    assert autoencoder(images).shape == images.shape


def test_from_64_px_on_the_linear_way_is_the_principal_components_and_stays_so() -> None:
    images = F.interpolate(torch.rand(12, 1, 16, 16, generator=seeded()), (64, 64), mode="bilinear")
    patches = F.unfold(images - images.mean(), 8, stride=8).movedim(1, 2).flatten(0, 1)
    components = torch.linalg.svd(patches, full_matrices=False).Vh[:8]
    wanted = F.fold((patches @ components.T @ components).unflatten(0, (12, -1)).movedim(1, 2), 64, 8, stride=8) + images.mean()
    autoencoder = build_autoencoder(1, 64, seed=0, latent_channels=8)
    train_autoencoder(autoencoder, images, steps=0)
    torch.testing.assert_close(autoencoder(images), wanted.clamp(0, 1), atol=1e-4, rtol=0)
    rows = autoencoder.linear_encoder.weight.clone()
    train_autoencoder(autoencoder, images, steps=60, batch_size=12, latent_noise=0.0)
    assert torch.equal(autoencoder.linear_encoder.weight, rows)
    assert F.mse_loss(autoencoder(images), images) < 0.9 * F.mse_loss(wanted, images)


def test_components_of_images_that_hardly_vary_are_not_blown_up() -> None:
    autoencoder = build_autoencoder(3, 72, seed=0, latent_channels=200)  # more than the 192 that patches can have
    train_autoencoder(autoencoder, torch.full((2, 3, 72, 72), 0.3), steps=1, batch_size=2)
    assert autoencoder(torch.rand(2, 3, 72, 72, generator=seeded())).isfinite().all()


def test_similarity_knows_equal_from_opposite() -> None:
    torch.testing.assert_close(ssim(IMAGES, IMAGES), torch.ones(12))
    assert (ssim(IMAGES, 1 - IMAGES) < 0).all()
    rgb = IMAGES.expand(-1, 3, -1, -1)
    torch.testing.assert_close(ssim(rgb, rgb.flip(-1)), ssim(IMAGES, IMAGES.flip(-1)))


@pytest.mark.parametrize("through", ["module", "method", "closure"])
def test_a_network_of_features_comes_back_as_it_was(through: str) -> None:
    classifier = build_classifier(1, 28, 2, seed=0).train()
    classifier.head[1].weight.requires_grad_(False)
    features = {"module": classifier.features, "method": classifier.trunk, "closure": lambda x: classifier.features[0](x)}[
        through
    ]
    if through == "closure":  # cannot be found, so is not put in eval mode; still no gradients reach its weights
        classifier.eval()
    before = untouched(classifier)
    quickly(feature_weight=1.0, features=features)
    assert untouched(classifier) == before


def test_a_vae_pays_the_divergence_of_its_codes() -> None:
    vae = VAE(1, 28, beta=0.5).double()
    images = IMAGES.double()
    mean, log_variance = vae.distribution(images)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum() / (12 * 28 * 28)
    torch.testing.assert_close(vae.draw(images, seeded())[1], 0.5 * expected)
    assert VAE(1, 28, beta=0).draw(IMAGES, seeded())[1] == 0


def test_a_vae_draws_codes_around_the_mean_that_it_encodes() -> None:
    vae = build_autoencoder(1, 28, seed=0, kind="vae")
    assert isinstance(vae, VAE)
    with torch.no_grad():
        mean, log_variance = vae.distribution(IMAGES[:1])
        drawn, _ = vae.draw(IMAGES[:1].expand(2000, -1, -1, -1), seeded())
        again, _ = vae.draw(IMAGES[:1].expand(2000, -1, -1, -1), seeded())
    assert torch.equal(drawn, again)
    score = (drawn - mean) / (log_variance / 2).exp()
    assert score.mean(dim=0).abs().max() < 0.11  # 5 standard errors
    assert (score.std(dim=0) - 1).abs().max() < 0.08
    torch.testing.assert_close(vae.encode(IMAGES[:1]), mean.flatten(1))  # not yet standardised


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_single_precision_codes_and_images(kind: str, dtype: torch.dtype) -> None:
    autoencoder, _ = quickly(kind)
    exact = autoencoder(IMAGES).detach()
    half = autoencoder.to(dtype)
    codes_BD = half.encode(IMAGES)
    assert codes_BD.dtype == half.decode(codes_BD).dtype == torch.float32
    torch.testing.assert_close(half(IMAGES), exact, atol=0.02, rtol=0)
    found = target(IMAGES, LABELS, half, HeadDropout.of(build_classifier(1, 28, 2, seed=0), 8, seeded()), generator=seeded())
    assert (found.latent_displacement <= 0.4 + 1e-6).all()
    assert found.images.isfinite().all()
    with pytest.raises(TsyndError, match=f"trained in float32 or float64, got {dtype}"):
        train_autoencoder(half, IMAGES, steps=1)


def test_a_vae_is_searched_on_the_meta_device() -> None:
    device = torch.device("meta")
    autoencoder, classifier = build_autoencoder(3, 28, 0, "vae").to(device), build_classifier(3, 28, 4, seed=0).to(device)
    images, labels = torch.rand(2, 3, 28, 28, device=device), torch.zeros(2, dtype=torch.int64, device=device)
    found = target(images, labels, autoencoder, HeadDropout.of(classifier, 8), generator=seeded())
    assert found.images.device == device


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_autoencoder(1, 28, 0, "vea"), "unknown kind of autoencoder 'vea': did you mean 'vae'"),
        (lambda: VAE(1, 28, beta=-1), "beta must be >= 0, got -1"),
        (lambda: VAE(1, 8), "size must be >= 16, got 8"),
        (lambda: build_autoencoder(1, 28, 0, width=40), "width must be a multiple of 16, got 40"),
        (lambda: build_autoencoder(1, 28, 0, depth=-1), "depth must be >= 0, got -1"),
        (lambda: build_autoencoder(1, 28, 0, latent_channels=0), "latent_channels must be >= 1, got 0"),
        (lambda: build_autoencoder(1, 28, 0, stride=12), "stride must be a power of two of at least 8, got 12"),
        (lambda: build_autoencoder(1, 28, 0).encode(IMAGES[:0]), r"shape \(B, 1, 28, 28\), B at least 1, got \(0, 1, 28, 28\)"),
        (lambda: build_autoencoder(3, 28, 0).encode(IMAGES), r"shape \(B, 3, 28, 28\), got \(12, 1, 28, 28\)"),
        (lambda: build_autoencoder(1, 32, 0).standardise(IMAGES), r"shape \(B, 1, 32, 32\), got \(12, 1, 28, 28\)"),
        (lambda: build_autoencoder(1, 28, 0).encode((255 * IMAGES).byte()), r"float in \[0, 1\], got torch.uint8"),
        (lambda: build_autoencoder(1, 28, 0).decode(torch.zeros(2, 16, 4, 4)), r"\(B, 256\), got \(2, 16, 4, 4\)"),
        (lambda: build_autoencoder(1, 28, 0).decode(torch.zeros(2, 255)), r"\(B, 256\), got \(2, 255\)"),
        (lambda: train_autoencoder(build_autoencoder(1, 28, 0), IMAGES * 255), r"must lie in \[0, 1\], got .* to 2\d\d"),
        (lambda: train_autoencoder(build_autoencoder(1, 28, 0), IMAGES * torch.nan), "got nan to nan"),
        (lambda: train_autoencoder(build_autoencoder(1, 28, 0), IMAGES[:0]), "B at least 1"),
        (lambda: quickly(steps=-1), "steps must be >= 0, got -1"),
        (lambda: quickly(batch_size=0), "batch_size must be >= 1, got 0"),
        (lambda: quickly(latent_noise=-0.1), "latent_noise must be >= 0, got -0.1"),
        (lambda: quickly(edge_weight=-1), "edge_weight must be >= 0, got -1"),
        (lambda: quickly(ssim_weight=float("nan")), "ssim_weight must be >= 0, got nan"),
        (lambda: quickly(feature_weight=1.0), "feature_weight=1 needs features"),
        (lambda: quickly(features=nn.Flatten()), "features need a feature_weight > 0, got 0"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TsyndError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_weights_that_give_no_numbers_are_refused() -> None:
    autoencoder = build_autoencoder(1, 28, seed=0)
    with torch.no_grad():
        next(autoencoder.parameters()).fill_(torch.nan)
    with pytest.raises(TsyndError, match="codes that are not finite"):
        autoencoder.standardise(IMAGES)
