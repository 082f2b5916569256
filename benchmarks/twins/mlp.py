import torch
from torch import Tensor, nn
from torch.nn import functional


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense1 = nn.Linear(784, 512)
        self.dense2 = nn.Linear(512, 512)
        self.dense3 = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.dense1(x))
        x = functional.relu(self.dense2(x))
        x = self.dense3(x)
        return x if self.training else torch.softmax(x, 1)
