"""The table that `model.summary()` prints."""

import math
import re
import shutil
from collections.abc import Callable
from typing import Any

from kgraph.ir import numpy_dtype
from kgraph.utils.table import print_table

__all__ = ["print_summary"]


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Prints name, class, output shape and weights of each layer, and the totals.

    Args:
        model: a model.
        line_length: the width of the table; None: what the content needs and the terminal has.
        positions: where each column ends, as parts of the width.
        print_fn: is called with the text in place of printing it.
        expand_nested: shows the layers of models within the model.
        show_trainable: a column that says whether a layer is trained.
        layer_range: two names, or patterns: the first and the last layer to show.
    """
    chain = _is_chain(model)
    heads = [("Layer (type)", "left"), ("Output Shape", "left"), ("Param #", "right")]
    ends, default = positions or [0.45, 0.80, 1.0], 88
    if not chain:
        heads.append(("Connected to", "left"))
        ends, default = positions or [0.3, 0.56, 0.74, 1.0], 108
    if show_trainable:
        heads.append(("Trainable", "center"))
        ends, default = [p * 0.90 for p in ends] + [1.0], default + 12
    width = line_length or min(default, shutil.get_terminal_size().columns - 4)
    columns = [
        (name, side, size) for (name, side), size in zip(heads, _widths(ends, width), strict=False)
    ]
    operations = model.operations if model._obj_type() == "Functional" else model.layers
    first, last = _bounds(operations, layer_range)
    inside = None if chain else set(model._all_nodes)
    rows = [
        _cells(operation, depth, inside, show_trainable)
        for top in operations[first:last]
        for operation, depth in _expanded(top, expand_nested, 0)
    ]
    title = f'Model: "{_escaped(model.name)}"'
    print_table(title, columns, rows, _totals(model), width, print_fn)


def _widths(ends: list[float], width: int) -> list[int]:
    found, current = [], 0
    for end in ends:
        size = int(end * width) - current
        if size < 4:
            raise ValueError(
                f"The console, {width} characters wide, is too narrow for the summary. Give "
                "`line_length` or `positions`."
            )
        found.append(size)
        current += size
    return found


def _is_chain(model: Any) -> bool:
    """Does each call feed the next, and is no layer shared? Then nothing says "Connected to"."""
    if model._obj_type() != "Functional":
        return True
    nodes = model._all_nodes
    inside = set(nodes)
    calls = [sum(n in inside for n in op._inbound_nodes) for op in model.operations]
    fed = {id(x) for node in nodes for x in node.input_tensors}
    ends = sum(all(id(x) not in fed for x in node.output_tensors) for node in nodes)
    single = all(len(node.input_tensors) <= 1 for node in nodes)
    reads: list[int] = [id(x) for node in nodes for x in node.input_tensors]
    return single and max(calls) == 1 and ends == 1 and len(reads) == len(set(reads))


def _expanded(operation: Any, nested: bool, depth: int) -> list[tuple[Any, int]]:
    found = [(operation, depth)]
    if nested and hasattr(operation, "layers"):
        for layer in operation.layers:
            found += _expanded(layer, nested, depth + 1)
    return found


def _cells(operation: Any, depth: int, inside: Any, show_trainable: bool) -> list[str]:
    prefix = "   " * depth + "└ " if depth else ""
    name = _escaped(f"{prefix}{operation.name}")
    cells = [f"{name} ({_colored(33, _escaped(type(operation).__name__))})", _shapes(operation)]
    if not hasattr(operation, "built"):
        cells.append(_number(0))
    elif not operation.built:
        cells.append(f"{_number(0)} (unbuilt)")
    else:
        cells.append(_number(f"{operation.count_params():,}"))
    if inside is not None:
        cells.append(_connections(operation, inside))
    if show_trainable:
        has_weights = bool(getattr(operation, "weights", ()))
        mark = _colored(34, "Y") if has_weights and operation.trainable else _colored(9, "N")
        cells.append(f"[bold]{mark if has_weights else '-'}[/bold]")
    return cells


def _shapes(operation: Any) -> str:
    """The shapes of the outputs of the last call, or of the one that `build` foresaw."""
    if operation._inbound_nodes:
        shapes = [_shape(x.shape) for x in operation._inbound_nodes[-1].output_tensors]
    elif getattr(operation, "_build_shapes", None):
        try:
            if hasattr(operation, "output_shape"):
                found = operation.output_shape
            else:
                found = operation.compute_output_shape(**operation._build_shapes)
        except (NotImplementedError, TypeError, ValueError):
            return "?"
        single = all(n is None or isinstance(n, int) for n in found)
        shapes = [_shape(found)] if single else [_shape(s) for s in found]
    else:
        return "?"
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def _shape(shape: Any) -> str:
    return f"({', '.join(_number(n) for n in shape)})"


def _connections(operation: Any, inside: Any) -> str:
    places = []
    for node in operation._inbound_nodes:
        if node in inside:
            for x in node.input_tensors:
                source, call, index = x._keras_history
                places.append(f"{source.name}[{_number(call)}][{_number(index)}]")
    return ", ".join(places) or "-"


def _totals(model: Any) -> list[str]:
    trainable, frozen = _size(model.trainable_weights), _size(model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None) if model.compiled else None
    kept = _size(optimizer.variables) if optimizer is not None and optimizer.built else (0, 0)
    total = (trainable[0] + frozen[0] + kept[0], trainable[1] + frozen[1] + kept[1])
    lines = [
        ("Total params", total),
        ("Trainable params", trainable),
        ("Non-trainable params", frozen),
    ]
    if optimizer is not None and optimizer.built:
        lines.append(("Optimizer params", kept))
    return [
        f"[bold] {name}: [/bold]{_number(f'{count:,}')} ({_bytes(size)})"
        for name, (count, size) in lines
    ]


def _size(variables: Any) -> tuple[int, int]:
    """Numbers and bytes of variables."""
    counts = [math.prod(v.shape) for v in variables]
    sizes = [numpy_dtype(v.dtype).itemsize for v in variables]
    return sum(counts), sum(n * size for n, size in zip(counts, sizes, strict=True))


def _bytes(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def _bounds(operations: Any, layer_range: Any) -> tuple[int, int]:
    if layer_range is None:
        return 0, len(operations)
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(
            f"`layer_range` must be two names or patterns. Received: layer_range={layer_range}"
        )
    places = [
        [i for i, op in enumerate(operations) if re.match(pattern, op.name)]
        for pattern in layer_range
    ]
    if not places[0] or not places[1]:
        raise ValueError(f"`layer_range` matches no layer: {layer_range}")
    first, last = places[0][0], places[1][-1]
    return min(first, last), max(first, last) + 1


# ---- rich's markup ----


def _escaped(text: str) -> str:
    return re.sub(r"(\\*)(\[[a-z#/@][^[]*?])", r"\1\1\\\2", text)


def _colored(color: int, text: Any) -> str:
    return f"[color({color})]{text}[/]"


def _number(x: Any) -> str:
    return _colored(45 if x is None else 34, x)
