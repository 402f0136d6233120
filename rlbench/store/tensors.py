"""Writing and reading safetensors files (https://github.com/huggingface/safetensors, "Format").

In: named CPU tensors and a metadata text. Out: a file that the safetensors library reads. Written here because the
library's own writer leaves files that only their owner can read, orders metadata at random (so equal content gives
unequal bytes), copies, and reports a full disk as a text without its number. Never renames or publishes anything.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbench.store.conditional import ConditionalStore
from rlbench.store.files import reading

if TYPE_CHECKING:
    import torch

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_SIZE = struct.Struct("<Q")  # of the header, ahead of it; also what the header is padded to
_HEAD = 2**16  # bytes: most headers are in there


def _kind(tensor: torch.Tensor) -> str:
    return _DTYPES[str(tensor.dtype).removeprefix("torch.")]


def as_bytes(tensor: torch.Tensor) -> memoryview:
    """The elements in order, as bytes; no copy where they lie in order."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _chunks(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> Iterator[Any]:
    # The widest elements first keeps every tensor aligned; then by name, so that equal content gives equal bytes.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, tensor in ordered:
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _kind(tensor), "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _SIZE.size)
    yield _SIZE.pack(len(text))
    yield text
    for _, tensor in ordered:
        yield as_bytes(tensor)


def write_tensors(
    objects: ConditionalStore, name: str, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    """Write a new safetensors file and wait until it has reached the disk. Raises StoreError where it cannot."""
    objects.write(name, _chunks(tensors, metadata))


def read_metadata(objects: ConditionalStore, name: str) -> dict[str, str] | None:
    """The metadata of a safetensors file, without torch and without its tensors; None where there is no file."""
    found = objects.stat(name)
    if found is None:
        return None
    with reading(objects.where(name)):
        head = objects.read(name, min(_HEAD, found.size)) if found.size else b""
        if head is not None and (size := _header_size(head, found.size)) > len(head):
            head = objects.read(name, size)
        return None if head is None else _metadata(head, found.size)


def metadata_in(content: bytes) -> dict[str, str]:
    """The metadata in the bytes of a safetensors file. Raises ValueError where they are of something else."""
    return _metadata(content, len(content))


def _header_size(content: bytes, num_bytes: int) -> int:
    """How many bytes the header takes, with its size ahead of it, of a file of so many."""
    if len(content) < _SIZE.size or _SIZE.unpack_from(content)[0] > num_bytes:
        raise ValueError("not a safetensors file")
    return _SIZE.size + int(_SIZE.unpack_from(content)[0])


def _metadata(content: bytes, num_bytes: int) -> dict[str, str]:
    header = content[_SIZE.size : _header_size(content, num_bytes)]
    return dict(json.loads(header).get("__metadata__", {}))


def data_bytes(path: Path) -> bytes:
    """What follows the header of a safetensors file: the tensors' bytes, without their metadata."""
    with reading(path):
        content = path.read_bytes()
        if len(content) < _SIZE.size:
            raise ValueError("not a safetensors file")
    return content[_SIZE.size + _SIZE.unpack_from(content)[0] :]
