"""Many heads on one trunk, trained apart: an ensemble for little more than the price of one network."""

import copy
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.classification import Classifier, as_targets, classification_loss
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import generator_for, seed_for, seeded
from tsynd.utils.rules import validated, whole


@validated
def bagged_heads(
    classifier: Classifier,
    images_BCHW: Tensor,
    labels: Tensor,
    count: Annotated[int, whole(2)] = 64,
    *,
    steps: int = 300,
    batch_size: int = 64,
    learning_rate: float = 4e-3,
    weight_decay: float = 1e-2,
    seed: int = 0,
) -> list[nn.Module]:
    """Train `count` heads on the trunk of a trained classifier, each from its own initialisation and bootstrap sample.

    Bagging (Breiman 1996): an image counts for a head as often as it was drawn, with replacement, into that head's sample.
    The trunk stays as it is. All heads are trained at once, as one batched computation. Their posterior is
    `Ensemble.of_heads(classifier.trunk, heads)`.

    Args:
        images_BCHW, labels: the classifier's training images in [0, 1], and their labels, on its device.
        steps, batch_size, learning_rate, weight_decay: AdamW with a one-cycle schedule, on lightly augmented batches.

    Returns:
        Heads in eval mode, features (B, F) to logits (B, classes).
    """
    batches, device = generator_for(seed, "head batches"), images_BCHW.device
    shape = (count, len(images_BCHW))
    drawn_MN = torch.randint(len(images_BCHW), shape, generator=generator_for(seed, "bootstrap samples"))
    weights_MN = torch.zeros(shape).scatter_add_(1, drawn_MN, torch.ones(shape)).to(device)
    with seeded(seed_for(seed, "heads")):
        heads: list[nn.Module] = [copy.deepcopy(classifier.head).requires_grad_(True).train() for _ in range(count)]
        for layer in nn.ModuleList(heads).modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        # What stack_module_state gives is what the optimiser updates: one parameter that holds those of all heads.
        parameters, _ = stack_module_state(heads)
        template = copy.deepcopy(heads[0]).to("meta")

        def logits(parameters_of_one: dict[str, Tensor], features_BF: Tensor) -> Tensor:
            outputs: Tensor = functional_call(template, parameters_of_one, (features_BF,))
            return outputs

        optimiser = torch.optim.AdamW(parameters.values(), weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, max(steps, 2))
        for _ in range(steps):
            index_B = torch.randint(len(images_BCHW), (batch_size,), generator=batches).to(device)
            with frozen(classifier), torch.no_grad():
                features_BF = classifier.trunk(augment(images_BCHW[index_B], TRAIN_RANGE, batches))
            logits_MBC = torch.vmap(logits, in_dims=(0, None), randomness="different")(parameters, features_BF)
            targets_BC = as_targets(labels[index_B], classifier).to(logits_MBC.dtype)
            loss = count * classification_loss(  # the sum of the heads' losses: none of them slows another down
                logits_MBC.flatten(0, 1),
                targets_BC.repeat(count, 1),
                multi_label=classifier.multi_label,
                weights=weights_MN[:, index_B].flatten(),
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    for number, head in enumerate(heads):
        head.load_state_dict({name: stacked[number].detach() for name, stacked in parameters.items()})
        head.eval().requires_grad_(False)
    return heads
