"""One monitor file: the episodes that were written come out, a row under way is left aside, and damage is one line with its row."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from foreign_files import write_monitor

from rlbench.errors import ConfigError
from rlbench.evidence.monitor_files import read_monitor
from rlbench.evidence.monitor_runs import read_monitors

EPISODES = [(10.0, 10, 0.1), (12.5, 13, 0.5), (7.0, 7, 0.9)]


def test_episodes_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write_monitor(tmp_path / "3.monitor.csv", EPISODES, start=100.5)
    file = read_monitor(path, "3.monitor.csv")
    assert (file.name, file.env, file.start, file.cut, len(file)) == ("3", "CartPole-v1", 100.5, "", 3)
    assert (file.returns.tolist(), file.lengths.tolist(), file.times.tolist()) == (
        [10, 12.5, 7],
        [10, 13, 7],
        [0.1, 0.5, 0.9],
    )


@pytest.mark.parametrize("env", [None, "None", "", "null", "Unknown"])
def test_an_environment_without_an_id_has_no_name(tmp_path: Path, env: str | None) -> None:
    path = write_monitor(tmp_path / "0.monitor.csv", EPISODES, env=env)
    assert read_monitor(path, "").env == ""


def test_more_columns_and_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "monitor.csv"
    path.write_bytes(b'#{"env_id": "E", "t_start": 1}\r\nl,r,t,is_success\r\n5,-1.5,0.5,True\r\n\r\n')
    file = read_monitor(path, "monitor.csv")
    assert (file.name, file.returns.tolist(), file.lengths.tolist()) == ("", [-1.5], [5])


def test_packed_files_are_read_and_cut_ones_are_damage(tmp_path: Path) -> None:
    plain = write_monitor(tmp_path / "a" / "E" / "0.monitor.csv", EPISODES)
    packed = tmp_path / "a" / "E" / "0.monitor.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (finding,) = read_monitors(tmp_path).findings
    assert finding.text == "a/E/0.monitor.csv.gz stands beside the same file unpacked: left aside"
    plain.unlink()
    assert [run.returns.tolist() for run in read_monitors(tmp_path).runs] == [[10.0, 12.5, 7.0]]
    packed.write_bytes(packed.read_bytes()[:30])
    assert [finding.kind for finding in read_monitors(tmp_path).findings] == ["unreadable"]


@pytest.mark.parametrize("last", ["20,1", "20,10,1", "20,10,19.5"])
def test_a_last_row_without_an_end_is_left_aside_whatever_it_looks_like(tmp_path: Path, last: str) -> None:
    path = write_monitor(tmp_path / "0.monitor.csv", EPISODES)
    path.write_text(path.read_text() + last)
    file = read_monitor(path, "0.monitor.csv")
    assert len(file) == 3
    assert file.cut == f"0.monitor.csv row 6: '{last}' has no end, as while a run is still writing: left aside"


def test_a_return_that_is_no_number_stays_where_it_is(tmp_path: Path) -> None:
    path = write_monitor(tmp_path / "0.monitor.csv", [])
    path.write_text(path.read_text() + "nan,10,1.0\n,10,2.0\n-inf,10,3.0\n")
    assert np.array_equal(read_monitor(path, "").returns, [np.nan, np.nan, -np.inf], equal_nan=True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a/E/0.monitor.csv", "r,l,t\n1,1,1\n", "a/E/0.monitor.csv row 1: a monitor file begins with #{...}"),
        ("a/E/0.monitor.csv", "#[1]\nr,l,t\n1,1,1\n", "a/E/0.monitor.csv row 1: a monitor file begins with #{...}"),
        ("a/E/0.monitor.csv", "#{oops\nr,l,t\n", "a/E/0.monitor.csv row 1: the header is no JSON"),
        ("a/E/0.monitor.csv", "#" + "[" * 100_000 + "\nr,l,t\n", "row 1: the header is no JSON (it cannot be read)"),
        ("a/E/0.monitor.csv", "#{}\nr,l\n1,1\n", "row 2: the column 't' is missing"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,2,3\n1,x,3\n", "row 4: '1,x,3' is no episode"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,0,3\n", "row 3: '1,0,3' is no episode"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,inf,3\n", "row 3: '1,inf,3' is no episode"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,2.5,3\n", "row 3: '1,2.5,3' is no episode"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n" + "1,9e15,3\n" * 2, "its episodes have 1.8e+16 steps together"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,2,soon\n", "row 3: '1,2,soon' is no episode"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,2,nan\n", "row 3: '1,2,nan' is no episode"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n5,50,1.0\n6,60,2.0\n7,70,3.07,71,3.1\n8,80,4.0\n", "row 5: 5 values for 3"),
        ("a/E/0.monitor.csv", "#{}\nr,l,t\n1,2,3\n\0\0\0\0\n", "a/E/0.monitor.csv"),
        ("a/E/0.monitor.csv", "#{}\n", "a/E/0.monitor.csv cannot be read"),
        ("a/E/0.monitor.csv", "", "a/E/0.monitor.csv row 1: a monitor file begins with #{...}"),
        ("a/E/best.monitor.csv", "#{}\nr,l,t\n", "a/E/best.monitor.csv: 'best' is not a seed"),
        ("a/0.monitor.csv", "#{}\nr,l,t\n", "a/0.monitor.csv: monitor files are read from VARIANT/ENVIRONMENT/SEED"),
    ],
)
def test_a_damaged_monitor_file_is_a_finding_and_the_rest_goes_on(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    write_monitor(tmp_path / "sound" / "E-v0" / "0.monitor.csv", EPISODES)
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    reading = read_monitors(tmp_path)
    assert [run.variant for run in reading.runs] == ["sound"]
    found = [finding.text for finding in reading.findings if finding.kind == "unreadable"]
    assert said in found[0]
    assert len(found) == 1


def test_an_unreadable_file_of_a_parallel_run_takes_its_run_with_it(tmp_path: Path) -> None:
    for rank in range(3):
        write_monitor(tmp_path / "a" / "E-v0_1" / f"{rank}.monitor.csv", EPISODES, env="E-v0", start=rank / 500)
    (tmp_path / "a" / "E-v0_1" / "1.monitor.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"1\.monitor\.csv cannot be read"):
        read_monitor(tmp_path / "a" / "E-v0_1" / "1.monitor.csv", "1.monitor.csv")
    reading = read_monitors(tmp_path)
    assert reading.runs == []
    assert "its run is left aside, since the steps of a/E-v0_1/1.monitor.csv are unknown" in reading.findings[-1].text
