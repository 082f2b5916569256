"""`kgraph cache`: the programs and functions that were compiled before."""

import datetime
import sys

from kgraph.runtime import cache_folder, disk_cache


def list_entries() -> None:
    """List the compiled programs: size, last use, key and name."""
    cache = disk_cache()
    entries = cache.entries()
    for entry in entries:
        used = datetime.datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
        sys.stdout.write(f"{entry.nbytes:>10,}  {used}  {entry.digest[:12]}  {entry.name}\n")
    count, nbytes = cache.functions()
    sys.stdout.write(f"{nbytes:>10,}  of {count} functions that programs share\n")
    sys.stdout.write(f"{len(entries)} programs in {cache_folder()}\n")


def explain() -> None:
    """Say why the last program was compiled: what differed from those in the cache."""
    for line in disk_cache().explain():
        sys.stdout.write(f"{line}\n")


def clear() -> None:
    """Remove all compiled programs and functions."""
    sys.stdout.write(f"{disk_cache().clear()} programs removed\n")
