"""One monitor file of Stable-Baselines3: the training episodes that its `Monitor` wrapper wrote for one environment.

In: a path. Out: a `MonitorFile`. Says nothing of which files are one run: `monitor_runs` does.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.errors import ConfigError
from rlbench.evidence.source import env_name, quoted
from rlbench.evidence.text_files import PACKED, columns_of, read_text, rows_of

SUFFIX = "monitor.csv"
_COLUMNS = ("r", "l", "t")
_LONGEST = 2.0**53


@dataclass(frozen=True)
class MonitorFile:
    """Episodes in the order of the file: returns, lengths in steps and times in seconds since `start`, each [episodes].

    origin: its path below the folder that was given. name: what stands before monitor.csv. env: empty where the file names
    none. start: seconds since 1970, None where the file does not say. cut: what was left aside of its last row.
    """

    origin: str
    name: str
    env: str
    start: float | None
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    times: NDArray[np.float64]
    cut: str = ""

    def __len__(self) -> int:
        return len(self.returns)


def monitor_files(folder: Path) -> list[Path]:
    """The monitor files anywhere below a folder, by name, packed ones too."""
    found = (path for suffix in (SUFFIX, SUFFIX + PACKED) for path in folder.rglob(f"*{suffix}"))
    return sorted(path for path in found if path.is_file())


def bare_name(path: Path) -> str:
    """What stands before monitor.csv: 0 of 0.monitor.csv, nothing of monitor.csv."""
    return path.name.removesuffix(PACKED).removesuffix(SUFFIX).rstrip(".")


def read_monitor(path: Path, origin: str) -> MonitorFile:
    """The episodes of a file. A last row that is still being written is left out. Raises ConfigError for any other damage."""
    first, _, rest = read_text(path, origin).partition("\n")
    header = _header(first, origin)
    rows = rows_of(rest, origin, first=2)
    place, names = next(rows, (2, []))
    if not names:
        raise ConfigError(f"{origin} cannot be read: it ends after its first row")
    missing = [name for name in _COLUMNS if names.count(name) != 1]
    if missing:
        raise ConfigError(f"{origin} row {place}: the column '{missing[0]}' is missing (a monitor file has r, l, t)")
    found = columns_of(rows, len(names), [names.index(name) for name in _COLUMNS])
    cut = ""
    # Its writer ends every row, so a last one without an end is not whole, whatever it looks like.
    if not rest.endswith("\n") and (last := found.pop()):
        shown = quoted(",".join(last[1]))
        cut = f"{origin} row {last[0]}: {shown} has no end, as while a run is still writing: left aside"
    for number, row in found.odd[:1]:
        raise ConfigError(f"{origin} row {number}: {len(row)} values for {len(names)} columns")
    returns, lengths, times = (_numbers(column) for column in found.cells)
    is_wrong = ~((lengths >= 1) & (lengths <= _LONGEST) & (lengths == np.floor(lengths)) & np.isfinite(times))
    is_wrong[[row for row in np.flatnonzero(np.isnan(returns)) if not _is_nan(found.cells[0][row])]] = True
    for row in np.flatnonzero(is_wrong)[:1]:
        shown = quoted(",".join(column[row] for column in found.cells))
        raise ConfigError(f"{origin} row {found.numbers[row]}: {shown} is no episode (return r, length l, time t)")
    if lengths.sum() > _LONGEST:
        raise ConfigError(f"{origin}: its episodes have {lengths.sum():.3g} steps together, which no run has")
    env = env_name(header.get("env_id") or "")
    return MonitorFile(origin, bare_name(path), env, _start(header), returns, lengths.astype(np.int64), times, cut)


def recorded_env(path: Path, origin: str) -> str:
    """The environment that a file says it is of, empty where it says none. Raises ConfigError for a damaged first row."""
    first = read_text(path, origin).partition("\n")[0]
    return env_name(_header(first, origin).get("env_id") or "")


def _header(first: str, origin: str) -> dict[str, Any]:
    try:
        header = json.loads(first[1:]) if first.startswith("#") else None
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise ConfigError(f"{origin} row 1: the header is no JSON ({said})") from None
    if not isinstance(header, dict):
        raise ConfigError(f"{origin} row 1: a monitor file begins with #{{...}}, the environment and the time")
    return header


def _start(header: dict[str, Any]) -> float | None:
    start = header.get("t_start")
    is_number = isinstance(start, int | float) and not isinstance(start, bool) and math.isfinite(start)
    return float(start) if is_number else None  # type: ignore[arg-type]


def _numbers(texts: list[str]) -> NDArray[np.float64]:
    """What is no number is NaN."""
    return pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64)


def _is_nan(text: str) -> bool:
    """Whether a cell says that there is no number; pandas writes nothing for NaN."""
    return text.strip().lower() in ("nan", "")
