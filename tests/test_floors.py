"""A package of kgraph imports only from lower floors, and heavy libraries only where allowed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the lowest up. The packages of one floor do not import each other.
FLOORS = [
    "version lazy",
    "ir",
    "passes",
    "codegen",  # what the backends share; they are packages inside it, one floor up
    "codegen.llvm codegen.jax codegen.reference",
    "runtime",
    "config",
    "registry",
    "utils",
    "ops",
    "random",
    "initializers regularizers constraints activations",
    "losses",
    "layers optimizers metrics",
    "callbacks saving",
    "models",
    "applications datasets",
    "cli",
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names.split()}

# Libraries beyond numpy and ml_dtypes: slow to import, or an extra. The files that may, and must,
# keep them out of `import kgraph` (tests/test_imports.py).
HEAVY = {
    "h5py": ["kgraph/saving/"],
    "jax": ["kgraph/codegen/jax/"],
    "llvmlite": ["kgraph/codegen/llvm/"],
    "networkx": ["kgraph/ir/"],
    "rich": [
        "kgraph/callbacks",
        "kgraph/cli",
        "kgraph/datasets/_files.py",
        "kgraph/utils/table.py",
    ],
    "typer": ["kgraph/cli"],
}
LIGHT = {"ml_dtypes", "numpy"} | set(sys.stdlib_module_names)
LINKS = {"ir", "passes", "codegen", "runtime"}

Import = tuple[int, str]


def imports(tree: ast.AST) -> Iterator[Import]:
    """Line and module of each import in `tree`, at any depth."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield node.lineno, module


def package(module: str) -> str:
    """The name in FLOORS that `kgraph.<...>` belongs to, or "" where it belongs to none."""
    parts = module.split(".")[1:]
    names = (".".join(parts[:count]) for count in (2, 1))
    return next((name for name in names if name in FLOOR_OF), "")


def complaint(path: str, own: str, module: str) -> str | None:
    """What is wrong with an import of `module` in the file `path` of the package `own`."""
    top = module.split(".")[0]
    if top in LINKS:
        return f"imports {module} through the root's link: import kgraph.{module}"
    if top == "kgraph":
        other = package(module)
        if not other:
            return f"imports {module}: import from the package that defines it"
        allowed = own == other or FLOOR_OF[other] < FLOOR_OF[own]
        return None if allowed else f"imports {module} (floor {FLOOR_OF[other]})"
    if top in LIGHT or any(path.startswith(start) for start in HEAVY.get(top, [])):
        return None
    return f"imports {module}: not on this file's list in tests/test_floors.py"


def complaints(path: str, source: str) -> list[str]:
    own = package(path.removesuffix(".py").replace("/", "."))
    if not own:
        return [f"{path} is on no floor: add its package to FLOORS"]
    return [
        f"{path}:{line} (floor {FLOOR_OF[own]}) {text}"
        for line, module in imports(ast.parse(source, path))
        if (text := complaint(path, own, module))
    ]


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_floors() -> None:
    found: list[str] = []
    for path in files("kgraph"):
        name = path.relative_to(ROOT).as_posix()
        if name != "kgraph/__init__.py":
            found += complaints(name, path.read_text())
    assert not found, "\n" + "\n".join(found)


def test_nobody_imports_the_links() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files("kgraph", "tests", "tools", "benchmarks", "examples")
        for line, module in imports(ast.parse(path.read_text()))
        if module.split(".")[0] in LINKS
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source", "says"),
    [
        ("kgraph/ir/a.py", "def f():\n  import kgraph.passes.b", "a.py:2 (floor 1) imports kgraph"),
        ("kgraph/ir/a.py", "from kgraph.passes import b", "imports kgraph.passes.b (floor 2)"),
        ("kgraph/ir/a.py", "from kgraph import passes", "imports kgraph.passes (floor 2)"),
        ("kgraph/ir/a.py", "import_module('kgraph.ops')", "imports kgraph.ops (floor 9)"),
        ("kgraph/ir/a.py", "import ir.b", "through the root's link"),
        ("kgraph/ops/a.py", "import kgraph", "import from the package that defines it"),
        ("kgraph/ops/a.py", "from kgraph import Layer", "import from the package that defines it"),
        ("kgraph/codegen/a.py", "import kgraph.codegen.jax", "imports kgraph.codegen.jax"),
        ("kgraph/codegen/jax/a.py", "import kgraph.codegen.llvm", "imports kgraph.codegen.llvm"),
        ("kgraph/layers/a.py", "import kgraph.metrics", "imports kgraph.metrics (floor 13)"),
        ("kgraph/ir/a.py", "import jax", "not on this file's list"),
        ("kgraph/ir/a.py", "import scipy", "not on this file's list"),
        ("kgraph/news/a.py", "", "is on no floor"),
    ],
)
def test_a_breach_is_found(path: str, source: str, says: str) -> None:
    (text,) = complaints(path, source)
    assert says in text


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("kgraph/passes/a.py", "import numpy, ast\nfrom kgraph import ir\nimport kgraph.ir.build"),
        ("kgraph/codegen/jax/a.py", "import kgraph.codegen.base, jax.numpy"),
        ("kgraph/cli.py", "import kgraph.models"),
        ("kgraph/layers/a.py", "from kgraph.layers import b\nfrom kgraph.losses import c"),
    ],
)
def test_no_false_alarm(path: str, source: str) -> None:
    assert complaints(path, source) == []
