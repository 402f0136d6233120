"""Runs from a CSV file with the columns variant, environment, seed, step, return, and perhaps episode.

In: a path. Out: `SourceRun`s in the order in which they first appear, or one `ConfigError` with the file and its row. Never:
guesses a column, or drops a row.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rlbench.config.arguments import did_you_mean
from rlbench.errors import ConfigError
from rlbench.evidence.source import SourceRun

COLUMNS = ("variant", "environment", "seed", "step", "return")
OPTIONAL = ("episode",)
_LARGEST = 2.0**53
_MAX_REPEATED = 5  # repeated rows of one run that are told one by one


def read_csv(path: Path) -> list[SourceRun]:
    """The runs of a file. Raises ConfigError for a file that is not of this form."""
    frame = _texts(path)
    columns = {
        "seed": _numbers(path, frame, "seed", _is_count, "a whole number from 0 up"),
        "step": _numbers(path, frame, "step", _is_count, "a whole number from 0 up"),
        "return": _numbers(path, frame, "return", _is_anything, "a number"),
    }
    if "episode" in frame:
        columns["episode"] = _numbers(path, frame, "episode", _is_count, "a whole number from 0 up")
    else:
        columns["episode"] = pd.Series(0.0, frame.index)
    for name in ("variant", "environment"):
        _refuse(path, frame, name, frame[name].str.strip() == "", "a name")
    whole = pd.DataFrame({"variant": frame["variant"].str.strip(), "environment": frame["environment"].str.strip()})
    whole = whole.assign(**columns)
    runs = []
    for (variant, env, seed), rows in whole.groupby(["variant", "environment", "seed"], sort=False):
        ordered = rows.sort_values(["step", "episode"], kind="stable")
        runs.append(
            SourceRun(
                str(variant),
                str(env),
                int(seed),
                ordered["step"].to_numpy(np.int64),
                ordered["return"].to_numpy(np.float64),
                np.zeros(len(ordered), np.int64),
                ordered["episode"].to_numpy(np.int64),
                origin=f"{path.name} row {rows.index[0]}",
                repeated=_repeated(path, rows),
            )
        )
    return runs


def _texts(path: Path) -> pd.DataFrame:
    """Every cell as its text; the index is the row in the file, counted from 1."""
    rows: list[list[str]] = []
    places: list[int] = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            names = [name.strip() for name in next(reader, [])]
            _check_header(path, names)
            for row in reader:
                if not any(row):
                    continue
                if len(row) != len(names):
                    raise ConfigError(f"{path.name} row {reader.line_num}: {len(row)} values for {len(names)} columns")
                rows.append(row)
                places.append(reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path.name} cannot be read: {' '.join(str(error).split())}") from None
    if not rows:
        raise ConfigError(f"{path.name} has a header and no rows")
    return pd.DataFrame(rows, index=places, columns=names, dtype=str)


def _check_header(path: Path, names: list[str]) -> None:
    if not names:
        raise ConfigError(f"{path.name} is empty; it needs the columns {', '.join(COLUMNS)}")
    for name in names:
        if name not in COLUMNS + OPTIONAL:
            raise ConfigError(
                f"{path.name} row 1: unknown column '{name}'{did_you_mean(name, COLUMNS + OPTIONAL)}"
                f" (columns: {', '.join(COLUMNS)}, and perhaps {', '.join(OPTIONAL)})"
            )
        if names.count(name) > 1:
            raise ConfigError(f"{path.name} row 1: the column '{name}' is there twice")
    for name in COLUMNS:
        if name not in names:
            raise ConfigError(f"{path.name} row 1: the column '{name}' is missing (columns: {', '.join(COLUMNS)})")


def _numbers(
    path: Path, frame: pd.DataFrame, name: str, allowed: Callable[[pd.Series], pd.Series], wanted: str
) -> pd.Series:
    texts = frame[name].str.strip()
    values = pd.to_numeric(texts, errors="coerce").astype(np.float64)
    is_word = values.isna() & (texts.str.lower() != "nan")
    _refuse(path, frame, name, is_word | ~allowed(values), wanted)
    return values


def _is_count(values: pd.Series) -> pd.Series:
    return (values >= 0) & (values <= _LARGEST) & (values % 1 == 0)


def _is_anything(values: pd.Series) -> pd.Series:
    return pd.Series(True, values.index)


def _refuse(path: Path, frame: pd.DataFrame, name: str, is_wrong: pd.Series, wanted: str) -> None:
    wrong = frame.index[is_wrong]
    if len(wrong):
        raise ConfigError(f"{path.name} row {wrong[0]}: {name} must be {wanted}, not '{frame.at[wrong[0], name]}'")


def _repeated(path: Path, rows: pd.DataFrame) -> tuple[str, ...]:
    """The rows of a run at a step, and episode, that it has already."""
    again = rows[rows.duplicated(["step", "episode"])]
    told = [f"{path.name} row {number}: step {step:.0f} again" for number, step in again["step"].items()]
    more = len(told) - _MAX_REPEATED
    return tuple(told if more <= 0 else [*told[:_MAX_REPEATED], f"and {more} more rows"])
