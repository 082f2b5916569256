import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.models.mobilenet import EPSILON, MOMENTUM, STAGES


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, EPSILON, 1 - MOMENTUM)


class Block(nn.Module):
    def __init__(self, width: int, expansion: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.adds = stride, stride == 1 and width == channels
        inner = expansion * width
        self.expand = nn.Conv2d(width, inner, 1, bias=False) if expansion > 1 else None
        self.norm1 = norm(inner) if expansion > 1 else None
        padding = 1 if stride == 1 else 0
        self.depthwise = nn.Conv2d(inner, inner, 3, stride, padding, groups=inner, bias=False)
        self.norm2 = norm(inner)
        self.project = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm3 = norm(channels)

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs
        if self.expand is not None:
            x = functional.relu6(self.norm1(self.expand(x)))
        if self.stride == 2:
            x = functional.pad(x, (0, 1, 0, 1))
        x = functional.relu6(self.norm2(self.depthwise(x)))
        x = self.norm3(self.project(x))
        return inputs + x if self.adds else x


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.stem_norm = norm(32)
        blocks, width = [], 32
        for expansion, channels, count, stride in STAGES:
            for i in range(count):
                blocks.append(Block(width, expansion, channels, stride if i == 0 else 1))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head_conv = nn.Conv2d(320, 1280, 1, bias=False)
        self.head_norm = norm(1280)
        self.dense = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self.stem_norm(self.stem_conv(functional.pad(x, (0, 1, 0, 1)))))
        x = functional.relu6(self.head_norm(self.head_conv(self.blocks(x))))
        x = self.dense(x.mean((2, 3)))
        return x if self.training else torch.softmax(x, 1)
