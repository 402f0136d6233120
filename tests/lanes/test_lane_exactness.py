"""Contract 1: a run's weights and rows are the same bits alone or among others, in any order, cut anywhere, moved, or placed later.

The default suite holds the eager engine to it; the slow tests hold the compiled one to it, in programs of their own.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from exactness_cases import BYTES_FOR_FOUR, VARIANTS, lane_run
from lane_runs import Outcome, collect, finish, fresh, state_digest, train

from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.fast import chunks
from rlbench.lanes.training.trainer import Trainer

COMPANY = tuple(range(9))
MIDWAY = 47  # within an episode, after warm-up, not at a row


@pytest.fixture(autouse=True)
def small_chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small layers in chunks of four lanes instead of sixty-four: layers that are large enough to make them so cost ten times as much."""
    given = getattr(request.node, "callspec", None)
    if given is not None and given.params.get("case") == "chunks_of_four":
        monkeypatch.setattr(chunks, "CHUNK_BYTES", BYTES_FOR_FOUR)


@functools.cache
def in_company(case: str) -> dict[int, Outcome]:
    """Outcomes of nine seeds trained together, by seed."""
    return dict(zip(COMPANY, train([lane_run(case, seed) for seed in COMPANY]), strict=True))


def assert_same_as_in_company(case: str, seeds: Sequence[int], outcomes: Sequence[Outcome]) -> None:
    reference = in_company(case)
    for seed, outcome in zip(seeds, outcomes, strict=True):
        assert repr(outcome.rows) == repr(reference[seed].rows)
        kept = outcome.kept
        assert [
            name
            for name in kept
            if state_digest({name: kept[name]}) != state_digest({name: reference[seed].state[name]})
        ] == []
        assert outcome.digest == reference[seed].digest


# Pixels and single steps take minutes, and other tests have both in short.
LONG = ("single_steps", "pixels", "pixels_stacked_double", "pixels_validated")
CASES = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in VARIANTS]


@pytest.mark.parametrize("case", CASES)
def test_the_company_learns_and_no_two_lanes_are_alike(case: str) -> None:
    """What the other tests compare has rows of every kind, many updates, and moved weights."""
    outcomes = in_company(case)
    for seed, outcome in outcomes.items():
        run = lane_run(case, seed)
        assert outcome.status == "done"
        assert len(outcome.rows.episodes) > 3
        assert len(outcome.rows.diagnostics) >= 3
        assert run.budget.steps is not None
        num_evaluations = run.budget.steps // run.evaluation.period
        assert len(outcome.rows.evaluations) == num_evaluations * run.evaluation.episodes > 0
        if run.variant.network.learns:
            assert int(outcome.state["updates"]) > 40
            assert not outcome.state["online.0"].equal(fresh(run).state["online.0"])
    assert len({outcome.digest for outcome in outcomes.values()}) == len(COMPANY)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("seeds", "cuts"), [((0,), (1000,)), ((4,), (1,)), ((8,), (39, 1)), ((5, 3), (7, 64, 3))], ids=str
)
def test_alone_or_with_another_and_cut_anywhere(case: str, seeds: tuple[int, ...], cuts: tuple[int, ...]) -> None:
    assert_same_as_in_company(case, seeds, train([lane_run(case, seed) for seed in seeds], cuts))


@pytest.mark.parametrize("case", CASES)
def test_any_order_and_any_neighbours(case: str) -> None:
    seeds = [6, 21, 2, 0, 7, 33, 1]
    outcomes = train([lane_run(case, seed) for seed in seeds])
    known = [(seed, outcome) for seed, outcome in zip(seeds, outcomes, strict=True) if seed in COMPANY]
    assert_same_as_in_company(case, [seed for seed, _ in known], [outcome for _, outcome in known])


@pytest.mark.parametrize("case", CASES)
def test_the_whole_state_is_equal_on_the_way(case: str) -> None:
    """Replay memory, environment and counters too, while the lanes run."""
    company = Trainer([fresh(lane_run(case, seed)) for seed in (4, 1, 8)])
    company.advance(MIDWAY)
    for slot, seed in enumerate((4, 1, 8)):
        alone = Trainer([fresh(lane_run(case, seed))])
        alone.advance(MIDWAY)
        assert state_digest(alone.lane(0).state) == state_digest(company.lane(slot).state)


@pytest.mark.parametrize("case", CASES)
def test_a_lane_goes_on_in_another_trainer(case: str) -> None:
    """Seeds 0, 1 and 2 run together; on the way 1 moves, as a value, into a trainer with a fresh and an older lane."""
    first, older = Trainer([fresh(lane_run(case, seed)) for seed in (0, 1, 2)]), Trainer([fresh(lane_run(case, 7))])
    outcomes: dict[int, Outcome] = {}
    collect(first, MIDWAY, outcomes)
    before: dict[int, Outcome] = {}
    collect(older, MIDWAY + 20, before)
    moved = {0: Outcome(), 1: outcomes[1], 2: before[0]}
    second = Trainer([fresh(lane_run(case, 6)), first.lane(1), older.lane(0)])
    first.vacate(1)
    finish(second, moved)
    assert_same_as_in_company(case, [6, 1, 7], [moved[slot] for slot in range(3)])
    finish(first, outcomes)
    assert_same_as_in_company(case, [0, 2], [outcomes[0], outcomes[2]])


@pytest.mark.parametrize("case", CASES)
def test_a_slot_is_filled_again_beside_an_older_lane(case: str) -> None:
    """Seed 21 leaves early, 3 takes its slot, and 8 a slot that was idle from the beginning; 5 is there all the time."""
    trainer = Trainer([fresh(lane_run(case, seed)) for seed in (5, 2, 21)])
    older: dict[int, Outcome] = {}
    collect(trainer, MIDWAY, older)
    trainer.vacate(2)
    trainer.place(2, fresh(lane_run(case, 3)))
    older[2] = Outcome()
    seeds = [5, 2, 3]
    if trainer.width > 1:  # lanes that learn one by one have no idle slots
        assert trainer.slots[3] is None
        trainer.place(3, fresh(lane_run(case, 8)))
        seeds.append(8)
    finish(trainer, older)
    assert_same_as_in_company(case, seeds, [older[slot] for slot in range(len(seeds))])


@pytest.mark.parametrize("case", ["chunks_of_four"])
def test_several_chunks_learn_side_by_side(case: str) -> None:
    """The case does what its name says, so that chunk boundaries are in the tests above."""
    trainer = Trainer([fresh(lane_run(case, seed)) for seed in COMPANY])
    assert trainer.layout == [(0, 4), (4, 4), (8, 1)]
    assert [run is not None for run in trainer.slots] == [True] * 9


def test_an_ended_lane_keeps_its_bits_while_others_run() -> None:
    """Weights, optimiser and counters stay while the neighbour trains 60 steps on."""
    trainer = Trainer([fresh(lane_run("busy", 0, steps=50)), fresh(lane_run("busy", 1))])
    outcomes: dict[int, Outcome] = {}
    finish(trainer, outcomes)
    (alone,) = train([lane_run("busy", 0, steps=50)])
    assert outcomes[0].digest == alone.digest
    assert int(outcomes[0].state["env_steps"]) == 50
    assert_same_as_in_company("busy", [1], [outcomes[1]])


@pytest.mark.parametrize("batch", [1, 3, 7, 13, 32])
@pytest.mark.parametrize("units", [(9, 7), (24, 17), (10, 11, 9), (64, 6), (33, 15)], ids=str)
def test_products_have_the_same_bits_at_any_place(units: tuple[int, ...], batch: int) -> None:
    """Values and gradients of nine lanes at once and of each alone: matrices of odd sizes begin at any address."""
    network = MLP(units=units)
    alone = [network.init_params(seed=seed, namespace=1, obs_shape=(12,), num_actions=7) for seed in range(9)]
    obs = torch.randn(9, batch, 12, generator=torch.Generator().manual_seed(0))

    def results(params: list[torch.Tensor], obs: torch.Tensor) -> list[torch.Tensor]:
        own = [p.clone().requires_grad_() for p in params]
        values = network.outputs(own, [], obs, "evaluation")[0]
        gradients = torch.autograd.grad(values.square().sum(), own)
        return [values.detach(), *gradients]

    together = results([torch.cat(tensors) for tensors in zip(*alone, strict=True)], obs)
    for lane, params in enumerate(alone):
        for found, expected in zip(results(params, obs[lane : lane + 1]), together, strict=True):
            assert torch.equal(found[0], expected[lane])


COMPILED = Path(__file__).with_name("compiled_exactness.py")


@functools.cache
def compiled(shape: str) -> dict[str, dict[str, str]]:
    """Digests by company and by seed, of a program that compiles."""
    program = subprocess.run(
        [sys.executable, str(COMPILED), shape],
        env=os.environ | {"RLBENCH_COMPILE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    found = json.loads(program.stdout)
    digests: dict[str, dict[str, str]] = found["digests"]
    return digests


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", ["base", "odd", "large", "narrow", "single_steps", "validated", "pixels", "pixels_validated"]
)
def test_compiled_lanes_are_exact(shape: str) -> None:
    """At widths 1, 3, 8 and 16, across a chunk's boundary, moved on the way, and placed beside an older lane."""
    digests = compiled(shape)
    assert set(digests) >= {"1", "3", "8", "16", "boundary", "moved", "placed"}
    reference = digests["16"]
    assert len(set(reference.values())) == 16
    for company, by_seed in digests.items():
        differing = [seed for seed, digest in by_seed.items() if seed in reference and digest != reference[seed]]
        assert differing == [], company
