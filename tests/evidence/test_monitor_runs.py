"""What is a run and what is a seed among monitor files, and in what order a run's episodes are."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from foreign_files import write_monitor

from rlbench.evidence import lint, read_evidence
from rlbench.evidence.monitor_runs import read_monitors
from rlbench.evidence.source import Reading

EPISODES = [(10.0, 10, 1.0), (12.5, 13, 2.0), (7.0, 7, 3.0)]


def write(folder: Path, starts: Sequence[float], env: str = "E-v0", names: Sequence[str] | None = None) -> None:
    """Files called 0, 1, ..., or `names`, that began at `starts`; each lasts three seconds, and no two are equal."""
    for rank, start in enumerate(starts):
        name = names[rank] if names else str(rank)
        episodes = [(r + rank / 8, length, t) for r, length, t in EPISODES]
        write_monitor(folder / f"{name}.monitor.csv", episodes, env=env, start=start)


def keys(reading: Reading) -> list[tuple[str, str, int, int]]:
    return [(run.variant, run.env, run.seed, run.num_files) for run in reading.runs]


def wrong(reading: Reading) -> dict[str, str]:
    return {finding.kind: finding.text for finding in reading.findings if not finding.is_note}


def test_files_one_after_the_other_are_seeds(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "E-v0", [0.0, 10.0, 13.0])
    assert keys(read_monitors(tmp_path)) == [("dqn", "E-v0", seed, 1) for seed in (0, 1, 2)]


def test_a_file_that_began_after_another_had_ended_an_episode_is_another_run(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "E-v0", [0.0, 1.75, 3.5])
    assert [run.seed for run in read_monitors(tmp_path).runs] == [0, 1, 2]


@pytest.mark.parametrize("folder", ["E-v0", "E-v0_1"])
def test_files_that_began_together_and_overlap_are_one_run(tmp_path: Path, folder: str) -> None:
    write(tmp_path / "ppo" / folder, [1000.0 + rank / 10 for rank in range(8)])
    write(tmp_path / "a2c" / folder, [9000.0 + rank / 500 for rank in range(8)])
    reading = read_monitors(tmp_path)
    number = int(folder.endswith("_1"))
    assert keys(reading) == [("a2c", "E-v0", number, 8), ("ppo", "E-v0", number, 8)]
    assert wrong(reading) == {}
    results = read_evidence(tmp_path)
    found = {finding.kind: finding.text for finding in lint(results, results.name)}
    said = "two runs, no test possible on E-v0: a2c has 1, ppo has 1, and a test needs 2 a side"
    assert found["untestable"] == said
    assert results.untestable == [said]


def test_a_numbered_folder_of_its_environment_is_that_run(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write(tmp_path / "ppo" / f"E-v0_{number}", [1000.0 * number, 1000.0 * number])
    write(tmp_path / "ppo" / "ALE-Pong-v5_12", [0.0], env="ALE/Pong-v5")
    write(tmp_path / "ppo" / "Maze_2", [0.0, 9.0], env="None")
    write(tmp_path / "ppo" / "Farm-v0_4_123e4567-e89b-12d3-a456-426614174000", [0.0], env="None")
    assert keys(read_monitors(tmp_path)) == [
        ("ppo", "ALE/Pong-v5", 12, 1),
        ("ppo", "E-v0", 1, 2),
        ("ppo", "E-v0", 2, 2),
        ("ppo", "E-v0", 3, 2),
        ("ppo", "Farm-v0", 4, 1),
        ("ppo", "Maze_2", 0, 1),  # no version, no header: the folder is called after its environment
        ("ppo", "Maze_2", 1, 1),
    ]


def test_the_folder_of_an_algorithm_or_of_a_run_may_be_given_itself(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write(logs / "ppo" / "E-v0_3", [0.0, 0.0])
    for root in (logs, logs / "ppo", logs / "ppo" / "E-v0_3"):
        assert keys(read_monitors(root)) == [("ppo", "E-v0", 3, 2)]
    assert keys(read_monitors(tmp_path)) == [("logs/ppo", "E-v0", 3, 2)]


@pytest.mark.parametrize(
    "starts",
    [
        [0.0, 1.6],  # too far apart for one run's environments, and yet before the first had ended an episode
        [0.0, 0.1, 50.0],  # two together, one not
        [0.0, 0.1, 50.0, 50.1],
    ],
)
def test_what_cannot_be_told_is_no_seed(tmp_path: Path, starts: list[float]) -> None:
    slow = [(r, length, t * 2) for r, length, t in EPISODES]
    for rank, start in enumerate(starts):
        write_monitor(tmp_path / "dqn" / "E-v0" / f"{rank}.monitor.csv", slow, env="E-v0", start=start)
    reading = read_monitors(tmp_path)
    assert reading.runs == []
    assert f"dqn/E-v0: whether its {len(starts)} files are seeds or the parallel environments" in wrong(reading)["runs"]


@pytest.mark.parametrize(
    "header", ['{"env_id": "E-v0"}', '{"t_start": null}', '{"t_start": NaN}', '{"t_start": "now"}']
)
def test_without_a_beginning_nothing_can_be_told(tmp_path: Path, header: str) -> None:
    folder = tmp_path / "dqn" / "E-v0"
    write(folder, [0.0, 100.0])
    for path in folder.iterdir():
        path.write_text(f"#{header}\n" + path.read_text().partition("\n")[2])
    assert list(wrong(read_monitors(tmp_path))) == ["runs"]
    (folder / "1.monitor.csv").unlink()
    assert keys(read_monitors(tmp_path)) == [("dqn", "E-v0", 0, 1)]


def test_a_name_that_says_seed_is_one_and_so_is_a_folder_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "E-v0", [0.0] * 3, names=["seed3", "s4", "seed_5"])
    for seed in (6, 7):
        write(tmp_path / "dqn" / "E-v0" / str(seed), [0.0], names=["monitor" if seed == 6 else "0"])
    (tmp_path / "dqn" / "E-v0" / "6" / "monitor.monitor.csv").rename(tmp_path / "dqn" / "E-v0" / "6" / "monitor.csv")
    assert sorted(keys(read_monitors(tmp_path))) == [("dqn", "E-v0", seed, 1) for seed in (3, 4, 5, 6, 7)]


def test_an_environment_without_an_id_is_called_after_its_folder(tmp_path: Path) -> None:
    for env, starts in (("Maze", [0.0, 10.0]), ("Farm", [0.0, 10.0])):
        write(tmp_path / "dqn" / env, starts, env="None")
    assert [run.env for run in read_monitors(tmp_path).runs] == ["Farm", "Farm", "Maze", "Maze"]


def test_two_environments_in_one_folder_are_two(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "all", [0.0], env="E-v0", names=["0"])
    write(tmp_path / "dqn" / "all", [0.0], env="F-v0", names=["1"])
    write(tmp_path / "ppo" / "all" / "0", [0.0], env="E-v0", names=["0"])
    write(tmp_path / "ppo" / "all" / "0", [0.0], env="F-v0", names=["1"])
    reading = read_monitors(tmp_path)
    assert keys(reading) == [("dqn", "E-v0", 0, 1), ("dqn", "F-v0", 1, 1)]
    assert "the files of one run are of different environments: E-v0, F-v0" in wrong(reading)["unreadable"]


def test_evaluation_is_not_mixed_into_training(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "E-v0" / "0", [0.0, 0.1], names=["0", "eval"])
    write(tmp_path / "dqn" / "E-v0" / "0" / "eval", [0.1])
    reading = read_monitors(tmp_path)
    assert keys(reading) == [("dqn", "E-v0", 0, 1)]
    assert [finding.text for finding in reading.findings] == [
        "dqn/E-v0/0/eval.monitor.csv has episodes of evaluation, not of training: left aside",
        "dqn/E-v0/0/eval/0.monitor.csv has episodes of evaluation, not of training: left aside",
    ]


def test_parallel_environments_of_one_run_are_merged_by_time(tmp_path: Path) -> None:
    folder = tmp_path / "ppo" / "CartPole-v1" / "0"
    write_monitor(folder / "0.monitor.csv", [(1.0, 5, 1.0), (3.0, 5, 3.0)], start=100.0)
    write_monitor(folder / "1.monitor.csv", [(2.0, 7, 1.5)], start=100.5)
    (run,) = read_monitors(tmp_path).runs
    assert (run.seed, run.returns.tolist(), run.steps.tolist()) == (0, [1.0, 2.0, 3.0], [5, 12, 17])


def resumed(first: Sequence[int], second: Sequence[int], offset: float = 0.0) -> list[tuple[float, int, float]]:
    """Episodes of two sessions: returns, a length of 10, and a clock that begins again."""
    return [(float(r), 10, offset + t) for own in (first, second) for t, r in enumerate(own, start=1)]


@pytest.mark.parametrize("num_files", [1, 2, 3])
def test_a_resumed_run_is_one_session_after_the_other(tmp_path: Path, num_files: int) -> None:
    for rank in range(num_files):
        path = tmp_path / "dqn" / "E-v0" / "0" / f"{rank}.monitor.csv"
        episodes = resumed(range(1, 11), range(11, 21), rank / 1000)
        write_monitor(path, episodes, env="E-v0", start=1000.0 + rank / 500)
    results = read_evidence(tmp_path)
    (run,) = results.sources
    assert run.returns.tolist() == sorted(run.returns.tolist())
    assert len(run.returns) == 20 * num_files
    assert results.runs["final_return"].tolist() == [18.0]  # the mean of 16 to 20, the last five points of the curve


def test_sessions_that_do_not_match_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "dqn" / "E-v0" / "0"
    write_monitor(folder / "0.monitor.csv", resumed([1, 2, 3], [4, 5]), start=0.0)
    write_monitor(folder / "1.monitor.csv", resumed([1, 2, 3], []), start=0.1)
    reading = read_monitors(tmp_path)
    assert "the clock begins again in some of its files and not in others" in wrong(reading)["order"]
    assert reading.runs[0].returns.tolist() == [1, 1, 2, 2, 3, 3, 4, 5]


def test_files_of_a_run_that_did_not_begin_together_are_said(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "E-v0_1", [0.0, 100.0])
    reading = read_monitors(tmp_path)
    assert keys(reading) == [("dqn", "E-v0", 1, 2)]
    assert "its files did not begin together, and are read as one run all the same" in wrong(reading)["runs"]


def test_a_file_without_an_episode_is_a_finding_and_its_run_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "E-v0" / "0", [0.0])
    write_monitor(tmp_path / "dqn" / "E-v0" / "0" / "1.monitor.csv", [], env="E-v0", start=0.1)
    write_monitor(tmp_path / "dqn" / "E-v0" / "1" / "0.monitor.csv", [], env="E-v0", start=0.1)
    reading = read_monitors(tmp_path)
    assert keys(reading) == [("dqn", "E-v0", 0, 1)]
    assert [(finding.kind, finding.text) for finding in reading.findings] == [
        ("empty", "dqn/E-v0/0/1.monitor.csv has no finished episode"),
        ("empty", "dqn/E-v0/1/0.monitor.csv has no finished episode"),
    ]


def test_a_copied_file_in_a_run_is_told(tmp_path: Path) -> None:
    write(tmp_path / "dqn" / "E-v0" / "0", [0.0], names=["0"])
    write(tmp_path / "dqn" / "E-v0" / "0", [0.0], names=["0-copy"])
    (run,) = read_monitors(tmp_path).runs
    assert run.repeated == ("dqn/E-v0/0/0.monitor.csv has the same episodes as dqn/E-v0/0/0-copy.monitor.csv",)


def test_a_run_that_went_on_from_an_agent_is_no_fresh_seed(tmp_path: Path) -> None:
    for number, agent in ((1, "''"), (2, "logs/dqn/E-v0_1/E-v0.zip"), (3, "''")):
        folder = tmp_path / "dqn" / f"E-v0_{number}"
        write(folder, [1000.0 * number])
        (folder / "E-v0").mkdir()
        told = f"- - - algo\n    - dqn\n  - - trained_agent\n    - {agent}\n  - - uuid\n    - false\n"
        (folder / "E-v0" / "args.yml").write_text("!!python/object/apply:collections.OrderedDict\n" + told)
    (tmp_path / "dqn" / "E-v0_3" / "E-v0" / "args.yml").write_bytes(b"\xff")
    results = read_evidence(tmp_path)
    assert [run.seed for run in results.sources] == [1, 3]
    assert read_evidence(tmp_path / "dqn" / "E-v0_2").sources == ()
    assert wrong(results.reading) == {
        "runs": "dqn/E-v0_2 went on from 'logs/dqn/E-v0_1/E-v0.zip', by its args.yml: no fresh run, and left aside"
    }
