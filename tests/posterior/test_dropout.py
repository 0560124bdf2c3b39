"""Dropout posteriors: equal to the network run once for each mask, however rows are batched, split or chunked."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.posterior.toys import IMAGES, Attention, Own, generator, own, plain
from tsynd.classification import build_classifier
from tsynd.posterior import FullDropout, HeadDropout, Posterior
from tsynd.posterior.dropout import MaskedDropout
from tsynd.uncertainty import mutual_information


def one_by_one(network: nn.Module, posterior: MaskedDropout, images: Tensor) -> Tensor:
    """The network in eval mode, once for each sample, with each dropout layer's output multiplied by that sample's mask."""
    results = []
    for k in range(posterior.samples):
        calls: dict[str, int] = {}

        def drop(name: str, output: Tensor, k: int, calls: dict[str, int]) -> Tensor:
            calls[name] = calls.get(name, 0) + 1
            label = name if calls[name] == 1 else f"{name}, call {calls[name]}"
            return output * posterior.masks[label][k] if label in posterior.masks else output

        handles = [
            layer.register_forward_hook(lambda _, __, output, name=name, k=k, calls=calls: drop(name, output, k, calls))
            for name, layer in network.named_modules()
        ]
        results.append(network(images).log_softmax(-1))
        for handle in handles:
            handle.remove()
    return torch.stack(results, dim=1)


def gradient_of(posterior: Posterior, images: Tensor) -> Tensor:
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mutual_information(posterior(images)).sum(), images)
    return gradient


POSTERIORS: dict[str, Callable[[int | None], MaskedDropout]] = {
    "full": lambda chunk: FullDropout(own(), 5, generator(), chunk),
    "head": lambda chunk: HeadDropout.from_model(own(), "drop", 5, generator=generator(), max_chunk=chunk),
    "brought": lambda chunk: HeadDropout.from_model(own(), "norm", 5, dropout=0.3, generator=generator(), max_chunk=chunk),
}


@pytest.mark.parametrize("kind", ["full", "head"])
@torch.no_grad()
def test_equals_the_network_run_once_for_each_mask(kind: str) -> None:
    posterior = POSTERIORS[kind](None)
    found = posterior(IMAGES)
    assert set(posterior.masks) == {"drop", "drop, call 2"} | ({"thin"} if kind == "full" else set())
    torch.testing.assert_close(found, one_by_one(posterior.networks[0], posterior, IMAGES), atol=1e-5, rtol=1e-5)
    assert (found[:, :1] - found).abs().max() > 0.01


@torch.no_grad()
def test_brought_dropout_is_on_the_input_of_the_split_by_channel() -> None:
    posterior = POSTERIORS["brought"](None)
    network = posterior.networks[0]
    found = posterior(IMAGES)
    (mask,) = posterior.masks.values()
    assert mask.shape == (5, 8, 1, 1)
    assert isinstance(network, Own)
    for k in range(5):
        x = nn.functional.relu(network.norm(network.conv(IMAGES) * mask[k])).flatten(1)
        x = network.last(nn.functional.relu(network.second(nn.functional.relu(network.first(x)))))
        torch.testing.assert_close(found[:, k], x.log_softmax(-1), atol=1e-5, rtol=1e-5)


def test_head_only_equals_the_full_path_under_the_same_masks() -> None:
    network = own(trunk_rate=0.0)
    full, head = FullDropout(network, 7, generator()), HeadDropout.from_model(network, "drop", 7, generator=generator())
    torch.testing.assert_close(full(IMAGES), head(IMAGES), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(gradient_of(full, IMAGES), gradient_of(head, IMAGES), atol=1e-7, rtol=1e-4)


def test_our_classifier_is_split_at_its_head() -> None:
    classifier = build_classifier(1, 28, 3, seed=0).eval()
    images = torch.rand(4, 1, 28, 28, generator=generator())
    head, full = HeadDropout.of(classifier, 8, generator()), FullDropout(classifier, 8, generator())
    passes = []
    handle = classifier.features.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))
    head(images)
    passes.clear()
    found = head(images)
    handle.remove()
    assert passes == [4]  # one trunk pass, of the images only
    torch.testing.assert_close(found, full(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_batch_of_64_equals_two_of_32(kind: str) -> None:
    posterior = POSTERIORS[kind](None)
    images = torch.rand(64, 1, 12, 12, generator=generator())
    split = torch.cat([posterior(images[:32]), posterior(images[32:])])
    torch.testing.assert_close(posterior(images), split, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2, 5, 11, 30, 1000])
@pytest.mark.parametrize("kind", POSTERIORS)
def test_chunks_bound_the_rows_and_change_nothing(kind: str, chunk: int) -> None:
    whole, parts = POSTERIORS[kind](None), POSTERIORS[kind](chunk)
    torch.testing.assert_close(gradient_of(parts, IMAGES), gradient_of(whole, IMAGES), atol=1e-6, rtol=1e-4)
    rows: list[int] = []
    network = parts.networks[0]
    assert isinstance(network, Own)
    handle = network.last.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    torch.testing.assert_close(parts(IMAGES), whole(IMAGES), atol=1e-6, rtol=1e-5)
    handle.remove()
    assert max(rows) <= chunk and sum(rows) == 30


def test_a_chunk_is_computed_again_under_the_masks_of_its_forward_pass() -> None:
    posterior, images = POSTERIORS["full"](4), IMAGES.clone().requires_grad_()
    expected = gradient_of(posterior, IMAGES)
    value = mutual_information(posterior(images)).sum()
    posterior.resample(generator(1))
    (gradient,) = torch.autograd.grad(value, images)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("kind", POSTERIORS)
@torch.no_grad()
def test_samples_are_held_until_resample(kind: str) -> None:
    posterior = POSTERIORS[kind](None)
    first = posterior(IMAGES)
    assert first.shape == (6, 5, 3)
    torch.testing.assert_close(posterior(IMAGES), first, atol=0, rtol=0)
    posterior.resample(generator(1))
    assert (posterior(IMAGES) - first).abs().max() > 1e-3
    posterior.resample(generator())
    torch.testing.assert_close(posterior(IMAGES), first, atol=0, rtol=0)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_gradcheck_in_double(kind: str) -> None:
    posterior = POSTERIORS[kind](3)
    posterior.networks[0].double()
    images = IMAGES[:1].double().requires_grad_()
    with torch.random.fork_rng():
        assert torch.autograd.gradcheck(lambda x: mutual_information(posterior(x)), images, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_images_are_cast_to_the_type_of_the_network(dtype: torch.dtype) -> None:
    narrow, wide = FullDropout(own().to(dtype), 4, generator()), FullDropout(own(), 4, generator())
    found = narrow(IMAGES)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.float(), wide(IMAGES), atol=0.05 if dtype != torch.float64 else 1e-5, rtol=0)
    assert gradient_of(narrow, IMAGES).dtype == torch.float32


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images(count: int) -> None:
    """A batch of one, and as many images as the samples of the trial."""
    posterior = POSTERIORS["head"](None)
    torch.testing.assert_close(posterior(IMAGES[:count]), posterior(IMAGES)[:count], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_on_the_meta_device(kind: str) -> None:
    posterior = POSTERIORS[kind](8)
    posterior.networks[0].to("meta")
    assert gradient_of(posterior, IMAGES.to("meta")).shape == IMAGES.shape


@pytest.mark.gpu
@pytest.mark.parametrize("kind", POSTERIORS)
def test_masks_are_the_same_on_a_gpu(kind: str) -> None:
    here, there = POSTERIORS[kind](None), POSTERIORS[kind](None)
    device = torch.device(0)
    there.networks[0].to(device)
    torch.testing.assert_close(there(IMAGES.to(device)).cpu(), here(IMAGES), atol=1e-2, rtol=1e-2)


def test_a_multi_label_network_gives_absent_and_present() -> None:
    network = own()
    network.multi_label = True  # type: ignore[assignment]
    log_probs = FullDropout(network, 4, generator())(IMAGES)
    assert log_probs.shape == (6, 4, 3, 2)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(6, 4, 3))
    assert (mutual_information(log_probs) > 0).all()


def test_a_sequential_without_dropout_gets_its_own() -> None:
    posterior = HeadDropout.from_model(plain(nn.ReLU()), "3", 6, generator=generator())
    assert mutual_information(posterior(IMAGES)).mean() > 1e-3
    assert [mask.shape for mask in posterior.masks.values()] == [(6, 8)]


def test_a_shared_layer_may_be_named_by_any_of_its_names() -> None:
    layer = nn.Linear(8, 8)
    network = plain(nn.ReLU(), layer, nn.Dropout(0.5), layer)
    first, again = (HeadDropout.from_model(network, split, 4, generator=generator()) for split in ("3", "5"))
    torch.testing.assert_close(first(IMAGES), again(IMAGES))


def test_attention_without_dropout_is_fine() -> None:
    assert FullDropout(plain(Attention(0.0), nn.Dropout(0.5)), 4, generator())(IMAGES).shape == (6, 4, 3)


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_monai_densenet(rate: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MONAI imports
        nets = pytest.importorskip("monai.networks.nets")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = nets.DenseNet121(spatial_dims=2, in_channels=1, out_channels=3, dropout_prob=rate)
    images = torch.rand(2, 1, 32, 32, generator=generator())
    head = HeadDropout.from_model(network, "class_layers.out", 16, generator=generator())
    assert (gradient_of(head, images).flatten(1).abs().amax(dim=1) > 0).all()
    if rate:
        full = FullDropout(network, 3, generator(), max_chunk=3)
        with torch.no_grad():
            found = full(images)
            torch.testing.assert_close(found, one_by_one(network.eval(), full, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("max_chunk", [None, 7])
def test_one_pass_gives_samples_and_logits(max_chunk: int | None) -> None:
    classifier = build_classifier(1, 28, 3, seed=0).eval()
    images = torch.rand(5, 1, 28, 28, generator=generator())
    posterior = HeadDropout.of(classifier, 6, generator(), max_chunk)
    expected = posterior(images).detach(), classifier(images).detach()
    for found, wanted in zip(posterior.with_logits(images), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_folded_posterior_holds_the_same_samples_and_gives_its_network_back() -> None:
    classifier = build_classifier(1, 28, 3, seed=0)
    images = torch.rand(5, 1, 28, 28, generator=generator())
    classifier.train()(images)
    posterior = HeadDropout.of(classifier.eval(), 6, generator())
    expected = posterior(images)
    with posterior.folded() as network:
        assert network is posterior.networks[0] is not classifier
        torch.testing.assert_close(posterior(images), expected, rtol=1e-4, atol=1e-5)
    assert posterior.networks == (classifier,)


@pytest.mark.parametrize("share", [1.0, 0.002])
def test_a_network_that_uses_its_layers_in_another_way_is_not_folded(share: float) -> None:
    class Odd(nn.Module):
        channels, size = 1, 28

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
            nn.init.constant_(self.layers[0].weight, 0.1)  # type: ignore[arg-type]  # every image excites every channel
            self.layers[1].running_mean.fill_(-2.0)  # type: ignore[operator]
            self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            maps = share * self.layers[0](x) + (1 - share) * self.layers(x)  # partly without the norm
            logits: Tensor = self.head(maps.relu().mean(dim=(2, 3)))
            return logits

    odd = Odd().eval()
    with HeadDropout.from_model(odd, "head", 4).folded() as network:
        assert network is odd
