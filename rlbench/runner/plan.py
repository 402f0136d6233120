"""From runs to jobs: which runs train together, in which process, and what that costs.

In: the runs that are still to do. Out: for every worker a list of jobs; a job is runs of one cohort. Knows nothing of files.
"""

import dataclasses
import math
from collections.abc import Sequence

from rlbench.config.cadence import EPISODE_STEPS_GUESS
from rlbench.config.plan import PlannedRun
from rlbench.lanes.choices.bases import Network
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.fast.chunks import bytes_per_lane, chunk_width, parameter_count
from rlbench.lanes.steps.observing import observed

# A cost model of one core, for splitting work and for the plan: updates * (operations / rate + overhead) + steps * acting.
# Fitted on a 2-core x86-64 machine with AVX2 at 32 or more lanes; good to a factor of two elsewhere.
FLOPS_PER_SECOND = 45e9
UPDATE_SECONDS = 12e-6
STEP_SECONDS = 8e-6
# The same for pixels, where convolutions reach a part of the rate of products, and every lane acts alone.
PIXEL_FLOPS_PER_SECOND = 30e9
PIXEL_UPDATE_SECONDS = 1e-3
PIXEL_STEP_SECONDS = 3e-4
PATCH_SECONDS = 4e-6
PATCH_PIXEL_SECONDS = 1e-9
WINDOW_FRAME_SECONDS = 2.2e-3  # a frame of the environment's own, through the window toolkit
STARTUP_SECONDS = 25.0  # importing, and compiling a new cohort once
# A piece of work is not cut smaller: what another worker could take over has to be worth its import of a new cohort.
PIECE_SECONDS = 60.0


Job = tuple[PlannedRun, ...]


def steps_of(run: Run) -> int:
    """Environment steps of a run's budget, guessed where the budget is in episodes."""
    if run.budget.steps is not None:
        return run.budget.steps
    assert run.budget.episodes is not None
    return run.budget.episodes * min(observed(run).info.max_episode_steps or EPISODE_STEPS_GUESS, EPISODE_STEPS_GUESS)


def total_steps(runs: Sequence[Run]) -> int:
    """Environment steps of all budgets together; 0 where one is in episodes, so that nobody can tell."""
    known = [run.budget.steps for run in runs]
    return 0 if None in known else sum(steps for steps in known if steps is not None)


def expected_seconds(run: Run) -> float:
    """Seconds of one core that a run is expected to take among enough other lanes."""
    steps, variant = steps_of(run), run.variant
    if not variant.network.learns:
        return steps * STEP_SECONDS / 4
    info = observed(run).info
    if variant.network.lane_by_lane:
        return _expected_pixel_seconds(run, variant.network)
    weights = parameter_count(run)
    flops = 2 * weights * variant.batch_size * (4 + variant.double) + 40 * weights
    updates = steps / variant.update_period * variant.updates_per_period
    evaluation = _evaluation_steps(run)
    acting = steps * (1 + evaluation) * (STEP_SECONDS + 2 * weights / FLOPS_PER_SECOND)
    return (
        updates * (flops / FLOPS_PER_SECOND + UPDATE_SECONDS * variant.steps_per_minibatch)
        + acting
        + (0 if info.fast else steps * (1 + evaluation) * 3e-5)
    )


def _evaluation_steps(run: Run) -> float:
    """Steps of evaluation for each step of training."""
    return run.evaluation.episodes * EPISODE_STEPS_GUESS / run.evaluation.period


def _expected_pixel_seconds(run: Run, network: Network) -> float:
    """The same for a run that sees pixels: every frame is drawn when it is seen."""
    steps, variant, seen = steps_of(run), run.variant, observed(run)
    channels, rows, columns = seen.shape
    frame = PATCH_SECONDS + PATCH_PIXEL_SECONDS * channels * rows * columns
    forward = (
        2 * network.multiplications(seen.shape, seen.info.num_actions, variant.estimator.width) / PIXEL_FLOPS_PER_SECOND
    )
    # Two forward, one backward, and what stands between convolutions.
    passes = variant.batch_size * (4.5 + variant.double)
    update = passes * forward + variant.batch_size * 3 * frame + PIXEL_UPDATE_SECONDS
    look = WINDOW_FRAME_SECONDS if seen.stores_frames else 2 * frame
    acting = steps * (1 + _evaluation_steps(run)) * (look + forward + PIXEL_STEP_SECONDS)
    return steps / variant.update_period * variant.updates_per_period * update + acting


def cohorts(runs: Sequence[PlannedRun]) -> list[Job]:
    """The runs by cohort, in the order in which each cohort first appears."""
    found: dict[object, list[PlannedRun]] = {}
    for planned in runs:
        found.setdefault(planned.run.cohort_key(), []).append(planned)
    return [tuple(members) for members in found.values()]


def share_out(runs: Sequence[PlannedRun], num_workers: int) -> list[list[Job]]:
    """Jobs for each worker to begin with, of about equal expected time; a cohort is cut only where a worker's share is full."""
    costs = {planned.run_id: expected_seconds(planned.run) for planned in runs}
    share = sum(costs.values()) / num_workers
    shares: list[list[Job]] = [[] for _ in range(num_workers)]
    filled = [0.0] * num_workers
    worker = 0
    for cohort in sorted(cohorts(runs), key=lambda job: -sum(costs[planned.run_id] for planned in job)):
        job: list[PlannedRun] = []
        for planned in cohort:
            # A run belongs to the worker in whose share its middle lies.
            if worker < num_workers - 1 and filled[worker] + costs[planned.run_id] / 2 > share:
                if job:
                    shares[worker].append(tuple(job))
                job, worker = [], worker + 1
            job.append(planned)
            filled[worker] += costs[planned.run_id]
        if job:
            shares[worker].append(tuple(job))
    return [jobs for jobs in shares if jobs]


def pieces(jobs: Sequence[Job]) -> list[Job]:
    """A worker's jobs in the pieces in which they are handed to it: each about half of what is left, so that the last ones are small.

    What is not begun can be taken over by a worker that has nothing left to do. A piece has whole chunks of lanes, which are as fast as
    more of them; where that is all there is of a job, it stays in one.
    """
    found = []
    left = sum(expected_seconds(planned.run) for job in jobs for planned in job)
    for job in jobs:
        seconds, width = expected_seconds(job[0].run), chunk_width(job[0].run)
        begin = 0
        while begin < len(job):
            wanted = max(left / 2, PIECE_SECONDS) / seconds
            size = math.ceil(min(wanted, len(job)) / width) * width
            end = begin + size if len(job) - begin - size >= width else len(job)
            found.append(job[begin:end])
            left -= seconds * (end - begin)
            begin = end
    return found


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a plan costs: seconds of wall time with so many workers, and bytes of memory for the lanes that train at once, at a commit."""

    seconds: float
    num_bytes: int


def forecast(runs: Sequence[PlannedRun], num_workers: int, max_lanes: int) -> Forecast:
    """The expected cost of training these runs."""
    if not runs:
        return Forecast(0.0, 0)
    shares = share_out(runs, num_workers)
    seconds = max(sum(expected_seconds(planned.run) for job in jobs for planned in job) for jobs in shares)
    # Twice, because a checkpoint is written from a copy.
    num_bytes = 2 * sum(max(min(len(job), max_lanes) * bytes_per_lane(job[0].run) for job in jobs) for jobs in shares)
    compiles = max(len(jobs) for jobs in shares)
    return Forecast(seconds + compiles * STARTUP_SECONDS, num_bytes)
