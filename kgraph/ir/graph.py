"""The graph: values, ops, functions. Nodes are inert and immutable; behaviour lives in passes.

A class per op, derived from `Op`. Its fields are its meaning: those of type `Value` or
`tuple[Value, ...]` are operands, those of type `Function` or `tuple[Function, ...]` regions, all
others attributes (ints, bools, floats, strings, sizes, types, literals, and tuples of them).
Printer, parser, verifier, interpreter, autodiff, backends, fuzzer and docs read the class, and
nothing else says what an op is.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, dataclass_transform

from numpy.typing import NDArray

from kgraph.ir.errors import IRError, NotDifferentiableError
from kgraph.ir.location import NOWHERE, Location
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder
    from kgraph.ir.dims import Shape
    from kgraph.ir.locality import Locality

Array: TypeAlias = NDArray[Any]  # of any of the dtypes


class Fact(Enum):
    """What passes may know of an op without knowing the op."""

    # an element of a result depends on the operands' elements at its index (of rank 0: on the one)
    ELEMENTWISE = auto()
    COMMUTATIVE = auto()  # op(x, y) is op(y, x), bit for bit
    LINEAR = auto()  # of partial sums it makes partial sums: op(x) + op(y) is op(x + y)
    CHEAP = auto()  # computing it again costs less than storing and loading it
    MOVES = auto()  # moves elements and computes nothing
    TRANSCENDENTAL = auto()  # tens of instructions for an element

    __hash__ = object.__hash__  # Enum's own is written in Python, and passes ask all the time


class Value:
    """Result `index` of `op`. Compared by identity."""

    __slots__ = ("index", "op", "type")

    def __init__(self, op: Op, index: int, type_: TensorType) -> None:
        self.op, self.index, self.type = op, index, type_

    @property
    def shape(self) -> Shape:
        """The shape of the type."""
        return self.type.shape

    @property
    def dtype(self) -> str:
        """The dtype of the type."""
        return self.type.dtype

    def __repr__(self) -> str:
        return f"<{self.type} of {self.op.name}>"


OPS: dict[str, type[Op]] = {}  # every op class by name

_OWN_NAMES = ("name", "facts")


@dataclass_transform(frozen_default=True, eq_default=False)
class Op:
    """Base of all ops: immutable, compared by identity (`==` over a graph is exponential)."""

    name: ClassVar[str]
    facts: ClassVar[frozenset[Fact]] = frozenset()
    operand_fields: ClassVar[tuple[tuple[str, bool], ...]]  # (field, is it a tuple)
    region_fields: ClassVar[tuple[tuple[str, bool], ...]]
    attribute_fields: ClassVar[tuple[str, ...]]
    defaults: ClassVar[dict[str, object]]  # of the attributes that have one
    field_names: ClassVar[tuple[str, ...]]
    operands: tuple[Value, ...]
    results: tuple[Value, ...]

    def __init_subclass__(cls, abstract: bool = False) -> None:
        own = inspect.get_annotations(cls)
        hidden = [
            f
            for f, kind in own.items()
            if (hasattr(Op, f) or f in Op.__annotations__)
            and f not in _OWN_NAMES
            and not str(kind).startswith("ClassVar")
        ]
        if hidden:
            raise TypeError(f"{cls.__name__}: the fields {hidden} would hide attributes of Op")
        # What `dataclass` would write takes longer than the rest of importing all ops.
        dataclass(init=False, eq=False, repr=False)(cls)
        cls.__init__ = _first_init  # type: ignore[assignment]  # as below
        kinds = [(f.name, str(f.type)) for f in fields(cls)]  # type: ignore[arg-type]  # it is a dataclass by now
        cls.field_names = tuple(f for f, _ in kinds)
        cls.operand_fields = tuple(
            (f, kind != "Value") for f, kind in kinds if kind in ("Value", "tuple[Value, ...]")
        )
        cls.region_fields = tuple(
            (f, kind != "Function")
            for f, kind in kinds
            if kind in ("Function", "tuple[Function, ...]")
        )
        taken = {f for f, _ in cls.operand_fields + cls.region_fields}
        cls.attribute_fields = tuple(f for f, _ in kinds if f not in taken)
        cls.defaults = {f.name: f.default for f in fields(cls) if f.default is not MISSING}  # type: ignore[arg-type]  # as above
        if not abstract:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
            OPS[cls.name] = cls

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"an op is immutable: {name} stays as it is")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"an op is immutable: {name} stays")

    def __post_init__(self) -> None:
        state = self.__dict__  # frozen for everyone else
        flat: list[Value] = []
        for field, many in self.operand_fields:
            if many:
                flat.extend(state[field])
            else:
                flat.append(state[field])
        state["operands"] = tuple(flat)
        types = self.infer()
        if isinstance(types, TensorType):
            types = (types,)
        state["results"] = tuple([Value(self, i, t) for i, t in enumerate(types)])

    @property
    def result(self) -> Value:
        """The only result."""
        (only,) = self.results
        return only

    @property
    def location(self) -> Location:
        """The layer path and source line; set by the builder that takes the op."""
        found: Location = self.__dict__.get("_location", NOWHERE)
        return found

    @property
    def regions(self) -> tuple[Function, ...]:
        """All regions, in the order of the fields."""
        found: list[Function] = []
        for field, many in self.region_fields:
            if many:
                found.extend(self.__dict__[field])
            else:
                found.append(self.__dict__[field])
        return tuple(found)

    def located(self, location: Location) -> Op:
        """This op, with the location noted unless it has one."""
        self.__dict__.setdefault("_location", location)
        return self

    def with_fields(self, **changes: object) -> Op:
        """The same op with some fields changed, at the same location."""
        state = self.__dict__
        op = type(self)(**{f: changes[f] if f in changes else state[f] for f in self.field_names})
        if "_location" in state:
            op.__dict__["_location"] = state["_location"]
        return op

    def with_operands(self, operands: tuple[Value, ...]) -> Op:
        """The same op over other operands, given flat."""
        for new, old in zip(operands, self.operands, strict=True):
            if new.type is not old.type:
                return self.with_fields(**self.unflatten(operands))
        # `infer` sees types and attributes alone, so there is nothing to infer or to check again.
        op: Op = object.__new__(type(self))
        state = op.__dict__
        state.update(self.__dict__)
        state.update(self.unflatten(operands))
        state["operands"] = operands
        state["results"] = tuple([Value(op, v.index, v.type) for v in self.results])
        return op

    def unflatten(self, flat: tuple[object, ...]) -> dict[str, object]:
        """One item per operand, as the operand fields group them."""
        state, grouped, at = self.__dict__, {}, 0
        for field, many in self.operand_fields:
            count = len(state[field]) if many else 1
            grouped[field] = flat[at : at + count] if many else flat[at]
            at += count
        return grouped

    def key(self, regions: object = None) -> tuple[object, ...]:
        """Ops with equal keys compute equal values.

        `regions` stands for the op's regions; by default they are equal where they are the same.
        """
        state = self.__dict__
        kind = state.get("_kind")  # without operands and regions: `with_operands` keeps it
        if kind is None:
            attributes = [_attribute_key(state[f]) for f in self.attribute_fields]
            grouping = [len(state[f]) for f, many in self.operand_fields if many]
            kind = state["_kind"] = (type(self), *grouping, *attributes)
        if not self.region_fields:
            return (kind, self.operands)
        return (kind, self.operands, regions or self.regions)

    def error(self, label: str, message: str) -> IRError:
        """The error of a broken constraint, to be raised by `infer`; `label` is `C1`, `C2`, ..."""
        return IRError(f"{self.name}: {message}", f"{self.name}.{label}")

    # ---- what an op class defines ----

    def infer(self) -> TensorType | tuple[TensorType, ...]:
        """The types of the results, with the constraints checked. Called once, on construction."""
        raise NotImplementedError(self.name)

    def reference(self, *arrays: Any, **none: Any) -> Array | tuple[Array, ...]:
        """The meaning, in numpy, on concrete sizes: an argument for each operand, in order."""
        raise NotImplementedError(self.name)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """The gradient of each operand, from the gradients of the results; None for zero."""
        raise NotDifferentiableError(f"{self.name} has no gradient")

    def decompose(self, b: Builder) -> Value | tuple[Value, ...] | None:
        """The results by more basic ops, for a backend that lacks this one; None: it is basic."""
        return None

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        """How each result relates to the samples; `carried[k]` is the dim of operand k that carries
        them.

        None: the op is not batch-local and stays outside of regions.
        """
        return None


def _first_init(op: Op, *args: object, **kwargs: object) -> None:
    """Writes the class's `__init__` when its first op is made: most programs have few kinds."""
    cls = type(op)
    names = [f"{f}=defaults[{f!r}]" if f in cls.defaults else f for f in cls.field_names]
    body = [f"state[{f!r}] = {f}" for f in cls.field_names]
    lines = ["state = self.__dict__", *body, "self.__post_init__()"]
    text = f"def __init__(self, {', '.join(names)}):\n  " + "\n  ".join(lines)
    made: dict[str, Any] = {}
    exec(text, {"defaults": cls.defaults}, made)
    cls.__init__ = made["__init__"]  # type: ignore[method-assign]  # that is what is meant
    made["__init__"](op, *args, **kwargs)


def _attribute_key(value: object) -> object:
    """0.0 == -0.0 and 1 == True == 1.0 in Python, but not as attributes."""
    if isinstance(value, float):
        return (float, value.hex())
    if isinstance(value, tuple):
        return tuple([_attribute_key(v) for v in value])
    return (type(value), value)


class Param(Op):
    """An argument of a function; it stands in no list of ops."""

    label: str
    of: TensorType

    def infer(self) -> TensorType:
        """Any type."""
        return self.of


@dataclass(frozen=True, eq=False, repr=False)
class Function:
    """A closed program. `ops` stand in an order in which operands come first: the schedule.

    `params` are results of `Param`; `results` are any values, also twice or straight from the
    parameters.
    """

    params: tuple[Value, ...]
    ops: tuple[Op, ...]
    results: tuple[Value, ...]
    name: str = ""

    @property
    def param_names(self) -> tuple[str, ...]:
        """The labels of the parameters."""
        return tuple(p.op.label for p in self.params if isinstance(p.op, Param))

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols in the parameters' types, sorted."""
        return tuple(sorted({s for p in self.params for s in p.type.symbols}))

    def __repr__(self) -> str:
        takes = ", ".join(str(p.type) for p in self.params)
        return f"<Function {self.name}({takes}) of {len(self.ops)} ops>"


def users(fn: Function) -> dict[Value, list[Op]]:
    """The ops that read each value, in order; made when a pass wants it, never stored."""
    view: dict[Value, list[Op]] = {}
    for op in fn.ops:
        for v in op.operands:
            uses = view.setdefault(v, [])
            if not uses or uses[-1] is not op:
                uses.append(op)
    return view
