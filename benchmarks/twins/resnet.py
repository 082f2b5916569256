import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.models.resnet import EPSILON, STAGES


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, EPSILON, 0.01)


class Block(nn.Module):
    def __init__(self, width: int, channels: int, stride: int, first: bool) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, 4 * channels, 1, stride) if first else None
        self.norm0 = norm(4 * channels) if first else None
        self.conv1 = nn.Conv2d(width, channels, 1, stride)
        self.norm1 = norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = norm(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1)
        self.norm3 = norm(4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.around is None else self.norm0(self.around(x))
        x = functional.relu(self.norm1(self.conv1(x)))
        x = functional.relu(self.norm2(self.conv2(x)))
        return functional.relu(around + self.norm3(self.conv3(x)))


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 64, 7, 2, 3)
        self.stem_norm = norm(64)
        blocks, width = [], 64
        for channels, count, stride in STAGES:
            for i in range(count):
                blocks.append(Block(width, channels, stride if i == 0 else 1, i == 0))
                width = 4 * channels
        self.blocks = nn.Sequential(*blocks)
        self.dense = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem_norm(self.stem_conv(x)))
        x = self.blocks(functional.max_pool2d(x, 3, 2, 1))
        x = self.dense(x.mean((2, 3)))
        return x if self.training else torch.softmax(x, 1)
