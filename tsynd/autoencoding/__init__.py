"""Autoencoders: images to latent codes and back, standardised so that one radius means the same on every data set."""

from tsynd.autoencoding.networks import LATENT_CHANNELS, VAE, ConvAutoencoder, build_autoencoder
from tsynd.autoencoding.standardised import FLOOR, AnyAutoencoder, Standardised
from tsynd.autoencoding.training import ssim, train_autoencoder

__all__ = [
    "FLOOR",
    "LATENT_CHANNELS",
    "VAE",
    "AnyAutoencoder",
    "ConvAutoencoder",
    "Standardised",
    "build_autoencoder",
    "ssim",
    "train_autoencoder",
]
