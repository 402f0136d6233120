"""Which kind of files somebody's results are, and their runs.

In: a path. Out: `ForeignResults`. Raises `ConfigError` with one line for whatever cannot be read.
"""

import os
from pathlib import Path

from rlbench.errors import ConfigError
from rlbench.evidence.csv_files import COLUMNS, read_csv
from rlbench.evidence.foreign import ForeignResults
from rlbench.evidence.monitor_files import LAYOUT as MONITOR_LAYOUT
from rlbench.evidence.monitor_files import monitor_files, read_monitors
from rlbench.evidence.source import EVALUATION, TRAINING
from rlbench.evidence.tensorboard_folders import LAYOUT as EVENT_LAYOUT
from rlbench.evidence.tensorboard_folders import event_files, read_tensorboard

FORMS = (
    f"a CSV file ({', '.join(COLUMNS)}), a folder of Stable-Baselines3 monitor files ({MONITOR_LAYOUT}),"
    f" or a folder of CleanRL's TensorBoard folders ({EVENT_LAYOUT})"
)


def read_evidence(path: str | os.PathLike[str], returns: str | None = None) -> ForeignResults:
    """Somebody else's results, as results of ours.

    Args:
        path: a CSV file, or a folder of monitor files or of TensorBoard folders.
        returns: what a CSV file's returns are of, "evaluation" (the default) or "training"; the other two are of training.

    """
    root = Path(path).expanduser()
    if root.is_file():
        return ForeignResults(root, read_csv(root), kind=returns or EVALUATION, source="a CSV file")
    if not root.is_dir():
        raise ConfigError(f"from={path}: there is no such file or folder; it is {FORMS}")
    has_monitors, has_events = bool(monitor_files(root)), bool(event_files(root))
    if has_monitors == has_events:
        found = "both monitor files and event files" if has_monitors else "neither monitor files nor event files"
        raise ConfigError(f"from={path}: the folder has {found}; it is {FORMS}")
    if returns == EVALUATION:
        raise ConfigError("returns=evaluation: monitor and event files have the returns of training episodes")
    if has_monitors:
        return ForeignResults(root, read_monitors(root), kind=TRAINING, source="Stable-Baselines3 monitor files")
    return ForeignResults(root, read_tensorboard(root), kind=TRAINING, source="TensorBoard event files")
