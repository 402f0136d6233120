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
from pathlib import Path
from typing import TYPE_CHECKING

from rlbench.errors import DamagedError, WriteError
from rlbench.store import files
from rlbench.store.damage import Damage
from rlbench.store.files import Layout
from rlbench.store.names import is_run_id
from rlbench.store.records import Checkpoint, CheckpointLane, LaneCheckpoint
from rlbench.store.sealed import seal, unseal
from rlbench.store.tensors import as_bytes, read_metadata, write_tensors

if TYPE_CHECKING:
    import torch

_KEY = "rlbench"


@dataclass(frozen=True)
class CheckpointHeader:
    """What a checkpoint file says of itself."""

    path: Path
    program: str
    commit: int
    lanes: tuple[CheckpointLane, ...]


def checkpoint_name(program: str, commit: int) -> str:
    return f"{program}-{commit:06d}.safetensors"


def write_checkpoint(path: Path, program: str, commit: int, checkpoint: Checkpoint) -> None:
    """Write a new checkpoint file."""
    tensors = checkpoint.tensors
    sums = _checksums(tensors, len(checkpoint.lanes))
    lanes = [replace(lane, crc32=found) for lane, found in zip(checkpoint.lanes, sums, strict=True)]
    record = {"program": program, "commit": commit, "lanes": [asdict(lane) for lane in lanes]}
    write_tensors(path, tensors, {_KEY: json.dumps(seal(record))})


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


def _parse(path: Path, metadata: Mapping[str, str]) -> CheckpointHeader:
    with files.reading(path):
        try:
            record = unseal(metadata[_KEY], is_required=False)
            lanes = tuple(CheckpointLane(**lane) for lane in record["lanes"])
            if not all(is_run_id(lane.run_id) and type(lane.env_steps) is int for lane in lanes):
                raise ValueError("not a checkpoint: its runs have no ids")
            return CheckpointHeader(path, str(record["program"]), int(record["commit"]), lanes)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a checkpoint: {error!r}") from error


def read_header(path: Path) -> CheckpointHeader | None:
    """The header of a checkpoint file; None where it does not exist. Raises DamagedError."""
    metadata = read_metadata(path)
    return None if metadata is None else _parse(path, metadata)


class CheckpointReader:
    """The headers of the checkpoint files of a store, each file parsed once; damaged ones are noted."""

    def __init__(self, layout: Layout, damage: Damage) -> None:
        self._folder, self._damage = layout.checkpoints, damage
        self._headers: dict[tuple[str, int, int, int], CheckpointHeader] = {}

    def headers(self, names: Iterable[str]) -> list[CheckpointHeader]:
        """Of these files, as far as they are there."""
        current = {}
        for name in names:
            path = self._folder / name
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            version = (name, stat.st_ino, stat.st_mtime_ns, stat.st_size)
            try:
                header = self._headers.get(version) or read_header(path)
            except DamagedError as error:
                self._damage.note_error(error)
                continue
            if header is not None:
                current[version] = header
        self._headers = current
        return list(current.values())


@dataclass(frozen=True)
class State:
    """Where the most advanced stored state of a run is."""

    env_steps: int
    path: Path
    attempt: str


def most_advanced(headers: Collection[CheckpointHeader], attempts: Mapping[str, str]) -> dict[str, State]:
    """run_id -> the stored state that has come furthest since the run's latest beginning (`attempts`, where it has one)."""
    best: dict[str, State] = {}
    for header in headers:
        for lane in header.lanes:
            if attempts.get(lane.run_id, lane.attempt) != lane.attempt:
                continue
            if lane.run_id not in best or lane.env_steps > best[lane.run_id].env_steps:
                best[lane.run_id] = State(lane.env_steps, header.path, lane.attempt)
    return best


def load_lane(path: Path, run_id: str) -> LaneCheckpoint:
    """One run's state out of a checkpoint file: reads this lane's bytes only.

    Raises DamagedError where they are not those that were written, and StoreError where there is no such file any more.
    """
    from safetensors import SafetensorError, safe_open

    with files.reading(path):
        try:
            with safe_open(path, framework="pt") as file:
                lanes = _parse(path, file.metadata() or {}).lanes
                index = [lane.run_id for lane in lanes].index(run_id)
                # Cloned, because a slice is a view of the mapped file.
                tensors = {name: file.get_slice(name)[index : index + 1].clone() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, IndexError, RuntimeError, TypeError) as error:
            raise ValueError(str(error)) from error
        if lanes[index].crc32 is not None and _checksums(tensors, 1) != [lanes[index].crc32]:
            raise ValueError(f"the tensors of run {run_id} do not give their checksum")
    return LaneCheckpoint(run_id, lanes[index].env_steps, dict(lanes[index].meta), tensors)


def set_aside(layout: Layout, path: Path) -> None:
    """Put a checkpoint that cannot be used where nobody reads it; somebody else may have done so meanwhile."""
    if path.exists():
        files.make_folder(layout.damaged)
        try:
            files.rename(path, layout.damaged / path.name)
        except WriteError:
            if path.exists():
                raise


def unneeded(
    headers: Collection[CheckpointHeader], finished: Collection[str], attempts: Mapping[str, str]
) -> set[Path]:
    """The files in which no lane is both unfinished and the most advanced state of its run."""
    needed = {state.path for run_id, state in most_advanced(headers, attempts).items() if run_id not in finished}
    return {header.path for header in headers} - needed
