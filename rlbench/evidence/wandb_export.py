"""Runs from what a chart of Weights & Biases exports as CSV: "Step","NAME - metric","NAME - metric__MIN","NAME - metric__MAX", ...

In: a path. Out: a `Reading`. NAME says which run a column is of, as CleanRL names them. An empty cell is a step at which that run
logged nothing. Never: takes a column for a run that may be an average over runs, as those of a grouped chart are.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from rlbench.errors import ConfigError
from rlbench.evidence.source import EVALUATION, TRAINING, Reading, SourceRun, env_name, quoted, seed_in
from rlbench.evidence.tensorboard_folders import NAMED, TAGS
from rlbench.evidence.text_files import read_text, rows_of

_BETWEEN, _ENDS = " - ", ("__MIN", "__MAX")
_LARGEST = 2.0**53


def is_export(path: Path) -> bool:
    """Whether a file's first row is that of such an export."""
    names = next((row for _, row in rows_of(read_text(path, path.name).partition("\n")[0], path.name)), [])
    return len(names) > 1 and all(_BETWEEN in name for name in names[1:])


def read_export(path: Path, kind: str | None = None) -> Reading:
    """The runs of a file. Raises ConfigError for one that has several metrics, or no run that can be read."""
    rows = list(rows_of(read_text(path, path.name), path.name))
    names = [name.strip() for name in rows[0][1]]
    if "time" in names[0].lower():
        raise ConfigError(f"{path.name} is over {quoted(names[0])}; export the chart over steps")
    # The axis may come as a column of each run too. Two runs may have one name, so columns are known by their places.
    places = [
        place for place, name in enumerate(names) if place and not name.endswith(_ENDS) and _metric(name) != "_step"
    ]
    metrics = dict.fromkeys(_metric(names[place]) for place in places)
    if len(metrics) != 1:
        raise ConfigError(
            f"{path.name} has {len(metrics)} metrics ({', '.join(metrics) or 'none'}); export the chart of one"
        )
    metric = next(iter(metrics))
    found = (
        kind or TAGS.get(metric) or (EVALUATION if "eval" in metric.lower() or "test" in metric.lower() else TRAINING)
    )
    reading = Reading(found, f"a chart's export of Weights & Biases, {metric}", has_episodes=False)
    reading.meaning = f"steps are its '{names[0]}', and of a long run Weights & Biases exports a sample"
    frame = _numbers(path, rows, names, reading)
    for place in places:
        _read_column(reading, frame, path.name, place, names)
    return reading


def _metric(name: str) -> str:
    return name.rpartition(_BETWEEN)[2]


def _numbers(path: Path, rows: list[tuple[int, list[str]]], names: list[str], reading: Reading) -> pd.DataFrame:
    """The cells as texts by column number and row; rows that cannot be read are left aside."""
    kept, odd = {}, []
    for number, row in rows[1:]:
        step = pd.to_numeric(row[0], errors="coerce")
        if len(row) != len(names):
            odd.append(f"row {number}: {len(row)} values for {len(names)} columns: left aside")
        elif not (0 <= step <= _LARGEST):
            odd.append(f"row {number}: {quoted(row[0])} is no number of steps: left aside")
        else:
            kept[number] = row
    reading.leave_rows(path.name, odd)
    return pd.DataFrame.from_dict(kept, orient="index", columns=range(len(names)), dtype=str)


def _read_column(reading: Reading, frame: pd.DataFrame, file: str, place: int, names: list[str]) -> None:
    name = names[place]
    run = name.rpartition(_BETWEEN)[0]
    parts = run.split("__")
    seed = seed_in(parts[-2]) if len(parts) >= 4 and all(parts) else None
    if seed is None or not env_name(parts[0]):
        reading.leave(
            "unreadable", f"{file}: {quoted(run)} says no variant, environment and seed ({NAMED}): left aside"
        )
        return
    texts = frame[place].str.strip()
    texts = texts[texts != ""]
    values = pd.to_numeric(texts, errors="coerce").astype(np.float64)
    wrong = texts[values.isna() & (texts.str.lower() != "nan")]
    if len(wrong):
        reading.leave(
            "unreadable",
            f"{file} row {wrong.index[0]}: {name} must be a number, not {quoted(wrong.iloc[0])}; its run is left aside",
        )
        return
    if not len(values):
        reading.leave("empty", f"{file}: '{name}' has no value")
        return
    beside = {names[at]: frame.loc[texts.index, at].str.strip() for at in range(place + 1, min(place + 3, len(names)))}
    ends = [beside[name + end] for end in _ENDS if name + end in beside]
    if len(ends) == 2 and (ends[0] != ends[1]).any():
        reading.note(f"{file}: '{name}' has averages, since its {' and '.join(_ENDS)} differ")
    axis = pd.to_numeric(frame.loc[texts.index, 0]).to_numpy(np.float64)
    order = np.argsort(axis, kind="stable")
    axis, zeros = axis[order], np.zeros(len(axis), np.int64)
    again = axis[1:][np.diff(axis) == 0]
    notes = (f"{file}: '{name}' has step {again[0]:.0f} again",) if len(again) else ()
    steps, returns = axis.astype(np.int64), values.to_numpy()[order]  # a sample has averages of steps
    variant, column = "__".join(parts[1:-2]), f"{file} column {place + 1}"
    reading.runs.append(SourceRun(variant, parts[0], seed, steps, returns, zeros, zeros, column, notes))
