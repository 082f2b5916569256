"""The text form: readable, complete, and what `parse` reads back.

    fn(%x: f32[batch,3])
      %0: f32[3,batch] = transpose %x, perm=(1, 0) @ "permute"
      return %0

Operands come first, a group of several in brackets; then the attributes, but for those that have
their defaults; then the location; regions stand below, in braces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from kgraph.ir.graph import Function, Op, Param, Value
from kgraph.ir.location import NOWHERE, Location


def to_text(fn: Function, locations: bool = False, labels: bool = True) -> str:
    """The text of `fn`, ending in a newline.

    Without `labels`, parameters are called `%p0`, `%p1`, ... and functions have no names: equal
    programs, equal texts.
    """
    return "\n".join(_function_lines(fn, "", locations, labels)) + "\n"


def op_text(op: Op) -> str:
    """One op by itself, its operands named by where they come from: for messages."""
    names = {
        v: f"%{v.op.label}" if isinstance(v.op, Param) else f"%{v.op.name}" for v in op.operands
    }
    return f"{', '.join(str(v.type) for v in op.results)} = {_right_side(op, names)}"


def _function_lines(fn: Function, indent: str, locations: bool, labels: bool) -> Iterator[str]:
    called = fn.param_names if labels else [f"p{i}" for i in range(len(fn.params))]
    names: dict[Value, str] = {p: f"%{label}" for p, label in zip(fn.params, called, strict=True)}
    params = ", ".join(f"{names[p]}: {p.type}" for p in fn.params)
    yield f"{indent}fn{' ' + fn.name if fn.name and labels else ''}({params})"
    count = 0
    for op in fn.ops:
        for v in op.results:
            names[v] = f"%{count}"
            count += 1
        left = ", ".join(f"{names[v]}: {v.type}" for v in op.results)
        place = _location_text(op.location) if locations else ""
        line = f"{indent}  {left} = {_right_side(op, names)}{place}"
        if not op.region_fields:
            yield line
            continue
        yield line + " {"
        for field, many in op.region_fields:
            for region in op.__dict__[field] if many else (op.__dict__[field],):
                yield f"{indent}    {field} ="
                yield from _function_lines(region, indent + "      ", locations, labels)
        yield f"{indent}  }}"
    yield f"{indent}  return {', '.join(names[v] for v in fn.results)}".rstrip()


def _right_side(op: Op, names: dict[Value, str]) -> str:
    state = op.__dict__
    operands = [
        f"[{', '.join(names[v] for v in state[field])}]" if many else names[state[field]]
        for field, many in op.operand_fields
    ]
    attributes = [
        f"{field}={attribute_text(state[field])}"
        for field in op.attribute_fields
        if field not in op.defaults or state[field] != op.defaults[field]
    ]
    return " ".join([op.name, ", ".join(operands + attributes)]).rstrip()


def attribute_text(value: object) -> str:
    """An attribute as Python would write it; sizes, types and literals as themselves."""
    if isinstance(value, tuple):
        inner = ", ".join(map(attribute_text, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _location_text(location: Location) -> str:
    if location == NOWHERE:
        return ""
    place = f" {json.dumps(location.file)}:{location.line}" if location.file else ""
    return f" @ {json.dumps(location.path)}{place}"
