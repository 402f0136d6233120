"""Checkpoints: one safetensors file per program, whose replacement is the moment at which a commit happens.

In: the state of a program's lanes, and the number of the commit. Out: the most advanced state of each run, and the
decision of what a killed program had committed. The file's metadata holds `{"program", "commit", "lanes"}`; its tensors
are [lanes, ...]. A file `<program>-<commit>` keeps lanes that their program laid aside unfinished.
Recovering and sweeping happen under the store's lock, and never touch what belongs to a live program.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rlbench.store import files, parts
from rlbench.store.claims import is_alive
from rlbench.store.files import Layout
from rlbench.store.records import Checkpoint, CheckpointLane, LaneCheckpoint
from rlbench.store.tensors import read_metadata, write_tensors

_KEY = "rlbench"
_SUFFIX = ".safetensors"
FILE_NAME = f"checkpoint{_SUFFIX}"  # its name in a staging folder


@dataclass(frozen=True)
class CheckpointHeader:
    """What a checkpoint file says of itself."""

    path: Path
    program: str
    commit: int
    lanes: tuple[CheckpointLane, ...]


def staging_folder(layout: Layout, program: str, commit: int) -> Path:
    return layout.staging / f"{program}-{commit:06d}"


def write_checkpoint(path: Path, program: str, commit: int, checkpoint: Checkpoint) -> None:
    """Write a checkpoint file; without lanes it still carries the record of the commit."""
    record = {"program": program, "commit": commit, "lanes": [asdict(lane) for lane in checkpoint.lanes]}
    write_tensors(path, checkpoint.tensors if checkpoint.lanes else {}, {_KEY: json.dumps(record)})


def _parse(path: Path, metadata: Mapping[str, str]) -> CheckpointHeader:
    with files.reading(path):
        try:
            record = json.loads(metadata[_KEY])
            lanes = tuple(CheckpointLane(**lane) for lane in record["lanes"])
            return CheckpointHeader(path, record["program"], record["commit"], lanes)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a checkpoint: {error!r}") from error


def read_header(path: Path) -> CheckpointHeader | None:
    """The header of a checkpoint file; None where it does not exist."""
    metadata = read_metadata(path)
    return None if metadata is None else _parse(path, metadata)


class CheckpointReader:
    """The headers of all checkpoint files of a store, each version of a file parsed once."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.checkpoints
        self._headers: dict[tuple[str, int, int, int], CheckpointHeader] = {}

    def headers(self) -> list[CheckpointHeader]:
        current = {}
        for name in files.names(self._folder):
            path = self._folder / name
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            version = (name, stat.st_ino, stat.st_mtime_ns, stat.st_size)
            header = self._headers.get(version) or read_header(path)
            if header is not None:
                current[version] = header
        self._headers = current
        return list(current.values())


def most_advanced(headers: Collection[CheckpointHeader]) -> dict[str, tuple[int, Path]]:
    """run_id -> (env_steps, file) of the stored state that has come furthest."""
    best: dict[str, tuple[int, Path]] = {}
    for header in headers:
        for lane in header.lanes:
            if lane.run_id not in best or lane.env_steps > best[lane.run_id][0]:
                best[lane.run_id] = (lane.env_steps, header.path)
    return best


def load_lane(path: Path, run_id: str) -> LaneCheckpoint:
    """One run's state out of a checkpoint file, under the store's lock: reads this lane's bytes only."""
    from safetensors import SafetensorError, safe_open

    with files.reading(path):
        try:
            with safe_open(path, framework="pt") as file:
                lanes = _parse(path, file.metadata()).lanes
                index = [lane.run_id for lane in lanes].index(run_id)
                # Cloned, because a slice is a view of the mapped file.
                tensors = {name: file.get_slice(name)[index : index + 1].clone() for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(str(error)) from error
    return LaneCheckpoint(run_id, lanes[index].env_steps, dict(lanes[index].meta), tensors)


def recover(layout: Layout) -> None:
    """Finish what killed programs had committed, and remove what they had not.

    A staging folder whose number stands in its program's checkpoint is committed: its parts are published.
    """
    for name in files.names(layout.staging):
        folder = layout.staging / name
        program, _, commit = name.rpartition("-")
        if is_alive(layout.claim(program)):
            continue
        if not folder.is_dir():  # the claim of a program that was killed before it could rename it
            files.remove(folder)
            continue
        header = read_header(layout.checkpoint(program))
        if header is not None and f"{header.commit:06d}" == commit:
            parts.publish(layout, folder)
        files.remove_folder(folder)


def sweep_checkpoints(layout: Layout, headers: Collection[CheckpointHeader], finished: Collection[str]) -> None:
    """Remove the files of dead programs in which no lane is both unfinished and the most advanced state of its run."""
    needed = {path for run_id, (_, path) in most_advanced(headers).items() if run_id not in finished}
    for header in headers:
        if header.path not in needed and not is_alive(layout.claim(header.path.name.removesuffix(_SUFFIX))):
            files.remove(header.path)
