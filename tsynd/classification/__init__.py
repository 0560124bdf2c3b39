"""Classifiers: ours, pretrained ones, and any network of yours behind one interface."""

from tsynd.classification.any_network import AnyClassifier
from tsynd.classification.any_network import Network as Network
from tsynd.classification.build import build_classifier
from tsynd.classification.networks import ARCHITECTURES as ARCHITECTURES
from tsynd.classification.networks import Classifier
from tsynd.classification.networks import as_targets as as_targets
from tsynd.classification.networks import check_fitting as check_fitting
from tsynd.classification.networks import classification_loss as classification_loss
from tsynd.classification.networks import classification_losses as classification_losses
from tsynd.classification.networks import normalise_to as normalise_to

__all__ = ["AnyClassifier", "Classifier", "build_classifier"]
