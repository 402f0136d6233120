"""Reading W&B's offline files back: a LevelDB log of protobuf records, in 32 KiB blocks after a header of 7 bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32768
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[bytes]:
    """The records of one file; those at its end that were cut off are left out."""
    data = path.read_bytes()
    assert data.startswith(_HEADER)
    at, record = len(_HEADER), b""
    while at + 7 <= len(data):
        if _BLOCK - at % _BLOCK < 7:
            at += _BLOCK - at % _BLOCK
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        assert kind in (_FULL, _FIRST, _MIDDLE, _LAST)
        piece = data[at + 7 : at + 7 + size]
        record = piece if kind in (_FULL, _FIRST) else record + piece
        at += 7 + size
        if kind in (_FULL, _LAST) and at <= len(data):
            yield record


@dataclass
class OfflineRun:
    """What one offline folder would upload."""

    folder: Path
    header: Any = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    step_metrics: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    artifacts: list[Any] = field(default_factory=list)


def read_offline_run(folder: Path) -> OfflineRun:
    """Everything in an offline folder; W&B's own keys, which begin with `_`, are left out of rows and summary."""
    from wandb.proto import wandb_internal_pb2

    run = OfflineRun(folder)
    (path,) = folder.glob("run-*.wandb")
    for data in records(path):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.header = record.run
            run.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            row = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            run.steps.append(row.get("_step", record.history.step.num))
            run.rows.append({key: value for key, value in row.items() if not key.startswith("_")})
        elif kind == "summary":
            update = {item.key or ".".join(item.nested_key): item.value_json for item in record.summary.update}
            run.summary |= {key: json.loads(text) for key, text in update.items() if not key.startswith("_")}
        elif kind == "metric":
            run.step_metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
        elif kind == "artifact":
            run.artifacts.append(record.artifact)
    return run


def offline_folders(store: Path) -> list[Path]:
    """The offline folders of a store."""
    return sorted((store / "wandb").glob("offline-run-*"))


def offline_runs(store: Path) -> dict[str, OfflineRun]:
    """run_id -> its offline run; fails where a run has two folders."""
    found = [read_offline_run(folder) for folder in offline_folders(store)]
    by_id = {run.header.run_id: run for run in found}
    assert len(by_id) == len(found)
    return by_id
