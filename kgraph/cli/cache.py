"""`kgraph cache`: the programs that were compiled before."""

import sys

from kgraph.runtime import cache_folder, disk_cache


def list_entries() -> None:
    """List the compiled programs: name, size, age and key."""
    entries = disk_cache().entries()
    for entry in entries:
        sys.stdout.write(f"{entry}\n")
    sys.stdout.write(f"{len(entries)} programs in {cache_folder()}\n")


def explain() -> None:
    """Say why the last programs were compiled: what differed from those in the cache."""
    for line in disk_cache().explain():
        sys.stdout.write(f"{line}\n")


def clear() -> None:
    """Remove all compiled programs."""
    sys.stdout.write(f"{disk_cache().clear()} programs removed\n")
