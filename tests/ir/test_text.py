"""The text form: what it looks like, that it is complete, and that bad text is refused."""

from __future__ import annotations

import numpy as np
import pytest

from kgraph.ir import Builder, Literal, Location, ParseError, TensorType, parse, symbol, to_text

MODEL = """\
fn train(%x: f32[batch,2], %y: f32[batch,4], %flag: bool[])
  %0: f32[batch,6] = concatenate [%x, %y], dim=1
  %1: f32[batch,6] = if %flag, [%0], {
    then =
      fn(%p0: f32[batch,6])
        %0: f32[batch,6] = negate %p0
        return %0
    orelse =
      fn(%p0: f32[batch,6])
        return %p0
  }
  %2: f32[] = constant value=f32(0.5)
  return %1, %x, %1, %2
"""


def _if_head() -> str:
    return MODEL.replace("if %flag, [%0], {", "if %flag, [%0] {")


def test_text_and_back() -> None:
    text = _if_head()
    assert to_text(parse(text)) == text


def test_comments_and_empty_lines_are_skipped() -> None:
    text = _if_head()
    assert (
        to_text(parse("// a model\n\n" + text.replace("  return", "\n  // the end\n  return")))
        == text
    )


def test_without_labels_equal_programs_have_equal_texts() -> None:
    def program(label: str, name: str) -> str:
        b = Builder()
        x = b.param(label, TensorType((2,), "float32"))
        return to_text(b.function(b.negate(x), name=name), labels=False)

    assert program("x", "f") == program("input", "g")
    assert "%p0" in program("x", "f")


def test_locations() -> None:
    b = Builder()
    x = b.param("x", TensorType((2,), "float32"))
    with b.at(Location('model/"odd" // name', "dir/a file.py", 12)):
        y = b.negate(x)
    with b.at(Location("plain")):
        z = b.negate(y)
    text = to_text(b.function(z), locations=True)
    assert '@ "plain"' in text
    back = parse(text)
    assert [op.location for op in back.ops] == [
        Location('model/"odd" // name', "dir/a file.py", 12),
        Location("plain"),
    ]
    assert to_text(back, locations=True) == text


LITERALS = [
    np.float32([0.1, -0.0, np.inf, -np.inf, np.nan, 3e38, 1e-45]),
    np.float64([[0.1], [-0.0]]),
    np.float16([65504, 6e-8]),
    np.int8([-128, 127]),
    np.uint64([2**64 - 1]),
    np.bool_([True, False]),
    np.zeros((2, 0, 3), np.int32),
    np.array(7, np.int64),
    np.array([0x7FC00001], np.uint32).view(np.float32),  # a NaN with a payload
]


@pytest.mark.parametrize("value", LITERALS, ids=lambda v: f"{v.dtype}{list(v.shape)}")
def test_literals_keep_their_bits(value: np.ndarray) -> None:
    b = Builder()
    fn = b.function(b.constant(value))
    back = parse(to_text(fn)).results[0].op.__dict__["value"]
    assert back == Literal.of(value)
    assert back.array.tobytes() == value.tobytes()


def test_bfloat16_literals() -> None:
    literal = Literal.of([0.1, -0.0, float("inf")], "bfloat16")
    b = Builder()
    assert (
        parse(to_text(b.function(b.constant(literal)))).results[0].op.__dict__["value"] == literal
    )


def test_sizes_in_attributes() -> None:
    b = Builder()
    n = symbol("n")
    x = b.param("x", TensorType((n, 2), "float32"))
    y = b.reshape(x, (n * 2,))
    y = b.slice(y, (n // 3,), (n * 2 - (n % 2),), (1,))
    text = to_text(b.function(y, b.dim_size(n * n + 1, "int32")))
    assert to_text(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("func(%x: f32[2])\n  return %x", 1, "function head"),
        ("fn(%x: f33[2])\n  return %x", 1, "value and its type"),
        ("fn(%x: f32[2])\n  %0: f32[2] = negat %x\n  return %0", 2, "no op called 'negat'"),
        ("fn(%x: f32[2])\n  %0: f32[2] = negate %y\n  return %0", 2, "%y is not defined"),
        ("fn(%x: f32[2])\n  %0: f32[3] = negate %x\n  return %0", 2, "said to be"),
        ("fn(%x: f32[2])\n  %0: f32[2] = negate [%x]\n  return %0", 2, "must be one value"),
        ("fn(%x: f32[2])\n  %0: f32[2] = negate %x, %x\n  return %0", 2, "takes 1 operands"),
        (
            "fn(%x: f32[2])\n  %0: f32[2] = concatenate %x, dim=0\n  return %0",
            2,
            "a group in brackets",
        ),
        (
            "fn(%x: f32[2])\n  %0: f32[2] = transpose %x, perm=(1,)\n  return %0",
            2,
            r"\(transpose.C1\)",
        ),
        ("fn(%x: f32[2])\n  %0: f32[2] = transpose %x, perms=(0,)\n  return %0", 2, "perms"),
        ("fn(%x: f32[2])\n  %0: f32[2] = transpose %x, perm=(0\n  return %0", 2, "cannot be read"),
        ("fn(%x: f32[2])\n  %0: f32[2], %1: f32[2] = negate %x\n  return %0", 2, "1 results; 2"),
        ("fn(%x: f32[2])\n  %0 negate %x\n  return %0", 2, "expected an op"),
        ("fn(%x: f32[2])\n  return %y", 2, "%y is not defined"),
        ("fn(%x: f32[2])\n  %0: f32[2] = negate %x", 2, "ends inside"),
        ("fn(%x: f32[2])\n  return %x\n  return %x", 3, "end of the text"),
    ],
)
def test_bad_text(text: str, line: int, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        parse(text)
    assert caught.value.line == line
    assert f"line {line}:" in str(caught.value)


def test_names_of_parameters_may_be_paths() -> None:
    text = (
        "fn f(%dense/kernel: f32[3], %x: f32[3])\n"
        "  %0: f32[3] = add %dense/kernel, %x\n"
        "  %1: f32[6] = concatenate [%dense/kernel, %0], dim=0\n"
        "  return %1, %dense/kernel\n"
    )
    assert to_text(parse(text)) == text
