"""The search space: what it may name, which ranges it may have, and when a parameter counts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlbench.errors import ConfigError
from rlbench.tuning.space import grid_values, read_space, settings_of


def read(**told: Any) -> Any:
    return read_space({key.replace("__", "."): value for key, value in told.items()}, "soft_mse")


def test_every_kind_of_parameter() -> None:
    space = read(
        optimizer__lr={"log": ["1e-4", "1e-2"]},
        discount={"float": ["0.9", "0.99"], "step": "0.03"},
        target__every={"log_int": ["1", "1000"]},
        replay__warmup={"int": ["100", "500"], "step": "100"},
        network__units=[["32", "32"], ["64", "64"]],
        loss=["mse", "huber"],
        loss__delta={"log": ["0.5", "2"], "when": {"loss": "huber"}},
        double=["true", "false"],
        final_reward=["null", "-1"],
    )
    told = {parameter.key: parameter for parameter in space}
    assert told["optimizer.lr"].ends() == (1e-4, 1e-2)
    assert told["optimizer.lr"].is_log
    assert told["target.every"].ends() == (1, 1000)
    assert told["target.every"].is_whole
    assert told["network.units"].choices == ("[32,32]", "[64,64]")
    assert told["double"].choices == (True, False)
    assert told["final_reward"].choices == (None, -1)
    assert told["loss.delta"].applies({"loss": "huber"})
    assert not told["loss.delta"].applies({"loss": "mse"})
    assert settings_of({"network.units": "[32,32]"})["network.units"].values == ([32, 32],)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"optimizer__rl": {"log": ["1e-4", "1e-2"]}}, "unknown key 'optimizer.rl' (keys: optimizer.lr"),
        ({"learning_rate": {"log": ["1e-4", "1e-2"]}}, "did you mean 'optimizer.lr'?"),
        ({"optimizer__lr": {"log": ["1e-2", "1e-4"]}}, "is empty"),
        ({"optimizer__lr": {"float": ["1", "1"]}}, "is empty"),
        ({"optimizer__lr": {"log": ["0", "1"]}}, "begins above 0, not at 0"),
        ({"optimizer__lr": {"log": ["nan", "1"]}}, "a number is needed"),
        ({"optimizer__lr": {"log": ["1e-4"]}}, "two numbers"),
        ({"optimizer__lr": {"lgo": ["1e-4", "1e-2"]}}, "did you mean 'log'?"),
        ({"optimizer__lr": {"log": ["1e-4", "1e-2"], "float": ["1", "2"]}}, "exactly one"),
        ({"optimizer__lr": {"log": ["1e-4", "1e-2"], "step": "0.1"}}, "not for log ranges"),
        ({"optimizer__lr": []}, "has no values"),
        ({"batch_size": {"log": ["16", "64"]}}, "use log_int"),
        ({"batch_size": ["16", "16"]}, "lists 16 twice"),
        ({"double": {"int": ["0", "1"]}}, "has no range"),
        ({"steps": {"int": ["100", "1000"]}}, "must be equal in all trials"),
        ({"evaluation__period": ["100"]}, "must be equal in all trials"),
        ({"seeds": ["1", "2"]}, "must be equal in all trials"),
        ({"env": ["cartpole", "acrobot"]}, "must be equal in all trials"),
        ({"loss__delta": {"log": ["0.5", "2"], "when": {"loss": "huber"}}}, "not a parameter above it"),
        ({"loss": ["mse"], "loss__delta": {"log": ["0.5", "2"], "when": {"loss": "huber"}}}, "is never huber"),
    ],
)
def test_a_wrong_space_is_one_line_that_names_the_key(told: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**told)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parameter_may_be_for_one_variant_only() -> None:
    told = {"target.tau": {"log": ["1e-3", "1"], "when": {"variant": "soft_mse"}}, "discount": ["0.9", "0.99"]}
    assert [parameter.key for parameter in read_space(told, "soft_mse")] == ["target.tau", "discount"]
    assert [parameter.key for parameter in read_space(told, "hard_mse")] == ["discount"]


@given(low=st.integers(-50, 50), size=st.integers(1, 60), step=st.integers(1, 7))
def test_a_grid_has_every_step_of_a_range(low: int, size: int, step: int) -> None:
    told: dict[str, Any] = {"int": [str(low), str(low + size)], "step": str(min(step, size))}
    values = grid_values(read(update_period=told))["update_period"]
    assert values == list(range(low, low + size + 1, min(step, size)))


@pytest.mark.parametrize(
    "told",
    [
        {"optimizer__lr": {"log": ["1e-4", "1e-2"]}},
        {"loss": ["mse", "huber"], "loss__delta": {"float": ["1", "2"], "step": "1", "when": {"loss": "huber"}}},
    ],
)
def test_what_has_no_end_or_a_condition_is_no_grid(told: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="grid"):
        grid_values(read(**told))
