"""Sharing out work, and cutting lanes into chunks."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlbench.config.plan import PlannedRun
from rlbench.lanes.choices.losses import Huber, Squared
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant
from rlbench.lanes.fast.chunks import chunks
from rlbench.runner.plan import cohorts, expected_seconds, forecast, share_out

BASE = Run(Variant(), Environment(), Budget(), Evaluation(), Diagnostics(), seed=0)


def tasks(num_mse: int, num_huber: int) -> list[PlannedRun]:
    made = []
    for number in range(num_mse + num_huber):
        loss = Squared() if number < num_mse else Huber()
        run = dataclasses.replace(BASE, seed=number, variant=dataclasses.replace(BASE.variant, loss=loss))
        made.append(PlannedRun(run, "mse" if number < num_mse else "huber", number, str(number), {}))
    return made


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5))
def test_every_task_is_shared_out_once_in_jobs_of_one_cohort(num_mse: int, num_huber: int, workers: int) -> None:
    given_tasks = tasks(num_mse, num_huber)
    shares = share_out(given_tasks, workers) if given_tasks else []
    assert len(shares) <= workers
    assert sorted(t.run_id for jobs in shares for job in jobs for t in job) == sorted(t.run_id for t in given_tasks)
    assert all(len({t.run.cohort_key() for t in job}) == 1 for jobs in shares for job in jobs)


def test_two_equal_cohorts_are_not_cut_for_two_workers() -> None:
    shares = share_out(tasks(8, 8), 2)
    assert [[len(job) for job in jobs] for jobs in shares] == [[8], [8]]


def test_one_cohort_is_cut_evenly() -> None:
    assert [[len(job) for job in jobs] for jobs in share_out(tasks(30, 0), 2)] == [[15], [15]]


def test_cohorts_share_a_program_when_only_numbers_differ() -> None:
    hard = tasks(2, 0)
    soft = dataclasses.replace(hard[1].run.variant.target, every=1, tau=0.005)
    other = dataclasses.replace(
        hard[1], run=dataclasses.replace(BASE, variant=dataclasses.replace(BASE.variant, target=soft))
    )
    assert len(cohorts([hard[0], other])) == 1
    assert len(cohorts(tasks(1, 1))) == 2


def test_the_forecast_grows_with_the_work() -> None:
    assert forecast([], 2, 64).seconds == 0
    assert forecast(tasks(32, 0), 2, 64).num_bytes == 2 * forecast(tasks(16, 0), 2, 64).num_bytes
    few, many = (expected_seconds(dataclasses.replace(BASE, budget=Budget(steps=steps))) for steps in (1_000, 100_000))
    assert many == pytest.approx(100 * few)


@given(st.integers(1, 300), st.sampled_from([1, 2, 8, 32, 64]))
def test_chunks_cover_the_lanes_with_few_idle_ones(num_lanes: int, width: int) -> None:
    layout = chunks(num_lanes, width)
    assert [start for start, _ in layout] == [sum(w for _, w in layout[:i]) for i in range(len(layout))]
    slots = sum(w for _, w in layout)
    assert num_lanes <= slots < num_lanes + width
    assert all(w == width for _, w in layout[:-1])
    assert layout[-1][1] & (layout[-1][1] - 1) == 0
