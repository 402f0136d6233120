"""Which kind of files somebody's results are, and their runs.

In: a path. Out: `ForeignResults`. Raises `ConfigError` with one line where a path cannot be read at all; of a folder, what
cannot be read is a finding and the rest goes on.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from rlbench.errors import ConfigError
from rlbench.evidence.columns import CURVES, SCORES, parse_columns
from rlbench.evidence.csv_files import read_csv
from rlbench.evidence.evaluation_files import FILE, evaluation_files, read_evaluations, run_folder
from rlbench.evidence.evaluation_files import LAYOUT as EVALUATION_LAYOUT
from rlbench.evidence.foreign import ForeignResults
from rlbench.evidence.layouts import is_of_evaluation
from rlbench.evidence.monitor_files import bare_name, monitor_files
from rlbench.evidence.monitor_runs import LAYOUT as MONITOR_LAYOUT
from rlbench.evidence.monitor_runs import read_monitors
from rlbench.evidence.source import EVALUATION, TRAINING, Reading
from rlbench.evidence.tensorboard_folders import LAYOUT as EVENT_LAYOUT
from rlbench.evidence.tensorboard_folders import event_files, read_tensorboard
from rlbench.evidence.wandb_export import is_export, read_export
from rlbench.evidence.zoo_arguments import without_continued

EVALUATIONS, MONITOR, TENSORBOARD = "evaluations", "monitor", "tensorboard"
_FINDERS: dict[str, tuple[str, Callable[[Path], list[Path]]]] = {
    EVALUATIONS: (f"{FILE} files", evaluation_files),
    MONITOR: ("monitor files", monitor_files),
    TENSORBOARD: ("event files", event_files),
}
PREFERENCES = tuple(_FINDERS)
FORMS = (
    f"a CSV file ({', '.join(CURVES)}; or {', '.join(SCORES)}; or a chart's export of Weights & Biases), or a folder of"
    f" Stable-Baselines3's monitor files ({MONITOR_LAYOUT}) or {FILE} ({EVALUATION_LAYOUT}), or of TensorBoard folders ({EVENT_LAYOUT})"
)


def read_evidence(
    path: str | os.PathLike[str],
    returns: str | None = None,
    *,
    columns: str | Mapping[str, str] | None = None,
    prefer: str | None = None,
) -> ForeignResults:
    """Somebody else's results, as results of ours.

    Args:
        path: a CSV file, or a folder of monitor files, of evaluations.npz files or of TensorBoard folders.
        returns: what a CSV file's returns are of, "evaluation" (the default) or "training"; of event files, which to read.
        columns: of a CSV file, their names -> ours, as a mapping or in Hydra's grammar.
        prefer: "evaluations", "monitor" or "tensorboard": which to read of a folder that holds several.

    """
    root = Path(path).expanduser()
    if root.is_file():
        if prefer is not None:
            raise ConfigError("prefer= says which files of a folder to read; from= is a file")
        mapping = None if columns is None else parse_columns(columns)
        if mapping is None and is_export(root):
            return ForeignResults(root, read_export(root, returns))
        return ForeignResults(root, read_csv(root, kind=returns or EVALUATION, columns=mapping))
    if not root.is_dir():
        raise ConfigError(f"from={path}: there is no such file or folder; it is {FORMS}")
    if columns is not None:
        raise ConfigError("columns= maps the columns of a CSV file; from= is a folder")
    found = {kind: files for kind, (_, find) in _FINDERS.items() if (files := find(root))}
    chosen = _chosen(str(path), found, prefer)
    reading = _read(root, chosen, returns)
    without_continued(reading, root)
    for kind, files in found.items():
        if kind != chosen:
            reading.note(f"left aside: {len(files)} {_FINDERS[kind][0]} (prefer={kind} reads them)")
    if chosen == EVALUATIONS:
        _remark_missing(reading, root, found)
    return ForeignResults(root, reading)


def _chosen(path: str, found: Mapping[str, list[Path]], prefer: str | None) -> str:
    """The kind of files to read. Evaluation goes before training; between two records of training somebody has to choose."""
    if prefer is not None:
        if prefer not in found:
            there = " and ".join(_FINDERS[kind][0] for kind in found) or "none that can be read"
            raise ConfigError(f"from={path}: the folder has no {_FINDERS[prefer][0]} to prefer; it has {there}")
        return prefer
    if EVALUATIONS in found or len(found) == 1:
        return next(iter(found))
    if not found:
        raise ConfigError(
            f"from={path}: the folder has neither monitor files nor event files nor {FILE}; it is {FORMS}"
        )
    raise ConfigError(
        f"from={path}: the folder has both monitor files and event files; choose with prefer={MONITOR} or prefer={TENSORBOARD}"
    )


def _read(root: Path, kind: str, returns: str | None) -> Reading:
    if kind == TENSORBOARD:
        return read_tensorboard(root, returns)
    if kind == MONITOR:
        if returns == EVALUATION:
            raise ConfigError("returns=evaluation: monitor and event files have the returns of training episodes")
        return read_monitors(root)
    if returns == TRAINING:
        raise ConfigError(
            f"returns=training: {FILE} has the returns of evaluation; prefer={MONITOR} reads those of training"
        )
    return read_evaluations(root)


def _remark_missing(reading: Reading, root: Path, found: Mapping[str, list[Path]]) -> None:
    """A run with monitor files and without evaluations is left aside, and that is not to go unsaid: it may have crashed."""
    read = {run_folder(path, root) for path in found[EVALUATIONS]}
    others = {path.parent for path in found.get(MONITOR, []) if not is_of_evaluation(bare_name(path))}
    for folder in sorted(others - read):
        if not is_of_evaluation(folder.name):
            name = folder.relative_to(root).as_posix()
            reading.leave("aside", f"{name} has monitor files and no {FILE}: left aside")
