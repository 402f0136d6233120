"""Which monitor files are one run, and its episodes in order.

In: a folder. Out: a `Reading`. Stable-Baselines3 writes one file for each parallel environment of a run and calls it after
its rank, so a file is a seed only where that is sure:

- the files of a folder VARIANT/ENVIRONMENT_N (the RL Zoo's) or VARIANT/ENVIRONMENT/SEED are one run;
- a file SEED.monitor.csv in VARIANT/ENVIRONMENT is a run if it says so (seed3, s3), or if it began after the one before it
  had ended an episode: the parallel environments of a run are all made before its first step;
- files there that began within a second or so of each other and overlap in time are the parallel environments of one run;
- anything else cannot be told, and is no run at all.

A run's environment steps are counted over its parallel environments together, in the order in which their episodes ended.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlbench.errors import ConfigError
from rlbench.evidence.layouts import LAYOUT as FOLDERS
from rlbench.evidence.layouts import Place, is_of_evaluation, place_of
from rlbench.evidence.monitor_files import SUFFIX, MonitorFile, bare_name, monitor_files, read_monitor
from rlbench.evidence.source import TRAINING, Reading, SourceRun, quoted, seed_in, shortened_list
from rlbench.evidence.text_files import PACKED

LAYOUT = f"VARIANT/ENVIRONMENT/SEED.{SUFFIX}, {FOLDERS}, with *.{SUFFIX} in them"
_TOGETHER_SECONDS = 1.5  # between the beginnings of neighbours among the parallel environments of a run
ONE_RUN, SEEDS, UNCLEAR = "one run", "seeds", "unclear"


def read_monitors(folder: Path) -> Reading:
    """The runs of a folder of monitor files; what cannot be read, or not be told, is a finding."""
    reading = Reading(TRAINING, "Stable-Baselines3 monitor files")
    paths = sorted(monitor_files(folder), key=lambda path: path.parent)
    for parent, own in itertools.groupby(paths, key=lambda path: path.parent):
        _read_folder(reading, folder, parent.relative_to(folder).parts, list(own))
    reading.runs.sort(key=lambda run: run.origin.split("/"))
    return reading


def _read_folder(reading: Reading, root: Path, parts: tuple[str, ...], paths: list[Path]) -> None:
    """Read what monitor files lie in one folder."""
    files, damaged = [], []
    for path in paths:
        origin = path.relative_to(root).as_posix()
        if is_of_evaluation(bare_name(path)) or (parts and is_of_evaluation(parts[-1])):
            reading.note(f"{origin} has episodes of evaluation, not of training: left aside")
        elif path.name.endswith(PACKED) and path.with_name(path.name.removesuffix(PACKED)) in paths:
            reading.leave("duplicated", f"{origin} stands beside the same file unpacked: left aside")
        else:
            try:
                files.append(read_monitor(path, origin))
            except ConfigError as error:
                damaged.append(origin)
                reading.leave("unreadable", f"{error}")
    for file in files:
        if file.cut:
            reading.leave("cut", file.cut)
        if not len(file):
            reading.leave("empty", f"{file.origin} has no finished episode")
    of_place: dict[Place, list[MonitorFile]] = {}
    for file in files:
        place = place_of(root, parts, file.env)
        if place is None:
            reading.leave("unreadable", f"{file.origin}: monitor files are read from {LAYOUT}")
        else:
            of_place.setdefault(place, []).append(file)
    runs = [place for place in of_place if place.number is not None]
    if len(runs) > 1:
        names = ", ".join(sorted(place.env for place in runs))
        said = f"{of_place[runs[0]][0].origin}: the files of one run are of different environments: {names}"
        reading.leave("unreadable", said)
        return
    for place, own in of_place.items():
        if place.number is None:
            _read_environment(reading, place, own, damaged)
        else:
            _read_run(reading, place, place.number, own, damaged)


def _read_environment(reading: Reading, place: Place, files: list[MonitorFile], damaged: list[str]) -> None:
    """Read the files of a folder VARIANT/ENVIRONMENT, whose names are seeds or ranks."""
    unsure = []
    for file in files:
        if file.name and seed_in(file.name) is None:
            said = f"{file.origin}: {quoted(file.name)} is not a seed (3, s3, seed3 or seed_3)"
            reading.leave("unreadable", said)
        elif file.name and not file.name.isdecimal():
            _read_run(reading, place, seed_in(file.name) or 0, [file], [])
        else:
            unsure.append(file)
    lasting = [file for file in unsure if len(file)]
    where = unsure[0].origin.rpartition("/")[0] if unsure else ""
    relation = relation_of(lasting)
    if relation == UNCLEAR:
        reading.leave(
            "runs",
            f"{where}: whether its {len(lasting)} files are seeds or the parallel environments of one run cannot be told from when"
            f" they began, so they are left aside; call seeds seed0.{SUFFIX} and so on, or give each run a folder of its own",
        )
    elif relation == ONE_RUN and len(lasting) > 1:
        reading.note(
            f"{where}: its {len(lasting)} files began together and overlap in time: the parallel environments of one run;"
            f" seeds that were started at once are called seed0.{SUFFIX} and so on"
        )
        _read_run(reading, place, 0, lasting, damaged)
    else:
        for file in lasting:
            _read_run(reading, place, int(file.name or 0), [file], [])


def relation_of(files: Sequence[MonitorFile]) -> str:
    """What files of one folder are to each other, by when they began and ended: ONE_RUN, SEEDS or UNCLEAR."""
    if len(files) < 2:
        return ONE_RUN
    spans = [_span(file) for file in files]
    known = sorted(span for span in spans if span is not None)
    if len(known) < len(spans):
        return UNCLEAR
    are_together, are_apart = [], []
    for (start, first_end, end), (next_start, _, _) in itertools.pairwise(known):
        are_together.append(next_start - start <= _TOGETHER_SECONDS and next_start < end)
        are_apart.append(first_end <= next_start)
    last_start, first_end = known[-1][0], min(end for _, _, end in known)
    if all(are_together) and last_start < first_end:
        return ONE_RUN
    return SEEDS if all(are_apart) and not any(are_together) else UNCLEAR


def _span(file: MonitorFile) -> tuple[float, float, float] | None:
    """When a file began, ended its first episode, and the last one before its clock went back; None if it does not say."""
    if file.start is None:
        return None
    sitting = file.times[sessions_of(file.times) == 0]
    return file.start, file.start + float(sitting[0]), file.start + float(sitting[-1])


def sessions_of(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """The session of each episode [episodes]: a resumed run appends to its file, and its clock begins again."""
    return np.cumsum(np.diff(times, prepend=times[:1]) < 0)


def _read_run(reading: Reading, place: Place, seed: int, files: list[MonitorFile], damaged: list[str]) -> None:
    """Read the files of one run: the sessions one after the other, and within one by the time at which episodes ended."""
    if damaged:
        reading.leave(
            "unreadable",
            f"{files[0].origin}: its run is left aside, since the steps of {shortened_list(damaged)} are unknown",
        )
        return
    lasting = [file for file in files if len(file)]
    if not lasting:
        return
    origin = lasting[0].origin if len(files) == 1 else f"{lasting[0].origin} to {lasting[-1].origin.rpartition('/')[2]}"
    sessions = [sessions_of(file.times) for file in lasting]
    if len({int(own[-1]) for own in sessions}) > 1:
        reading.leave(
            "order",
            f"{origin}: the clock begins again in some of its files and not in others: their order is uncertain",
        )
    if relation_of(lasting) == SEEDS:
        reading.leave("runs", f"{origin}: its files did not begin together, and are read as one run all the same")
    are_known = all(file.start is not None for file in lasting)
    ended = np.concatenate([file.times + (file.start or 0.0) * are_known for file in lasting])
    order = np.lexsort((ended, np.concatenate(sessions))) if len(lasting) > 1 else np.arange(len(ended))
    lengths = np.concatenate([file.lengths for file in lasting])[order]
    reading.runs.append(
        SourceRun(
            place.variant,
            place.env,
            seed,
            np.cumsum(lengths),
            np.concatenate([file.returns for file in lasting])[order],
            lengths,
            np.zeros(len(lengths), np.int64),
            origin,
            _copies(lasting),
            len(lasting),
        )
    )


def _copies(files: Sequence[MonitorFile]) -> tuple[str, ...]:
    """Files of a run that have the same episodes at the same times as another."""
    first: dict[tuple[float | None, bytes, bytes], str] = {}
    told = []
    for file in files:
        other = first.setdefault((file.start, file.times.tobytes(), file.returns.tobytes()), file.origin)
        if other != file.origin:
            told.append(f"{file.origin} has the same episodes as {other}")
    return tuple(told)
