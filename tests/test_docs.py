"""What the documentation says of the repository is so: commands, links, programs, names."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kgraph.cli.main import run
from tests.ops.count import counts

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "examples"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "kgraph/**/*.md")
    for path in ROOT.glob(pattern)
    if not path.is_relative_to(ROOT / ".venv")
)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links(page: Path) -> None:
    local = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_named_files(page: Path) -> None:
    """`kgraph/...`, `tests/...` and the like, in backticks, are there."""
    named = re.findall(
        r"`((?:kgraph|tests|docs|examples|benchmarks)/[\w/-]+[\w.]*)`", page.read_text()
    )
    missing = [path for path in named if not (ROOT / path).exists()]
    assert [path for path in missing if "..." not in path] == []


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_python_blocks_parse(page: Path) -> None:
    for indent, block in BLOCK.findall(page.read_text()):
        ast.parse("\n".join(line.removeprefix(indent) for line in block.splitlines()))


def commands(pattern: str) -> list[str]:
    text = "\n".join(page.read_text() for page in PAGES)
    return sorted(set(re.findall(pattern, text)))


def test_targets_of_make() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(commands(r"`?make ([a-z-]+)(?=`|    #|\n)")) <= set(targets)
    assert {"demo", "test", "bench"} <= set(targets)


@pytest.mark.parametrize(
    "command", commands(r"(?:`|^    |\n    )kgraph ([a-z]+(?: [a-z]+\b(?!\.))?)")
)
def test_commands_of_kgraph(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()
    words = words if words[0] == "cache" else words[:1]
    assert run([*words, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def options() -> list[tuple[str, str]]:
    found = set()
    for page in PAGES:
        for line in re.findall(r"(?:`|    )kgraph ((?:dump|opt|run)\b[^`\n]*)", page.read_text()):
            found |= {(line.split()[0], option) for option in re.findall(r"--[a-z-]+", line)}
    return sorted(found)


@pytest.mark.parametrize(("command", "option"), options())
def test_options(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert option in capsys.readouterr().out


@pytest.mark.parametrize("variable", commands(r"`(KGRAPH_[A-Z_]+)\b"))
def test_variables(variable: str) -> None:
    """Each is read somewhere."""
    places = [*ROOT.glob("kgraph/**/*.py"), ROOT / "tests" / "harness.py"]
    assert any(variable in path.read_text() for path in places)


def test_the_readme_has_the_examples() -> None:
    assert (EXAMPLES / "mnist_convnet.py").read_text() in README
    example = (EXAMPLES / "custom_pass.py").read_text()
    rule = example[example.index("signs = ") : example.index("\n\nif __name__")]
    assert rule.strip() in README
    done = subprocess.run(
        [sys.executable, EXAMPLES / "custom_pass.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in README


def test_the_readme_counts() -> None:
    """No more than there is: who adds an op need not edit the README."""
    for what, number in counts().items():
        (said,) = re.findall(rf"^ *([\d,]+)  {re.escape(what)}$", README, re.MULTILINE)
        assert int(said.replace(",", "")) <= number, what
