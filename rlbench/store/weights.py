"""Final weights: one safetensors file per run, with the specification of its run and a checksum of all that is in it.

In: named CPU tensors. Out: a file, and from it the tensors again if they are those that were written. A file of earlier
versions has no checksum: its bytes are covered by the digest of its run alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlbench.errors import DamagedError, StoreError
from rlbench.store.conditional import ConditionalStore
from rlbench.store.files import reading
from rlbench.store.tensors import metadata_in, read_metadata, write_tensors

if TYPE_CHECKING:
    import torch

_SUM = "sha256"


def write_weights(objects: ConditionalStore, name: str, tensors: Mapping[str, torch.Tensor], spec: str) -> None:
    """Write a new weights file. Raises WriteError."""
    write_tensors(objects, name, tensors, {"spec": spec, _SUM: _checksum(tensors, spec)})


def read_weights(objects: ConditionalStore, name: str) -> dict[str, torch.Tensor]:
    """The tensors of a weights file; nothing where there is no file. Raises DamagedError where they are not those that were written."""
    from safetensors.torch import load

    path, where = objects.local(name), objects.where(name)
    if not path.exists():
        return {}
    try:
        with reading(where):
            data = path.read_bytes()
            metadata = metadata_in(data)
            tensors: dict[str, torch.Tensor] = load(data)
            if _SUM in metadata and _checksum(tensors, metadata["spec"]) != metadata[_SUM]:
                raise ValueError("its tensors do not give their checksum")
    except StoreError:
        raise
    except Exception as error:  # whatever the reader of safetensors makes of damaged bytes
        raise DamagedError(f"{where} is damaged: {' '.join(str(error).split())[:200]}") from error
    return tensors


def has_checksum(objects: ConditionalStore, name: str) -> bool:
    """Whether the file, if there is one, was written with a checksum. Raises DamagedError."""
    return _SUM in (read_metadata(objects, name) or {_SUM: ""})


def _checksum(tensors: Mapping[str, torch.Tensor], spec: str) -> str:
    import torch

    found = hashlib.sha256(spec.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
