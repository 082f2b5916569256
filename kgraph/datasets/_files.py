"""Where data sets are kept, and how a missing one gets there."""

import http.client
import os
import secrets
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 18
_TIMEOUT_SECONDS = 30.0


def datasets_folder() -> Path:
    """Returns `datasets` in `$KGRAPH_HOME`, else in `$KERAS_HOME`, else in `~/.keras`."""
    home = os.environ.get("KGRAPH_HOME") or os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(home).expanduser() / "datasets"


def fetch(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Downloads `url` to `path`, showing its progress, unless `path` is there already.

    The bytes go to a file of another name, which takes its own only once it is complete and `check`
    accepts it: whoever finds `path` finds the whole file, however many processes fetch it at once.

    Raises:
        ConnectionError: the download failed; the message says where to put the file by hand.
        OSError: the folder or the file cannot be written.
        ValueError: from `check`, where what came is not the file that was wanted.
    """
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
        file = temporary.open("xb")
    except OSError as error:
        raise OSError(
            f"{path.name} cannot be stored in {path.parent} ({_reason(error)}): "
            "set KGRAPH_HOME to a folder that can be written"
        ) from error
    try:
        with file:
            _copy(url, path, file)
            file.flush()
            os.fsync(file.fileno())
        check(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(url: str, path: Path, file: BinaryIO) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            length = response.headers.get("Content-Length")
            total = int(length) if length else None
            done = 0
            with _progress(f"Downloading {path.name}", url, total) as advance:
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    advance(len(chunk))
        # A connection that is cut ends the stream early and raises nothing.
        if total is not None and done < total:
            raise OSError(f"only {done} of {total} bytes came")
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(
            f"{path} is missing and {url} could not be downloaded ({_reason(error)}): "
            f"get that file on a machine that can, and put it at {path}"
        ) from error


def _reason(error: Exception) -> str:
    """The part of an error that a reader can use: no error number, no file name twice."""
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


@contextmanager
def _progress(title: str, url: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, else one line; both on stderr, away from a program's output."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"{title} from {url}\n")
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)
