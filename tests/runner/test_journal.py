"""What is kept of a run is what it ended with, whatever happens in its slot before the next commit."""

from collections.abc import Sequence
from typing import Any

import torch

from rlbench.config import spec_of
from rlbench.config.plan import PlannedRun
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant
from rlbench.lanes.tensors import group
from rlbench.lanes.training.trainer import Trainer
from rlbench.runner.journal import Journal
from rlbench.store import Finished


class Recorder:
    """A program that keeps what it is given."""

    def __init__(self) -> None:
        self.finished: list[Finished] = []

    def checkpoint_of(self, run_id: str) -> None:
        return None

    def commit(self, rows: Any, checkpoint: Any, finished: Sequence[Finished], platform: str, launcher: str) -> None:
        self.finished += finished


def test_the_weights_of_an_ended_run_outlast_its_slot() -> None:
    variant = Variant(network=MLP(units=(4,)), replay=Uniform(capacity=50, warmup=10), batch_size=4)
    run = Run(variant, Environment(), Budget(steps=20), Evaluation(period=20, episodes=1), Diagnostics(), seed=0)
    program: Any = Recorder()
    journal = Journal(program, "local")
    trainer = Trainer([journal.open_lane(PlannedRun(run, "v", 0, "first", spec_of(run)))])
    events = trainer.advance(20)[0]
    journal.record("first", 20, events, 1.0)
    expected = {
        name: tensor.clone() for name, tensor in variant.network.named_weights(group(trainer.state, "online")).items()
    }
    journal.finish("first", trainer.state, 0, "done")
    for tensor in group(trainer.state, "online"):
        tensor.fill_(7.0)  # the next run in the slot
    journal.commit([], {}, [])
    (ended,) = program.finished
    assert ended.weights is not None
    assert ended.weights.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(ended.weights[name], tensor)
