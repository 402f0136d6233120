"""Sealed records: JSON objects that say of themselves whether they are what was written.

In: a JSON object. Out: the same with a key `sha256`, the digest of all the others, and back. Never touches a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rlbench.store.schema import canonical_json

KEY = "sha256"


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its checksum."""
    plain = json.loads(json.dumps(content))  # as it will be read: every key a text
    return {**plain, KEY: hashlib.sha256(canonical_json(plain).encode()).hexdigest()}


def sealed_line(content: Mapping[str, Any]) -> bytes:
    """The same as a line of text."""
    return f"{canonical_json(seal(content))}\n".encode()


def unseal(text: bytes | str, *, is_required: bool = True) -> dict[str, Any]:
    """The object of a sealed text. Raises ValueError where it is not what was written.

    is_required: whether it must have a checksum; what was written before there were checksums has none.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    known = found.pop(KEY, None)
    if known is None and not is_required:
        return found
    if known != seal(found)[KEY]:
        raise ValueError("it does not give its checksum")
    return found
