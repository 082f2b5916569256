"""Reading the text form."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import numpy as np

from kgraph.ir.dims_parse import size_of_ast
from kgraph.ir.errors import IRError, ParseError
from kgraph.ir.graph import OPS, Function, Op, Param, Value
from kgraph.ir.literal import Literal
from kgraph.ir.location import NOWHERE, Location
from kgraph.ir.types import TensorType, long_dtype, numpy_dtype

_STRING = r'"(?:[^"\\]|\\.)*"'
_HEAD = re.compile(r"fn\s*(?P<name>[\w./:-]*)\s*\((?P<params>.*)\)$")
_PLACE = rf"(?: @ (?P<path>{_STRING})(?: (?P<file>{_STRING}):(?P<line>\d+))?)?"
_OP = re.compile(rf"(?P<left>%.*?) = (?P<op>\w+)(?P<rest>.*?){_PLACE}(?P<open> {{)?$")
_OPERAND = re.compile(r"\s*(?:(?P<one>%[\w./:-]+)|\[(?P<many>(?:\s*%[\w./:-]+\s*,?)*)\])\s*(?:,|$)")


class _Lines:
    """The lines that are neither empty nor comments, with their numbers."""

    def __init__(self, text: str) -> None:
        numbered = enumerate((line.strip() for line in text.splitlines()), 1)
        self.lines = [(n, line) for n, line in numbered if line and not line.startswith("//")]
        self.at = 0

    def next(self) -> tuple[int, str]:
        if self.at == len(self.lines):
            raise ParseError(
                "the text ends inside a function", self.lines[-1][0] if self.lines else 1
            )
        self.at += 1
        return self.lines[self.at - 1]


def parse(text: str) -> Function:
    """The one function in `text`. Raises ParseError, which names the line."""
    lines = _Lines(text)
    fn = _function(lines)
    if lines.at < len(lines.lines):
        n, line = lines.next()
        raise ParseError(f"expected the end of the text after the function; got {line!r}", n)
    return fn


def parse_type(text: str) -> TensorType:
    """The type that prints as `text`."""
    # Python's grammar has no empty subscript
    found = _attribute(ast.parse(text.replace("[]", "[()]"), mode="eval").body)
    if not isinstance(found, TensorType):
        raise ValueError(f"expected a type such as f32[batch,3]; got {text!r}")
    return found


def _function(lines: _Lines) -> Function:
    n, line = lines.next()
    head = _HEAD.match(line)
    if head is None:
        raise ParseError(f"expected a function head such as fn(%x: f32[2]); got {line!r}", n)
    env: dict[str, Value] = {}
    params = []
    for name, type_ in _typed(head["params"], n):
        params.append(Param(name[1:], type_).result)
        env[name] = params[-1]
    ops: list[Op] = []
    while True:
        n, line = lines.next()
        if line == "return" or line.startswith("return "):
            results = tuple(_value(env, name, n) for name in line[6:].replace(",", " ").split())
            return Function(tuple(params), tuple(ops), results, head["name"])
        ops.append(_op(line, n, lines, env))


def _op(line: str, n: int, lines: _Lines, env: dict[str, Value]) -> Op:
    match = _OP.match(line)
    if match is None:
        raise ParseError(f"expected an op such as %0: f32[2] = negate %x; got {line!r}", n)
    cls = OPS.get(match["op"])
    if cls is None or cls is Param:
        raise ParseError(f"there is no op called {match['op']!r}; `kgraph ops` lists them", n)
    operands, attributes = _operands(match["rest"], n)
    fields = _operand_fields(cls, operands, env, n)
    fields.update(_attributes(attributes, n))
    if match["open"]:
        fields.update(_regions(cls, lines))
    try:
        op = cls(**fields)
    except (TypeError, IRError) as e:
        raise ParseError(f"{cls.name}: {e}" if isinstance(e, TypeError) else str(e), n) from e
    op.located(_location(match))
    left = list(_typed(match["left"], n))
    if len(left) != len(op.results):
        raise ParseError(f"{cls.name} has {len(op.results)} results; {len(left)} are named", n)
    for (name, type_), v in zip(left, op.results, strict=True):
        if v.type is not type_:
            raise ParseError(f"{name} is said to be {type_}, but {cls.name} makes it {v.type}", n)
        env[name] = v
    return op


def _operand_fields(
    cls: type[Op], operands: list[str | list[str]], env: dict[str, Value], n: int
) -> dict[str, object]:
    """The operands by field, each a value or a group of them as the class wants it."""
    count = len(cls.operand_fields)
    fields: dict[str, object] = {}
    if len(operands) != count:
        raise ParseError(f"{cls.name} takes {count} operands or groups; got {len(operands)}", n)
    for (field, many), names in zip(cls.operand_fields, operands, strict=True):
        if many != isinstance(names, list):
            wanted = "a group in brackets" if many else "one value"
            raise ParseError(f"{cls.name}: `{field}` must be {wanted}", n)
        group = tuple(_value(env, v, n) for v in names) if isinstance(names, list) else None
        fields[field] = _value(env, names, n) if isinstance(names, str) else group
    return fields


def _location(match: re.Match[str]) -> Location:
    if not match["path"]:
        return NOWHERE
    file = json.loads(match["file"]) if match["file"] else ""
    return Location(json.loads(match["path"]), file, int(match["line"] or 0))


def _regions(cls: type[Op], lines: _Lines) -> Iterator[tuple[str, object]]:
    many = dict(cls.region_fields)
    found: dict[str, list[Function]] = {field: [] for field in many}
    while True:
        n, line = lines.next()
        if line == "}":
            break
        field = line.removesuffix("=").strip()
        if field not in found:
            raise ParseError(f"{cls.name} has no region called {field!r}", n)
        found[field].append(_function(lines))
    for field, regions in found.items():
        yield field, tuple(regions) if many[field] else regions[0] if regions else None


def _operands(text: str, n: int) -> tuple[list[str | list[str]], str]:
    """The operands at the start of `text`, and what stands behind them."""
    found: list[str | list[str]] = []
    at = 0
    while text[at:].lstrip().startswith(("%", "[")):
        match = _OPERAND.match(text, at)
        if match is None:
            raise ParseError(
                f"expected operands such as %x, [%y, %z]; got {text[at:].strip()!r}", n
            )
        found.append(match["one"] or match["many"].replace(",", " ").split())
        at = match.end()
    return found, text[at:].strip()


def _attributes(text: str, n: int) -> dict[str, object]:
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError(f"expected attributes such as dims=(0, 1); got {text!r}")
        return {k.arg: _attribute(k.value) for k in call.keywords if k.arg is not None}
    except (SyntaxError, ValueError, KeyError, TypeError) as e:
        raise ParseError(f"the attributes {text!r} cannot be read: {e}", n) from e


def _attribute(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Tuple(elts=items):
            return tuple(_attribute(item) for item in items)
        case ast.Subscript(value=ast.Name(id=short), slice=inner):
            dims = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return TensorType(tuple(size_of_ast(d) for d in dims), long_dtype(short))
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=short), attr="bits"),
            args=[shape, ast.Constant(value=str(data))],
        ):
            sizes = _attribute(shape)
            return Literal(
                long_dtype(short),
                sizes if isinstance(sizes, tuple) else (sizes,),
                bytes.fromhex(data),
            )
        case ast.Call(func=ast.Name(id=short), args=[value]) if short not in ("min", "max"):
            return Literal.of(np.asarray(_nested(value)).astype(numpy_dtype(long_dtype(short))))
        case ast.Name(id="inf" | "nan" as name):
            return float(name)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=float(value))):
            return -value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf" | "nan" as name)):
            return -float(name)
    return size_of_ast(node)


def _nested(node: ast.expr) -> object:
    return [_nested(item) for item in node.elts] if isinstance(node, ast.List) else _attribute(node)


def _typed(text: str, n: int) -> Iterator[tuple[str, TensorType]]:
    """The pairs of `%x: f32[2], %y: i32[]`."""
    for part in re.split(r",\s*(?=%)", text.strip()):
        if not part:
            continue
        name, _, type_ = part.partition(":")
        short, _, dims = type_.strip().rstrip("]").partition("[")
        try:
            sizes = ast.parse(f"[{dims}]", mode="eval").body
            assert isinstance(sizes, ast.List)
            shape = tuple(size_of_ast(d) for d in sizes.elts)
            yield name.strip(), TensorType(shape, long_dtype(short))
        except (SyntaxError, ValueError, KeyError) as e:
            raise ParseError(
                f"expected a value and its type such as %x: f32[batch,3]; got {part!r}", n
            ) from e


def _value(env: dict[str, Value], name: str, n: int) -> Value:
    if name not in env:
        raise ParseError(f"{name} is not defined before this line", n)
    return env[name]
