"""Checkpoints: one safetensors file per commit of a program, which counts once the index names it.

In: the state of a program's lanes, and the number of the commit. Out: the most advanced state of each run. The file's metadata
holds `{"program", "commit", "lanes"}`, sealed; its tensors are [lanes, ...], and each lane has a checksum of its own, so that one
damaged lane costs one run. A file never changes; of a program's the latest counts, and those with lanes that it laid aside.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from rlbench.errors import DamagedError, WriteError
from rlbench.store.conditional import ConditionalStore, Stat
from rlbench.store.damage import Damage
from rlbench.store.files import reading
from rlbench.store.layout import Layout
from rlbench.store.names import is_run_id
from rlbench.store.records import Checkpoint, CheckpointLane, LaneCheckpoint
from rlbench.store.sealed import seal, unseal
from rlbench.store.tensors import as_bytes, read_metadata, write_tensors

if TYPE_CHECKING:
    import torch

_KEY = "rlbench"


@dataclass(frozen=True)
class CheckpointHeader:
    """What a checkpoint file says of itself. name: of the file in the folder of checkpoints."""

    name: str
    program: str
    commit: int
    lanes: tuple[CheckpointLane, ...]


def checkpoint_name(program: str, commit: int) -> str:
    return f"{program}-{commit:06d}.safetensors"


def write_checkpoint(objects: ConditionalStore, name: str, program: str, commit: int, checkpoint: Checkpoint) -> None:
    """Write a new checkpoint file."""
    tensors = checkpoint.tensors
    sums = _checksums(tensors, len(checkpoint.lanes))
    lanes = [replace(lane, crc32=found) for lane, found in zip(checkpoint.lanes, sums, strict=True)]
    record = {"program": program, "commit": commit, "lanes": [asdict(lane) for lane in lanes]}
    write_tensors(objects, name, tensors, {_KEY: json.dumps(seal(record))})


def _checksums(tensors: Mapping[str, torch.Tensor], num_lanes: int) -> list[int]:
    """CRC-32 of each lane of tensors [lanes, ...]: of every byte that is loaded, and of what it is taken for (as a state of one lane).

    Not SHA-256, which takes several times as long on most processors; a replay of frames is written every 30 seconds. A tensor is
    looked at as bytes once for all lanes, because a commit stops all of them.
    """
    found = [0] * num_lanes
    for name, tensor in sorted(tensors.items()):
        head = f"{name} {tensor.dtype} {(1, *tensor.shape[1:])}".encode()
        whole = as_bytes(tensor)
        size = len(whole) // num_lanes
        for lane in range(num_lanes):
            found[lane] = zlib.crc32(whole[lane * size : (lane + 1) * size], zlib.crc32(head, found[lane]))
    return found


def _parse(where: str, name: str, metadata: Mapping[str, str]) -> CheckpointHeader:
    with reading(where):
        try:
            record = unseal(metadata[_KEY], is_required=False)
            lanes = tuple(CheckpointLane(**lane) for lane in record["lanes"])
            if not all(is_run_id(lane.run_id) and type(lane.env_steps) is int for lane in lanes):
                raise ValueError("not a checkpoint: its runs have no ids")
            return CheckpointHeader(name.rpartition("/")[2], str(record["program"]), int(record["commit"]), lanes)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a checkpoint: {error!r}") from error


def read_header(objects: ConditionalStore, name: str) -> CheckpointHeader | None:
    """The header of a checkpoint file; None where it does not exist. Raises DamagedError."""
    metadata = read_metadata(objects, name)
    return None if metadata is None else _parse(objects.where(name), name, metadata)


class CheckpointReader:
    """The headers of the checkpoint files of a store, each file parsed once; damaged ones are noted."""

    def __init__(self, layout: Layout, damage: Damage) -> None:
        self._layout, self._damage = layout, damage
        self._headers: dict[tuple[str, Stat], CheckpointHeader] = {}

    def headers(self, names: Iterable[str]) -> list[CheckpointHeader]:
        """Of these files, as far as they are there."""
        current = {}
        objects = self._layout.objects
        for name in names:
            stat = objects.stat(self._layout.checkpoint(name))
            if stat is None:
                continue
            version = (name, stat)
            try:
                header = self._headers.get(version) or read_header(objects, self._layout.checkpoint(name))
            except DamagedError as error:
                self._damage.note_error(error)
                continue
            if header is not None:
                current[version] = header
        self._headers = current
        return list(current.values())


@dataclass(frozen=True)
class StoredState:
    """Where the most advanced stored state of a run is. name: of the file in the folder of checkpoints."""

    env_steps: int
    name: str
    attempt: str


def most_advanced(headers: Collection[CheckpointHeader], attempts: Mapping[str, str]) -> dict[str, StoredState]:
    """run_id -> the stored state that has come furthest since the run's latest beginning (`attempts`, where it has one)."""
    best: dict[str, StoredState] = {}
    for header in headers:
        for lane in header.lanes:
            if attempts.get(lane.run_id, lane.attempt) != lane.attempt:
                continue
            if lane.run_id not in best or lane.env_steps > best[lane.run_id].env_steps:
                best[lane.run_id] = StoredState(lane.env_steps, header.name, lane.attempt)
    return best


def load_lane(layout: Layout, name: str, run_id: str) -> LaneCheckpoint:
    """One run's state out of a checkpoint file: reads this lane's bytes only.

    Raises DamagedError where they are not those that were written, and StoreError where there is no such file any more.
    """
    from safetensors import SafetensorError, safe_open

    path, where = layout.objects.local(layout.checkpoint(name)), layout.objects.where(layout.checkpoint(name))
    with reading(where):
        try:
            with safe_open(path, framework="pt") as file:
                lanes = _parse(where, name, file.metadata() or {}).lanes
                index = [lane.run_id for lane in lanes].index(run_id)
                # Cloned, because a slice is a view of the mapped file.
                tensors = {name: file.get_slice(name)[index : index + 1].clone() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, IndexError, RuntimeError, TypeError) as error:
            raise ValueError(str(error)) from error
        if lanes[index].crc32 is not None and _checksums(tensors, 1) != [lanes[index].crc32]:
            raise ValueError(f"the tensors of run {run_id} do not give their checksum")
    return LaneCheckpoint(run_id, lanes[index].env_steps, dict(lanes[index].meta), tensors)


def set_aside(layout: Layout, name: str) -> None:
    """Put a checkpoint that cannot be used where nobody reads it; somebody else may have done so meanwhile."""
    objects, place = layout.objects, layout.checkpoint(name)
    if objects.stat(place) is not None:
        objects.make_folder(layout.damaged)
        try:
            objects.move(place, f"{layout.damaged}/{name}")
        except WriteError:
            if objects.stat(place) is not None:
                raise


def unneeded(headers: Collection[CheckpointHeader], finished: Collection[str], attempts: Mapping[str, str]) -> set[str]:
    """The files in which no lane is both unfinished and the most advanced state of its run."""
    needed = {state.name for run_id, state in most_advanced(headers, attempts).items() if run_id not in finished}
    return {header.name for header in headers} - needed
