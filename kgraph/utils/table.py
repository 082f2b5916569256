"""Tables for the terminal."""

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["print_table"]


def print_table(
    title: str,
    columns: Sequence[tuple[str, str, int]],
    rows: Sequence[Sequence[str]],
    lines: Sequence[str],
    width: int,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """Prints a title, a table with lines between its rows, and lines of text below.

    Args:
        title: shown in bold.
        columns: heading, alignment ("left", "right" or "center") and width of each.
        rows: the cells; like title and lines they may hold rich's markup.
        lines: shown below.
        width: of the table, in characters.
        print_fn: is called with the whole text, without colours, in place of printing it.
    """
    from rich.console import Console
    from rich.table import Column, Table

    heads = [
        Column(name, justify=side, width=size)  # type: ignore[arg-type]  # one of rich's words
        for name, side, size in columns
    ]
    table = Table(*heads, width=width, show_lines=True)
    for row in rows:
        table.add_row(*row)
    if print_fn is None:
        console = Console(highlight=False)
    else:
        console = Console(highlight=False, force_terminal=False, color_system=None)
        console.begin_capture()
    console.print(f"[bold]{title}[/bold]")
    console.print(table)
    for line in lines:
        console.print(line)
    if print_fn is not None:
        print_fn(console.end_capture())
