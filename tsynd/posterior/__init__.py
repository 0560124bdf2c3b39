"""A posterior over the classifier: it maps images to log-probabilities under K weight samples that are held fixed.

The search of `tsynd.targeting` climbs one function, not another one at every step; afterwards `resample()` draws new ones, so
that uncertainty is reported on samples the search has not seen. Each posterior wraps any `nn.Module` that gives logits, and
leaves it as it was: modes, grad flags, buffers, hooks and the global random state, after exceptions too.
"""

from tsynd.posterior.dropout import FullDropout, HeadDropout
from tsynd.posterior.ensemble import Ensemble
from tsynd.posterior.protocol import Posterior

__all__ = ["Ensemble", "FullDropout", "HeadDropout", "Posterior"]
