"""Which run to watch, and its greedy policy from stored weights.

In: results and the words of the command. Out: a run, its name and a network, or one `ConfigError`. Never: takes weights that are not what
training left, or that do not fit the network of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from rlbench.errors import ConfigError, DamagedError, check_choice, did_you_mean
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.steps.observing import observed
from rlbench.lanes.steps.weight_noise import kept
from rlbench.lanes.training.lane_state import namespace_number

if TYPE_CHECKING:
    import pandas as pd

    from rlbench.store import Results


@dataclass(frozen=True)
class ChosenRun:
    """A run to watch and what people call it."""

    run_id: str
    variant: str
    seed: int
    final_return: float


def choose_run(results: Results, run_id: str) -> ChosenRun:
    """The run of this id. Raises ConfigError where there is none, or it has not ended as it should."""
    runs = results.runs
    if run_id not in set(runs["run_id"]):
        hint = did_you_mean(run_id, list(runs["run_id"]))
        raise ConfigError(f"unknown run '{run_id}'{hint} (python -m rlbench.results table=runs lists them)")
    row = runs[runs["run_id"] == run_id].iloc[0]
    if row["status"] != "done":
        raise ConfigError(f"run {run_id} is {row['status']}: only a run that is done can be watched")
    return ChosenRun(run_id, str(row["variant"]), int(row["seed"]), float(row["final_return"]))


def choose_by_return(results: Results, which: str, variant: str | None, env: str | None) -> ChosenRun:
    """The best, median or worst done run of one variant on one environment, by final return (of equals, the lowest seed).

    Raises ConfigError where there is no such run, or more than one variant or environment to choose from.
    """
    runs = results.runs
    for column, value in (("variant", variant), ("env", env)):
        known = list(dict.fromkeys(runs[column]))
        if value is not None:
            runs = runs[runs[column] == check_choice(column, value, known)]
        elif len(known) > 1:
            raise ConfigError(f"which={which} is of one {column}: give {column}= (one of: {', '.join(known)})")
    done = runs[(runs["status"] == "done") & runs["final_return"].notna()]
    if done.empty:
        raise ConfigError(f"no run of it is done with a final return: which={which} has nothing to choose from")
    ranked = done.sort_values(["final_return", "seed"], ascending=[False, True], kind="stable")
    place = {"best": 0, "median": (len(ranked) - 1) // 2, "worst": len(ranked) - 1}[which]
    return choose_run(results, str(_row(ranked, place)["run_id"]))


def _row(frame: pd.DataFrame, place: int) -> pd.Series:
    return frame.iloc[place]


def load_policy(results: Results, run: Run, run_id: str) -> torch.nn.Module:
    """The run's network with its stored weights.

    Raises ConfigError where the run has no network, DamagedError where its weights file is missing, damaged, of another network, or not
    what training left.
    """
    network, where = run.variant.network, results.store.weights_at(run_id)
    if not network.learns:
        raise ConfigError(f"run {run_id} has no network, its actions are random: there is nothing to watch")
    if not results.weights_path(run_id).exists():
        raise DamagedError(f"run {run_id} has no weights: {where} is not there")
    module = plain_module(run)
    try:
        weights = results.weights(run_id)
    except DamagedError as error:
        raise DamagedError(f"{error}: there is nothing to watch") from None
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    expected = {name: shape for name, shape in expected.items() if not name.endswith("num_batches_tracked")}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if found != expected:
        raise DamagedError(f"{where} holds the weights of another network: {_shapes(found)}, not {_shapes(expected)}")
    if results.stored_digest(run_id) != results.runs.set_index("run_id")["digest"][run_id]:
        raise DamagedError(f"{where} or the run's rows were altered: they do not give the digest of run {run_id}")
    module.load_state_dict(weights)
    return module.eval()


def plain_module(run: Run) -> torch.nn.Module:
    """The plain PyTorch module into which the run's stored weights load."""
    seen, variant = observed(run), run.variant
    network = variant.network
    key: dict[str, Any] = {"seed": run.seed, "namespace": namespace_number(run)}
    sizes: dict[str, Any] = {
        "obs_shape": seen.shape, "num_actions": seen.info.num_actions, "width": variant.estimator.width,
    }  # fmt: skip
    module = network.module(**sizes)
    if network.keeps_normals:
        seed, namespace = (torch.tensor([number]) for number in key.values())
        network.freeze(module, kept(seed, namespace, network.num_normals(network.init_params(**key, **sizes)))[0])
    return module


def _shapes(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in sorted(shapes.items())) or "nothing"
