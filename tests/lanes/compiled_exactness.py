"""A program, `python compiled_exactness.py SHAPE`: digests of the same seeds in many companies, as JSON, by the compiled engine."""

import json
import sys

from exactness_cases import BASE, BUSY, HARD, PIXELS, SOFT, VARIANTS
from lane_runs import Outcome, collect, finish, fresh, small_run, train, with_fields

from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Environment, Run
from rlbench.lanes.fast.chunks import chunk_width
from rlbench.lanes.fast.compiling import prepare_process
from rlbench.lanes.training.trainer import Trainer

SHAPES = {
    "base": with_fields(BASE, network=MLP(), target=HARD, batch_size=64, replay__warmup=64),
    "odd": with_fields(BUSY, batch_size=32, replay__warmup=32),
    "large": with_fields(BASE, network=MLP(units=(128, 128)), target=SOFT, batch_size=128, loss=Huber()),
    "pixels": with_fields(PIXELS, loss=Huber()),
    "narrow": with_fields(BUSY, network=MLP(units=(9, 7)), double=True),
    "single_steps": VARIANTS["single_steps"],
    "validated": VARIANTS["validated"],
    "pixels_validated": VARIANTS["pixels_validated"],
    "rainbow": VARIANTS["rainbow"],
}
MIDWAY = 71


def targets_of(shape: str, seed: int) -> dict[str, Periodic]:
    """Hard and soft side by side, where the shape leaves the rule open."""
    return {} if shape in VARIANTS else {"target": (HARD, SOFT)[seed % 2]}


def lane_run(shape: str, seed: int) -> Run:
    """A hundred steps and more, with numbers that go with the seed."""
    variant = SHAPES[shape]
    variant = with_fields(variant, optimizer__lr=variant.optimizer.lr * (1 + seed % 3), **targets_of(shape, seed))
    if isinstance(variant.loss, Huber):
        variant = with_fields(variant, loss__delta=0.5 + 0.1 * (seed % 5))
    env = Environment("CartPole-v1", max_env_steps=25)
    return small_run(variant, seed=seed, steps=110 + 5 * (seed % 2), env=env)


def digests_of(seeds: list[int], outcomes: list[Outcome]) -> dict[int, str]:
    assert all(outcome.status == "done" and int(outcome.state["updates"]) > 40 for outcome in outcomes)
    return {seed: outcome.digest for seed, outcome in zip(seeds, outcomes, strict=True)}


def together(shape: str, seeds: list[int], cuts: tuple[int, ...] = (1000,)) -> dict[int, str]:
    return digests_of(seeds, train([lane_run(shape, seed) for seed in seeds], cuts))


def moved(shape: str) -> dict[int, str]:
    """Seed 5 goes on in the company of others after 71 steps."""
    first, outcomes = Trainer([fresh(lane_run(shape, seed)) for seed in (5, 2)]), {0: Outcome(), 1: Outcome()}
    collect(first, MIDWAY, outcomes)
    second, after = Trainer([fresh(lane_run(shape, 11)), fresh(lane_run(shape, 3)), first.lane(0)]), {2: outcomes[0]}
    finish(second, after)
    return digests_of([11, 3, 5], [after[slot] for slot in range(3)])


def placed(shape: str) -> dict[int, str]:
    """Seed 4 takes the slot of another lane beside seed 9, which is 71 steps ahead."""
    trainer, outcomes = Trainer([fresh(lane_run(shape, seed)) for seed in (9, 30)]), {0: Outcome(), 1: Outcome()}
    collect(trainer, MIDWAY, outcomes)
    trainer.vacate(1)
    trainer.place(1, fresh(lane_run(shape, 4)))
    outcomes[1] = Outcome()
    finish(trainer, outcomes)
    return digests_of([9, 4], [outcomes[0], outcomes[1]])


def main(shape: str) -> None:
    prepare_process()
    run = lane_run(shape, 0)
    beyond = chunk_width(run) + 3
    digests = {
        "16": together(shape, list(range(16))),
        "1": together(shape, [7]),
        "3": together(shape, [15, 0, 8]),
        "8": together(shape, [3, 40, 12, 1, 41, 6, 42, 14], cuts=(37, 5)),
        "boundary": together(shape, list(reversed(range(beyond)))),
        "moved": moved(shape),
        "placed": placed(shape),
    }
    print(json.dumps({"digests": digests}))


if __name__ == "__main__":
    main(sys.argv[1])
