"""evaluations.npz: what EvalCallback saves is read on its grid, never unpickled, and damage is a finding."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_files import write_monitor

from rlbench.evidence import lint, read_evidence
from rlbench.evidence.evaluation_files import read_evaluations

STEPS = [1000, 2000, 3000]
RETURNS = [[1.0, 3.0], [10.0, 12.0], [20.0, 25.0]]


def write_npz(folder: Path, **arrays: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    saved = {"timesteps": STEPS, "results": RETURNS, "ep_lengths": [[5, 6], [7, 8], [9, 10]], **arrays}
    np.savez(folder / "evaluations.npz", **{name: array for name, array in saved.items() if array is not None})
    return folder / "evaluations.npz"


def test_points_and_their_episodes_are_read(tmp_path: Path) -> None:
    write_npz(tmp_path / "dqn" / "E-v0_2")
    results = read_evidence(tmp_path)
    assert (results.kind, results.episodes.empty) == ("evaluation", True)
    (run,) = results.sources
    assert (run.variant, run.env, run.seed) == ("dqn", "E-v0", 2)
    rows = results.evaluations
    assert rows["env_steps"].tolist() == [1000, 1000, 2000, 2000, 3000, 3000]
    assert rows["episode"].tolist() == [0, 1] * 3
    assert rows["episode_return"].tolist() == [1.0, 3.0, 10.0, 12.0, 20.0, 25.0]
    assert rows["length"].tolist() == [5, 6, 7, 8, 9, 10]
    assert results.runs["final_return"].tolist() == [(2.0 + 11.0 + 22.5) / 3]


def test_where_the_environment_is_from(tmp_path: Path) -> None:
    write_npz(tmp_path / "dqn" / "ALE-Pong-v5_1")
    write_monitor(tmp_path / "dqn" / "ALE-Pong-v5_1" / "0.monitor.csv", [], env="ALE/Pong-v5")
    write_npz(tmp_path / "dqn" / "Maze_1")
    write_monitor(tmp_path / "dqn" / "Maze_1" / "0.monitor.csv", [], env="None")
    write_npz(tmp_path / "dqn" / "Farm" / "3" / "eval")
    write_npz(tmp_path / "lost")
    reading = read_evaluations(tmp_path)
    assert [(run.env, run.seed) for run in reading.runs] == [("ALE/Pong-v5", 1), ("Farm", 3), ("Maze_1", 0)]
    (finding,) = reading.findings
    assert finding.text.startswith("lost/evaluations.npz: evaluations are read from VARIANT/ENVIRONMENT/SEED")


def test_one_return_a_point_and_unknown_lengths_will_do(tmp_path: Path) -> None:
    write_npz(tmp_path / "dqn" / "E-v0_1", results=[1.0, 2.0, 3.0], ep_lengths=None)
    (run,) = read_evaluations(tmp_path).runs
    assert (run.returns.tolist(), run.lengths.tolist()) == ([1.0, 2.0, 3.0], [0, 0, 0])


def test_a_return_that_is_no_number_makes_its_run_diverged(tmp_path: Path) -> None:
    write_npz(tmp_path / "dqn" / "E-v0_1", results=[[1.0, 2.0], [np.inf, 1.0], [1.0, 1.0]])
    row = read_evidence(tmp_path).runs.iloc[0]
    assert (row["status"], row["error"]) == ("diverged", "the return at step 2000 is inf")


def test_steps_out_of_order_are_sorted_and_steps_again_are_told(tmp_path: Path) -> None:
    write_npz(tmp_path / "dqn" / "E-v0_1", timesteps=[3000, 1000, 2000])
    write_npz(tmp_path / "dqn" / "E-v0_2", timesteps=[1000, 2000, 1000])
    sorted_, again = read_evaluations(tmp_path).runs
    assert sorted_.returns.tolist() == [10.0, 12.0, 20.0, 25.0, 1.0, 3.0]
    assert again.repeated == ("dqn/E-v0_2/evaluations.npz: evaluated at step 1000 again",)


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def damaged_archives(path: Path) -> dict[str, bytes]:
    whole = path.read_bytes()
    return {
        "empty": b"",
        "no archive": b"PK and then nothing",
        "cut": whole[: len(whole) // 2],
        "a changed byte": whole.replace(np.float64(25.0).tobytes(), np.float64(26.0).tobytes()),
        "a pickle": pickle.dumps(Harm(path.with_name("harm"))),
    }


@pytest.mark.parametrize("kind", ["empty", "no archive", "cut", "a changed byte", "a pickle"])
def test_a_damaged_file_is_a_finding_and_the_rest_goes_on(tmp_path: Path, kind: str) -> None:
    write_npz(tmp_path / "dqn" / "E-v0_1")
    path = write_npz(tmp_path / "dqn" / "E-v0_2")
    path.write_bytes(damaged_archives(path)[kind])
    reading = read_evaluations(tmp_path)
    assert [run.seed for run in reading.runs] == [1]
    (finding,) = reading.findings
    assert finding.text.startswith("dqn/E-v0_2/evaluations.npz cannot be read: ")
    assert "\n" not in finding.text
    assert not path.with_name("harm").exists()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"results": None}, "cannot be read: "),
        ({"results": np.array([[1], [1, 2], [Harm(Path("harm")), 2]], object)}, "cannot be read: "),
        ({"results": [["a", "b"]] * 3}, "cannot be read: "),
        ({"results": RETURNS[:2]}, "timesteps, results and ep_lengths do not fit each other"),
        ({"ep_lengths": [[1, 2, 3]] * 3}, "timesteps, results and ep_lengths do not fit each other"),
        ({"timesteps": [[1], [2], [3]]}, "timesteps, results and ep_lengths do not fit each other"),
        ({"timesteps": [], "results": np.zeros((0, 2)), "ep_lengths": np.zeros((0, 2))}, "has no evaluation"),
        ({"timesteps": [1000, -1, 3000]}, "'-1.0' is no number of steps"),
        ({"timesteps": [1000, float("inf"), 3000]}, "'inf' is no number of steps"),
        ({"timesteps": [1000, float("nan"), 3000]}, "'nan' is no number of steps"),
    ],
)
def test_other_arrays_are_a_finding(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    write_npz(tmp_path / "dqn" / "E-v0_1", **arrays)
    reading = read_evaluations(tmp_path)
    assert reading.runs == []
    assert said in reading.findings[0].text


def test_a_single_array_and_an_array_of_impossible_size_are_findings(tmp_path: Path) -> None:
    single, huge = (write_npz(tmp_path / "dqn" / f"E-v0_{number}") for number in (1, 2))
    np.save(tmp_path / "one.npy", np.zeros(3))
    single.write_bytes((tmp_path / "one.npy").read_bytes())
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**58,)})
    with zipfile.ZipFile(huge, "w") as archive:
        for name in ("timesteps", "results"):
            archive.writestr(f"{name}.npy", header.getvalue())
    told = [finding.text for finding in read_evaluations(tmp_path).findings]
    assert told[0] == "dqn/E-v0_1/evaluations.npz cannot be read: it has no timesteps and results"
    assert told[1].startswith("dqn/E-v0_2/evaluations.npz cannot be read: ")


def test_a_run_without_evaluations_does_not_go_unsaid(tmp_path: Path) -> None:
    for number in (1, 2):
        write_monitor(tmp_path / "dqn" / f"E-v0_{number}" / "0.monitor.csv", [(1.0, 1, 1.0)], env="E-v0")
    write_npz(tmp_path / "dqn" / "E-v0_1")
    results = read_evidence(tmp_path)
    found = {finding.kind: finding.text for finding in lint(results, results.name)}
    assert found["aside"] == "dqn/E-v0_2 has monitor files and no evaluations.npz: left aside"
    assert found["note"] == "left aside: 2 monitor files (prefer=monitor reads them)"
