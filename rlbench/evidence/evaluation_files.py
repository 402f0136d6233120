"""Runs from the evaluations.npz files that Stable-Baselines3's EvalCallback writes: evaluation episodes on a grid of steps.

In: a folder laid out as for monitor files, with one evaluations.npz, perhaps in a folder `eval`, in the folder of each run.
Out: a `Reading`. The file names no environment: a monitor file beside it does, or else its folder. Never: unpickles.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlbench.errors import ConfigError
from rlbench.evidence.layouts import LAYOUT as FOLDERS
from rlbench.evidence.layouts import is_of_evaluation, place_of
from rlbench.evidence.monitor_files import monitor_files, recorded_env
from rlbench.evidence.source import EVALUATION, Reading, SourceRun

FILE = "evaluations.npz"
LAYOUT = f"{FOLDERS}, with {FILE} in them"
_LARGEST = 2.0**53
# What numpy and zipfile raise for a file that is damaged, or was made to do harm.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


def evaluation_files(folder: Path) -> list[Path]:
    """The files anywhere below a folder, by name."""
    return sorted(path for path in folder.rglob(FILE) if path.is_file())


def run_folder(path: Path, root: Path) -> Path:
    """The folder of the run that a file of evaluations is of."""
    folder = path.parent
    return folder.parent if folder != root and is_of_evaluation(folder.name) else folder


def read_evaluations(folder: Path) -> Reading:
    """The runs of a folder; what cannot be read is a finding."""
    reading = Reading(EVALUATION, f"Stable-Baselines3's {FILE}")
    reading.meaning = "evaluation is greedy unless the script that ran it said otherwise"
    for path in evaluation_files(folder):
        origin = path.relative_to(folder).as_posix()
        try:
            reading.runs.append(_run(folder, path, origin))
        except ConfigError as error:
            reading.leave("unreadable", f"{error}")
    return reading


def _run(root: Path, path: Path, origin: str) -> SourceRun:
    folder = run_folder(path, root)
    place = place_of(root, folder.relative_to(root).parts, _env(folder))
    if place is None:
        raise ConfigError(f"{origin}: evaluations are read from {LAYOUT}")
    steps, returns, lengths = _points(path, origin)
    order = np.argsort(steps, kind="stable")
    steps, returns, lengths = steps[order], returns[order], lengths[order]
    again = steps[1:][np.diff(steps) == 0]
    count = returns.shape[1]
    return SourceRun(
        place.variant,
        place.env,
        place.number or 0,
        np.repeat(steps, count),
        returns.reshape(-1),
        lengths.reshape(-1),
        np.tile(np.arange(count), len(steps)),
        origin,
        tuple(f"{origin}: evaluated at step {step} again" for step in again[:1]),
    )


def _env(folder: Path) -> str:
    """What the monitor files beside say, if they are of one mind."""
    envs = set()
    for path in (path for path in monitor_files(folder) if path.parent == folder):
        try:
            envs.add(recorded_env(path, path.name))
        except ConfigError:
            continue  # not what is read here; with prefer=monitor it is a finding
    return envs.pop() if len(envs) == 1 else ""


def _points(path: Path, origin: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Steps [points], returns and lengths [points, episodes]; a length of 0 is an unknown one."""
    try:
        with open(path, "rb") as raw:  # numpy leaves the file open where it is damaged
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise KeyError("it has no timesteps and results")
            steps, returns = (np.asarray(file[name], np.float64) for name in ("timesteps", "results"))
            lengths = np.asarray(file["ep_lengths"], np.float64) if "ep_lengths" in file else np.zeros_like(returns)
    except _DAMAGE as error:
        said = " ".join(" ".join(map(str, error.args)).split())
        raise ConfigError(f"{origin} cannot be read: {said or type(error).__name__}") from None
    returns, lengths = (array[:, None] if array.ndim == 1 else array for array in (returns, lengths))
    if steps.ndim != 1 or returns.ndim != 2 or len(steps) != len(returns) or returns.shape != lengths.shape:
        raise ConfigError(f"{origin}: timesteps, results and ep_lengths do not fit each other")
    if not returns.size:
        raise ConfigError(f"{origin} has no evaluation")
    is_wrong = ~((steps >= 0) & (steps <= _LARGEST) & (steps == np.floor(steps)))
    if is_wrong.any():
        raise ConfigError(f"{origin}: '{steps[is_wrong][0]}' is no number of steps")
    lengths = np.where((lengths >= 0) & (lengths <= _LARGEST), lengths, 0.0)
    return steps.astype(np.int64), returns, lengths.astype(np.int64)
