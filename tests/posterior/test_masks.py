"""Masks: what each kind of dropout layer does, from streams of their own, the same in every type."""

import pytest
import torch
from torch import nn

from tsynd.posterior.masks import Masks, maskable

KINDS = [
    (nn.Dropout(0.3), (4, 5)),
    (nn.Dropout(0.3), (4, 5, 5)),
    (nn.Dropout1d(0.3), (4, 5)),
    (nn.Dropout2d(0.3), (4, 5, 5)),
    (nn.Dropout3d(0.3), (4, 2, 3, 3)),
    (nn.AlphaDropout(0.3), (4, 5)),
    (nn.FeatureAlphaDropout(0.3), (4, 5, 5)),
    (nn.Dropout(1.0), (4, 5)),
]


@pytest.mark.parametrize(("layer", "features"), KINDS, ids=lambda value: type(value).__name__)
def test_does_what_the_layer_does_in_training_mode(layer: nn.Module, features: tuple[int, ...]) -> None:
    """The same values, equally often, and by channel where the layer drops channels."""
    samples = 2000
    ones = torch.full((samples, *features), 0.7)
    ours = Masks(samples, seed=0).apply("drop", layer, ones, range(samples))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = layer.train()(ones)
    values, counts = ours.unique(return_counts=True)
    torch.testing.assert_close(values, theirs.unique())
    frequency, expected = counts / counts.sum(), theirs.unique(return_counts=True)[1] / counts.sum()
    torch.testing.assert_close(frequency, expected, atol=0.02, rtol=0)
    by_channel = ours.flatten(2) == ours.flatten(2)[..., :1]
    assert bool(by_channel.all()) == bool((theirs.flatten(2) == theirs.flatten(2)[..., :1]).all())


def test_images_share_the_masks_and_samples_do_not() -> None:
    rows = Masks(8, seed=0).apply("drop", nn.Dropout(0.5), torch.ones(3 * 8, 20), range(8)).unflatten(0, (3, 8))
    assert rows[0].equal(rows[1]) and rows[0].equal(rows[2])
    assert len(rows[0].unique(dim=0)) == 8


def test_chosen_samples_are_those_of_the_whole() -> None:
    masks = Masks(8, seed=0)
    whole = masks.apply("drop", nn.Dropout(0.5), torch.ones(8, 20), range(8))
    part = masks.apply("drop", nn.Dropout(0.5), torch.ones(2 * 3, 20), range(4, 7))
    assert part.unflatten(0, (2, 3))[1].equal(whole[4:7])


def test_depend_on_seed_and_name_only() -> None:
    layer, ones = nn.Dropout(0.5), torch.ones(8, 50)

    def drawn(seed: int, name: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return Masks(8, seed).apply(name, layer, ones.to(dtype), range(8)).float()

    assert drawn(0, "a").equal(drawn(0, "a")) and drawn(0, "a").equal(drawn(0, "a", torch.bfloat16))
    assert not drawn(0, "a").equal(drawn(0, "b"))
    assert not drawn(0, "a").equal(drawn(1, "a"))


def test_a_rate_that_is_changed_is_heeded() -> None:
    masks, layer, ones = Masks(2, seed=0), nn.Dropout(0.5), torch.ones(2, 500)
    assert masks.apply("drop", layer, ones, range(2)).amax() == 2
    layer.p = 0.75
    assert masks.apply("drop", layer, ones, range(2)).amax() == 4


def test_drawn_in_inference_mode_they_serve_gradients_later() -> None:
    masks, x = Masks(2, seed=0), torch.ones(2, 5, requires_grad=True)
    with torch.inference_mode():
        masks.apply("drop", nn.Dropout(0.5), torch.ones(2, 5), range(2))
    (gradient,) = torch.autograd.grad((masks.apply("drop", nn.Dropout(0.5), x, range(2)) ** 2).sum(), x)
    assert gradient.abs().max() > 0


def test_a_dropout_layer_with_a_forward_of_its_own_is_not_ours() -> None:
    class Always(nn.Dropout):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(input, self.p, True)

    class Renamed(nn.Dropout):
        pass

    assert not maskable(Always()) and maskable(Renamed())
