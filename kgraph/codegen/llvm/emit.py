"""The builder that all kernels share: modules and functions that print as readable LLVM IR.

    module = Module(target)
    with module.function("axpy", [("n", I64), ("a", FLOAT), ("x", PTR), ("y", PTR)]) as f:
        n, a, x, y = f.parameters
        source, result = View(x, "float32", (1,)), View(y, "float32", (1,))

        def body(i: Operand, mask: Operand | None) -> None:
            value = f.load(source, [i], lanes=8, mask=mask)
            f.store(result, [i], f.mul(value, a), mask=mask)   # a scalar beside a vector splats

        f.strips(n, 8, body)                                    # masked last vector
    text = module.text()

Values are `Operand`s (a type and a text); a Python number stands for a constant of the other
operand's type, so index arithmetic on constants folds away. Pure instructions that already stand
in an enclosing block are used again, so callers need not keep addresses themselves.

    with f.loop(0, n, 4) as i: ...                              # i is an i64
    with f.carried_loop(0, n, [zero]) as loop:                  # accumulators
        loop.next(f.add(loop.values[0], ...))
    total, = loop.results
    with f.while_loop([x]) as loop:
        loop.test(f.compare("GT", loop.values[0], 0)); loop.next(...)
    with f.when(condition): ...
    choice = f.choose(condition)
    with choice.then(): choice.give(a)
    with choice.otherwise(): choice.give(b)
    value, = choice.results
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, final

from kgraph.codegen.llvm.block import ALLOWED_SYMBOLS
from kgraph.codegen.llvm.control import CarriedLoop, Choice, Control, WhileLoop
from kgraph.codegen.llvm.memory import View
from kgraph.codegen.llvm.target import Target
from kgraph.codegen.llvm.values import (
    DOUBLE,
    FLOAT,
    I1,
    I8,
    I16,
    I32,
    I64,
    PTR,
    VOID,
    Index,
    Number,
    Operand,
    Type,
    constant,
    is_floating,
    is_signed,
    item_bytes,
    memory_type,
    poison,
    register_type,
    type_of,
    vector_constant,
)

__all__ = [
    "ALLOWED_SYMBOLS", "DOUBLE", "FLOAT", "I1", "I8", "I16", "I32", "I64", "PTR", "VOID",
    "CarriedLoop", "Choice", "Function", "Index", "Module", "Number",
    "Operand", "Parts", "Type", "View", "WhileLoop",
    "constant", "is_floating", "is_signed", "item_bytes", "memory_type", "poison",
    "register_type", "type_of", "vector_constant",
]  # fmt: skip

_NAMES = re.compile(r"@([\w.]+)")
# Lines of a part. Compiling a part costs a millisecond or two beside its lines, 20 us each.
_PART = 2000


@final
class Function(Control):
    """A function being written. Made by `Module.function`.

    Attributes: `name`, `parameters` (operands), `returns` (type), `target`, `module`.
    """

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: Sequence[tuple[str, Type]],
        returns: Type,
        noalias: bool,
        cold: bool,
    ) -> None:
        super().__init__(module.target, module.declarations)
        self.module = module
        self.name = name
        self.returns = returns
        self.parameters = tuple(
            Operand(kind, "%" + self.fresh(parameter)) for parameter, kind in parameters
        )
        names = [parameter for parameter, _ in parameters]
        self._named = dict(zip(names, self.parameters, strict=True))
        self._noalias = noalias
        self._cold = cold
        self._returned = False

    def parameter(self, name: str) -> Operand:
        """The parameter of that name."""
        return self._named[name]

    def ret(self, value: Operand | None = None) -> None:
        """Returns from the function; must be the last instruction, outside all blocks."""
        self.statement("ret void" if value is None else f"ret {value!r}")
        self._returned = True

    def call(self, callee: str, arguments: Sequence[Index]) -> Operand:
        """Calls another function of the module by name; Python ints become i64.

        Raises:
            KeyError: no such function. TypeError: the argument types differ.
        """
        parameters, returns = self.module.signatures[callee]
        values = [self.index(item) for item in arguments]
        if tuple(item.type for item in values) != parameters:
            raise TypeError(f"{callee} takes {parameters}, got {values}")
        return self._call(self.module.address_of(callee).text, returns, values)

    def call_pointer(
        self, pointer: Operand, arguments: Sequence[Operand], returns: Type = VOID
    ) -> Operand:
        """Calls through a function pointer."""
        return self._call(pointer.text, returns, arguments)

    @property
    def length(self) -> int:
        """Lines of the body."""
        return len(self._entry) + len(self._lines)

    def body(self) -> str:
        """The definition behind the name: equal for functions that do the same."""
        alias = "noalias " if self._noalias else ""
        items = ", ".join(
            f"{item.type.text} {alias if item.type is PTR else ''}{item.text}"
            for item in self.parameters
        )
        head = f"({items}) #{int(self._cold)} {{"
        return "\n".join([head, "entry:", *self._entry, *self._lines, "}"])


class Parts(Protocol):
    """Takes a long module in parts, and may have functions of it from elsewhere."""

    def has(self, name: str) -> bool:
        """Whether the function of this name, which says what it does, need not be written."""

    def add(self, text: str) -> None:
        """Takes a part."""


@dataclass
class _Part:
    """The names and texts of functions, and their lines."""

    functions: list[tuple[str, str]] = field(default_factory=list)
    length: int = 0


class Module:
    """A module being written: functions and global constants for one target.

    With `parts`, it comes in parts: each is handed on as soon as it is long enough, and `last`
    gives the last. Functions that are compiled fast have parts of their own. Internal functions are
    then named by what they do, so that programs can share their code. Global variables are
    constants of each part, also named by what they are.
    """

    def __init__(self, target: Target, parts: Parts | None = None) -> None:
        self.target = target
        self.declarations: set[str] = set()
        self.signatures: dict[str, tuple[tuple[Type, ...], Type]] = {}
        self.private: set[str] = set()  # names whose functions are internal, whoever writes them
        self._parts = parts
        self._written = {False: _Part(), True: _Part()}  # the latter: cold ones, if it has parts
        self._globals: dict[str, str] = {}
        # Of functions that nobody outside calls by name: those that are written once for several.
        self._bodies: dict[tuple[Type, str], str] = {}
        self._written_as: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        """Whether a function of this name exists."""
        return name in self.signatures

    @contextmanager
    def function(
        self,
        name: str,
        parameters: Sequence[tuple[str, Type]],
        returns: Type = VOID,
        internal: bool = False,
        noalias: bool = False,
        cold: bool = False,
    ) -> Iterator[Function]:
        """Defines a function; one without a `ret` of its own returns void at its end.

        `internal` functions are not visible outside the object, and one that is equal to another
        is not written again; `noalias` promises that memory written through one pointer parameter
        is not read through another; `cold` ones, which do little but call others, are compiled
        fast rather than well.
        """
        assert name not in self.signatures, name
        self.signatures[name] = (tuple(kind for _, kind in parameters), returns)
        internal = internal or name in self.private
        function = Function(self, name, parameters, returns, noalias, cold)
        yield function
        if not function._returned:
            assert returns is VOID, f"{name} returns {returns} but has no `ret`"
            function.ret()
        text = function.body()
        written = self._name_of(name, returns, text) if internal else name
        if written != name:
            self._written_as[name] = written
            if written in self.signatures:
                return
            self.signatures[written] = self.signatures[name]
        if internal and self._parts is not None and self._parts.has(written):
            return
        apart = cold and self._parts is not None
        part = self._written[apart]
        if self._parts is not None and part.length > _PART:
            self._parts.add(self._text(part.functions))
            self._written[apart] = part = _Part()
        linkage = f"{self._linkage} " if internal else ""
        part.functions.append((written, f"define {linkage}{returns.text} @{written}{text}"))
        part.length += function.length

    def _name_of(self, name: str, returns: Type, body: str) -> str:
        """Of an internal function, as it is written: that of the first equal one; in parts a digest
        of all that its text depends on. Callees and constants stand in the body by such names."""
        if self._parts is None:
            return self._bodies.setdefault((returns, body), name)
        text = "\n".join((*self._head(), *self._tail(), returns.text, body))
        return "f" + hashlib.sha256(text.encode()).hexdigest()[:32]

    def address_of(self, name: str) -> Operand:
        """The pointer to a function of the module, for `Function.call_pointer` and C."""
        assert name in self.signatures, name
        return Operand(PTR, "@" + self._written_as.get(name, name))

    def global_variable(self, name: str, text: str) -> Operand:
        """Defines `@name = <text>` once, such as `internal constant [2 x i32] [...]`."""
        assert self._globals.get(name, text) == text, name
        self._globals[name] = text
        return Operand(PTR, "@" + name)

    def text(self) -> str:
        """The module, or what was not handed on of it."""
        return self._text([*self._written[False].functions, *self._written[True].functions])

    def last(self) -> str:
        """The last part, of cold functions, when the others are handed on; without parts all."""
        if self._parts is not None and self._written[False].functions:
            self._parts.add(self._text(self._written[False].functions))
            self._written[False] = _Part()
        return self.text()

    def _text(self, functions: Sequence[tuple[str, str]]) -> str:
        used = {name for _, text in functions for name in _NAMES.findall(text)}
        used -= {name for name, _ in functions}
        elsewhere = sorted(used & self.signatures.keys())
        lines = [
            *self._head(),
            "",
            *(f"@{name} = {text}" for name, text in self._globals.items() if name in used),
            *sorted(line for line in self.declarations if _NAMES.findall(line)[0] in used),
            *(self._declaration(name) for name in elsewhere),
            "",
            *("\n" + text for _, text in functions),
            "",
            *self._tail(),
        ]
        return "\n".join(lines) + "\n"

    def _head(self) -> list[str]:
        return [
            f'target datalayout = "{self.target.layout}"',
            f'target triple = "{self.target.triple}"',
        ]

    def _tail(self) -> list[str]:
        bits = 8 * self.target.vector_bytes
        # Without `min-legal-vector-width` LLVM splits 512-bit vectors on CPUs that it thinks
        # prefer narrower ones.
        width = f'"prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
        return [
            f"attributes #0 = {{ nounwind {width} }}",
            f"attributes #1 = {{ nounwind noinline optnone {width} }}",
            "!0 = distinct !{!0, !1, !2}",
            '!1 = !{!"llvm.loop.unroll.disable"}',
            '!2 = !{!"llvm.loop.vectorize.enable", i1 false}',
        ]

    @property
    def _linkage(self) -> str:
        """Of functions that are not for others than the module, or its parts."""
        return "internal" if self._parts is None else "hidden"

    def _declaration(self, name: str) -> str:
        parameters, returns = self.signatures[name]
        types = ", ".join(kind.text for kind in parameters)
        return f"declare {self._linkage} {returns.text} @{name}({types}) nounwind"
