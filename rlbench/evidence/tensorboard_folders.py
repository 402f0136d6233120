"""Runs from CleanRL's TensorBoard folders: runs/ENVIRONMENT__EXPERIMENT__SEED__TIME, tag charts/episodic_return.

In: a folder with such folders in it. Out: `SourceRun`s of training episodes; the variant is EXPERIMENT, the name of CleanRL's
script unless --exp-name said otherwise.
"""

from pathlib import Path

import numpy as np

from rlbench.errors import ConfigError
from rlbench.evidence.event_files import read_scalars
from rlbench.evidence.source import SourceRun, seed_of

TAG = "charts/episodic_return"
PREFIX = "events.out.tfevents."
LAYOUT = "ENVIRONMENT__EXPERIMENT__SEED__TIME"


def event_files(folder: Path) -> list[Path]:
    """The event files anywhere below a folder, by name, which is by the time at which they were begun."""
    return sorted(path for path in folder.rglob(f"{PREFIX}*") if path.is_file())


def read_tensorboard(folder: Path) -> list[SourceRun]:
    """The runs of a folder of CleanRL's. Raises ConfigError for another layout, or a run without the tag."""
    by_run: dict[Path, list[Path]] = {}
    for path in event_files(folder):
        by_run.setdefault(path.parent, []).append(path)
    # The folder of one run may have been given itself.
    root = folder.parent if folder in by_run else folder
    return [_run(run.relative_to(root).as_posix(), paths) for run, paths in by_run.items()]


def _run(name: str, paths: list[Path]) -> SourceRun:
    parts = name.split("__")
    if len(parts) < 4 or not all(parts):
        raise ConfigError(f"{name}: event files are read from folders named {LAYOUT}")
    env, variant, seed = parts[0], "__".join(parts[1:-2]), seed_of(parts[-2], name)
    steps, values = [], []
    for path in paths:
        more_steps, more_values = read_scalars(path, TAG)
        steps += more_steps
        values += more_values
    if not steps:
        raise ConfigError(f"{name}: its event files have no '{TAG}'")
    order = np.argsort(np.asarray(steps, np.int64), kind="stable")
    ordered = np.asarray(steps, np.int64)[order]
    return SourceRun(
        variant,
        env,
        seed,
        ordered,
        np.asarray(values, np.float64)[order],
        np.diff(ordered, prepend=0),
        np.zeros(len(ordered), np.int64),
        name,
    )
