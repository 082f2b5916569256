"""Several objects as one run of bytes: a program's modules are compiled apart, and loaded at once.

A single object is its own bundle. Else: a mark, how many, the length of each, then the objects.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MARK = b"kgraph bundle 1\n"


def bundle(objects: Sequence[bytes]) -> bytes:
    """The bytes from which `objects_of` gets the objects back."""
    if len(objects) == 1:
        return objects[0]
    lengths = struct.pack(f"<{1 + len(objects)}Q", len(objects), *map(len, objects))
    return b"".join([_MARK, lengths, *objects])


def objects_of(code: bytes) -> list[bytes]:
    """The objects of a bundle. Raises struct.error where its head is cut off."""
    if not code.startswith(_MARK):
        return [code]
    at = len(_MARK)
    (count,) = struct.unpack_from("<Q", code, at)
    lengths = struct.unpack_from(f"<{min(count, len(code))}Q", code, at + 8)
    at += 8 * (1 + len(lengths))
    found = []
    for length in lengths:
        found.append(code[at : at + length])
        at += length
    return found
