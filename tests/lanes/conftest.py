"""Makes the modules of this folder that are not tests importable from its tests, whichever way pytest imports them."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def as_in_a_worker(denormals: None) -> None:
    """The engine runs without denormal numbers, see `prepare_process`."""
    torch.set_flush_denormal(True)
