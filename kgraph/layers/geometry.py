"""Windows of convolutions and poolings: their arguments and the shapes that come out."""

from typing import Any

__all__ = ["conv_output_shape", "standardize_padding", "standardize_tuple", "windowed_size"]


def standardize_tuple(
    value: Any, rank: int, name: str, allow_zero: bool = False
) -> tuple[int, ...]:
    """An int or a sequence of `rank` ints as a tuple. Raises ValueError that names the argument."""
    found = (value,) * rank if isinstance(value, int) else value
    least = 0 if allow_zero else 1
    try:
        sizes = tuple(int(n) for n in found)
        valid = len(sizes) == rank and all(
            n >= least and n == m for n, m in zip(sizes, found, strict=True)
        )
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"The `{name}` argument must be an int or a tuple of {rank} ints of at least {least}. "
            f"Received: {name}={value}"
        )
    return sizes


def standardize_padding(value: Any, allow_causal: bool = False) -> str:
    """The padding in lower case. Raises ValueError for an unknown one."""
    allowed = {"valid", "same", "causal"} if allow_causal else {"valid", "same"}
    found = value.lower() if isinstance(value, str) else value
    if found not in allowed:
        raise ValueError(
            f"The `padding` argument must be one of {sorted(allowed)}. Received: padding={value}"
        )
    return str(found)


def windowed_size(
    size: int | None, window: int, stride: int, padding: str, dilation: int = 1
) -> int | None:
    """How many places a window has in a dim; None for an unknown size."""
    if size is None:
        return None
    if padding != "valid":
        return -(-size // stride)
    return (size - (window - 1) * dilation - 1) // stride + 1


def conv_output_shape(
    input_shape: Any,
    filters: int,
    kernel_size: Any,
    strides: Any,
    padding: str,
    data_format: str,
    dilation_rate: Any,
) -> tuple[int | None, ...]:
    """The shape of a convolution's output.

    Raises:
        ValueError: the window is larger than the input.
    """
    spatial = input_shape[1:-1] if data_format == "channels_last" else input_shape[2:]
    sizes = tuple(
        windowed_size(*args, padding, d)
        for *args, d in zip(spatial, kernel_size, strides, dilation_rate, strict=True)
    )  # type: ignore[misc]
    if any(n is not None and n <= 0 for n in sizes):
        raise ValueError(
            f"Computed output size would be negative. Received: input_shape={tuple(input_shape)}, "
            f"kernel_size={kernel_size}, "
            f"strides={strides}, padding={padding!r}, dilation_rate={dilation_rate}."
        )
    if data_format == "channels_last":
        return (input_shape[0], *sizes, filters)
    return (input_shape[0], filters, *sizes)
