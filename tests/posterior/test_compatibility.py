"""What cannot be a posterior is refused, with the reason."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.posterior.toys import ALWAYS, DEPTH, FUNCTIONAL, IMAGES, Attention, generator, own, plain
from tsynd.errors import TsyndError
from tsynd.posterior import Ensemble, FullDropout, HeadDropout, Posterior


class Shortcut(nn.Module):
    """A network whose part after `head` uses what came before it."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.join = join
        self.first, self.head = nn.Linear(144, 3), nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        before = self.first(images.flatten(1))
        return self.join(before, self.head(before))


class Returning(nn.Module):
    """A network that returns what the function makes of its logits."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.first, self.drop, self.function = nn.Linear(144, 3), nn.Dropout(0.5), function

    def forward(self, images: Tensor) -> object:
        return self.function(self.drop(self.first(images.flatten(1))))


class SequenceFirst(nn.Module):
    """Dropout on (parts, batch, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(24, 4), nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        parts = self.first(images.view(len(images), 6, 24)).transpose(0, 1)
        return self.last(self.drop(parts).mean(dim=0))


@pytest.mark.parametrize("network", [plain(nn.ReLU()), plain(nn.Dropout(0.0)), plain(FUNCTIONAL)])
def test_a_network_without_active_dropout_layers(network: nn.Module) -> None:
    with pytest.raises(TsyndError, match=r"Sequential calls no nn.Dropout layer .* HeadDropout.from_model\(model, split=...\)"):
        FullDropout(network)


def test_a_dropout_layer_that_is_never_called() -> None:
    network = own()
    network.forward = lambda images: network.last(images.flatten(1)[:, :16])  # type: ignore[method-assign]
    with pytest.raises(TsyndError, match=r"calls no nn\.Dropout layer"):
        FullDropout(network, 4, generator())(IMAGES)


RANDOM = {
    "F.dropout": (FUNCTIONAL, "3 draws random numbers in training mode .*bernoulli"),
    "attention": (Attention(0.2), "3.attention draws random numbers in training mode .*bernoulli"),
    "stochastic depth": (DEPTH, "3 draws random numbers in training mode .*rand"),
    "always on": (ALWAYS, "3 draws random numbers in eval mode too .*bernoulli"),
}


@pytest.mark.parametrize("kind", RANDOM)
def test_randomness_that_cannot_be_held_fixed(kind: str) -> None:
    layer, message = RANDOM[kind]
    network = plain(nn.Dropout(0.5), layer)
    with pytest.raises(TsyndError, match=message):
        FullDropout(network, 4, generator())(IMAGES)
    with pytest.raises(TsyndError, match=message):
        HeadDropout.from_model(network, "2", 4, generator=generator())(IMAGES)


def test_functional_dropout_is_off_before_the_split_and_when_dropout_is_brought() -> None:
    network = plain(FUNCTIONAL, nn.Dropout(0.5))
    expected = HeadDropout.from_model(plain(nn.Identity(), nn.Dropout(0.5)), "3", 4, generator=generator())(IMAGES)
    torch.testing.assert_close(HeadDropout.from_model(network, "3", 4, generator=generator())(IMAGES), expected)
    brought = HeadDropout.from_model(plain(nn.Dropout(0.5), FUNCTIONAL), "2", 4, dropout=0.5, generator=generator())
    assert brought(IMAGES).shape == (6, 4, 3)
    assert list(brought.masks) == ["input of 2"]


def test_always_on_randomness_is_refused_before_the_split_too() -> None:
    with pytest.raises(TsyndError, match="2 draws random numbers in eval mode too"):
        HeadDropout.from_model(plain(ALWAYS, nn.Dropout(0.5)), "3", 4)(IMAGES)
    with pytest.raises(TsyndError, match="2 draws random numbers in eval mode too"):
        Ensemble([plain(), plain(ALWAYS)])(IMAGES)


JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda before, after: before + after,
    "concatenation": lambda before, after: torch.cat([before, after], dim=1)[:, :3],
    "reshape": lambda before, after: after.reshape(len(before), -1),
    "sum over rows": lambda before, after: after[: len(before)] + before,
    "order of rows": lambda before, after: after.flip(0).flip(0) + before.repeat(len(after) // len(before), 1),
}


@pytest.mark.parametrize("join", JOINS)
def test_a_later_part_that_needs_the_batch_as_it_was(join: str) -> None:
    network = Shortcut(JOINS[join])
    with pytest.raises(TsyndError, match=r"Shortcut .*layer 'head'|Shortcut must give logits \(4, classes\)"):
        HeadDropout.from_model(network, "head", 4)(IMAGES)
    assert HeadDropout.from_model(network, "first", 4)(IMAGES).shape[1:] == (4, 3)  # an earlier split is fine


def test_a_network_whose_output_depends_on_the_batch() -> None:
    network = own()
    network.norm = nn.BatchNorm2d(8, track_running_stats=False)
    with pytest.raises(TsyndError, match=r"Own gives an image another output in another batch.*batch statistics"):
        FullDropout(network, 4)(IMAGES)


def test_dropout_on_a_dimension_that_is_not_the_batch() -> None:
    for images in (IMAGES, IMAGES[:3]):  # with 3 images and 2 samples, 6 parts are as many as rows
        with pytest.raises(
            TsyndError, match=r"dropout layer 'drop' gets a tensor of shape \(6, .*first dimension is not the batch"
        ):
            FullDropout(SequenceFirst(), 2, generator())(images)


def test_layers_that_do_not_exist_or_are_not_called() -> None:
    with pytest.raises(TsyndError, match="unknown layer 'drpo': did you mean 'drop'"):
        HeadDropout.from_model(own(), "drpo")
    network = own()
    network.spare = nn.Linear(2, 2)
    with pytest.raises(TsyndError, match="layer 'spare' is not called in the forward of Own"):
        HeadDropout.from_model(network, "spare")(IMAGES)


OUTPUTS: list[tuple[Callable[[Tensor], object], str]] = [
    (lambda logits: (logits, logits), "must give a tensor of logits .*, got tuple"),
    (lambda logits: logits[:, :, None], r"must give logits \(2, classes\) for 2 rows, got shape \(2, 3, 1\)"),
    (lambda logits: logits.mean(dim=0, keepdim=True), "another output in another batch"),
    (lambda logits: logits[:, :1], "at least 2 classes.*multi_label"),
]


@pytest.mark.parametrize(("function", "message"), OUTPUTS)
def test_outputs_that_are_no_logits(function: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        FullDropout(Returning(function), 4)(IMAGES)
    with pytest.raises(TsyndError, match=message):
        Ensemble([Returning(function), Returning(function)])(IMAGES)


POSTERIORS: dict[str, Callable[[], Posterior]] = {
    "full": lambda: FullDropout(own(), 4, generator()),
    "head": lambda: HeadDropout.from_model(own(), "drop", 4, generator=generator()),
    "ensemble": lambda: Ensemble([own(), own(seed=1)]),
}

IMAGES_TO_REFUSE = [
    (IMAGES[:0], r"must be float of shape \(B, C, H, W\) with B >= 1, got torch.float32 of shape \(0, 1, 12, 12\)"),
    (IMAGES[0], r"must be float of shape \(B, C, H, W\) with B >= 1, got torch.float32 of shape \(1, 12, 12\)"),
    ((IMAGES * 255).byte(), r"must be float of shape \(B, C, H, W\) with B >= 1, got torch.uint8"),
    (IMAGES.expand(-1, 3, -1, -1), r"shape \((B|6), 3, 12, 12\).* do.* not pass through"),
    (IMAGES[..., :9], r"shape \((B|6), 1, 12, 9\).* do.* not pass through"),
]


@pytest.mark.parametrize(("images", "message"), IMAGES_TO_REFUSE)
@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("kind", POSTERIORS)
def test_images_that_do_not_fit(kind: str, asked_before: bool, images: Tensor, message: str) -> None:
    posterior = POSTERIORS[kind]()
    if asked_before:
        posterior(IMAGES)
    with pytest.raises(TsyndError, match=message) as caught:
        posterior(images)
    assert "\n" not in str(caught.value)
    assert ("do not pass" not in str(caught.value)) or isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FullDropout(own(), 1), "samples must be >= 2, got 1"),
        (lambda: FullDropout(own(), max_chunk=0), "max_chunk must be >= 1, got 0"),
        (lambda: HeadDropout.from_model(own(), "drop", dropout=1.0), "rate between 0 and 1, both excluded, got 1.0"),
        (lambda: Ensemble([own()]), "at least 2 members, so that they can disagree, got 1"),
        (lambda: Ensemble([own(), own()], max_chunk=-1), "max_chunk"),
    ],
)
def test_settings_that_make_no_sense(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        make()


def test_members_that_do_not_fit_each_other() -> None:
    with pytest.raises(TsyndError, match=r"member 1 gives log-probabilities of shape \(2,\) for an image, member 0 \(3,\)"):
        Ensemble([own(), own(classes=2)])(IMAGES)


def test_running_out_of_memory_is_not_taken_for_a_misfit() -> None:
    def exhausted(logits: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(torch.OutOfMemoryError):
        FullDropout(Returning(exhausted), 4)(IMAGES)


@pytest.mark.parametrize("of", [lambda net: FullDropout(net, 4), lambda net: Ensemble([net, plain(nn.ReLU(), classes=3)])])
def test_probabilities_in_place_of_logits_are_refused(of: Callable[[nn.Module], Posterior]) -> None:
    network = nn.Sequential(*plain(nn.Dropout(0.5)), nn.Softmax(dim=-1)).eval()
    with pytest.raises(TsyndError, match=r"gives probabilities .* leave out its softmax"):
        of(network)(IMAGES)


def test_members_are_taken_as_slices_and_must_differ() -> None:
    members = [plain(nn.ReLU()), plain(nn.Tanh())]
    with pytest.raises(TsyndError, match=r"take a slice such as posterior\[:5\], got 0"):
        Ensemble(members)[0]  # type: ignore[index]
    with pytest.raises(TsyndError, match="must be different networks, got one of them twice"):
        Ensemble([members[0], members[0]])
