"""The op table, a file per family."""

from kgraph.ir.ops import elementwise, shape
