"""Autoencoders: images to latent codes and back, standardised so that one radius means the same on every data set."""

from tsynd.autoencoding.any_codec import Codec as Codec
from tsynd.autoencoding.networks import VAE, ConvAutoencoder, build_autoencoder
from tsynd.autoencoding.standardised import AnyAutoencoder
from tsynd.autoencoding.training import train_autoencoder

__all__ = ["VAE", "AnyAutoencoder", "ConvAutoencoder", "build_autoencoder", "train_autoencoder"]
