"""`kgraph bench --kernels`: every kernel traces; a measured one has sensible figures."""

from __future__ import annotations

import json

import pytest

from kgraph.cli.kernels import Kernel, kernels
from kgraph.cli.main import run
from kgraph.ir import total_flops, verify

KERNELS = kernels()


def test_the_families() -> None:
    families = {k.family for k in KERNELS}
    assert families >= {
        "matmul", "matmul, batched", "convolution", "convolution, gradient of weights",
        "convolution, gradient of input", "depthwise convolution", "pooling", "reduction",
        "transpose", "elementwise", "softmax", "random",
    }  # fmt: skip
    names = [(k.family, k.sizes) for k in KERNELS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: f"{k.family} {k.sizes}")
def test_its_program(kernel: Kernel) -> None:
    fn = kernel.function()
    verify(fn)
    assert not fn.symbols
    if kernel.work:
        # a gradient is traced with its forward function
        most = 4 if "gradient" in kernel.family else 1.05
        assert kernel.work <= total_flops(fn) <= most * kernel.work


def test_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--kernels", "--only", "matmul 128x128", "--repeat", "2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["peaks"]["flops"] > 1e9
    assert data["peaks"]["bandwidth"] > 1e8
    (row,) = data["kernels"]
    assert row["flops"] == 2 * 128**3
    assert 0 < row["of_fma"] < 1.5
    assert run(["bench", "--kernels", "--only", "rows of 128", "--repeat", "1"]) == 0
    head, columns, row = capsys.readouterr().out.splitlines()
    assert head.startswith("peak of one thread: ")
    assert columns.split()[-1] == "kernel"
    assert row.endswith("softmax: 512 rows of 128")


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench"]) == 1
    assert "--kernels" in capsys.readouterr().err
    assert run(["bench", "--kernels", "--only", "nothing"]) == 1
    assert "'nothing'" in capsys.readouterr().err
