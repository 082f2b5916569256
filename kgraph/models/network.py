"""The graph between KerasTensors, in the order in which a model runs and numbers it."""

from collections.abc import Sequence
from typing import Any

from kgraph.layers import Input
from kgraph.ops import KerasTensor, Node
from kgraph.utils import tree

__all__ = ["Network", "with_own_inputs"]


class Network:
    """What lies between inputs and outputs.

    Attributes:
        nodes: the calls, in an order in which they can run.
        operations: what is called, each once: the farther from the outputs the earlier, as Keras
            lists them.
    """

    def __init__(
        self, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], name: str
    ) -> None:
        found, first_seen = _reachable(inputs, outputs, name)
        node_depth, depth = _depths(found)
        for x in inputs:
            operation = x._keras_history.operation
            if operation not in depth:  # an input that no output needs
                depth[operation] = 0
                first_seen.setdefault(operation, -1)
                node = operation._inbound_nodes[x._keras_history.node_index]
                node_depth[node] = 0
                found.append(node)
        self.operations = sorted(depth, key=lambda op: (-depth[op], first_seen[op]))
        order = {op: i for i, op in enumerate(self.operations)}
        self.nodes = sorted(
            found,
            key=lambda n: (-node_depth[n], order[n.operation], n.operation._inbound_nodes.index(n)),
        )
        _check_names(self.operations)


def _reachable(
    inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], name: str
) -> tuple[list[Node], dict[Any, int]]:
    """The nodes between, makers first, and when each operation was first met on the way back."""
    starts = {id(x) for x in inputs}
    done: dict[Node, None] = {}
    first_seen: dict[Any, int] = {}
    for output in outputs:
        pending: list[tuple[Node, bool]] = [(_maker(output, name), False)]
        while pending:
            node, expanded = pending.pop()
            if expanded:
                done.setdefault(node)
                continue
            if node in done:
                continue
            first_seen.setdefault(node.operation, len(first_seen))
            pending.append((node, True))
            if any(id(x) in starts for x in node.output_tensors):
                continue
            if node.is_input:
                raise ValueError(
                    f"The model '{name}' is disconnected: its outputs depend on the input "
                    f"{node.output_tensors[0]!r}, "
                    "which is not among its inputs."
                )
            pending += [
                (_maker(x, name), False)
                for x in reversed(node.input_tensors)
                if _maker(x, name) not in done
            ]
    return list(done), first_seen


def _maker(x: KerasTensor, name: str) -> Node:
    history = getattr(x, "_keras_history", None)
    if history is None or history.operation is None:
        raise ValueError(
            f"The model '{name}': {x!r} comes from no `Input`; every tensor of a model must."
        )
    node: Node = history.operation._inbound_nodes[history.node_index]
    return node


def _depths(nodes: list[Node]) -> tuple[dict[Node, int], dict[Any, int]]:
    """How many calls lie between each call, or operation, and the last one."""
    inside = set(nodes)
    node_depth: dict[Node, int] = {}
    depth: dict[Any, int] = {}
    for node in reversed(nodes):
        own = max(node_depth.get(node, 0), depth.get(node.operation, 0))
        node_depth[node] = depth[node.operation] = own
        for parent in node.parent_nodes:
            if parent in inside:
                node_depth[parent] = max(own + 1, node_depth.get(parent, 0))
    return node_depth, depth


def _check_names(operations: Sequence[Any]) -> None:
    seen: set[str] = set()
    for operation in operations:
        if operation.name in seen:
            raise ValueError(
                f'The name "{operation.name}" is used twice in the model. All operation names '
                "should be unique."
            )
        seen.add(operation.name)


def with_own_inputs(inputs: Any, outputs: Any, name: str) -> tuple[Any, Any]:
    """Inputs and outputs of a graph that begins with input layers.

    An input that lies within another graph is replaced by a new input layer's, and all calls up to
    the outputs are recorded anew from there; the layers are the same.
    """
    flat = tree.flatten(inputs)
    if all(_maker(x, name).is_input for x in flat):
        return inputs, outputs
    new: dict[int, Any] = {}
    for x in flat:
        own = _maker(x, name).is_input
        new[id(x)] = x if own else Input(batch_shape=x.shape, dtype=x.dtype, name=f"{x.name}CLONE")
    begins = set(new)
    for node in Network(flat, tree.flatten(outputs), name).nodes:
        if node.is_input or any(id(x) in begins for x in node.output_tensors):
            continue
        args, kwargs = node.arguments.fill_in(new)
        made = [KerasTensor(x.shape, x.dtype, name=f"{x.name}_clone") for x in node.outputs]
        Node(operation=node.operation, call_args=args, call_kwargs=kwargs, outputs=made)
        new.update({id(x): y for x, y in zip(node.outputs, made, strict=True)})
    swapped = [tree.map_structure(lambda x: new[id(x)], part) for part in (inputs, outputs)]
    return swapped[0], swapped[1]
