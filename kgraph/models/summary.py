"""The table that `model.summary()` prints."""

import math
import sys
from typing import Any

from kgraph.ir import numpy_dtype

__all__ = ["print_summary"]


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> None:
    """Prints name, class, output shape and weights of each layer, and the totals.

    Args:
        model: a model.
        line_length: the width of the table; None: as the content wants.
        print_fn: is called with the text in place of printing it.
        expand_nested: shows the layers of models within the model.
        show_trainable: a column that says whether a layer is trained.
    """
    import io

    from rich.console import Console
    from rich.table import Table

    connected = not _is_chain(model)
    table = Table(width=line_length, header_style="bold")
    for title, justify in (
        [("Layer (type)", "left"), ("Output Shape", "left"), ("Param #", "right")]
        + [("Connected to", "left")] * connected
        + [("Trainable", "center")] * show_trainable
    ):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]  # one of rich's words
    for depth, layer in _rows(model, expand_nested, 0):
        row = [
            f"{'    ' * depth}{layer.name} ({type(layer).__name__})",
            _shape_text(layer),
            _count_text(layer),
        ]
        row += [_connections(layer)] * connected + [
            "Y" if layer.trainable else "N"
        ] * show_trainable
        table.add_row(*row)
    buffer = io.StringIO()
    console = Console(file=buffer, width=line_length or 100, highlight=False, force_terminal=False)
    console.print(f'[bold]Model: "{model.name}"[/bold]')
    console.print(table)
    for line in _totals(model):
        console.print(line)
    text = buffer.getvalue()
    if print_fn is not None:
        print_fn(text)
    else:
        sys.stdout.write(text)


def _is_chain(model: Any) -> bool:
    if model._obj_type() != "Functional":
        return True
    return all(len(node.input_tensors) <= 1 for node in model._nodes) and all(
        len([n for n in op._inbound_nodes if n in set(model._nodes)]) == 1
        for op in model._operations
    )


def _rows(model: Any, expand: bool, depth: int) -> list[tuple[int, Any]]:
    found = []
    for layer in model.layers:
        found.append((depth, layer))
        if expand and hasattr(layer, "layers"):
            found += _rows(layer, expand, depth + 1)
    return found


def _shape_text(layer: Any) -> str:
    if layer._inbound_nodes:
        shapes = [x.shape for x in layer._inbound_nodes[-1].output_tensors]
        return ", ".join(_one_shape(s) for s in shapes)
    if getattr(layer, "_functional", None) is not None:
        return _one_shape(layer.output_shape)
    return "?"


def _one_shape(shape: Any) -> str:
    return f"({', '.join(str(d) for d in shape)}{',' if len(shape) == 1 else ''})"


def _count_text(layer: Any) -> str:
    weights = layer.weights
    if not layer.built and not weights:
        return "0 (unbuilt)"
    return f"{sum(math.prod(v.shape) for v in weights):,}"


def _connections(layer: Any) -> str:
    places = []
    for node in layer._inbound_nodes:
        for x in node.input_tensors:
            history = x._keras_history
            places.append(f"{history.operation.name}[{history.node_index}][{history.tensor_index}]")
    return ", ".join(places) or "-"


def _totals(model: Any) -> list[str]:
    trainable = _size(model.trainable_weights)
    frozen = _size(model.non_trainable_weights)
    optimizer = (
        _size(model.optimizer.variables)
        if getattr(model, "optimizer", None) is not None and model.compiled
        else (0, 0)
    )
    total = tuple(a + b + c for a, b, c in zip(trainable, frozen, optimizer, strict=True))
    lines = [
        ("Total params", total),
        ("Trainable params", trainable),
        ("Non-trainable params", frozen),
    ]
    if optimizer[0]:
        lines.append(("Optimizer params", optimizer))
    return [
        f"[bold] {name}: [/bold]{count:,} ({_bytes_text(nbytes)})"
        for name, (count, nbytes) in lines
    ]


def _size(variables: Any) -> tuple[int, int]:
    counts = [math.prod(v.shape) for v in variables]
    return sum(counts), sum(
        n * numpy_dtype(v.dtype).itemsize for n, v in zip(counts, variables, strict=True)
    )


def _bytes_text(nbytes: int) -> str:
    if nbytes < 1024:
        return f"{nbytes:.2f} B"
    for unit in ("KB", "MB"):
        nbytes /= 1024  # type: ignore[assignment]  # a float from here on
        if nbytes < 1024:
            return f"{nbytes:.2f} {unit}"
    return f"{nbytes / 1024:.2f} GB"
