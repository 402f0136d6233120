"""Small runs for the tests of this folder, and everything that a run left behind as one digest."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training.lane import Events, Lane
from rlbench.lanes.training.lane_state import initial_state
from rlbench.lanes.training.trainer import Trainer

# Two episodes in three are cut at 12 steps, the others end by falling.
CARTPOLE = Environment("CartPole-v1", max_env_steps=12)
SMALL = Variant(
    network=MLP(units=(16,)), batch_size=8, exploration=Constant(0.5), replay=Uniform(capacity=200, warmup=20)
)
# A lane that has ended goes on stepping its environment, unrecorded, while its neighbours run; and storing those steps (`replay.`).
GOES_ON_AFTER_THE_END = ("env", "obs", "length", "episode_return", "active", "due", "frames", "frames_stored")


def small_run(
    variant: Variant = SMALL,
    *,
    seed: int = 0,
    steps: int | None = 120,
    episodes: int | None = None,
    env: Environment = CARTPOLE,
    evaluation: Evaluation = Evaluation(period=50, episodes=3),
    diagnostics: Diagnostics = Diagnostics(period=30),
    namespace: str = "train",
) -> Run:
    """A run of a hundred steps, of which a hundred learn."""
    return Run(variant, env, Budget(steps, episodes), evaluation, diagnostics, seed, namespace)


def fresh(run: Run) -> Lane:
    """The run before its first step."""
    return Lane(run, initial_state(run))


def state_digest(state: Tensors) -> str:
    """SHA-256 over names and bytes of a state's tensors."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclasses.dataclass
class Outcome:
    """What one lane left behind: its rows, how it ended, and its state at that time."""

    rows: Events = dataclasses.field(default_factory=Events)
    state: Tensors = dataclasses.field(default_factory=dict)

    @property
    def status(self) -> str | None:
        return self.rows.status

    def add(self, events: Events) -> None:
        self.rows.episodes += events.episodes
        self.rows.evaluations += events.evaluations
        self.rows.diagnostics += events.diagnostics
        self.rows.status = events.status

    @property
    def kept(self) -> Tensors:
        """The state without what goes on after the end: weights, optimiser, counters."""
        return {
            name: tensor
            for name, tensor in self.state.items()
            if name not in GOES_ON_AFTER_THE_END and not name.startswith("replay.")
        }

    @property
    def digest(self) -> str:
        """SHA-256 over the kept state and all rows."""
        return hashlib.sha256((state_digest(self.kept) + repr(self.rows)).encode()).hexdigest()

    @property
    def training_digest(self) -> str:
        """The same over what training alone produced: no evaluations, no diagnostics."""
        return hashlib.sha256((state_digest(self.kept) + repr(self.rows.episodes)).encode()).hexdigest()


def collect(trainer: Trainer, ticks: int, outcomes: dict[int, Outcome]) -> None:
    """Advance, file what happened by slot, and vacate the slots of the lanes that ended."""
    for slot, events in trainer.advance(ticks).items():
        outcome = outcomes.setdefault(slot, Outcome())
        outcome.add(events)
        if events.status is not None:
            outcome.state = {name: tensor[slot : slot + 1].clone() for name, tensor in trainer.state.items()}
            trainer.vacate(slot)


def finish(trainer: Trainer, outcomes: dict[int, Outcome], cuts: Iterable[int] = (1000,)) -> None:
    """Advance by the cuts, over and over, until every lane has ended."""
    for ticks in itertools.cycle(cuts):
        if not trainer.running:
            break
        collect(trainer, ticks, outcomes)


def train(runs: Sequence[Run], cuts: Iterable[int] = (1000,)) -> list[Outcome]:
    """Train the runs as the lanes of one trainer to their ends; outcomes in the order of the runs."""
    outcomes: dict[int, Outcome] = {}
    finish(Trainer([fresh(run) for run in runs]), outcomes, cuts)
    return [outcomes[slot] for slot in range(len(runs))]


def weights_of(state: Tensors, network: MLP, which: str = "online", lane: int = 0) -> dict[str, torch.Tensor]:
    """One lane's online or target weights under the names of a plain nn.Sequential."""
    count = sum(name.startswith(f"{which}.") for name in state)
    return network.named_weights([state[f"{which}.{i}"][lane : lane + 1] for i in range(count)])


def with_fields(choice: Any, **changes: Any) -> Any:
    """`dataclasses.replace` that reaches into nested choices: with_fields(v, optimizer__lr=1.0)."""
    for name, value in changes.items():
        outer, _, inner = name.partition("__")
        new = with_fields(getattr(choice, outer), **{inner: value}) if inner else value
        choice = dataclasses.replace(choice, **{outer: new})
    return choice
