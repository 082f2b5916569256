"""The op table, a file per family."""

from kgraph.ir.ops import contract, convolution, elementwise, shape, window
