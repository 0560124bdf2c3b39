"""Anybody's autoencoder from two callables: standardised, checked, searched, and left as it was."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.autoencoding.toys import IMAGES, LABELS, Toy, quickly, seeded, untouched
from tsynd.autoencoding import AnyAutoencoder
from tsynd.autoencoding.standardised import FLOOR
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.targeting import target

BOTH = pytest.mark.parametrize("kind", ["conv", "vae"])


@BOTH
def test_the_package_s_own_autoencoder_from_two_callables_is_the_same(kind: str) -> None:
    own, _ = quickly(kind)
    other = AnyAutoencoder(own.encode_raw, own.decode_raw, IMAGES, batch_size=256)
    codes_BD = own.encode(IMAGES)
    assert torch.equal(other.encode(IMAGES), codes_BD)
    assert torch.equal(other.decode(codes_BD), own.decode(codes_BD))
    torch.testing.assert_close(AnyAutoencoder(own.encode_raw, own.decode_raw, IMAGES, batch_size=5).std, own.std)


def test_codes_of_any_shape_are_standardised_with_a_floor() -> None:
    toy = Toy()
    autoencoder = AnyAutoencoder(toy.compress, toy.restore, IMAGES)  # 12 images, 147 dimensions
    assert autoencoder.shape == (3, 7, 7)
    codes_BD = autoencoder.encode(IMAGES)
    assert codes_BD.shape == (12, 147)
    torch.testing.assert_close(codes_BD.mean(dim=0), torch.zeros(147), atol=1e-4, rtol=0)
    deviation_D = codes_BD.std(dim=0, correction=0)
    assert (deviation_D < 1.001).all() and (deviation_D > 0.999).any()
    scale_D = deviation_D * autoencoder.std
    assert autoencoder.std.min() >= FLOOR * scale_D.square().mean().sqrt() * 0.999
    torch.testing.assert_close(autoencoder(IMAGES), toy.eval().restore(toy.compress(IMAGES)))


@pytest.mark.parametrize("through", ["modules", "methods", "closures"])
def test_anybody_s_networks_come_back_as_they_were(through: str) -> None:
    toy = Toy().train()
    toy.down.eval()
    toy.up[0].bias.requires_grad_(False)
    callables: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
        "modules": (toy.down, toy.up),
        "methods": (toy.compress, toy.restore),
        "closures": (lambda images: toy.compress(images), lambda codes: toy.restore(codes)),
    }
    encode, decode = callables[through]
    before = untouched(toy)
    autoencoder = AnyAutoencoder(encode, decode, IMAGES, networks=[toy] if through == "closures" else [])
    classifier = build_classifier(1, 28, 2, seed=0)
    before[-1] = torch.get_rng_state().tolist()
    found = target(IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8, seeded()), radius=0.5, generator=seeded())
    autoencoder.decode(autoencoder.encode(IMAGES).requires_grad_()).sum().backward()
    assert untouched(toy) == before
    assert (found.latent_displacement <= 0.5 + 1e-6).all() and (found.latent_displacement > 0.01).all()
    toy.up[0].forward = None  # type: ignore[assignment]
    with pytest.raises(TsyndError, match="decode does not take"):
        autoencoder(IMAGES)
    assert untouched(toy) == before


def test_anybody_s_images_are_clamped_and_then_have_no_gradient() -> None:
    autoencoder = AnyAutoencoder(lambda images: images, lambda codes: 1.01 * codes, IMAGES)
    codes_BD = autoencoder.encode(torch.ones(1, 1, 28, 28)).detach().requires_grad_()
    decoded_BCHW = autoencoder.decode(codes_BD)
    assert decoded_BCHW.max() == 1
    (gradient_BD,) = torch.autograd.grad(decoded_BCHW.sum(), codes_BD)
    assert (gradient_BD == 0).all()


def test_anybody_s_network_in_half_precision_is_fed_in_half_precision() -> None:
    toy = Toy().half()
    autoencoder = AnyAutoencoder(toy.compress, toy.restore, IMAGES)
    assert autoencoder.encode(IMAGES).dtype == autoencoder(IMAGES).dtype == torch.float32


@pytest.mark.parametrize(
    ("encode", "decode", "message"),
    [
        (lambda x: (x, x), torch.sigmoid, r"encode must return a tensor of codes \(B, …\), got a tuple: keep one of them"),
        (lambda x: None, torch.sigmoid, "got a NoneType"),
        (lambda x: x[:3], torch.sigmoid, r"of shape \(12, …\), one for each image, got torch.float32 of shape \(3, 1, 28, 28\)"),
        (lambda x: x.mean((1, 2, 3)), torch.sigmoid, r"got torch.float32 of shape \(12,\)"),
        (lambda x: x > 0.5, torch.sigmoid, "got torch.bool"),
        (lambda x: x + torch.randn_like(x), torch.sigmoid, "another code each time: it must return the mean"),
        (lambda x: x / 0, torch.sigmoid, "codes that are not finite"),
        (lambda x: x, lambda z: z[..., 1:], r"decode must return images of shape \(12, 1, 28, 28\), got \(12, 1, 28, 27\)"),
        (lambda x: x, lambda z: (z,), "got a tuple"),
        (lambda x: x, lambda z: 2 * z - 1, r"images in \[0, 1\], got values from -1 to .*: scale them inside the callable"),
        (lambda x: x, lambda z: z * 255, r"images in \[0, 1\], got values from"),
        (lambda x: x, lambda z: z * torch.nan, "got values from nan to nan"),
    ],
)
def test_callables_that_do_something_else_are_refused(
    encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor], message: str
) -> None:
    before = torch.get_rng_state()
    with pytest.raises(TsyndError, match=message):
        AnyAutoencoder(encode, decode, IMAGES)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[:0], r"shape \(B, C, H, W\) with B >= 1, got torch.float32 of shape \(0, 1, 28, 28\)"),
        (IMAGES[0], r"shape \(B, C, H, W\) with B >= 1, got torch.float32 of shape \(1, 28, 28\)"),
        (IMAGES * 2, r"must lie in \[0, 1\]"),
    ],
)
def test_images_that_anybody_s_autoencoder_cannot_be_standardised_on_are_refused(images: Tensor, message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        AnyAutoencoder(lambda x: x, lambda z: z, images)
    with pytest.raises(TsyndError, match="batch_size must be >= 1, got 0"):
        AnyAutoencoder(lambda x: x, lambda z: z, IMAGES, batch_size=0)
    with pytest.raises(TsyndError, match=r"shape \(B, 1, 28, 28\), got \(12, 1, 28, 27\)"):
        AnyAutoencoder(lambda x: x, lambda z: z, IMAGES).encode(IMAGES[..., 1:])


def test_monai_s_autoencoder_is_searched() -> None:
    nets = pytest.importorskip("monai.networks.nets")
    torch.manual_seed(0)
    shape: dict[str, Any] = {"channels": (8, 16), "attention_levels": (False, False), "num_res_blocks": 1, "norm_num_groups": 4}
    kl = nets.AutoencoderKL(spatial_dims=2, in_channels=1, out_channels=1, latent_channels=4, **shape)
    before = untouched(kl)
    with pytest.raises(TsyndError, match="got a tuple: keep one of them"):
        AnyAutoencoder(kl.encode, kl.decode, IMAGES)
    encode, decode = (lambda images: kl.encode(images)[0]), (lambda codes: kl.decode(codes).sigmoid())  # the mean; untrained
    autoencoder = AnyAutoencoder(encode, decode, IMAGES, networks=(kl,))
    posterior = HeadDropout.of(build_classifier(1, 28, 2, seed=0), 16, seeded())
    found = target(IMAGES, LABELS, autoencoder, posterior, radius=0.5, generator=seeded())
    assert untouched(kl)[:3] == before[:3]
    assert autoencoder.shape == (4, 14, 14)
    assert found.images.shape == IMAGES.shape
    assert (found.latent_displacement <= 0.5 + 1e-6).all() and (found.pixel_displacement > 0).all()
    assert found.mutual_information_after.mean() > found.mutual_information_before.mean()


def test_a_decoder_that_does_not_take_the_encoder_s_codes_is_refused_in_one_line() -> None:
    encode, decode = torch.nn.Flatten(), torch.nn.Sequential(torch.nn.Linear(8, 784), torch.nn.Unflatten(1, (1, 28, 28)))
    with pytest.raises(TsyndError, match=r"decode does not take what encode gives, codes of shape \(12, 784\): ") as caught:
        AnyAutoencoder(encode, decode, IMAGES)
    assert "\n" not in str(caught.value)


def test_callables_that_work_in_place_leave_images_and_codes_as_they_were() -> None:
    images = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    given, net = images.clone(), nn.Sequential(nn.Flatten(), nn.Linear(256, 8))
    back = nn.Sequential(nn.Linear(8, 256), nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16)))
    plain = AnyAutoencoder(lambda x: net((x - 0.5) / 0.25), lambda z: back(2 * z), images, networks=[net, back])
    inside = AnyAutoencoder(lambda x: net(x.sub_(0.5).div_(0.25)), lambda z: back(z.mul_(2)), images, networks=[net, back])
    codes = plain.encode(images)
    kept = codes.clone()
    torch.testing.assert_close(inside.encode(images), codes)
    torch.testing.assert_close(inside.decode(codes), plain.decode(codes))
    assert torch.equal(images, given) and torch.equal(codes, kept)
    with pytest.raises(TsyndError, match="codes that are not finite"):
        AnyAutoencoder(lambda x: net(x) / 0, back, images, networks=[net, back])
