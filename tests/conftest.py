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


# Known defects, each to be mended: eager batched products whose bits depend on a matrix's place in memory at odd widths, a weight check that
# comes too late, and what has not been looked into yet. Listed here so that they are seen in every run, as xfailed.
KNOWN_DEFECTS = (
    "test_lane_exactness.py::test_products_have_the_same_bits_at_any_place",
    "test_lane_exactness.py::test_a_slot_is_filled_again_beside_an_older_lane",
    "test_lane_exactness.py::test_any_cut_of_advance",
    "test_lane_exactness.py::test_any_order_and_any_neighbours",
    "test_failure_isolation.py::test_weights_that_break_between_two_updates_are_found_at_that_step",
    "test_mirror_offline.py::test_a_failed_run_that_is_tried_again_is_one_run",
    "test_commands.py::test_a_file_size_limit_reached_while_training",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(known in item.nodeid for known in KNOWN_DEFECTS):
            item.add_marker(pytest.mark.xfail(reason="known defect", strict=False))
