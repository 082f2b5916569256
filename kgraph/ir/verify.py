"""The verifier: is a function a valid program?"""

from __future__ import annotations

from kgraph.ir.errors import IRError
from kgraph.ir.graph import Function, Op, Param, Value


def verify(fn: Function) -> None:
    """Raises IRError unless each op is valid, once, behind its operands, and all is closed."""
    pending = [fn]
    while pending:
        function = pending.pop()
        _verify_one(function)
        pending += [region for op in function.ops for region in op.regions]


def _verify_one(fn: Function) -> None:
    known = _verified_params(fn)
    seen: set[Op] = set()
    for op in fn.ops:
        if op in seen or isinstance(op, Param):
            raise _error(op, "is listed twice, or is a parameter among the ops")
        seen.add(op)
        for v in op.operands:
            if v not in known:
                raise _error(op, f"reads {v!r}, which is not defined before it")
        types = op.infer()
        types = types if isinstance(types, tuple) else (types,)
        if types != tuple(v.type for v in op.results):
            raise _error(op, f"has the types {op.results}, but infers {types}")
        known.update(op.results)
    for v in fn.results:
        if v not in known:
            raise IRError(f"{fn!r} returns {v!r}, which it does not define")


def _error(op: Op, what: str) -> IRError:
    return IRError(f"{op.name} at {op.location} {what}")


def _verified_params(fn: Function) -> set[Value]:
    known: set[Value] = set()
    for p in fn.params:
        if not isinstance(p.op, Param) or p in known:
            raise IRError(f"the parameter {p!r} of {fn!r} is listed twice or is no parameter")
        known.add(p)
    names = fn.param_names
    if len(set(names)) != len(names):
        raise IRError(f"two parameters of {fn!r} have one name: {', '.join(names)}")
    return known
