"""Writing files so that a reader sees the old one or the new one, whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well; killed before, the old file
    is untouched.

    Raises OSError with the path in its message: no such folder, no space, no permission.
    """
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder {str(folder)!r} of {str(path)!r} does not exist.")
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as e:
        raise _not_written(path, e) from e
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _mode())
        os.replace(name, path)
    except BaseException as e:
        Path(name).unlink(missing_ok=True)
        if isinstance(e, OSError) and not isinstance(e, FileNotFoundError):
            raise _not_written(path, e) from e
        raise
    _sync_folder(folder)


def _not_written(path: Path, error: OSError) -> OSError:
    what = error.strerror or str(error)
    return OSError(
        error.errno, f"{path} was not written, and what was there before is unchanged: {what}"
    )


def _mode() -> int:
    """What an ordinary new file would get; mkstemp gives 0600."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Makes the rename last; not every system lets a folder be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
