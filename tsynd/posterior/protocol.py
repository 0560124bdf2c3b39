"""What all posteriors share: the protocol, passes of bounded size, and what is asked of a network beyond the common trial."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from tsynd.errors import TsyndError
from tsynd.posterior.masks import maskable
from tsynd.utils.network_passes import drawn, given, pair_of, trial, wide
from tsynd.utils.network_trial import ask, refuse_flat
from tsynd.utils.shape_errors import explained
from tsynd.utils.validation import check_images


class Posterior(Protocol):
    """What targeting needs of a posterior. `networks` are frozen during a search."""

    networks: tuple[nn.Module, ...]
    samples: int

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to `log_probs_BKC`, differentiable in the images, under the samples held now."""
        ...

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Draw new posterior samples; they stay until the next call."""
        ...


def check_posterior(posterior: object) -> None:
    """Refuse what holds no samples, such as a network."""
    if not all(hasattr(posterior, name) for name in ("networks", "samples", "resample")):
        kind = type(posterior).__name__
        raise TsyndError(f"posterior must be one, such as HeadDropout.of(classifier), got {kind}, which holds no samples")


def checked_images(images_BCHW: Tensor) -> Tensor:
    """The images, if they are a float batch (B, C, H, W) that is not empty."""
    check_images(images_BCHW, in_range=False)
    return images_BCHW


def in_chunks(
    run: Callable[[Tensor, range], Tensor], images_BCHW: Tensor, samples: int, max_chunk: int | None, *, again: bool = True
) -> Tensor:
    """`run(images_bCHW, chosen samples)` on parts of at most `max_chunk` rows (images x samples), put together again.

    All samples of an image stay in one part if they fit. With `again`, when the images need a gradient, a part's activations
    are thrown away and computed again in the backward pass (torch.utils.checkpoint), so that memory is bounded there too. One
    part is run directly.

    >>> seen = []
    >>> def run(images, chosen):
    ...     seen.append((len(images), len(chosen)))
    ...     return images.flatten(1).sum(1)[:, None].expand(-1, len(chosen))
    >>> in_chunks(run, torch.ones(3, 1, 2, 2), samples=4, max_chunk=8).shape, seen
    (torch.Size([3, 4]), [(2, 4), (1, 4)])
    """
    rows = max_chunk or len(images_BCHW) * samples
    held, count = min(samples, rows), max(1, rows // samples)
    if held == samples and count >= len(images_BCHW):
        return run(images_BCHW, range(samples))
    again = again and torch.is_grad_enabled() and images_BCHW.requires_grad

    def part(images_bCHW: Tensor, chosen: range) -> Tensor:
        if not again:
            return run(images_bCHW, chosen)
        result: Tensor = checkpoint(run, images_bCHW, chosen, use_reentrant=False, preserve_rng_state=False)
        return result

    numbers = [range(start, min(start + held, samples)) for start in range(0, samples, held)]
    batches = images_BCHW.split(count)
    return torch.cat([torch.cat([part(images_bCHW, chosen) for chosen in numbers], dim=1) for images_bCHW in batches])


def refuse_uncontrolled(network: nn.Module, pair: Tensor, split: str | None) -> None:
    """Refuse a network that draws random numbers in training mode other than in its dropout layers (after the split).

    Such dropout (`F.dropout(x, training=self.training)`, the `dropout` of attention or recurrent layers, stochastic depth)
    is off in eval mode, so the posterior would silently lack it. Norm layers stay in eval mode in this trial.
    """
    for module in network.modules():
        module.training = not (maskable(module) or isinstance(module, _NormBase))
    with explained(f"{type(network).__name__} fails in training mode, so its randomness cannot be checked"):
        found, _ = drawn(network, given(pair, network), split)
    network.eval()
    if found:
        where, operation = found[0]
        raise TsyndError(
            f"{where or type(network).__name__} draws random numbers in training mode ({operation}) that are not those of an "
            "nn.Dropout layer and cannot be held fixed: use nn.Dropout layers there, or bring dropout of your own: "
            "HeadDropout.from_model(model, split=..., dropout=0.5)"
        )


def refuse_compiled(network: nn.Module) -> None:
    """Refuse a network that was compiled, scripted or exported: the layers inside cannot be hooked, so masks would be lost."""
    for module in network.modules():
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod") or module._compiled_call_impl is not None:
            raise TsyndError(
                f"{type(network).__name__} is compiled, and layers inside cannot hold posterior samples: give the network that "
                "was compiled (model._orig_mod), or an Ensemble"
            )


def refuse_unclimbable(network: nn.Module, images_BCHW: Tensor) -> None:
    """Refuse a network whose gradient is 0, or that computes activations again in the backward pass, without the masks."""
    calls: list[str] = []
    pair = wide(pair_of(images_BCHW)).requires_grad_()
    with trial(network), torch.enable_grad(), ExitStack() as hooks:
        for module in network.modules():
            hooks.callback(module.register_forward_pre_hook(lambda *_: calls.append("")).remove)
        logits = ask(network, pair)
        before = len(calls)
        if logits.requires_grad:
            (logits * torch.arange(1, logits.shape[1] + 1).to(logits)).sum().backward()
    if len(calls) > before:
        raise TsyndError(
            f"{type(network).__name__} computes activations again in the backward pass (torch.utils.checkpoint), where the "
            "samples of a posterior are not held: switch that off in eval mode; max_chunk of the posterior bounds memory instead"
        )
    if pair.grad is not None:
        refuse_flat(network, logits, pair.grad)
