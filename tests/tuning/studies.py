"""Small studies for the tests: files, requests and real commands."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial
from sqlalchemy.pool import NullPool

from rlbench.tuning.request import TuneRequest, composer_of, resolve
from rlbench.tuning.study import Study
from tests.runner.commands import called

PATIENCE_SECONDS = 300.0
# Small and seldom updates: it is the tuner that is under test.
TINY: dict[str, Any] = {
    "question": "Which?",
    "variant": "soft_mse",
    "env": "cartpole",
    "steps": 1000,
    "evaluation": {"period": 250, "episodes": 2},
    "diagnostics": {"period": 500},
    "set": {
        "network.units": [16, 16],
        "replay.warmup": 100,
        "replay.capacity": 1000,
        "update_period": 4,
        "batch_size": 16,
    },
    "space": {
        "optimizer.lr": {"log": ["1e-4", "1e-2"]},
        "loss": ["mse", "huber"],
        "loss.delta": {"float": ["0.5", "2"], "when": {"loss": "huber"}},
    },
    "objective": {"window": 2},
    "seeds": 2,
    "trials": 8,
    "sampler": {"kind": "tpe", "startup": 4},
    "pruner": {"kind": "median", "startup": 2},
    "confirm": {"top": 1, "seeds": 6},
}


def write_study(folder: Path, name: str = "tiny", **changes: Any) -> None:
    """Write FOLDER/study/NAME.yaml: TINY with some keys replaced, or left out where they are None."""
    data = {key: value for key, value in {**TINY, **changes}.items() if value is not None}
    (folder / "study").mkdir(parents=True, exist_ok=True)
    (folder / "study" / f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))


def request_of(folder: Path, *words: str, name: str = "tiny", **changes: Any) -> TuneRequest:
    """The request of a study file with these changes."""
    write_study(folder, name, **changes)
    return resolve([f"study={name}", f"--config-dir={folder}", f"store={folder}/store", *words])


@contextmanager
def study_of(folder: Path, *words: str, **changes: Any) -> Iterator[tuple[Study, Any]]:
    """The only study of a request, and a composer for its runs."""
    request = request_of(folder, *words, **changes)
    with composer_of(request) as composer:
        yield request.studies[0], composer


def command(folder: Path, store: Path | str, *words: str, name: str = "tiny") -> list[str]:
    """The words of a real tuning command, four trials at a time on one worker."""
    own = [f"study={name}", f"--config-dir={folder}", f"store={store}", "lanes=8", "workers=1", "wandb.mode=disabled"]
    return [sys.executable, "-m", "rlbench.tune", *own, *words]


def start(words: list[str]) -> "subprocess.Popen[str]":
    """Start a command in a process group of its own, eager and without a terminal."""
    environment = os.environ | {"RLBENCH_COMPILE": os.environ.get("RLBENCH_COMPILE", "0"), "NO_COLOR": "1"}
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )


def run(words: list[str]) -> tuple[int, str, str]:
    """Run a command to its end, in this process: exit code, stdout, stderr."""
    _, _, module, *own = words
    return called(module, own)


def trials_in(url: str, name: str = "tiny") -> list[FrozenTrial]:
    """The trials of a stored study, by number; none where there is no study yet."""
    # A reader that makes no tables, which would meet the tuner that is making them.
    # It keeps no connection either: where there are no tables yet it fails, and nobody would close what it kept.
    storage = optuna.storages.RDBStorage(
        url, {"poolclass": NullPool}, skip_compatibility_check=True, skip_table_creation=True
    )
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(name))
    except KeyError:
        return []
    finally:
        storage.remove_session()
        storage.engine.dispose()


def told(trials: list[FrozenTrial]) -> list[Mapping[str, Any]]:
    """What must be equal between an interrupted and an uninterrupted study."""
    return [
        {
            "number": t.number,
            "state": t.state.name,
            "value": t.value,
            "params": t.params,
            "values": t.intermediate_values,
        }
        for t in trials
    ]
