"""A function as a networkx graph: for people who look, and for tests. No pass uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kgraph.ir.graph import Function, Op

if TYPE_CHECKING:
    import networkx


def to_networkx(fn: Function) -> networkx.MultiDiGraph[int]:
    """A node for each op, numbered in order, with its `op`, and an edge for each value read, with
    its `value`.

    Parameters are nodes too, with negative numbers.
    """
    import networkx

    graph: networkx.MultiDiGraph[int] = networkx.MultiDiGraph(name=fn.name)
    number: dict[Op, int] = {p.op: -1 - i for i, p in enumerate(fn.params)}
    number.update({op: i for i, op in enumerate(fn.ops)})
    for op, n in number.items():
        graph.add_node(n, op=op, label=op.name)
    for op in fn.ops:
        for v in op.operands:
            graph.add_edge(number[v.op], number[op], value=v, label=str(v.type))
    return graph
