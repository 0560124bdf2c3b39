"""Averages of a classifier's weights over the steps of its training."""

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tsynd.classification import Classifier

Weights = list[Tensor] | tuple[Tensor, ...]


def moving_average(classifier: Classifier, decay: float) -> AveragedModel:
    """An exponential moving average of a classifier's weights, to be updated after each step.

    The decay of step n is min(decay, (1 + n) / (10 + n)), so that the first weights are soon forgotten in a short training
    too (as in TensorFlow's ExponentialMovingAverage). The running statistics of batch norm are averaged like the weights:
    the last ones belong to the last weights, and averaged features have averaged statistics, to first order.
    """

    def update(averaged: Weights, present: Weights, count: Tensor | int) -> None:
        n = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, present, count)

    return AveragedModel(classifier, multi_avg_fn=update, use_buffers=True)
