"""What a program takes: names, types, and the sizes that hide in the shapes of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgraph.ir import (
    Function,
    IRError,
    Location,
    Op,
    Size,
    TensorType,
    bind_size,
    bind_type,
    symbols_of,
)


class ArgumentError(IRError):
    """Arguments that do not fit a program; the message names the parameter."""


@dataclass(frozen=True)
class SizeCheck:
    """Two sizes that the trace assumed to be equal."""

    found: Size
    assumed: Size
    dim: int
    location: Location


@dataclass(frozen=True)
class Signature:
    """The parameters and results of a function, without its ops.

    Attributes:
        names: of the parameters.
        params: their types.
        results: the types of the results.
        symbols: of the parameters' types, sorted.
        checks: what else must hold of the sizes.
    """

    names: tuple[str, ...]
    params: tuple[TensorType, ...]
    results: tuple[TensorType, ...]
    symbols: tuple[str, ...]
    checks: tuple[SizeCheck, ...]

    @staticmethod
    def of(fn: Function) -> Signature:
        """The signature of `fn`.

        Raises:
            IRError: a symbol of a result or a check stands in no parameter's shape.
        """
        names = tuple(name or f"argument {i}" for i, name in enumerate(fn.param_names))
        signature = Signature(
            names=names,
            params=tuple(p.type for p in fn.params),
            results=tuple(v.type for v in fn.results),
            symbols=fn.symbols,
            checks=tuple(_checks(fn)),
        )
        wanted = {s for t in signature.results for s in t.symbols}
        for check in signature.checks:
            wanted.update(symbols_of(check.found), symbols_of(check.assumed))
        if unknown := sorted(wanted - set(signature.symbols)):
            raise IRError(f"the sizes {', '.join(unknown)} stand in no parameter's shape")
        return signature

    def sizes(self, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
        """The value of each symbol, from the arguments' shapes.

        Raises:
            ArgumentError: a shape does not fit its parameter, or one of `checks` fails.
        """
        sizes: dict[str, int] = {}
        pending: list[tuple[int, int]] = []
        for i, (type_, shape) in enumerate(zip(self.params, shapes, strict=True)):
            if len(shape) != type_.rank:
                raise self._wrong_shape(i, shape)
            for k, (expected, got) in enumerate(zip(type_.shape, shape, strict=True)):
                if isinstance(expected, int):
                    if expected != got:
                        raise self._wrong_shape(i, shape, f": dim {k} must be {expected}")
                elif (name := _lone_symbol(expected)) is None:
                    pending.append((i, k))
                elif sizes.setdefault(name, got) != got:
                    source = self._source(name, shapes)
                    raise self._wrong_shape(
                        i, shape, f": dim {k} is {name}, which {source} set to {sizes[name]}"
                    )
        self._solve(pending, shapes, sizes)
        for check in self.checks:
            found, assumed = bind_size(check.found, sizes), bind_size(check.assumed, sizes)
            if found != assumed:
                raise ArgumentError(_failed_check(check, found, assumed, sizes))
        return sizes

    def result_types(self, sizes: dict[str, int]) -> tuple[TensorType, ...]:
        """The types of the results for these sizes."""
        return tuple(bind_type(t, sizes) for t in self.results)

    def _solve(
        self,
        pending: list[tuple[int, int]],
        shapes: Sequence[tuple[int, ...]],
        sizes: dict[str, int],
    ) -> None:
        """Checks dims that are more than a symbol, and finds symbols that only such dims name."""
        for i, k in sorted(
            pending, key=lambda at: len(symbols_of(self.params[at[0]].shape[at[1]]))
        ):
            expected, got = self.params[i].shape[k], shapes[i][k]
            unknown = [s for s in symbols_of(expected) if s not in sizes]
            if len(unknown) == 1:
                value = _value_that_gives(expected, unknown[0], got, sizes)
                if value is None:
                    raise self._wrong_shape(i, shapes[i], f": dim {k} must be {expected}")
                sizes[unknown[0]] = value
            elif unknown:
                raise ArgumentError(
                    f"the sizes {', '.join(unknown)} cannot be told from the argument "
                    f"{self.names[i]}: {self.params[i]}"
                )
            if (bound := bind_size(expected, sizes)) != got:
                raise self._wrong_shape(i, shapes[i], f": dim {k} must be {expected} = {bound}")

    def _wrong_shape(self, i: int, shape: tuple[int, ...], more: str = "") -> ArgumentError:
        return ArgumentError(
            f"the argument {self.names[i]} must be {self.params[i]}; "
            f"got the shape {list(shape)}{more}"
        )

    def _source(self, name: str, shapes: Sequence[tuple[int, ...]]) -> str:
        for label, type_, shape in zip(self.names, self.params, shapes, strict=True):
            for k, size in enumerate(type_.shape):
                if _lone_symbol(size) == name:
                    return f"dim {k} of {label} (shape {list(shape)})"
        return "another argument"


def _lone_symbol(size: Size) -> str | None:
    names = symbols_of(size)
    return names[0] if len(names) == 1 and str(size) == names[0] else None


def _value_that_gives(size: Size, name: str, wanted: int, sizes: dict[str, int]) -> int | None:
    """The value of a symbol in which `size` is linear."""
    at_0, at_1 = (bind_size(size, {**sizes, name: n}) for n in (0, 1))
    if not isinstance(at_0, int) or not isinstance(at_1, int) or at_0 == at_1:
        return None
    value, rest = divmod(wanted - at_0, at_1 - at_0)
    return value if rest == 0 and value >= 0 else None


def _failed_check(check: SizeCheck, found: Size, assumed: Size, sizes: dict[str, int]) -> str:
    place = f"{check.location}: " if str(check.location) else ""
    given = ", ".join(f"{s}={v}" for s, v in sorted(sizes.items()))
    return (
        f"{place}dim {check.dim} must be {check.assumed} = {assumed}; "
        f"got {check.found} = {found} (with {given})"
    )


def _checks(fn: Function) -> list[SizeCheck]:
    """The assumptions of all `assume_shape` ops, those in regions included."""
    found: list[SizeCheck] = []
    pending: list[Function] = [fn]
    while pending:
        for op in pending.pop().ops:
            pending += op.regions
            if op.name == "assume_shape":
                found += _checks_of(op)
    return found


def _checks_of(op: Op) -> list[SizeCheck]:
    given, assumed = op.operands[0].shape, op.results[0].shape
    pairs = enumerate(zip(given, assumed, strict=True))
    return [SizeCheck(a, b, k, op.location) for k, (a, b) in pairs if a != b]
