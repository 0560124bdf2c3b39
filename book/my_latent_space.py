"""Factories of autoencoders: tsynd calls them with channels and size."""

from monai.networks.nets import AutoencoderKL

from tsynd.autoencoding import Codec


def kl(channels: int, size: int) -> Codec:
    """A small AutoencoderKL of MONAI, which a run trains."""
    network = AutoencoderKL(
        spatial_dims=2,
        in_channels=channels,
        out_channels=channels,
        channels=(16, 32, 32),
        latent_channels=8,
        num_res_blocks=1,
        norm_num_groups=8,
        attention_levels=(False, False, False),
        with_encoder_nonlocal_attn=False,
        with_decoder_nonlocal_attn=False,
    )
    return Codec(network, train=True)


def published(channels: int, size: int) -> Codec:
    """A published autoencoder, used as it is; its images lie in [-1, 1]."""
    from diffusers import AutoencoderKL as Theirs

    return Codec(
        Theirs.from_pretrained("path/to/the/weights"), value_range=(-1, 1)
    )
