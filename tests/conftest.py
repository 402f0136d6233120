"""The default suite runs the engine eagerly and on one thread, as a worker does; compiling is tested in programs of its own."""

import os
from collections.abc import Iterator

import pytest

os.environ["RLBENCH_COMPILE"] = "0"
os.environ["RLBENCH_CHECK_EXACT"] = "0"  # tracing costs more than a short run; the exactness tests do it

import torch

from rlbench.lanes.compiling import prepare_process

prepare_process()


# Files that take half a minute and more. They begin first, so that no worker is left alone with one of them at the end.
LONG_FILES = (
    "test_tune_command.py", "test_crash_and_resume.py", "test_same_digests.py", "test_play.py", "test_commands.py",
    "test_mirror_online.py", "test_mirror_offline.py", "test_recipe_updates.py", "test_validation.py", "test_learning.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Denormal numbers as the standard has them, whatever the test before did: Hypothesis refuses to draw floats without them."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)
