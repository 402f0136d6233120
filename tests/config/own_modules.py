"""Modules of somebody's own choices, written into a folder on the path: one class for each group, and wrong ones."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Write = Callable[..., str]

LOG_COSH = '''
import dataclasses
import math

import torch
from torch import Tensor

from rlbench import Loss, number


@dataclasses.dataclass(frozen=True)
class LogCosh(Loss):
    """log cosh."""

    scale: float = number(1.0, "error of the turn", "> 0")

    def __call__(self, td_error: Tensor) -> Tensor:
        """td_error [L, B] -> loss [L, B]."""
        size = (td_error / self.scale).abs()  # no overflow
        return self.scale * self.scale * (size + torch.nn.functional.softplus(-2 * size) - math.log(2))
'''

ALL = (
    LOG_COSH
    + '''
import rlbench
from rlbench import structural
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.validation import EpisodeValidation


@dataclasses.dataclass(frozen=True)
class Scaled(MLP):
    """An MLP whose values are scaled."""

    gain: float = number(1.0, "factor of the values", "> 0")

    def outputs(self, params, statistics, obs, role):
        outputs, statistics = super().outputs(params, statistics, obs, role)
        return outputs * torch.as_tensor(self.gain)[..., None], statistics


@dataclasses.dataclass(frozen=True)
class PseudoHuber(Loss):
    """Of operations that IEEE 754 rounds exactly: the same bits for any number of lanes."""

    scale: float = number(1.0, "error of the turn", "> 0")

    def __call__(self, td_error):
        ratio = td_error / self.scale
        return self.scale * self.scale * ((1 + ratio * ratio).sqrt() - 1)


@dataclasses.dataclass(frozen=True)
class Polyak(Periodic):
    every: int = number(1, "updates between two moves", ">= 1")
    tau: float = number(0.01, "how far the target moves", "0 < x <= 1")


@dataclasses.dataclass(frozen=True)
class SignSGD(rlbench.Optimizer):
    lr: float = number(1e-4, "learning rate", "> 0")

    def slots(self, params):
        return {}

    def step(self, params, gradients, slots, powers):
        lr = torch.as_tensor(self.lr)[..., None].float()
        return [p - lr * g.sign() for p, g in zip(params, gradients)], slots, powers


@dataclasses.dataclass(frozen=True)
class Tenth(rlbench.Clip):
    def __call__(self, gradients, norm):
        return [g * 0.1 for g in gradients]


@dataclasses.dataclass(frozen=True)
class Steps(rlbench.Exploration):
    high: float = number(1.0, "epsilon of the first actions", "0 <= x <= 1")
    low: float = number(0.1, "epsilon afterwards", "0 <= x <= 1")
    at: int = number(50, "actions before the step", ">= 1")

    def epsilon(self, n):
        return torch.where(n < self.at, self.high, self.low)


@dataclasses.dataclass(frozen=True)
class Newest(rlbench.Replay):
    capacity: int = structural(500, "transitions kept", ">= 1")
    warmup: int = structural(60, "transitions before the first update", ">= 1")
    replacement: bool = structural(True, "whether a transition may come twice")
    warmup_ends: str = structural("at_once", "when learning starts", allowed=("at_once",))

    def indices(self, words, size):
        return ((words * size[:, None]) >> 33) + (size[:, None] >> 1)


@dataclasses.dataclass(frozen=True)
class Patient(EpisodeValidation):
    max_env_steps: int | None = structural(20, "steps of a validation episode", ">= 1")


@dataclasses.dataclass(frozen=True)
class Negative(Pixel):
    invert: bool = structural(True, "whether patches are negatives")
'''
)
MEMBERS = {
    "network": "Scaled",
    "loss": "PseudoHuber",
    "target": "Polyak",
    "optimizer": "SignSGD",
    "clip": "Tenth",
    "exploration": "Steps",
    "replay": "Newest",
    "validation": "Patient",
    "observation": "Negative",
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """`write(name, text)` makes a module that can be imported, or makes it anew; gone after the test. Returns its name."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(
        sys, "dont_write_bytecode", True
    )  # a second version of the same second and length would not be read
    written: set[str] = set()

    def write(name: str, text: str = LOG_COSH) -> str:
        (folder / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        written.add(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)
