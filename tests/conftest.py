"""The default suite runs the engine eagerly and on one thread, as a worker does; compiling is tested in programs of its own."""

import os
from collections.abc import Iterator

import pytest

os.environ["RLBENCH_COMPILE"] = "0"

import torch

from rlbench.lanes.compiling import prepare_process

prepare_process()


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Denormal numbers as the standard has them, whatever the test before did: Hypothesis refuses to draw floats without them."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)
