"""Runs of a second, in stores of their own, for the tests of what trains them."""

from pathlib import Path

from rlbench.config import run_id, spec_of
from rlbench.config.plan import PlannedRun
from rlbench.config.specification import resolved
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant
from rlbench.store import Member, Store, load

SMALL = Variant(network=MLP(units=(8, 8)), replay=Uniform(capacity=200, warmup=50), batch_size=8, update_period=4)


def task(seed: int, variant: Variant = SMALL, env: str = "CartPole-v1") -> PlannedRun:
    run = resolved(
        Run(variant, Environment(env), Budget(steps=600), Evaluation(200, 2), Diagnostics(200), seed, "tune")
    )
    return PlannedRun(run, f"seed {seed}", seed, run_id(run), spec_of(run))


def opened(path: Path, tasks: list[PlannedRun]) -> Store:
    store = Store.open(path)
    members = [Member(one.run_id, one.variant, place) for place, one in enumerate(tasks)]
    store.record_experiment("cohorts", {}, members, {one.run_id: spec_of(one.run) for one in tasks})
    return store


def digests(path: Path) -> dict[str, str]:
    runs = load(path).runs
    return dict(zip(runs["run_id"], runs["digest"], strict=True))
