"""The search climbs any posterior; what it reports is measured on samples that it has not seen."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.posterior.toys import IMAGES, generator, own
from tsynd.posterior import Ensemble, FullDropout, HeadDropout, Posterior
from tsynd.targeting import target
from tsynd.uncertainty import mutual_information


class Pixels:
    """Codes are the pixels themselves."""

    def encode(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.flatten(1)

    def decode(self, latents_BD: Tensor) -> Tensor:
        return latents_BD.view(-1, 1, 12, 12).clamp(0, 1)


POSTERIORS: dict[str, Callable[[], Posterior]] = {
    "full": lambda: FullDropout(own().train(), 32, generator(), max_chunk=64),
    "head": lambda: HeadDropout.from_model(own().train(), "drop", 32, generator=generator()),
    "ensemble": lambda: Ensemble([own(seed=seed).train() for seed in range(5)]),
}


@pytest.mark.parametrize("kind", POSTERIORS)
def test_mutual_information_rises(kind: str) -> None:
    posterior = POSTERIORS[kind]()
    labels = torch.zeros(len(IMAGES), dtype=torch.int64)
    found = target(IMAGES, labels, Pixels(), posterior, radius=0.2, generator=generator(1))
    assert found.mutual_information_after.mean() > 1.1 * found.mutual_information_before.mean()
    with torch.no_grad():
        torch.testing.assert_close(found.mutual_information_after, mutual_information(posterior(found.images)))
    assert all(module.training for network in posterior.networks for module in network.modules())
    again = target(IMAGES, labels, Pixels(), POSTERIORS[kind](), radius=0.2, generator=generator(1))
    torch.testing.assert_close(found.images, again.images, atol=0, rtol=0)
