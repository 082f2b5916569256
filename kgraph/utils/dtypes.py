"""Reading the dtype argument of losses and metrics."""

from typing import Any

from kgraph import config

__all__ = ["compute_dtype"]


def compute_dtype(dtype: Any) -> str:
    """Returns the name of the dtype to compute in.

    Args:
        dtype: None (the default float), a dtype's name or class, "int" or "float", a policy's
            name ("mixed_float16") or a policy object.
    """
    if dtype is None:
        return config.floatx()
    policy: str | None = getattr(dtype, "compute_dtype", None)
    if policy is not None:
        return policy
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", str(dtype))
    if name == "int":
        return "int32"
    if name == "float":
        return config.floatx()
    return name.removeprefix("mixed_")
