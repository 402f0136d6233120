"""Following a sequential plan with a trainer that writes planted returns: where seeds are added, what is stored and said."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbench.config import PlannedRun, Request, resolve, spec_of
from rlbench.deciding import PlanState, current_state, described, follow
from rlbench.envs.scores import normalisation
from rlbench.errors import ConfigError, StoreError
from rlbench.store import Finished, Member, Store, load

FILE = """
variant: [hard_mse, soft_mse, hard_huber, random]
seeds: 30
steps: 100
set:
  replay.warmup: 50
  batch_size: 8
evaluation: {period: 100, episodes: 1}
sequential:
  looks: [8, 16, 30]
  spending: pocock
  comparisons: [[soft_mse, hard_mse], [hard_huber, hard_mse]]
"""
WORDS = ["experiment=mine", "until_decided=true"]


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Request]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()

    def resolved(*words: str, file: str = FILE) -> Request:
        (tmp_path / "experiments" / "mine.yaml").write_text(file)
        return resolve([*WORDS, f"store={tmp_path / 'store'}", *words])

    return resolved


class PlantedTrainer:
    """Writes for every run the return that was planted, or an end without one."""

    def __init__(self, request: Request, returns: Callable[[str, int], float | str]) -> None:
        self.store = Store.open(request.store)
        self.name = request.name
        self.returns = returns
        self.stages: list[dict[str, int]] = []
        self.definitions: list[dict[str, Any]] = []
        self.interrupt_at: int | None = None

    def __call__(self, runs: Sequence[PlannedRun], definition: dict[str, Any]) -> bool:
        self.stages.append({name: sum(run.variant == name for run in runs) for name in {run.variant for run in runs}})
        self.definitions.append(definition)
        members = [Member(run.run_id, run.variant, run.position) for run in runs]
        self.store.record_experiment(self.name, definition, members, {run.run_id: spec_of(run.run) for run in runs})
        if len(self.stages) == self.interrupt_at:
            return True
        with self.store.program([run.run_id for run in runs]) as program:
            todo = [run for run in runs if run.run_id in program.run_ids]
            values = {run.run_id: self.returns(run.variant, run.run.seed) for run in todo}
            ended = [run.run_id for run in todo if not isinstance(values[run.run_id], str)]
            rows = {
                "run_id": ended,
                "env_steps": [100] * len(ended),
                "episode": [0] * len(ended),
                "episode_return": [float(values[run_id]) for run_id in ended],
                "length": [1] * len(ended),
            }
            finished = [
                Finished(
                    one, value if isinstance(value, str) else "done", 100, 9, 1, 0.1, "" if value == "failed" else "d"
                )
                for one, value in values.items()
            ]
            program.commit({"evaluations": rows}, None, finished, "cpu", "test")
        return False


def planted(variant: str, seed: int) -> float:
    """soft_mse is far above hard_mse; hard_huber differs from it by noise around nothing."""
    noise = float(np.random.default_rng(seed).normal())
    if variant == "hard_huber":
        return 50.0 + noise + (1.0 if seed % 2 else -1.0)
    return 50.0 + noise + (20.0 + seed % 3 if variant == "soft_mse" else 0.0)


def decisions(store: Store) -> list[tuple[str, str, int]]:
    state = PlanState.from_dict(store.plan("mine") or {})
    return [(one.first, one.plan.decision, one.plan.history[-1].n) for one in state.comparisons]


def test_seeds_are_added_only_where_undecided(request_of: Callable[..., Request]) -> None:
    request = request_of()
    trainer, said = PlantedTrainer(request, planted), []
    assert follow(request, trainer.store, trainer, said.append) is False
    first = {"hard_mse": 8, "soft_mse": 8, "hard_huber": 8, "random": 8}
    assert (
        trainer.stages
        == [
            first,
            {**first, "hard_mse": 16, "hard_huber": 16},
            {**first, "hard_mse": 30, "hard_huber": 30},
            {**first, "hard_mse": 30, "hard_huber": 30},  # nothing new; it makes sure of the last look's runs
        ][: len(trainer.stages)]
    )
    assert len(trainer.stages) >= 3
    assert len(load(request.store).runs) == 30 + 30 + 8 + 8
    assert decisions(trainer.store) == [("soft_mse", "supported", 8), ("hard_huber", "inconclusive", 30)]
    text = "\n".join(said)
    assert "alpha 0.05 is shared by 2 comparisons, 0.025 each" in text
    assert "soft_mse is better than hard_mse on CartPole-v1: its mean final return over 8 seeds is higher by" in text
    assert "not decided" in text
    assert "goes on to 16 seeds" in text
    assert "inconclusive at the maximum: no difference was shown, which does not show that there is none" in text
    assert "look 3 of 3, 30 seeds: 2 of 2 settled" in text


def test_the_definition_says_which_seeds_each_cell_has(request_of: Callable[..., Request]) -> None:
    request = request_of()
    trainer = PlantedTrainer(request, planted)
    follow(request, trainer.store, trainer, lambda line: None)
    definition = load(request.store).experiments["mine"]
    assert definition["seeds"] == list(range(8))
    assert {cell["variant"]: len(cell["seeds"]) for cell in definition["cells"]} == {
        "hard_mse": 30,
        "soft_mse": 8,
        "hard_huber": 30,
        "random": 8,
    }
    assert definition["sequential"]["looks"] == [8, 16, 30]


def test_an_interrupted_plan_goes_on_and_decides_the_same(request_of: Callable[..., Request], tmp_path: Path) -> None:
    whole = request_of()
    trainer = PlantedTrainer(whole, planted)
    follow(whole, trainer.store, trainer, lambda line: None)
    expected = trainer.store.plan("mine")

    other = resolve([*WORDS, f"store={tmp_path / 'other'}"])
    cut = PlantedTrainer(other, planted)
    cut.interrupt_at = 2
    assert follow(other, cut.store, cut, lambda line: None) is True
    assert decisions(cut.store) == [("soft_mse", "supported", 8), ("hard_huber", "undecided", 8)]
    again, said = PlantedTrainer(other, planted), []
    assert follow(other, Store.open(other.store), again, said.append) is False
    assert "so far:" in said
    assert "look 1 of 3" not in "\n".join(said)
    assert again.store.plan("mine") == expected
    # Once more: nothing is looked at again.
    states = len(again.store.parts("plans"))
    assert follow(other, Store.open(other.store), again, said.append) is False
    assert len(again.store.parts("plans")) == states == 4


def test_the_plan_is_stored_before_the_first_run(request_of: Callable[..., Request]) -> None:
    request = request_of()
    trainer = PlantedTrainer(request, planted)
    trainer.interrupt_at = 1
    assert follow(request, trainer.store, trainer, lambda line: None) is True
    state = trainer.store.plan("mine")
    assert state is not None
    assert state["rules"]["looks"] == [8, 16, 30]
    assert state["num_known_before"] == 0


def test_a_changed_plan_is_refused(request_of: Callable[..., Request]) -> None:
    request = request_of()
    store = Store.open(request.store)
    store.record_plan("mine", current_state(request, None).to_dict(), after=None)
    changes: list[tuple[str, list[str], str]] = [
        (FILE.replace("16, 30", "30"), [], "looks [8, 30] instead of [8, 16, 30]"),
        (FILE.replace("pocock", "linear"), [], "spending linear instead of pocock"),
        (FILE + "  alpha: 0.1\n", [], "alpha 0.1 instead of 0.05"),
        (FILE, ["seeds=100:130"], "other seeds"),
        (FILE, ["discount=0.5"], "other settings of hard_mse on CartPole-v1"),
        (FILE, ["final_window=1"], "final_window 1 instead of 5"),
    ]
    for file, words, said in changes:
        with pytest.raises(ConfigError) as caught:
            current_state(request_of(*words, file=file), store)
        assert f"this one has {said};" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert current_state(request_of("discount=0.5", "name=another"), store).open
    # More seeds than the plan ever reads are no change.
    assert len(current_state(request_of("seeds=31"), store).open) == 2


def test_a_diverged_run_counts_as_random_play(request_of: Callable[..., Request]) -> None:
    def returns(variant: str, seed: int) -> float | str:
        return "diverged" if (variant, seed) == ("soft_mse", 3) else planted(variant, seed)

    request = request_of()
    trainer, said = PlantedTrainer(request, returns), []
    follow(request, trainer.store, trainer, said.append)
    state = PlanState.from_dict(trainer.store.plan("mine") or {})
    soft, hard = ([planted(name, seed) for seed in range(8)] for name in ("soft_mse", "hard_mse"))
    soft[3] = normalisation("CartPole-v1").random
    assert state.comparisons[0].plan.history[0].estimate == pytest.approx(np.mean(soft) - np.mean(hard))
    assert "  diverged runs, counted with the return of random play: 1" in said


def test_a_failed_run_holds_up_its_look_until_it_is_there(request_of: Callable[..., Request]) -> None:
    fails = {("hard_huber", 5)}

    def returns(variant: str, seed: int) -> float | str:
        return "failed" if (variant, seed) in fails else planted(variant, seed)

    request = request_of()
    trainer, said = PlantedTrainer(request, returns), []
    assert follow(request, trainer.store, trainer, said.append) is False
    assert said[-1].startswith("the look at 8 seeds waits for runs of hard_huber on CartPole-v1 that failed (1 of 8)")
    fails.clear()
    assert follow(request, trainer.store, trainer, said.append) is False
    assert decisions(trainer.store) == [("soft_mse", "supported", 8), ("hard_huber", "inconclusive", 30)]


def test_runs_that_were_known_before_the_plan_are_told(request_of: Callable[..., Request]) -> None:
    request = request_of()
    trainer = PlantedTrainer(request, planted)
    trainer(request.planned[:5], request.definition)
    lines = described(current_state(request, trainer.store))
    assert "  5 of its runs had results before it began" in "\n".join(lines)


def test_a_look_that_no_data_could_pass_is_told(request_of: Callable[..., Request]) -> None:
    request = request_of(file=FILE.replace("pocock", "obrien_fleming"))
    assert "  nothing can be decided at 8 seeds: no p-value is so small" in described(current_state(request, None))


def test_two_commands_cannot_both_take_a_look(request_of: Callable[..., Request]) -> None:
    request = request_of()
    store = Store.open(request.store)
    state = current_state(request, store).to_dict()
    assert store.record_plan("mine", state, after=None) is True
    assert store.record_plan("mine", {"other": 1}, after=None) is False
    assert store.plan("mine") == state
    assert store.plan("another") is None


@pytest.mark.parametrize("change", [{"rules": None}, {"comparisons": [{}]}, {"num_known_before": "x"}])
def test_a_damaged_state_is_refused(request_of: Callable[..., Request], change: dict[str, Any]) -> None:
    request = request_of()
    state = {**current_state(request, None).to_dict(), **change}
    if state["rules"] is None:
        del state["rules"]
    with pytest.raises(StoreError, match="the stored sequential plan is damaged"):
        PlanState.from_dict(json.loads(json.dumps(state)))
