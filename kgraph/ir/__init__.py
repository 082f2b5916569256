"""The IR: typed, immutable dataflow graphs. README.md beside this file is the way in."""

from kgraph.ir import ops  # noqa: F401  # fills the op table
from kgraph.ir.bind import bind, bind_attribute, bind_op, bind_type
from kgraph.ir.build import Builder
from kgraph.ir.cost import flops, total_flops, traffic
from kgraph.ir.dims import (
    Dim,
    Shape,
    Size,
    Sizes,
    bind_size,
    floordiv,
    is_nonnegative,
    is_positive,
    largest,
    maximum,
    minimum,
    mod,
    product,
    size_gcd,
    symbol,
    symbols_of,
)
from kgraph.ir.dims_parse import parse_size
from kgraph.ir.errors import (
    IRError,
    KGraphError,
    NotDifferentiableError,
    ParseError,
    SizeNeededError,
)
from kgraph.ir.evaluate import evaluate, run, sizes_of
from kgraph.ir.graph import OPS, Array, Fact, Function, Op, Param, Value, users
from kgraph.ir.literal import Literal
from kgraph.ir.locality import All, Combine, Locality, Rows
from kgraph.ir.location import NOWHERE, Location
from kgraph.ir.network import to_networkx
from kgraph.ir.parse import parse, parse_type
from kgraph.ir.text import op_text, to_text
from kgraph.ir.types import (
    DTYPES,
    FLOATS,
    INTEGERS,
    SIGNED,
    UNSIGNED,
    TensorType,
    dtype_name,
    is_float,
    numpy_dtype,
    short_dtype,
)
from kgraph.ir.verify import verify

__all__ = [
    "DTYPES",
    "FLOATS",
    "INTEGERS",
    "NOWHERE",
    "OPS",
    "SIGNED",
    "UNSIGNED",
    "All",
    "Array",
    "Builder",
    "Combine",
    "Dim",
    "Fact",
    "Function",
    "IRError",
    "KGraphError",
    "Literal",
    "Locality",
    "Location",
    "NotDifferentiableError",
    "Op",
    "Param",
    "ParseError",
    "Rows",
    "Shape",
    "Size",
    "SizeNeededError",
    "Sizes",
    "TensorType",
    "Value",
    "bind",
    "bind_attribute",
    "bind_op",
    "bind_size",
    "bind_type",
    "dtype_name",
    "evaluate",
    "floordiv",
    "flops",
    "is_float",
    "is_nonnegative",
    "is_positive",
    "largest",
    "maximum",
    "minimum",
    "mod",
    "numpy_dtype",
    "op_text",
    "parse",
    "parse_size",
    "parse_type",
    "product",
    "run",
    "short_dtype",
    "size_gcd",
    "sizes_of",
    "symbol",
    "symbols_of",
    "to_networkx",
    "to_text",
    "total_flops",
    "traffic",
    "users",
    "verify",
]  # fmt: skip
