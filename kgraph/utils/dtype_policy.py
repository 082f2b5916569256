"""The dtypes that a layer computes in and keeps its variables in."""

from typing import Any, Self

from kgraph import config
from kgraph.registry import keras_export

__all__ = ["DTypePolicy", "dtype_policy", "get_policy", "set_dtype_policy"]

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_PLAIN = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64",
)  # fmt: skip


@keras_export(["keras.DTypePolicy", "keras.dtype_policies.DTypePolicy"])
class DTypePolicy:
    """A dtype's name, or "mixed_float16" or "mixed_bfloat16": computing in 16 bits, variables in
    float32.

    Args:
        name: None: the policy that `set_dtype_policy` chose.
    """

    def __init__(self, name: str | None = None, source_name: str | None = None) -> None:
        self._name = name or dtype_policy().name
        if self._name not in _MIXED and self._name not in _PLAIN:
            known = ", ".join((*_PLAIN, *_MIXED))
            raise ValueError(f"Cannot convert {name!r} to a dtype policy; expected one of {known}.")

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """What layers compute in."""
        return _MIXED.get(self._name, self._name)

    @property
    def variable_dtype(self) -> str:
        """What layers keep their variables in."""
        return "float32" if self._name in _MIXED else self._name

    @property
    def quantization_mode(self) -> None:
        """Always None: there is no quantisation."""
        return

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'

    def get_config(self) -> dict[str, Any]:
        """The name."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The policy that `get_config` described."""
        return cls(**config)


_chosen: list[DTypePolicy] = []


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none."""
    return _chosen[-1] if _chosen else DTypePolicy(config.floatx())


def set_dtype_policy(policy: Any) -> None:
    """Chooses the policy of layers that are given none."""
    _chosen[:] = [policy if isinstance(policy, DTypePolicy) else DTypePolicy(policy)]


def get_policy(identifier: Any) -> DTypePolicy:
    """The policy of None, a name, a dtype, a config or a policy."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return DTypePolicy.from_config(identifier["config"])
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(
        getattr(identifier, "__name__", None) or getattr(identifier, "name", str(identifier))
    )
