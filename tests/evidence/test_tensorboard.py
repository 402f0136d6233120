"""Event files and TensorBoard folders: the scalars that were written come out, and what is void or doubtful is said."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from rlbench.errors import ConfigError
from rlbench.evidence import lint, read_evidence
from rlbench.evidence.event_files import Point, Purge, read_events
from rlbench.evidence.tensorboard_folders import EPISODES as TAG
from rlbench.evidence.tensorboard_folders import EVALUATIONS, ROLLOUTS, read_tensorboard


def read_scalars(path: Path, tag: str) -> tuple[list[int], list[float]]:
    points = [item for item in read_events(path, [tag]) if isinstance(item, Point)]
    return [point.step for point in points], [point.value for point in points]


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


def write_scalars(folder: Path, scalars: dict[str, dict[int, float]], purge_step: int | None = None) -> Path:
    """One event file more in a folder, called after its number there: points by tag and step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter

        number = len(list(folder.glob("events*")))
        with SummaryWriter(str(folder), purge_step=purge_step, filename_suffix=f".{number}") as writer:
            for tag, points in scalars.items():
                for step, value in points.items():
                    writer.add_scalar(tag, value, step)
    (path,) = folder.glob(f"events*.{number}")
    return path.rename(folder / f"events.out.tfevents.{number}")


def test_cleanrl_folders_are_runs(tmp_path: Path) -> None:
    write_events(tmp_path / "CartPole-v1__dqn__3__1700000000", [5.0, 6.0])
    write_events(tmp_path / "CartPole-v1__dqn__jax__0__1700000001", [5.0])
    runs = read_tensorboard(tmp_path).runs
    assert [(run.env, run.variant, run.seed) for run in runs] == [
        ("CartPole-v1", "dqn", 3),
        ("CartPole-v1", "dqn__jax", 0),
    ]
    assert (runs[0].steps.tolist(), runs[0].lengths.tolist()) == ([7, 17], [7, 10])
    (alone,) = read_tensorboard(tmp_path / "CartPole-v1__dqn__3__1700000000").runs
    assert alone.returns.tolist() == [5.0, 6.0]


def test_other_folders_and_runs_without_the_tag_are_findings_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_events(tmp_path / "E-v0__dqn__1__1", [1.0])
    write_events(tmp_path / "my-run", [1.0])
    write_events(tmp_path / "E-v0__dqn__best__1", [1.0])
    write_events(tmp_path / "E-v0__dqn__0__1", [])
    damaged = write_events(tmp_path / "E-v0__dqn__2__1", [1.0])
    damaged.write_bytes(b"not an event file at all, but long enough")
    reading = read_tensorboard(tmp_path)
    assert [run.seed for run in reading.runs] == [1]
    told = sorted(finding.text for finding in reading.findings)
    assert told[0] == "E-v0__dqn__0__1: its event files have no 'charts/episodic_return': left aside"
    assert told[1] == "E-v0__dqn__best__1: 'best' is not a seed (3, s3, seed3 or seed_3)"
    assert "damaged at byte 0, or is no event file" in told[2]
    assert told[3].startswith("my-run: event files are read from folders named ENVIRONMENT__EXPERIMENT")


def ramp(first: int, last: int, value: float) -> dict[int, float]:
    return {step: value for step in range(first, last + 1, 100)}


@pytest.mark.parametrize("is_one_file", [False, True])
def test_a_purge_step_voids_the_later_steps_of_the_session_before(tmp_path: Path, is_one_file: bool) -> None:
    folder = tmp_path / "E-v0__dqn__1__1"
    first = write_scalars(folder, {TAG: ramp(100, 1000, 1.0)})
    second = write_scalars(folder, {TAG: ramp(600, 1500, 2.0)}, purge_step=600)
    if is_one_file:
        first.write_bytes(first.read_bytes() + second.read_bytes())
        second.unlink()
    items = [item for path in sorted(folder.iterdir()) for item in read_events(path, [TAG])]
    assert [item for item in items if isinstance(item, Purge)] == [Purge(600)]
    (run,) = read_tensorboard(tmp_path).runs
    assert run.steps.tolist() == list(range(100, 1600, 100))
    assert run.returns.tolist() == [1.0] * 5 + [2.0] * 10
    assert run.repeated == ()


def test_a_purge_of_everything_leaves_nothing_to_be_doubted(tmp_path: Path) -> None:
    folder = tmp_path / "E-v0__dqn__1__1"
    for value in (1.0, 2.0):
        write_scalars(folder, {TAG: ramp(100, 1000, value)})
    write_scalars(folder, {TAG: ramp(100, 300, 3.0)}, purge_step=1)
    (run,) = read_tensorboard(tmp_path).runs
    assert (run.returns.tolist(), run.repeated) == ([3.0] * 3, ())


@pytest.mark.parametrize("begin", [150, 1000])
def test_a_script_that_ran_twice_in_a_folder_is_a_duplicate(tmp_path: Path, begin: int) -> None:
    folder = tmp_path / "E-v0__dqn__1__1"
    write_scalars(folder, {TAG: ramp(100, 1000, 10.0)})
    write_scalars(folder, {TAG: ramp(begin, 1550, 500.0)})
    results = read_evidence(tmp_path)
    found = {finding.kind: finding.text for finding in lint(results, results.name)}
    assert found["duplicated"] == (
        f"dqn on E-v0, seed 1: events.out.tfevents.1 begins again at step {begin} after step 1000, without a purge_step:"
        " did a script run twice in E-v0__dqn__1__1?"
    )
    with pytest.raises(ConfigError, match="begins again at step"):
        results.check()


def test_a_run_goes_on_in_a_second_file_and_may_end_two_episodes_at_one_step(tmp_path: Path) -> None:
    folder = tmp_path / "E-v0__ppo__1__1"
    write_scalars(folder, {TAG: ramp(100, 500, 1.0)})
    path = write_scalars(folder, {TAG: ramp(600, 900, 2.0)})
    path.write_bytes(path.read_bytes() + write_scalars(tmp_path / "other", {TAG: {900: 3.0}}).read_bytes())
    (run,) = read_tensorboard(tmp_path).runs
    assert (run.steps.tolist()[-3:], run.returns.tolist()[-3:]) == ([800, 900, 900], [2.0, 2.0, 3.0])
    assert (run.repeated, run.num_files) == ((), 2)


def test_stable_baselines3_folders_are_runs_within_the_folder_of_their_environment(tmp_path: Path) -> None:
    within = ("dqn/E-v0_5/DQN_1", "dqn/E-v0_6/tb/DQN_1", "dqn/E-v0/7/logs")
    for path in ("E-v0/DQN_1", "E-v0/PPO_12", "dqn/E-v0_3", "dqn/E-v0/4", *within, "tb/DQN_1", "DQN_2"):
        write_scalars(tmp_path / path, {ROLLOUTS: {100: 1.0}})
    reading = read_tensorboard(tmp_path)
    assert sorted((run.variant, run.env, run.seed) for run in reading.runs) == [
        ("DQN", "E-v0", 1),
        ("PPO", "E-v0", 12),
        *(("dqn", "E-v0", number) for number in (3, 4, 5, 6, 7)),
    ]
    # Whose environment nobody names: two of them would be pooled.
    assert [finding.text.partition(":")[0] for finding in reading.findings] == ["DQN_2", "tb/DQN_1"]
    assert not reading.has_episodes
    (alone,) = read_tensorboard(tmp_path / "E-v0" / "DQN_1").runs
    assert (alone.variant, alone.env, alone.seed) == ("DQN", "E-v0", 1)


def test_evaluation_goes_before_training_and_what_lacks_it_is_said(tmp_path: Path) -> None:
    write_scalars(tmp_path / "E-v0" / "DQN_1", {ROLLOUTS: {100: 1.0}, EVALUATIONS: {100: 7.0}})
    write_scalars(tmp_path / "E-v0" / "DQN_2", {ROLLOUTS: {100: 2.0}})
    reading = read_tensorboard(tmp_path)
    assert (reading.kind, [run.returns.tolist() for run in reading.runs]) == ("evaluation", [[7.0]])
    assert [finding.text for finding in reading.findings] == [
        "E-v0/DQN_2: its event files have no 'eval/mean_reward', but 'rollout/ep_rew_mean': left aside"
    ]
    training = read_evidence(tmp_path, "training")
    assert [run.returns.tolist() for run in training.sources] == [[1.0], [2.0]]
    assert training.episodes.empty
    assert "each value is the mean of up to 100 training episodes" in training.note


def test_steps_that_no_run_has_are_damage(tmp_path: Path) -> None:
    write_scalars(tmp_path / "E-v0__dqn__1__1", {TAG: {-5: 1.0}})
    (finding,) = read_tensorboard(tmp_path).findings
    assert finding.text.endswith("has the step -5")


def test_what_hangs_on_a_run_is_a_note(tmp_path: Path) -> None:
    write_scalars(tmp_path / "E-v0__dqn__1__1", {TAG: {5: 1.0}})
    write_scalars(tmp_path / "E-v0__dqn__1__1" / "1700000000.5", {"hparam/score": {5: 1.0}})
    reading = read_tensorboard(tmp_path)
    assert [run.seed for run in reading.runs] == [1]
    (finding,) = reading.findings
    assert finding.is_note
    assert finding.text == "E-v0__dqn__1__1/1700000000.5 lies in the folder of a run, and has no returns: left aside"
