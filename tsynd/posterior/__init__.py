"""A posterior over the classifier: it maps images to log-probabilities under K weight samples that are held fixed.

Fixed samples matter. The search of `tsynd.targeting` climbs one function, not another one at every step; afterwards
`resample()` draws new ones, so that uncertainty is reported on samples the search has not seen.

`HeadDropout` (the default) passes the trunk once and only the layers after a split K times; `FullDropout` passes the whole
network K times; an `Ensemble` has K networks, or K heads on one trunk. Each wraps any `nn.Module` that gives logits, and
leaves it as it was: modes, grad flags, buffers, hooks and the global random state, after exceptions too.
"""

from tsynd.posterior.dropout import FullDropout, HeadDropout
from tsynd.posterior.ensemble import Ensemble
from tsynd.posterior.protocol import Posterior

__all__ = ["Ensemble", "FullDropout", "HeadDropout", "Posterior"]
