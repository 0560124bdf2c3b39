"""What a posterior asks of a network beyond the common trial: its layers can be hooked, and hold the only randomness."""

from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from tsynd.errors import TsyndError
from tsynd.posterior.masks import maskable
from tsynd.utils.network_passes import drawn, given, pair_of, trial, wide
from tsynd.utils.network_trial import ask, refuse_flat
from tsynd.utils.shape_errors import explained


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
