"""What a command line resolves to: cells, labels, seeds, budgets, and the command's own settings."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbench.config import PlannedCell, composing, parse_seeds, planned_runs, resolve, run_id
from rlbench.config.launchers import LauncherSettings
from rlbench.errors import ConfigError
from rlbench.lanes.choices.exploration import Linear
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.choices.variant import Budget, Environment, Variant
from rlbench.tracking import TrackingSettings


def cells_of(*words: str) -> list[tuple[str, str]]:
    return [(cell["variant"], cell["env"]) for cell in resolve(words).definition["cells"]]


def test_comma_lists_expand_into_cells_of_labels_and_environments() -> None:
    request = resolve(["variant=hard_mse,soft_huber", "optimizer.lr=1e-3,1e-4", "env=cartpole,acrobot", "seeds=3"])
    labels = [f"{variant} optimizer.lr={lr}" for variant in ("hard_mse", "soft_huber") for lr in ("0.001", "0.0001")]
    cells = [(label, env) for env in ("CartPole-v1", "Acrobot-v1") for label in labels]
    assert [(cell["variant"], cell["env"]) for cell in request.definition["cells"]] == cells
    assert [(one.variant, one.run.env.id, one.run.seed) for one in request.planned] == [
        (label, env, seed) for label, env in cells for seed in range(3)
    ]
    assert [one.position for one in request.planned] == list(range(24))
    assert len({one.run_id for one in request.planned}) == 24
    assert [one.run_id for one in request.planned] == [run_id(one.run) for one in request.planned]
    by_label = {one.variant: one.run.variant.optimizer.lr for one in request.planned}
    assert list(by_label.values()) == [1e-3, 1e-4, 1e-3, 1e-4]


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["variant=soft_huber"], ["soft_huber"]),
        (["variant=soft_huber", "loss.delta=2", "target=hard", "env=acrobot"], ["soft_huber"]),
        (["loss=mse,huber"], ["hard_mse loss=mse", "hard_mse loss=huber"]),
        (["recipe=cleanrl_cartpole", "batch_size=32,64"], [f"cleanrl_cartpole batch_size={n}" for n in (32, 64)]),
        (["network.units=[8],[16,16]"], ["hard_mse network.units=[8]", "hard_mse network.units=[16,16]"]),
        (["final_reward=null,-1"], ["hard_mse final_reward=null", "hard_mse final_reward=-1"]),
        (["double=false,true", "discount=1"], ["hard_mse double=false", "hard_mse double=true"]),
        (["steps=1e4,20000"], ["hard_mse steps=10000", "hard_mse steps=20000"]),
        (
            ["update_period=range(1,4)"],
            ["hard_mse update_period=1", "hard_mse update_period=2", "hard_mse update_period=3"],
        ),
        (["variant=glob(*_huber)"], ["hard_huber", "soft_huber"]),
    ],
)
def test_a_label_is_the_variant_and_what_is_swept(words: list[str], labels: list[str]) -> None:
    assert [label for label, _ in cells_of(*words, "seeds=1")] == labels


def test_composing_happens_once_per_variant_and_not_per_cell_or_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[list[str]] = []

    def counting(name: str, overrides: list[str]) -> Any:
        composed.append(overrides)
        return compose(name, overrides)

    composing._composed_of.cache_clear()
    monkeypatch.setattr(composing, "compose", counting)
    request = resolve(["variant=hard_mse,hard_huber,soft_mse,soft_huber", "discount=0.9,0.99", "seeds=100"])
    assert len(request.planned) == 800
    assert len(composed) == 4
    resolve(["variant=soft_mse,soft_huber", "seeds=1"])
    assert len(composed) == 4  # nor once more for another request


def test_a_budget_replaces_the_other_one_also_in_recipes() -> None:
    assert resolve(["seeds=1", "steps=4000"]).planned[0].run.budget == Budget(steps=4000)
    assert resolve(["seeds=1", "episodes=7"]).planned[0].run.budget == Budget(steps=None, episodes=7)
    run = resolve(["seeds=1", "recipe=cleanrl_cartpole", "episodes=7"]).planned[0].run
    assert run.budget == Budget(steps=None, episodes=7)
    # A decay that was a fraction of the steps keeps the length that it had.
    assert run.variant.exploration == Linear(1.0, 0.05, decay_fraction=None, decay_steps=250_000)


def test_a_decay_in_steps_replaces_the_fraction_and_the_other_way_round() -> None:
    by_steps = resolve(["seeds=1", "exploration.decay_steps=77"]).planned[0].run.variant.exploration
    assert by_steps == Linear(decay_fraction=None, decay_steps=77)
    by_both = resolve(["seeds=1", "episodes=5", "exploration.decay_steps=77"]).planned[0].run.variant.exploration
    assert by_both == by_steps
    by_fraction = (
        resolve(["seeds=1", "exploration.decay_fraction=0.5", "steps=4000"]).planned[0].run.variant.exploration
    )
    assert by_fraction == Linear(decay_fraction=None, decay_steps=2000)


def test_annealing_goes_with_the_budget_as_a_decay_does() -> None:
    lengths = {
        "steps=4000": 4000,
        "steps=4000 replay.beta_fraction=0.5": 2000,
        "replay.beta_steps=77": 77,
        "episodes=5": 50_000,
        "episodes=5 replay.beta_steps=77": 77,
    }
    for words, expected in lengths.items():
        replay = resolve(["variant=per", "seeds=1", *words.split()]).planned[0].run.variant.replay
        assert isinstance(replay, Prioritised)
        assert (replay.beta_steps, replay.beta_fraction) == (expected, None)


def test_a_key_may_be_typed_as_any_equal_number() -> None:
    words = [["optimizer.lr=1"], ["optimizer.lr=1.0"], ["optimizer.lr=1e0"], ["optimizer.lr=1", "batch_size=64.0"]]
    assert len({resolve([*one, "seeds=1"]).planned[0].run_id for one in words}) == 1


@pytest.mark.parametrize(
    ("value", "seeds"),
    [(3, [0, 1, 2]), ("100:103", [100, 101, 102]), ([5, 1], [5, 1]), ("0:1", [0]), ([2**32 - 1], [2**32 - 1])],
)
def test_seeds_are_a_count_a_range_or_a_list(value: object, seeds: list[int]) -> None:
    assert list(parse_seeds(value)) == seeds
    if not isinstance(value, list):
        assert resolve([f"seeds={value}"]).definition["seeds"] == seeds


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 1000))
def test_a_range_of_seeds_leaves_out_its_end(first: int, count: int) -> None:
    assert parse_seeds(f"{first}:{first + count}") == tuple(range(first, first + count))
    assert parse_seeds(count) == parse_seeds(f"0:{count}")


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, True, None, "a", "1:", "3:3", "4:3", [], [1, 1], [-1], [2**32], ["1"], "1,2"]
)
def test_other_seeds_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="seed"):
        parse_seeds(value)


def test_the_settings_of_the_command_have_their_defaults() -> None:
    request = resolve([])
    assert (request.store, request.lanes, request.checkpoint_seconds) == (Path("results"), 64, 30.0)
    assert request.workers is None  # as many as the launcher has room for
    assert request.launcher == LauncherSettings()
    assert request.tracking == (TrackingSettings("offline", "rlbench", None, (), False),)
    assert (request.dry_run, request.argv, request.name) == (False, (), "adhoc")
    assert request.definition["seeds"] == list(range(10))
    assert request.definition["final_window"] == 5


def test_the_settings_of_the_command_are_taken_and_change_no_run() -> None:
    words = [
        "--dry-run",
        "name=first_try",
        "store=/tmp/a=b,c (d)",
        "workers=3",
        "lanes=8",
        "checkpoint_seconds=0.5",
        "final_window=2",
        "wandb.mode=disabled",
        "wandb.project=p1",
        "wandb.entity=me",
        "wandb.tags=[a,2]",
        "wandb.artifacts=true",
    ]
    request = resolve(words)
    assert (request.store, request.workers, request.lanes) == (Path("/tmp/a=b,c (d)"), 3, 8)
    assert (request.checkpoint_seconds, request.definition["final_window"]) == (0.5, 2)
    assert request.tracking == (TrackingSettings("disabled", "p1", "me", ("a", "2"), True),)
    assert (request.dry_run, request.argv, request.name) == (True, tuple(words), "first_try")
    assert request.definition["command"] == ["python", "-m", "rlbench.run", *words[1:]]
    assert request.planned == resolve([]).planned


@pytest.mark.parametrize("name", ["1e3", "2024", "true", "null_hypothesis"])
def test_a_name_is_the_text_that_was_typed(name: str) -> None:
    assert resolve([f"name={name}", "seeds=1"]).name == name


def test_the_definition_is_json_and_says_what_was_asked() -> None:
    request = resolve(["variant=soft_huber", "env=acrobot", "network.units=[8,8]", "seeds=[3,1]", "steps=1e4"])
    assert json.loads(json.dumps(request.definition)) == request.definition
    overrides = {"variant": "soft_huber", "env": "acrobot", "network.units": [8, 8], "steps": 10_000}
    assert request.definition["cells"] == [{"variant": "soft_huber", "env": "Acrobot-v1", "overrides": overrides}]


def test_environments_that_share_an_id_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "short.yaml").write_text("id: CartPole-v1\nmax_env_steps: 50\n")
    cells = cells_of(f"--config-dir={tmp_path}", "env=short,cartpole,acrobot", "seeds=1")
    assert cells == [
        ("hard_mse env=short", "CartPole-v1"),
        ("hard_mse env=cartpole", "CartPole-v1"),
        ("hard_mse", "Acrobot-v1"),
    ]


def test_an_environment_of_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corridor_module.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Endless-v0', CartPoleEnv)\n"
        "gymnasium.register('Ending-v0', CartPoleEnv, max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve(["env=corridor_module:Ending-v0", "seeds=1"]).planned[0].run.env == Environment(
        "corridor_module:Ending-v0"
    )
    with pytest.raises(ConfigError, match=r"'corridor_module:Endless-v0' has no time limit.*set env\.max_env_steps"):
        resolve(["env=corridor_module:Endless-v0", "seeds=1"])
    limited = resolve(["env=corridor_module:Endless-v0", "env.max_env_steps=30", "seeds=1"]).planned[0].run.env
    assert limited == Environment("corridor_module:Endless-v0", 30)


def test_cells_of_python_objects_are_planned_and_checked_alike() -> None:
    cell = PlannedCell("mine", Variant(loss=Huber(2.0)))
    planned = planned_runs([cell], range(2))
    assert [(one.variant, one.run.seed, one.position) for one in planned] == [("mine", 0, 0), ("mine", 1, 1)]
    same = resolve(["variant=hard_huber", "loss.delta=2", "seeds=2"]).planned
    assert [one.run_id for one in planned] == [one.run_id for one in same]
    with pytest.raises(ConfigError, match=r"the cells 'mine' and 'yours' on CartPole-v1 are the same runs"):
        planned_runs([cell, dataclasses.replace(cell, label="yours")], range(2))
    with pytest.raises(ConfigError, match=r"loss\.delta must be > 0; got -1"):
        planned_runs([PlannedCell("mine", Variant(loss=Huber(-1.0)))], range(2))
    with pytest.raises(ConfigError, match=r"evaluation\.period must be >= 1; got 0"):
        planned_runs([dataclasses.replace(cell, evaluation=dataclasses.replace(cell.evaluation, period=0))], [0])


@pytest.fixture
def outer_hydra(tmp_path: Path) -> Iterator[None]:
    """A program under Hydra whose own groups have the names of ours."""
    (tmp_path / "outer.yaml").write_text("defaults: [{loss: mine}]\n")
    store = ConfigStore.instance()
    before = dict(store.repo)
    store.store(group="loss", name="mine", node={"colour": "red"})
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        yield
    store.repo = before


@pytest.mark.usefixtures("outer_hydra")
def test_a_program_under_hydra_keeps_its_own_configuration() -> None:
    assert compose("outer") == {"loss": {"colour": "red"}}
    assert cells_of("variant=soft_huber", "loss=mse", "seeds=1") == [("soft_huber", "CartPole-v1")]
    with pytest.raises(ConfigError, match="unknown loss 'mine'"):
        resolve(["loss=mine"])
    assert compose("outer") == {"loss": {"colour": "red"}}


def test_nothing_of_hydra_stays_behind() -> None:
    resolve(["seeds=1"])
    assert not GlobalHydra.instance().is_initialized()
    assert "base.yaml" not in ConfigStore.instance().repo
