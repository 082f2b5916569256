"""Reverse-mode differentiation on the graph: one backward sweep, each op's own `vjp`.

The gradient ops are appended to the builder that holds the forward ops, so a training step is one
program and the gradient of a gradient needs nothing new. Ops with regions are differentiated here,
because their rules differentiate
functions: `if` and `case` by branches, `scan` by a second scan that runs backwards (Griewank and
Walther, Evaluating Derivatives, ch. 4: the adjoint program), which recomputes each step from its
saved carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from kgraph.ir import Builder, Function, Location, NotDifferentiableError, Op, Value, is_float
from kgraph.ir.ops.control import Case, CustomVjp, If, Scan, While

Gradients: TypeAlias = "tuple[Value | None, ...]"


def gradients(b: Builder, loss: Value, wrt: Sequence[Value]) -> list[Value]:
    """The gradients of the scalar `loss` with respect to `wrt`, appended to `b`, which made both.

    Raises NotDifferentiableError where the loss is no scalar float, where `wrt` names a value that
    is no float, or where an op on the way has no gradient.
    """
    if loss.type.rank or not is_float(loss.dtype):
        raise NotDifferentiableError(
            f"a gradient is that of a scalar of a float dtype; got {loss.type}"
        )
    for v in wrt:
        if not is_float(v.dtype):
            raise NotDifferentiableError(
                f"a gradient is with respect to values of a float dtype; got {v.type}"
            )
    found = backward(b, tuple(b.ops), {loss: b.splat(1, loss.type)}, wrt)
    return [b.splat(0, v.type) if g is None else g for v, g in zip(wrt, found, strict=True)]


def backward(
    b: Builder, ops: Sequence[Op], seeds: dict[Value, Value], wrt: Sequence[Value]
) -> list[Value | None]:
    """Appends the gradients of `wrt`, given those of the values in `seeds`; None for zero."""
    active = _dependent(ops, wrt)
    grads = dict(seeds)
    for op in reversed(ops):
        given = [grads.get(v) for v in op.results]
        if active.isdisjoint(op.operands) or all(g is None for g in given):
            continue
        place = op.location
        with b.at(Location(f"{place.path.removesuffix(':grad')}:grad", place.file, place.line)):
            for x, g in zip(op.operands, _vjp(b, op, given, active), strict=True):
                if g is not None and x in active:
                    grads[x] = b.add(grads[x], g) if x in grads else g
    return [grads.get(v) for v in wrt]


def _dependent(ops: Sequence[Op], wrt: Iterable[Value]) -> set[Value]:
    """The float values that depend on `wrt`."""
    active = set(wrt)
    for op in ops:
        if not active.isdisjoint(op.operands):
            active.update(v for v in _reached(op, active) if is_float(v.dtype))
    return active


def _reached(op: Op, active: set[Value]) -> Sequence[Value]:
    """The results that depend on active operands; regions are looked into."""
    if not isinstance(op, If | Case | Scan):
        return op.results
    given = op.operands if isinstance(op, Scan) else op.captures
    found: set[int] = set()
    for region in op.regions:
        reached = {p for p, v in zip(region.params, given, strict=True) if v in active}
        carries = _carried(op, reached) if isinstance(op, Scan) else set()
        reached = _dependent(region.ops, reached | carries)
        found.update(i for i, v in enumerate(region.results) if v in reached)
    return [op.results[i] for i in sorted(found)]


def _vjp(b: Builder, op: Op, grads: Sequence[Value | None], active: set[Value]) -> Gradients:
    rule = _REGION_RULES.get(type(op))
    try:
        return op.vjp(b, *grads) if rule is None else rule(op, b, grads, active)
    except NotDifferentiableError as e:
        place = f" (made by {op.location})" if str(op.location) else ""
        raise NotDifferentiableError(f"{e}{place}") from None


def _adjoint(fn: Function, wanted: Sequence[int], given: Sequence[int]) -> Function:
    """From the parameters and gradients of the results `given` to those of parameters `wanted`."""
    b = Builder()
    params = [b.param(label, p.type) for label, p in zip(fn.param_names, fn.params, strict=True)]
    cotangents = [b.param(f"d_{i}", fn.results[i].type) for i in given]
    results = b.inline(fn, params)
    seeds = _summed(b, [(results[i], g) for i, g in zip(given, cotangents, strict=True)])
    found = backward(b, tuple(b.ops), seeds, [params[i] for i in wanted])
    return b.function(
        *[
            b.splat(0, params[i].type) if g is None else g
            for i, g in zip(wanted, found, strict=True)
        ]
    )


def _summed(b: Builder, pairs: Iterable[tuple[Value, Value]]) -> dict[Value, Value]:
    """One gradient per value; a value that is returned twice gets the sum."""
    seeds: dict[Value, Value] = {}
    for v, g in pairs:
        seeds[v] = b.add(seeds[v], g) if v in seeds else g
    return seeds


def _spread(count: int, wanted: Sequence[int], found: Sequence[Value]) -> list[Value | None]:
    """`found` at the places `wanted`, None elsewhere."""
    out: list[Value | None] = [None] * count
    for i, g in zip(wanted, found, strict=True):
        out[i] = g
    return out


def _results(op: Op, b: Builder) -> tuple[Value, ...]:
    return b.append(op)


def _if_vjp(op: Op, b: Builder, grads: Sequence[Value | None], active: set[Value]) -> Gradients:
    assert isinstance(op, If)
    given = [i for i, g in enumerate(grads) if g is not None]
    wanted = [i for i, v in enumerate(op.captures) if v in active]
    captures = (*op.captures, *[g for g in grads if g is not None])
    found = _results(
        If(op.pred, captures, _adjoint(op.then, wanted, given), _adjoint(op.orelse, wanted, given)),
        b,
    )
    return (None, *_spread(len(op.captures), wanted, found))


def _case_vjp(op: Op, b: Builder, grads: Sequence[Value | None], active: set[Value]) -> Gradients:
    assert isinstance(op, Case)
    given = [i for i, g in enumerate(grads) if g is not None]
    wanted = [i for i, v in enumerate(op.captures) if v in active]
    captures = (*op.captures, *[g for g in grads if g is not None])
    found = _results(
        Case(op.index, captures, tuple(_adjoint(f, wanted, given) for f in op.branches)), b
    )
    return (None, *_spread(len(op.captures), wanted, found))


def _while_vjp(op: Op, b: Builder, grads: Sequence[Value | None], active: set[Value]) -> Gradients:
    raise NotDifferentiableError(
        "a while loop has no reverse-mode gradient, because the number of its steps is not known "
        "before it runs; use ops.scan, or ops.fori_loop with a fixed number of steps"
    )


def _custom_vjp(op: Op, b: Builder, grads: Sequence[Value | None], active: set[Value]) -> Gradients:
    assert isinstance(op, CustomVjp)
    given = [b.splat(0, v.type) if g is None else g for v, g in zip(op.results, grads, strict=True)]
    return b.inline(op.backward, [*op.inputs, *given])


def _scan_vjp(op: Op, b: Builder, grads: Sequence[Value | None], active: set[Value]) -> Gradients:
    """Forward once more with every step's carries saved, then a scan the other way.

    Each of its steps recomputes the forward step that it differentiates.
    """
    assert isinstance(op, Scan)
    n, m, body = len(op.init), len(op.xs), op.body
    saved = _saved_carries(op, b)
    carries = _active_carries(op, active)
    wanted_xs = [i for i, v in enumerate(op.xs) if v in active]
    wanted_captures = [i for i, v in enumerate(op.captures) if v in active]
    given = [i for i in range(n, len(op.results)) if grads[i] is not None]

    inner = Builder()
    dc = [inner.param(f"d_carry{i}", op.init[i].type) for i in carries]
    dw = [inner.param(f"d_capture{i}", op.captures[i].type) for i in wanted_captures]
    labelled = list(zip(body.param_names, body.params, strict=True))
    held = [inner.param(label, p.type) for label, p in labelled[: n + m]]
    dys = [inner.param(f"d_y{i}", body.results[i].type) for i in given]
    captures = [inner.param(label, p.type) for label, p in labelled[n + m :]]
    args = [*held, *captures]
    results = inner.inline(body, args)
    seeds = _summed(inner, zip([results[i] for i in [*carries, *given]], [*dc, *dys], strict=True))
    wrt = [*carries, *[n + i for i in wanted_xs], *[n + m + i for i in wanted_captures]]
    found = backward(inner, tuple(inner.ops), seeds, [args[i] for i in wrt])
    full = [
        inner.splat(0, args[i].type) if g is None else g for i, g in zip(wrt, found, strict=True)
    ]
    k, j = len(carries), len(carries) + len(wanted_xs)
    sums = [inner.add(total, g) for total, g in zip(dw, full[j:], strict=True)]
    step = inner.function(*full[:k], *sums, *full[k:j])

    start = [_or_zero(b, grads[i], op.results[i]) for i in carries] + [
        b.splat(0, op.captures[i].type) for i in wanted_captures
    ]
    rows = (*saved, *op.xs, *[g for g in (grads[i] for i in given) if g is not None])
    back = _results(Scan(tuple(start), rows, op.captures, op.length, not op.reverse, step), b)
    return (
        *_spread(n, carries, back[:k]),
        *_spread(m, wanted_xs, back[k + len(dw) :]),
        *_spread(len(op.captures), wanted_captures, back[k : k + len(dw)]),
    )


def _active_carries(op: Scan, active: set[Value]) -> list[int]:
    """The carries that depend on active operands, at the start or after some steps."""
    given = {p for p, v in zip(op.body.params, op.operands, strict=True) if v in active}
    found = _carried(op, given)
    return [i for i, p in enumerate(op.body.params[: len(op.init)]) if p in found]


def _carried(op: Scan, given: set[Value]) -> set[Value]:
    """The carries of the body that depend on the parameters `given`, after any number of steps."""
    carries = list(zip(op.body.params, op.body.results[: len(op.init)], strict=False))
    found = {p for p, _ in carries if p in given}
    while True:
        reached = _dependent(op.body.ops, given | found)
        more = {p for p, v in carries if v in reached}
        if more <= found:
            return found
        found |= more


def _or_zero(b: Builder, g: Value | None, like: Value) -> Value:
    return b.splat(0, like.type) if g is None else g


def _saved_carries(op: Scan, b: Builder) -> tuple[Value, ...]:
    """The carries that each step of the scan begins with, stacked along a new dim 0."""
    n = len(op.init)
    inner = Builder()
    params = [
        inner.param(label, p.type)
        for label, p in zip(op.body.param_names, op.body.params, strict=True)
    ]
    results = inner.inline(op.body, params)
    saving = inner.function(*results, *params[:n])
    return _results(op.with_fields(body=saving), b)[len(op.results) :]


_REGION_RULES: dict[
    type[Op], Callable[[Op, Builder, Sequence[Value | None], set[Value]], Gradients]
] = {
    If: _if_vjp,
    Case: _case_vjp,
    While: _while_vjp,
    CustomVjp: _custom_vjp,
    Scan: _scan_vjp,
}
