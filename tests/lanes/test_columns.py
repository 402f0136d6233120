"""Columns of stored transitions: what is packed comes back, at the size that is promised; and states that were stored before."""

import torch
from lane_runs import SMALL, fresh, small_run

from rlbench.lanes.steps.columns import ReplayColumn, ReplayColumns
from rlbench.lanes.training.lane_state import of_now
from rlbench.lanes.training.trainer import Trainer


def test_values_come_back_and_truth_values_cost_a_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    grid = (6, 3, 3)
    columns = ReplayColumns(
        (ReplayColumn("seen", grid, "bool"), ReplayColumn("reward"), ReplayColumn("frame", (2, 5), "uint8"))
    )
    assert columns.bytes == 7 + 4 + 10
    values = {
        "seen": torch.rand(4, *grid, generator=generator) < 0.5,
        "reward": torch.randn(4, generator=generator, dtype=torch.float64),
        "frame": torch.randint(0, 256, (4, 2, 5), generator=generator),
    }
    rows = columns.packed(values)
    assert [row.nbytes for row in rows] == [4 * 17, 4 * 4]
    found = columns.unpacked(rows)
    assert all(torch.equal(found[name], value.float()) for name, value in values.items())


def test_a_state_with_masks_goes_on_as_one_with_discounts() -> None:
    trainer = Trainer([fresh(small_run(steps=200))])
    trainer.advance(60)
    now = trainer.lane(0).state
    rows = now["replay.float32"].clone()
    rows[0, :60, -1] = (rows[0, :60, -1] == 0).float()
    assert {0.0, 1.0} == set(rows[0, :60, -1].tolist())
    before = {name: tensor for name, tensor in now.items() if name != "replay.float32"} | {"replay": rows}
    found = of_now(small_run(SMALL), before)
    assert found.keys() == now.keys()
    assert torch.equal(found["replay.float32"][0, :60], now["replay.float32"][0, :60])
