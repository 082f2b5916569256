import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.models.unet import WIDTHS


class Twice(nn.Module):
    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv2(functional.relu(self.conv1(x))))


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        down = zip((3, *WIDTHS), WIDTHS, strict=False)
        up = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.down = nn.ModuleList(Twice(*widths) for widths in down)
        self.widen = nn.ModuleList(nn.ConvTranspose2d(*widths, 2, 2) for widths in up)
        self.up = nn.ModuleList(Twice(2 * width, width) for _, width in up)
        self.classes = nn.Conv2d(WIDTHS[0], 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for twice in self.down[:-1]:
            kept.append(twice(x))
            x = functional.max_pool2d(kept[-1], 2)
        x = self.down[-1](x)
        for widen, twice in zip(self.widen, self.up, strict=True):
            x = twice(torch.cat([kept.pop(), widen(x)], 1))
        x = self.classes(x)
        return x if self.training else torch.softmax(x, 1)
