"""CSV files: every run read as it stands, and every damage one line with its row."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
from foreign_files import HEADER, write_csv

from rlbench.errors import ConfigError
from rlbench.evidence.csv_files import read_csv


def test_runs_are_read_in_order_of_their_steps(tmp_path: Path) -> None:
    rows = [
        ("b", "E-v0", 3, 20, 2.5),
        ("b", "E-v0", 3, "1e1", -1),
        ("a", "E-v0", 3, 10, "nan"),
        ("b", "F-v0", 3, 10, 0),
    ]
    runs = read_csv(write_csv(tmp_path / "runs.csv", rows)).runs
    assert [(run.variant, run.env, run.seed) for run in runs] == [("b", "E-v0", 3), ("a", "E-v0", 3), ("b", "F-v0", 3)]
    assert (runs[0].steps.tolist(), runs[0].returns.tolist()) == ([10, 20], [-1.0, 2.5])
    assert runs[0].origin == "runs.csv row 2"
    assert str(runs[1].returns[0]) == "nan"
    assert [run.repeated for run in runs] == [(), (), ()]


def test_a_step_that_stands_twice_is_told_unless_it_has_several_episodes(tmp_path: Path) -> None:
    rows = [("a", "E-v0", 0, 10, 1), ("a", "E-v0", 0, 20, 1), ("a", "E-v0", 0, 10, 2)]
    assert read_csv(write_csv(tmp_path / "runs.csv", rows)).runs[0].repeated == ("runs.csv row 4: step 10 again",)
    header = HEADER.replace("return\n", "return,episode\n")
    several = [(*row, number % 2) for number, row in enumerate([rows[0], rows[2]])]
    run = read_csv(write_csv(tmp_path / "several.csv", several, header)).runs[0]
    assert (run.repeated, run.episodes.tolist(), run.returns.tolist()) == ((), [0, 1], [1.0, 2.0])
    many = read_csv(write_csv(tmp_path / "many.csv", [rows[0]] * 9)).runs[0].repeated
    assert many[-1] == "and 3 more rows"
    assert len(many) == 6


def test_a_byte_order_mark_quotes_and_an_empty_last_row_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b'"a, with <b>","E-v0",1,10,2\n\n')
    assert [(run.variant, run.seed) for run in read_csv(path).runs] == [("a, with <b>", 1)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "runs.csv is empty; it needs the columns variant, environment, seed, step, return"),
        (HEADER, "runs.csv has a header and no rows"),
        ("variant,enviroment,seed,step,return\n", "row 1: unknown column 'enviroment'; did you mean 'environment'?"),
        ("variant,environment,seed,step\n", "row 1: the column 'return' is missing"),
        (HEADER + 'a,E,0,10,1\n"a,E,0,20,1\n', "runs.csv cannot be read: unexpected end of data"),
        ("variant,variant,environment,seed,step,return\n", "row 1: the column 'variant' is there twice"),
        ("variant,env,environment,seed,step,return\n", "row 1: the column 'environment' is there twice"),
        ("variant,environment,seed,step,return,score\n", "row 1: 'score' does not go with variant, environment, seed"),
        ("variant,environment,score,return\n", "row 1: 'return' does not go with variant, environment, score"),
    ],
)
def test_a_file_of_another_form_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_csv(path)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


SOUND = "b,E,1,10,1\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,E,0,10,1\na,E,0,20,high\n", "row 4: return must be a number, not 'high'; its run (a, E, 0) is left aside"),
        ("a,E,0.5,10,1\n", "row 3: seed must be a whole number from 0 up, not '0.5'; left aside"),
        ("a,E,0,-10,1\n", "row 3: step must be a whole number from 0 up, not '-10'; its run (a, E, 0) is left aside"),
        ("a,E,0,10,1\na,E,0,1e400,1\n", "row 4: step must be a whole number from 0 up, not '1e400'; its run (a, E, 0)"),
        ("a,E,nan,10,1\n", "row 3: seed must be a whole number from 0 up, not 'nan'; left aside"),
        (",E,0,20,1\n", "row 3: variant must be a name, not ''; left aside"),
        ("a,None,0,20,1\n", "row 3: environment must be a name, not 'None'; left aside"),
        ("\na,E,0,20,x\n", "row 4: return must be a number, not 'x'"),
        ("a,E,0,10,1,7,8\n", "row 3: 7 values for 5 columns: left aside"),
        ("a,E,0,20\n", "row 3: 4 values for 5 columns: left aside"),
    ],
)
def test_a_damaged_row_is_a_finding_and_the_rest_goes_on(tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(HEADER + SOUND + rows)
    reading = read_csv(path)
    assert [run.variant for run in reading.runs] == ["b"]
    (finding,) = reading.findings
    assert (finding.kind, finding.is_note) == ("unreadable", False)
    assert said in finding.text
    assert finding.text.isprintable()


def test_an_empty_return_is_nan_as_pandas_writes_it(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"variant": "a", "environment": "E", "seed": 0, "step": [10, 20], "return": [1.0, float("nan")]}
    )
    frame.to_csv(tmp_path / "runs.csv", index=False)
    reading = read_csv(tmp_path / "runs.csv")
    assert str(reading.runs[0].returns.tolist()) == "[1.0, nan]"
    assert reading.findings == []


@pytest.mark.parametrize(
    ("last", "kind", "said", "steps"),
    [
        ("a,E,0,20", "cut", "row 3: 'a,E,0,20' has no end, as while a run is still writing: left aside", [10]),
        ("a,E,0,20,2.5", "note", "row 3: the last row has no line end, and is read as it stands", [10, 20]),
    ],
)
def test_a_last_row_that_is_still_being_written_is_said(
    tmp_path: Path, last: str, kind: str, said: str, steps: list[int]
) -> None:
    (tmp_path / "runs.csv").write_text(HEADER + "a,E,0,10,1\n" + last)
    reading = read_csv(tmp_path / "runs.csv")
    assert reading.runs[0].steps.tolist() == steps
    (finding,) = reading.findings
    assert (finding.kind, finding.text) == (kind, f"runs.csv {said}")


def test_a_packed_file_is_unpacked_and_a_broken_one_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv.gz"
    path.write_bytes(gzip.compress((HEADER + "a,E,0,10,1\n").encode()))
    assert read_csv(path).runs[0].steps.tolist() == [10]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match=r"runs\.csv\.gz cannot be read: "):
        read_csv(path)


def test_scores_without_steps_are_one_number_a_run(tmp_path: Path) -> None:
    rows = [("a", "E", 1.5, 3), ("b", "E", 2.5, 3), ("a", "F", -1, 4), ("b", "E", 2, 3)]
    reading = read_csv(write_csv(tmp_path / "scores.csv", rows, "variant,env,final_return,seed\n"))
    assert not reading.has_curves
    assert reading.is_paired
    assert [(run.variant, run.env, run.seed, run.returns.tolist()) for run in reading.runs] == [
        ("a", "E", 3, [1.5]),
        ("b", "E", 3, [2.5, 2.0]),
        ("a", "F", 4, [-1.0]),
    ]
    assert [run.repeated for run in reading.runs] == [(), ("scores.csv row 5: a score again",), ()]
    unnamed = read_csv(write_csv(tmp_path / "scores.csv", [row[:3] for row in rows], "variant,env,score\n"))
    assert [(run.variant, run.seed) for run in unnamed.runs] == [("a", 0), ("b", 1), ("a", 2), ("b", 3)]
    assert not unnamed.is_paired
    assert "names no seeds: each row is taken for a run of its own" in unnamed.findings[0].text


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_bytes(HEADER.encode() + b"\xff\xfe,E,0,10,1\n")
    with pytest.raises(ConfigError, match=r"runs.csv cannot be read: .*utf-8"):
        read_csv(tmp_path / "runs.csv")


def test_of_many_damaged_rows_the_first_are_told(tmp_path: Path) -> None:
    rows = [("a", "E", 0, 10, 1), *(("b", "E", 0, step, "high") for step in range(20))]
    reading = read_csv(write_csv(tmp_path / "runs.csv", rows))
    assert [finding.text for finding in reading.findings[4:]] == [
        "runs.csv row 7: return must be a number, not 'high'; its run (b, E, 0) is left aside",
        "runs.csv: and 15 more rows",
    ]
