"""Where two digests can be compared: the name of what, beside a run's specification, can change its bits.

The engine computes the same bits on every CPU with fused multiply-add, so mostly this is the engine's version alone. The machine joins it
where arithmetic is not ours: in convolutions and drawn frames, and in environments that step themselves through Gymnasium.
"""

import functools
import platform as host
from importlib.metadata import version

import torch

from rlbench.lanes.choices.variant import Run
from rlbench.lanes.fast.compiling import can_compile
from rlbench.lanes.steps.observing import observed

ENGINE = "rlbench-engine-2"  # changes with every change of the engine that changes bits


def platform_of(run: Run) -> str:
    """The platform on which this run is trained in this process; its digest is the same wherever this is."""
    seen = observed(run)
    name = ENGINE + _arithmetic()
    if seen.pixel is not None or (run.variant.network.learns and run.variant.network.lane_by_lane):
        name += f"-{_machine()}-torch{torch.__version__}-{'compiled' if can_compile() else 'eager'}"
    if seen.env is None:
        name += f"-{_machine()}-gymnasium{version('gymnasium')}-numpy{version('numpy')}"
    return name


def is_of_this_engine(platform: str) -> bool:
    """Whether a stored platform is of this version of the engine, on whichever machine."""
    return platform == ENGINE or platform.startswith(f"{ENGINE}-")


def _machine() -> str:
    return f"{host.machine()}-{torch.backends.cpu.get_cpu_capability().lower()}"


@functools.cache
def _arithmetic() -> str:
    """Nothing where the CPU can leave denormal numbers out, as the engine's arithmetic has it."""
    return "" if torch.set_flush_denormal(True) else "-denormals"
