"""Runs from TensorBoard folders: CleanRL's, whose names say what they are, and Stable-Baselines3's, within named folders.

In: a folder with such folders in it. Out: a `Reading`. CleanRL calls a folder ENVIRONMENT__EXPERIMENT__SEED__TIME; the variant is
EXPERIMENT, the name of its script unless --exp-name said otherwise. A folder in which a script ran twice is read as its writer
asked for with a purge_step; without one, steps that overlap are told as rows that are there twice.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlbench.errors import ConfigError
from rlbench.evidence.event_files import Point, read_events
from rlbench.evidence.layouts import LAYOUT as FOLDERS
from rlbench.evidence.layouts import Place, logger_place
from rlbench.evidence.source import EVALUATION, TRAINING, Reading, SourceRun, quoted, seed_in

PREFIX = "events.out.tfevents."
NAMED = "ENVIRONMENT__EXPERIMENT__SEED__TIME"
LAYOUT = f"{NAMED}, ENVIRONMENT/ALGORITHM_N, {FOLDERS}"
EPISODES, EVALUATIONS, ROLLOUTS = "charts/episodic_return", "eval/mean_reward", "rollout/ep_rew_mean"
# Of all tags of a kind, the first one that any run has is read of all of them: one report never compares two quantities.
TAGS = {EVALUATIONS: EVALUATION, EPISODES: TRAINING, ROLLOUTS: TRAINING}
_MEANINGS = {
    EPISODES: "",
    EVALUATIONS: "evaluation is greedy unless the script that ran it said otherwise",
    ROLLOUTS: "each value is the mean of up to 100 training episodes",
}


def event_files(folder: Path) -> list[Path]:
    """The event files anywhere below a folder, by name, which is by the time at which they were begun."""
    return sorted(path for path in folder.rglob(f"{PREFIX}*") if path.is_file())


def read_tensorboard(folder: Path, kind: str | None = None) -> Reading:
    """The runs of a folder, of returns of one kind, or of the best that there are; what cannot be read is a finding."""
    tags = [tag for tag, of in TAGS.items() if kind in (None, of)]
    by_run: dict[Path, list[Path]] = {}
    for path in event_files(folder):
        by_run.setdefault(path.parent, []).append(path)
    found, problems = [], Reading(TRAINING, "")
    for run, paths in by_run.items():
        name = run.relative_to(folder).as_posix() if run != folder else folder.resolve().name
        try:
            points, again = _points(name, paths, tags)
            if not points and run.parent in by_run:  # where PyTorch's add_hparams and add_scalars write
                problems.note(f"{name} lies in the folder of a run, and has no returns: left aside")
                continue
            found.append((name, _place(folder, run), len(paths), points, again))
        except ConfigError as error:
            problems.leave("unreadable", f"{error}")
    tag = next((tag for tag in tags if any(tag in points for *_, points, _ in found)), tags[0])
    reading = Reading(
        TAGS[tag],
        f"TensorBoard event files, tag {tag}",
        findings=problems.findings,
        meaning=_MEANINGS[tag],
        has_episodes=tag == EPISODES,
    )
    for name, place, num_files, points, again in found:
        if tag in points:
            reading.runs.append(_run(name, place, num_files, points[tag], again[tag]))
        else:
            others = f", but '{next(iter(points))}'" if points else ""
            reading.leave("empty", f"{name}: its event files have no '{tag}'{others}: left aside")
    return reading


def _place(root: Path, run: Path) -> Place:
    name = run.name if run != root else root.resolve().name
    parts = name.split("__")
    if len(parts) >= 4 and all(parts):
        seed = seed_in(parts[-2])
        if seed is None:
            raise ConfigError(f"{name}: {quoted(parts[-2])} is not a seed (3, s3, seed3 or seed_3)")
        return Place("__".join(parts[1:-2]), parts[0], seed)
    place = logger_place(root, run.relative_to(root).parts or root.resolve().parts[-2:])
    if place is None:
        where = run.relative_to(root).as_posix() if run != root else name
        raise ConfigError(f"{where}: event files are read from folders named {LAYOUT}")
    return place


def _points(
    name: str, paths: Sequence[Path], tags: Sequence[str]
) -> tuple[dict[str, list[tuple[int, float]]], dict[str, tuple[str, ...]]]:
    """Steps and values of each tag that is there, and where its steps begin again without a purge mark."""
    points: dict[str, list[tuple[int, float, str]]] = {}
    for path in paths:
        for item in read_events(path, tags):
            if not isinstance(item, Point):
                points = {tag: [one for one in own if one[0] < item.step] for tag, own in points.items()}
                continue
            if item.step < 0:
                raise ConfigError(f"{name}: {path.name} has the step {item.step}")
            points.setdefault(item.tag, []).append((item.step, item.value, path.name))
    filled = {tag: own for tag, own in points.items() if own}
    values = {tag: [(step, value) for step, value, _ in own] for tag, own in filled.items()}
    return values, {tag: _again(name, own) for tag, own in filled.items()}


def _again(name: str, points: Sequence[tuple[int, float, str]]) -> tuple[str, ...]:
    """Where steps begin again. One file may have several returns at one step; what goes on from another has later ones."""
    for (last, _, before), (step, _, file) in itertools.pairwise(points):
        if step < last + (file != before):
            said = f"{file} begins again at step {step} after step {last}, without a purge_step"
            return (f"{said}: did a script run twice in {name}?",)
    return ()


def _run(
    name: str, place: Place, num_files: int, points: Sequence[tuple[int, float]], again: tuple[str, ...]
) -> SourceRun:
    steps = np.asarray([step for step, _ in points], np.int64)
    order = np.argsort(steps, kind="stable")
    ordered = steps[order]
    return SourceRun(
        place.variant,
        place.env,
        place.number or 0,
        ordered,
        np.asarray([value for _, value in points], np.float64)[order],
        np.diff(ordered, prepend=0),
        np.zeros(len(ordered), np.int64),
        name,
        again,
        num_files,
    )
