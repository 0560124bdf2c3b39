"""Autoencoders of factories: what encode and decode may return, ranges, training, and what is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tsynd.autoencoding import AnyAutoencoder, train_autoencoder
from tsynd.autoencoding.any_codec import Codec, adopt_autoencoder
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.targeting import target
from tsynd.utils.rng import seeded

NETS = "tests.classification.nets"
IMAGES = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0)).repeat_interleave(4, 2).repeat_interleave(4, 3)
LABELS = torch.arange(12) % 2


class Exact(nn.Module):
    """A code that loses nothing: what is wrong afterwards, the codec did."""

    def __init__(self, wrap: Any = lambda codes: codes, unwrap: Any = lambda images: images) -> None:
        super().__init__()
        self.wrap, self.unwrap = wrap, unwrap

    def encode(self, images: Tensor) -> Any:
        return self.wrap(images)

    def decode(self, codes: Tensor) -> Any:
        return self.unwrap(codes)


@pytest.mark.parametrize(
    "module",
    [
        Exact(),
        Exact(lambda codes: (codes, torch.ones_like(codes))),
        Exact(
            lambda codes: SimpleNamespace(latent_dist=SimpleNamespace(mean=codes)), lambda images: SimpleNamespace(sample=images)
        ),
        Exact(lambda codes: SimpleNamespace(latents=codes), lambda images: (images,)),
        Exact(lambda codes: SimpleNamespace(latent=codes)),
    ],
)
def test_whatever_encode_and_decode_return_is_understood(module: nn.Module) -> None:
    codec = Codec(module, value_range=(-1, 1))
    torch.testing.assert_close(codec.encode(IMAGES), 2 * IMAGES - 1)
    torch.testing.assert_close(AnyAutoencoder(codec.encode, codec.decode, IMAGES)(IMAGES), IMAGES)


def test_a_factory_s_autoencoder_learns_and_is_standardised() -> None:
    autoencoder, untrained = adopt_autoencoder(f"{NETS}:coder", IMAGES, seed=0)
    assert untrained and not autoencoder.training
    loss = train_autoencoder(autoencoder, IMAGES, steps=80, batch_size=12)
    assert sum(loss[-5:]) < 0.2 * sum(loss[:5])
    codes_BD = autoencoder.encode(IMAGES)
    torch.testing.assert_close(codes_BD.mean(0), torch.zeros(codes_BD.shape[1]), atol=1e-4, rtol=0)
    again, _ = adopt_autoencoder(f"{NETS}:coder", IMAGES, seed=1, loading=True)
    again.load_state_dict(autoencoder.state_dict())
    assert torch.equal(again(IMAGES), autoencoder(IMAGES))


def test_weights_of_a_file_are_used_as_they_are(tmp_path: Path) -> None:
    autoencoder, _ = adopt_autoencoder(f"{NETS}:coder", IMAGES, seed=0)
    train_autoencoder(autoencoder, IMAGES, steps=200, batch_size=12)
    torch.save(autoencoder.networks[0].state_dict(), tmp_path / "coder.pt")
    loaded, untrained = adopt_autoencoder(f"{NETS}:untrained", IMAGES, seed=1, weights=tmp_path / "coder.pt")
    assert not untrained
    torch.testing.assert_close(loaded(IMAGES), autoencoder(IMAGES))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", r"must return a torch\.nn\.Module with the methods encode and decode, or a Codec of one, got NoneType"),
        ("nn.Linear(2, 2)", "got Linear, which has no encode and no decode"),
        ("Codec(Coder(channels), value_range=(1, -1))", r"value_range must be \(lowest, highest\), got \(1, -1\)"),
        ("Codec(Coder(channels), value_range=(-9, 9))", "reconstructs the training images worse than their mean does"),
        ("Coder(2)", r"made: images of shape \(12, 1, 16, 16\) do not pass through encode: .*2 channels"),
    ],
)
def test_what_is_no_autoencoder_is_refused(tmp_path: Path, returned: str, message: str) -> None:
    imports = "from torch import nn\nfrom tests.classification.nets import Coder\nfrom tsynd.autoencoding import Codec\n"
    (tmp_path / "nets.py").write_text(f"{imports}def made(channels, size): return {returned}\n")
    with pytest.raises(TsyndError, match=message):
        adopt_autoencoder(f"{tmp_path}/nets.py:made", IMAGES, seed=0)


def check_search(codec: Codec, images: Tensor) -> None:
    """A search in the latent space of a network with random weights: codes move, and the network comes back as it was."""
    before = {name: tensor.clone() for name, tensor in codec.module.state_dict().items()}
    autoencoder = AnyAutoencoder(codec.encode, codec.decode, images, networks=[codec.module])
    with seeded(0):
        posterior = HeadDropout.of(build_classifier(1, 32, 2, 0).eval(), 4)
        found = target(images, LABELS[: len(images)], autoencoder, posterior, radius=0.25, steps=2)
    assert found.latent_displacement.min() > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in codec.module.state_dict().items())


def test_the_latent_space_of_monai_s_autoencoder_kl() -> None:
    nets = pytest.importorskip("monai.networks.nets")
    attention = {"attention_levels": (False, False), "with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False}
    sizes = {"channels": (8, 8), "latent_channels": 3, "num_res_blocks": 1, "norm_num_groups": 4}
    with seeded(0):
        network = nets.AutoencoderKL(spatial_dims=2, in_channels=1, out_channels=1, **sizes, **attention)
    check_search(Codec(network, value_range=(-5, 5)), torch.rand(4, 1, 32, 32))


def test_the_latent_space_of_one_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers")
    with seeded(0):
        network = diffusers.AutoencoderKL(
            in_channels=1, out_channels=1, block_out_channels=(8, 8), norm_num_groups=4, latent_channels=3,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip
    check_search(Codec(network, value_range=(-5, 5)), torch.rand(4, 1, 32, 32))
