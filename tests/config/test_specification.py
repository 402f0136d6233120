"""A run, its specification and its id: exact in both directions, and blind to how a number was typed."""

import dataclasses
import json
import math
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbench.config import groups, run_id, run_of, spec_of
from rlbench.config.keys import Key, keys_of
from rlbench.config.specification import resolved
from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import Choice, is_left_out
from rlbench.lanes.choices.estimators import Scalar
from rlbench.lanes.choices.exploration import Linear
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.observations import State
from rlbench.lanes.choices.optimizers import Adam
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.choices.registry import CLASSES
from rlbench.lanes.choices.returns import OneStep
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.validation import EpisodeValidation, NoValidation
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant


def values_of(key: Key) -> st.SearchStrategy[Any]:
    if key.allowed:
        return st.sampled_from(key.allowed)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        float: st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False) | st.integers(-(2**53), 2**53),
        int: st.integers(-(2**63) + 1, 2**63 - 1),
        bool: st.booleans(),
        str: st.text(min_size=1, max_size=20),
    }
    if key.is_list:
        return st.lists(plain[typing.get_args(key.plain_hint)[0]], max_size=4).map(tuple)
    return plain[key.plain_hint] | st.none() if key.is_optional else plain[key.plain_hint]


def parts_of(cls: Any) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{name: values_of(key) for name, key in keys_of(cls()).items()})


def choices_of(group: str) -> st.SearchStrategy[Choice]:
    return st.one_of([parts_of(cls) for cls in groups.CLASSES[group]])


def is_resolvable(run: Run) -> bool:
    exploration, replay = run.variant.exploration, run.variant.replay
    annealed = []
    if isinstance(exploration, Linear):
        annealed.append((exploration.decay_steps, exploration.decay_fraction))
    if isinstance(replay, Prioritised):
        annealed.append((replay.beta_steps, replay.beta_fraction))
    return all(
        steps is not None or (fraction is not None and 0 < fraction <= 1 and run.budget.steps is not None)
        for steps, fraction in annealed
    )


variants = st.builds(
    Variant,
    **{group: choices_of(group) for group in groups.CLASSES},
    **{name: values_of(key) for name, key in keys_of(Variant()).items()},
)
runs = st.builds(
    Run,
    variant=variants,
    env=parts_of(Environment),
    budget=parts_of(Budget),
    evaluation=parts_of(Evaluation),
    diagnostics=parts_of(Diagnostics),
    seed=st.integers(0, 2**32 - 1),
    namespace=st.sampled_from(["train", "tune"]),
).filter(is_resolvable)


def base_run(seed: int = 0, **changes: Any) -> Run:
    return Run(Variant(**changes), Environment(), Budget(), Evaluation(), Diagnostics(), seed)


@settings(deadline=None)
@given(runs)
def test_a_run_survives_json_exactly(run: Run) -> None:
    spec = spec_of(run)
    read = json.loads(json.dumps(spec))
    again = run_of(read)
    assert read == spec
    assert again == resolved(run)
    assert spec_of(again) == spec
    assert json.dumps(spec_of(again)) == json.dumps(spec)
    assert run_id(again) == run_id(run)


@settings(deadline=None)
@given(runs)
def test_the_types_in_a_specification_are_the_declared_ones(run: Run) -> None:
    young = {"observation": State(), "validation": NoValidation(), "estimator": Scalar(), "returns": OneStep()}
    for group in groups.CLASSES:
        if getattr(run.variant, group) == young.get(group):
            assert group not in spec_of(run)["variant"]
            continue
        data, choice = spec_of(run)["variant"][group], getattr(run.variant, group)
        assert data.pop("kind") == choice.kind
        left_out = {field.name for field in dataclasses.fields(choice) if is_left_out(choice, field)}
        assert left_out.isdisjoint(data)
        for name, key in keys_of(choice).items():
            if name in left_out:
                continue
            if key.plain_hint is float and data[name] is not None:
                assert isinstance(data[name], float)
                assert math.copysign(1, data[name]) == 1 or data[name] < 0


@settings(deadline=None)
@given(st.floats(min_value=1e-12, max_value=1e12), st.floats(min_value=1e-12, max_value=1e12))
def test_ids_differ_exactly_where_numbers_differ(one: float, other: float) -> None:
    ids = [run_id(base_run(optimizer=Adam(lr=lr))) for lr in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)


def test_an_id_does_not_depend_on_the_type_of_a_number() -> None:
    typed: list[Any] = [1, 1.0, 1e0]
    assert len({run_id(base_run(loss=Huber(delta=delta))) for delta in typed}) == 1
    zeros: list[Any] = [0, 0.0, -0.0, 5e-324]
    assert len({run_id(base_run(final_reward=reward)) for reward in zeros}) == 1


def test_an_id_depends_on_everything_that_determines_a_result() -> None:
    run = base_run()
    others = [
        dataclasses.replace(run, seed=1),
        dataclasses.replace(run, namespace="tune"),
        dataclasses.replace(run, budget=Budget(steps=50_001)),
        dataclasses.replace(run, budget=Budget(steps=50_000, episodes=None), evaluation=Evaluation(period=2_501)),
        dataclasses.replace(run, evaluation=Evaluation(episodes=11)),
        dataclasses.replace(run, diagnostics=Diagnostics(period=1_001)),
        dataclasses.replace(run, env=Environment("CartPole-v0")),
        dataclasses.replace(run, env=Environment(max_env_steps=499)),
        base_run(target=Periodic(every=251)),
        base_run(double=True),
        base_run(final_reward=0.0),
    ]
    assert len({run_id(one) for one in [run, *others]}) == len(others) + 1


def test_a_decay_in_steps_and_the_same_decay_as_a_fraction_are_one_run() -> None:
    by_fraction = base_run(exploration=Linear(decay_fraction=0.2))
    by_steps = base_run(exploration=Linear(decay_fraction=None, decay_steps=10_000))
    assert run_id(by_fraction) == run_id(by_steps)
    assert spec_of(by_fraction)["variant"]["exploration"]["decay_steps"] == 10_000


def test_the_id_of_a_named_run_is_what_stores_already_hold() -> None:
    # A changed id makes every stored result a stranger: change this only together with what a run means.
    assert run_id(base_run(seed=0)) == "1792b65f1f4adf81"
    assert spec_of(base_run(seed=0)) == {
        "variant": {
            "kind": "dqn",
            "network": {"kind": "mlp", "units": [64, 64], "activation": "relu", "init": "torch"},
            "loss": {"kind": "mse"},
            "target": {"kind": "periodic", "every": 250, "tau": 1.0, "unit": "updates"},
            "optimizer": {
                "kind": "adam",
                "lr": 0.0005,
                "beta1": 0.9,
                "beta2": 0.999,
                "eps": 1e-08,
                "weight_decay": 0.0,
                "amsgrad": False,
            },
            "clip": {"kind": "none"},
            "exploration": {"kind": "linear", "start": 1.0, "end": 0.05, "decay_fraction": None, "decay_steps": 10000},
            "replay": {"kind": "uniform", "capacity": 10000, "warmup": 1000, "replacement": True},
            "double": False,
            "discount": 0.99,
            "batch_size": 64,
            "update_period": 1,
            "updates_per_period": 1,
            "final_reward": None,
            "bootstrap_on_truncation": True,
        },
        "env": {"id": "CartPole-v1", "max_env_steps": None},
        "budget": {"steps": 50000, "episodes": None},
        "evaluation": {"period": 2500, "episodes": 10},
        "diagnostics": {"period": 1000},
        "seed": 0,
        "namespace": "train",
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("variant", "discont"), 0.9, "the specification has an unknown key 'discont'"),
        (("variant", "loss", "delta"), 1.0, "the specification has an unknown key 'loss.delta'"),
        (
            ("variant", "loss", "kind"),
            "hubber",
            f"unknown kind of loss 'hubber' (one of: {', '.join(cls.kind for cls in CLASSES['loss'])})",
        ),
        (("variant", "kind"), "ppo", "unknown kind of variant 'ppo' (one of: dqn)"),
        (("variant", "batch_size"), 1.5, "batch_size must be a whole number; got 1.5"),
        (("variant", "network", "units"), 64, "network.units is a list: write network.units=[64]"),
        (("env", "name"), "x", "the specification has an unknown key 'env.name'"),
        (("colour",), "x", "the specification has an unknown key 'colour'"),
        (("seed",), -1, "seed must be a whole number from 0 to 4294967295; got -1"),
        (("seed",), 1.0, "seed must be a whole number from 0 to 4294967295; got 1.0"),
        (("seed",), True, "seed must be a whole number from 0 to 4294967295; got True"),
    ],
)
def test_a_foreign_specification_is_refused(path: tuple[str, ...], value: Any, message: str) -> None:
    spec = spec_of(base_run())
    place = spec
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        run_of(spec)
    assert str(caught.value) == message


def test_a_specification_without_a_key_is_refused() -> None:
    spec = spec_of(base_run())
    del spec["variant"]["optimizer"]["lr"]
    with pytest.raises(ConfigError, match=r"the specification has no 'optimizer\.lr'"):
        run_of(spec)


def test_a_young_key_is_left_out_at_its_default_and_told_elsewhere() -> None:
    """Ids of stored runs stay what they were before the key; a value of its own gives an id of its own."""
    plain = spec_of(base_run())
    others = {
        "loss_over": "all",
        "steps_per_minibatch": 8,
        "detach_target": False,
        "update_clock": "episode",
        "epsilon_draws": 2,
        "bootstrap_on_termination": True,
        "validation": EpisodeValidation(patience=3),
    }
    ids = {run_id(base_run())}
    for name, value in others.items():
        assert name not in plain["variant"]
        run = base_run(**{name: value})
        assert name in spec_of(run)["variant"]
        assert run_of(spec_of(run)) == resolved(run)
        ids.add(run_id(run))
    assert spec_of(base_run(validation=EpisodeValidation(patience=3)))["variant"]["validation"] == {
        "kind": "episode",
        "max_env_steps": None,
        "greedy": True,
        "patience": 3,
        "keep_best": True,
    }
    stopping = dataclasses.replace(base_run(), budget=Budget(stop_at_return=1.0))
    assert spec_of(stopping)["budget"] == {"steps": 50_000, "episodes": None, "stop_at_return": 1.0}
    ids.add(run_id(stopping))
    assert len(ids) == len(others) + 2


def test_a_young_key_may_be_spelled_out_and_not_misspelt() -> None:
    spec = spec_of(base_run())
    spec["variant"]["epsilon_draws"] = 1
    assert run_of(spec) == resolved(base_run())
    spec["variant"]["epsilon_drawz"] = 1
    with pytest.raises(ConfigError, match="unknown key 'epsilon_drawz'"):
        run_of(spec)
