"""The HDF5 file of weights: a group per object, its variables under `vars/0`, `vars/1`, ...

Reading trusts nothing: links that lead elsewhere, external and virtual storage, filters and types
    that are no numbers
are refused, and a dataset is read only after its shape is known to be the variable's.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["DamagedFileError", "WeightsReader", "WeightsWriter"]


class DamagedFileError(ValueError):
    """A file that cannot be what it claims to be."""


class WeightsWriter:
    """Writes weights to an open h5py file."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def make(self, path: str, name: str | None) -> "_GroupWriter":
        """The place for the variables of the object at `path`."""
        group = self._file.create_group(f"{path}/vars" if path else "vars")
        if name is not None:
            group.attrs["name"] = name
        return _GroupWriter(group)


class _GroupWriter:
    """What `save_own_variables(store)` writes to."""

    def __init__(self, group: Any) -> None:
        self._group = group

    def __setitem__(self, key: str, value: Any) -> None:
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
        if array.dtype.name == "bfloat16":
            dataset = self._group.create_dataset(key, data=array.view(np.uint16))
            dataset.attrs["dtype"] = "bfloat16"
        else:
            self._group.create_dataset(key, data=array)


class WeightsReader:
    """Reads weights from an open h5py file."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __contains__(self, path: str) -> bool:
        return self._group(path) is not None

    def get(self, path: str) -> "GroupReader":
        """The variables of the object at `path`; empty where the file has none."""
        return GroupReader(self._group(f"{path}/vars" if path else "vars"), path)

    def _group(self, path: str) -> Any:
        """The group, reached by hard links alone."""
        import h5py

        at = self._file
        for part in path.split("/"):
            link = at.get(part, getlink=True) if isinstance(at, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise DamagedFileError(
                    f"the weights at {path!r} are a link to another place, which is not followed"
                )
            at = at[part]
        return at


class GroupReader:
    """What `load_own_variables(store)` reads from: `store["0"]` is an array."""

    def __init__(self, group: Any, path: str) -> None:
        self._group, self._path = group, path

    def keys(self) -> list[str]:
        """The names of the variables."""
        return [] if self._group is None else list(self._group)

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: str) -> bool:
        return key in self.keys()

    def __getitem__(self, key: str) -> np.ndarray:
        import h5py

        if self._group is None:
            raise KeyError(key)
        link = self._group.get(key, getlink=True)
        if link is None:
            raise KeyError(key)
        place = f"{self._path}/vars/{key}"
        if not isinstance(link, h5py.HardLink):
            raise DamagedFileError(
                f"the weights at {place!r} are a link to another place, which is not followed"
            )
        dataset = self._group[key]
        if not isinstance(dataset, h5py.Dataset):
            raise DamagedFileError(f"expected an array at {place!r}")
        if dataset.external or dataset.is_virtual:
            raise DamagedFileError(
                f"the array at {place!r} lies in another file, which is not read"
            )
        if dataset.dtype.kind not in "biuf":
            raise DamagedFileError(f"the array at {place!r} holds {dataset.dtype}, not numbers")
        stored = dataset.id.get_storage_size()
        if dataset.nbytes > 100 * max(stored, 1) + 2**20:
            raise DamagedFileError(
                f"the array at {place!r} claims {dataset.nbytes} bytes, and {stored} are there"
            )
        array: np.ndarray = np.empty(dataset.shape, dataset.dtype)
        if array.size:
            dataset.read_direct(array)
        if dataset.attrs.get("dtype") == "bfloat16":
            import ml_dtypes

            return array.view(ml_dtypes.bfloat16)
        return array
