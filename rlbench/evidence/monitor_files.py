"""Runs from Stable-Baselines3 monitor files: the training episodes that its `Monitor` wrapper writes.

In: a folder laid out as VARIANT/ENVIRONMENT/SEED.monitor.csv, or as VARIANT/ENVIRONMENT/SEED/*.monitor.csv, where the files
of one SEED folder are the parallel environments of one run. Out: `SourceRun`s; a run's environment steps are counted over
its parallel environments together, in the order of the time at which their episodes ended.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from rlbench.errors import ConfigError
from rlbench.evidence.source import SourceRun, seed_of

SUFFIX = "monitor.csv"
LAYOUT = f"VARIANT/ENVIRONMENT/SEED.{SUFFIX} or VARIANT/ENVIRONMENT/SEED/*.{SUFFIX}"


def monitor_files(folder: Path) -> list[Path]:
    """The monitor files anywhere below a folder, by name."""
    return sorted(path for path in folder.rglob(f"*{SUFFIX}") if path.is_file())


def read_monitors(folder: Path) -> list[SourceRun]:
    """The runs of a folder of monitor files. Raises ConfigError for another layout and for a damaged file."""
    by_run: dict[tuple[str, str, str], list[Path]] = {}
    for path in monitor_files(folder):
        parts = path.relative_to(folder).parts
        origin = "/".join(parts)
        if len(parts) == 3:
            name = path.name.removesuffix(SUFFIX).rstrip(".")
        elif len(parts) == 4:
            name = parts[2]
        else:
            raise ConfigError(f"{origin}: monitor files are read from {LAYOUT}")
        seed_of(name, origin)
        by_run.setdefault((parts[0], parts[1], name), []).append(path)
    return [_run(folder, variant, env, seed_of(name, variant), paths) for (variant, env, name), paths in by_run.items()]


def _run(folder: Path, variant: str, env: str, seed: int, paths: list[Path]) -> SourceRun:
    pieces, envs = [], set()
    for path in paths:
        recorded, frame = _read(path, path.relative_to(folder).as_posix())
        pieces.append(frame)
        envs.add(recorded or env)
    origin = paths[0].relative_to(folder).as_posix()
    if len(envs) > 1:
        raise ConfigError(f"{origin}: the files of one run are of different environments: {', '.join(sorted(envs))}")
    whole = pd.concat(pieces, ignore_index=True)
    whole = whole.sort_values("ended", kind="stable") if len(paths) > 1 else whole
    lengths = whole["l"].to_numpy(np.int64)
    return SourceRun(
        variant,
        envs.pop(),
        seed,
        np.cumsum(lengths),
        whole["r"].to_numpy(np.float64),
        lengths,
        np.zeros(len(whole), np.int64),
        origin,
    )


def _read(path: Path, origin: str) -> tuple[str, pd.DataFrame]:
    """The environment that a file says it is of, or nothing, and its episodes: return r, length l, and when they ended."""
    try:
        with open(path, encoding="utf-8") as file:
            first = file.readline()
            header = json.loads(first[1:]) if first.startswith("#") else None
            if not isinstance(header, dict):
                raise ConfigError(f"{origin} row 1: a monitor file begins with #{{...}}, the environment and the time")
            frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{origin} row 1: the header is no JSON ({error.msg})") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ConfigError(f"{origin} cannot be read: {' '.join(str(error).split())}") from None
    missing = [name for name in ("r", "l", "t") if name not in frame]
    if missing:
        raise ConfigError(f"{origin} row 2: the column '{missing[0]}' is missing (a monitor file has r, l, t)")
    numbers = frame[["r", "l", "t"]].apply(pd.to_numeric, errors="coerce")
    is_wrong = numbers[["l", "t"]].isna().any(axis=1) | (numbers["l"] < 1) | (numbers["l"] % 1 != 0)
    is_wrong |= numbers["r"].isna() & (frame["r"].str.lower() != "nan")
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        shown = ",".join(frame.iloc[row].astype(str))
        raise ConfigError(f"{origin} row {row + 3}: '{shown}' is no episode (return r, length l, time t)")
    start = header.get("t_start", 0.0)
    start = float(start) if isinstance(start, (int, float)) else 0.0
    return str(header.get("env_id") or ""), numbers.assign(ended=numbers["t"] + start)
