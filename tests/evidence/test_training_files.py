"""Monitor files and event files: the same episodes that were written come out, and damage is one line."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from foreign_files import write_monitor

from rlbench.errors import ConfigError
from rlbench.evidence.event_files import read_scalars
from rlbench.evidence.monitor_files import read_monitors
from rlbench.evidence.tensorboard_folders import TAG, read_tensorboard

EPISODES = [(10.0, 10, 0.1), (12.5, 13, 0.5), (7.0, 7, 0.9)]


def test_a_monitor_file_is_a_run_with_its_steps_counted(tmp_path: Path) -> None:
    write_monitor(tmp_path / "dqn" / "CartPole-v1" / "seed3.monitor.csv", EPISODES)
    write_monitor(tmp_path / "dqn" / "Pong" / "4.monitor.csv", EPISODES, env="ALE/Pong-v5")
    runs = read_monitors(tmp_path)
    assert [(run.variant, run.env, run.seed) for run in runs] == [("dqn", "CartPole-v1", 3), ("dqn", "ALE/Pong-v5", 4)]
    assert runs[0].steps.tolist() == [10, 23, 30]
    assert runs[0].returns.tolist() == [10.0, 12.5, 7.0]
    assert runs[0].lengths.tolist() == [10, 13, 7]


def test_parallel_environments_of_one_run_are_merged_by_time(tmp_path: Path) -> None:
    folder = tmp_path / "ppo" / "CartPole-v1" / "0"
    write_monitor(folder / "0.monitor.csv", [(1.0, 5, 1.0), (3.0, 5, 3.0)], start=100.0)
    write_monitor(folder / "1.monitor.csv", [(2.0, 7, 1.5)], start=100.5)
    (run,) = read_monitors(tmp_path)
    assert (run.seed, run.returns.tolist(), run.steps.tolist()) == (0, [1.0, 2.0, 3.0], [5, 12, 17])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a/E/0.monitor.csv", "r,l,t\n1,1,1\n", "a/E/0.monitor.csv row 1: a monitor file begins with #{...}"),
        ("a/E/0.monitor.csv", "#{oops\nr,l,t\n", "a/E/0.monitor.csv row 1: the header is no JSON"),
        ("a/E/0.monitor.csv", "#{}\nr,l\n1,1\n", "row 2: the column 't' is missing"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,2,3\n1,x,3\n", "row 4: '1,x,3' is no episode"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,0,3\n", "row 3: '1,0,3' is no episode"),
        ("a/E/0.monitor.csv", "#{}\n", "a/E/0.monitor.csv cannot be read"),
        ("a/E/best.monitor.csv", "#{}\nr,l,t\n", "a/E/best.monitor.csv: 'best' is not a seed"),
        ("a/0.monitor.csv", "#{}\nr,l,t\n", "a/0.monitor.csv: monitor files are read from VARIANT/ENVIRONMENT/SEED"),
    ],
)
def test_a_damaged_monitor_file_is_one_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_monitors(tmp_path)
    assert said in str(caught.value)


def write_events(folder: Path, values: list[float], new_style: bool = False) -> Path:
    """Events as PyTorch's writer, which CleanRL uses, writes them: the tag among others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(folder)) as writer:
            writer.add_text("hyperparameters", "|param|value|")
            for number, value in enumerate(values):
                writer.add_scalar("charts/episodic_length", 1.0, 10 * number, new_style=new_style)
                writer.add_scalar(TAG, value, 10 * number + 7, new_style=new_style)
                writer.add_scalar(f"{TAG}_smoothed", -1.0, 10 * number, new_style=new_style)
    return next(folder.glob("events.out.tfevents.*"))


@pytest.mark.parametrize("new_style", [False, True])
def test_what_pytorch_writes_is_read_back(tmp_path: Path, new_style: bool) -> None:
    values = [9.0, -250.5, 500.0, float("nan")]
    steps, found = read_scalars(write_events(tmp_path / "events", values, new_style), TAG)
    assert steps == [7, 17, 27, 37]
    assert np.array_equal(found, np.array(values, np.float32), equal_nan=True)
    assert read_scalars(next((tmp_path / "events").glob("events*")), "no/such/tag") == ([], [])


def test_the_same_scalars_as_tensorboards_own_reader(tmp_path: Path) -> None:
    path = write_events(tmp_path / "events", list(np.random.default_rng(0).normal(size=200)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        accumulator = EventAccumulator(str(path), size_guidance={"tensors": 0, "scalars": 0}).Reload()
    events = accumulator.Scalars(TAG)
    assert read_scalars(path, TAG) == ([event.step for event in events], [event.value for event in events])
    assert len(events) == 200


def test_a_record_cut_short_is_left_out_and_a_changed_byte_is_damage(tmp_path: Path) -> None:
    path = write_events(tmp_path / "events", [1.0, 2.0, 3.0])
    data = path.read_bytes()
    last = data.rindex(TAG.encode() + b"_smoothed")
    at_value = data.rindex(TAG.encode(), 0, last)
    path.write_bytes(data[: at_value + 10])
    assert read_scalars(path, TAG)[1] == [1.0, 2.0]
    path.write_bytes(data[: at_value + 25] + bytes([data[at_value + 25] ^ 1]) + data[at_value + 26 :])
    with pytest.raises(ConfigError, match=r"record \d+ is damaged: its checksum does not fit"):
        read_scalars(path, TAG)
    path.write_bytes(b"not an event file at all, but long enough")
    with pytest.raises(ConfigError, match="damaged at byte 0, or is no event file"):
        read_scalars(path, TAG)


def test_the_checksum_is_the_published_one() -> None:
    from rlbench.evidence.event_files import _masked

    # CRC-32C of 32 zero bytes and of "123456789" (RFC 3720, B.4), before masking.
    for data, crc in ((bytes(32), 0x8A9136AA), (b"123456789", 0xE3069283)):
        assert _masked(data) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert struct.calcsize("<Q") == 8


def test_cleanrl_folders_are_runs(tmp_path: Path) -> None:
    write_events(tmp_path / "CartPole-v1__dqn__3__1700000000", [5.0, 6.0])
    write_events(tmp_path / "CartPole-v1__dqn__jax__0__1700000001", [5.0])
    runs = read_tensorboard(tmp_path)
    assert [(run.env, run.variant, run.seed) for run in runs] == [
        ("CartPole-v1", "dqn", 3),
        ("CartPole-v1", "dqn__jax", 0),
    ]
    assert (runs[0].steps.tolist(), runs[0].lengths.tolist()) == ([7, 17], [7, 10])
    (alone,) = read_tensorboard(tmp_path / "CartPole-v1__dqn__3__1700000000")
    assert alone.returns.tolist() == [5.0, 6.0]


def test_other_folders_and_runs_without_the_tag_are_one_line(tmp_path: Path) -> None:
    write_events(tmp_path / "other" / "my-run", [1.0])
    with pytest.raises(ConfigError, match="my-run: event files are read from folders named ENVIRONMENT__EXPERIMENT"):
        read_tensorboard(tmp_path / "other")
    write_events(tmp_path / "empty" / "E__dqn__0__1", [])
    with pytest.raises(ConfigError, match=r"E__dqn__0__1: its event files have no 'charts/episodic_return'"):
        read_tensorboard(tmp_path / "empty")
