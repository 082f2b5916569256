"""The lowest layer of the builder: lines of text, names, and reuse of equal pure instructions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kgraph.codegen.llvm.target import Target
from kgraph.codegen.llvm.values import PTR, VOID, Operand, Type

# Functions of libc and libm that generated code may call; the loader resolves nothing else.
ALLOWED_SYMBOLS = frozenset(
    """memcpy memmove memset memcmp
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh erf exp expm1 fmod log log1p pow sin sinh
    tan tanh acosf acoshf asinf asinhf atanf atan2f atanhf cbrtf cosf coshf erff expf expm1f fmodf
    logf log1pf powf sinf sinhf tanf tanhf
    syscall clock_gettime sched_yield""".split()
)


class Emitter:
    """Text of one function body. Kernels use the subclass `Function`."""

    def __init__(self, target: Target, declarations: set[str]) -> None:
        self.target = target
        self._declarations = declarations
        self._entry: list[str] = []  # allocas, printed at the head of the entry block
        self._lines: list[str] = []
        self._label = "entry"
        self._names: dict[str, int] = {}
        # Pure instructions already emitted, innermost scope last: a value may be used again
        # wherever its block dominates, which is inside the scope that made it.
        self._scopes: list[dict[tuple[Type, str], Operand]] = [{}]

    def fresh(self, name: str) -> str:
        """A name that no other value or label of the function has: `name`, then `name.1`, ..."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}.{count}" if count else name

    def instruction(self, type: Type, text: str, name: str = "v", pure: bool = True) -> Operand:
        """Appends `%name = text` and returns its value of type `type`.

        A `pure` instruction (no memory, no side effect) that already stands in this block or in
        one around it is not emitted again.
        """
        if pure:
            for scope in reversed(self._scopes):
                known = scope.get((type, text))
                if known is not None:
                    return known
        value = Operand(type, "%" + self.fresh(name))
        self._lines.append(f"  {value.text} = {text}")
        if pure:
            self._scopes[-1][type, text] = value
        return value

    def statement(self, text: str) -> None:
        """Appends an instruction without a result."""
        self._lines.append("  " + text)

    def comment(self, text: str) -> None:
        """Appends a comment line."""
        self._lines.append("  ; " + text)

    def declare(self, result: Type, symbol: str, parameters: Sequence[Type]) -> None:
        """Declares an external function once per module."""
        types = ", ".join(item.text for item in parameters)
        self._declarations.add(f"declare {result.text} @{symbol}({types}) nounwind")

    def intrinsic(
        self,
        name: str,
        result: Type,
        arguments: Sequence[Operand],
        overloads: Sequence[Type] | None = None,
        pure: bool = True,
    ) -> Operand:
        """Calls `@llvm.<name>.<overloads>`; `overloads` defaults to the result type."""
        mangled = "".join("." + item.mangled for item in overloads or (result,))
        symbol = f"llvm.{name}{mangled}"
        types = ", ".join(item.type.text for item in arguments)
        self._declarations.add(f"declare {result.text} @{symbol}({types})")
        text = f"call {result.text} @{symbol}({_arguments(arguments)})"
        if result is VOID:
            self.statement(text)
            return Operand(VOID, "")
        return self.instruction(result, text, pure=pure)

    def machine_intrinsic(self, symbol: str, result: Type, arguments: Sequence[Operand]) -> Operand:
        """Calls a pure intrinsic of one CPU family by its whole name, `llvm.x86....`."""
        types = ", ".join(item.type.text for item in arguments)
        self._declarations.add(f"declare {result.text} @{symbol}({types})")
        return self._call("@" + symbol, result, arguments, pure=True)

    def call_symbol(
        self, symbol: str, result: Type, arguments: Sequence[Operand], pure: bool = False
    ) -> Operand:
        """Calls a C function; scalars and pointers only.

        Raises:
            ValueError: the symbol is not in `ALLOWED_SYMBOLS`.
        """
        if symbol not in ALLOWED_SYMBOLS:
            raise ValueError(f"generated code may not call {symbol!r}: not in ALLOWED_SYMBOLS")
        self.declare(result, symbol, [item.type for item in arguments])
        return self._call("@" + symbol, result, arguments, pure)

    def _call(
        self, callee: str, result: Type, arguments: Sequence[Operand], pure: bool = False
    ) -> Operand:
        text = f"call {result.text} {callee}({_arguments(arguments)})"
        if result is VOID:
            self.statement(text)
            return Operand(VOID, "")
        return self.instruction(result, text, pure=pure)

    def alloca(self, type: Type, count: int = 1, align: int = 64, name: str = "stack") -> Operand:
        """Stack memory for `count` elements, made once in the entry block; returns its pointer."""
        value = Operand(PTR, "%" + self.fresh(name))
        self._entry.append(f"  {value.text} = alloca {type.text}, i64 {count}, align {align}")
        return value

    def start_block(self, label: str) -> None:
        """Begins a basic block; the previous one must have been ended by a branch."""
        self._lines.append(f"{label}:")
        self._label = label

    def branch(self, label: str) -> None:
        """Ends the block by a jump."""
        self.statement(f"br label %{label}")

    def branch_if(self, condition: Operand, then: str, otherwise: str, notes: str = "") -> None:
        """Ends the block by a conditional jump."""
        self.statement(f"br i1 {condition.text}, label %{then}, label %{otherwise}{notes}")

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is emitted inside does not dominate what follows, so is not reused there."""
        self._scopes.append({})
        yield
        self._scopes.pop()


def _arguments(arguments: Sequence[Operand]) -> str:
    return ", ".join(f"{item.type.text} {item.text}" for item in arguments)
