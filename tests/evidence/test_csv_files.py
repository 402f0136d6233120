"""CSV files: every run read as it stands, and every damage one line with its row."""

from pathlib import Path

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
    runs = read_csv(write_csv(tmp_path / "runs.csv", rows))
    assert [(run.variant, run.env, run.seed) for run in runs] == [("b", "E-v0", 3), ("a", "E-v0", 3), ("b", "F-v0", 3)]
    assert (runs[0].steps.tolist(), runs[0].returns.tolist()) == ([10, 20], [-1.0, 2.5])
    assert runs[0].origin == "runs.csv row 2"
    assert str(runs[1].returns[0]) == "nan"
    assert [run.repeated for run in runs] == [(), (), ()]


def test_a_step_that_stands_twice_is_told_unless_it_has_several_episodes(tmp_path: Path) -> None:
    rows = [("a", "E-v0", 0, 10, 1), ("a", "E-v0", 0, 20, 1), ("a", "E-v0", 0, 10, 2)]
    assert read_csv(write_csv(tmp_path / "runs.csv", rows))[0].repeated == ("runs.csv row 4: step 10 again",)
    header = HEADER.replace("return\n", "return,episode\n")
    several = [(*row, number % 2) for number, row in enumerate([rows[0], rows[2]])]
    run = read_csv(write_csv(tmp_path / "several.csv", several, header))[0]
    assert (run.repeated, run.episodes.tolist(), run.returns.tolist()) == ((), [0, 1], [1.0, 2.0])
    many = read_csv(write_csv(tmp_path / "many.csv", [rows[0]] * 9))[0].repeated
    assert many[-1] == "and 3 more rows"
    assert len(many) == 6


def test_a_byte_order_mark_quotes_and_an_empty_last_row_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b'"a, with <b>","E-v0",1,10,2\n\n')
    assert [(run.variant, run.seed) for run in read_csv(path)] == [("a, with <b>", 1)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "runs.csv is empty; it needs the columns variant, environment, seed, step, return"),
        (HEADER, "runs.csv has a header and no rows"),
        ("variant,enviroment,seed,step,return\n", "row 1: unknown column 'enviroment'; did you mean 'environment'?"),
        ("variant,environment,seed,step\n", "row 1: the column 'return' is missing"),
        (HEADER + "a,E,0,10,1\na,E,0,20,high\n", "row 3: return must be a number, not 'high'"),
        (HEADER + "a,E,0,10,\n", "row 2: return must be a number, not ''"),
        (HEADER + "a,E,0.5,10,1\n", "row 2: seed must be a whole number from 0 up, not '0.5'"),
        (HEADER + "a,E,0,-10,1\n", "row 2: step must be a whole number from 0 up, not '-10'"),
        (HEADER + "a,E,nan,10,1\n", "row 2: seed must be a whole number from 0 up, not 'nan'"),
        (HEADER + "a,E,0,10,1\n,E,0,20,1\n", "row 3: variant must be a name, not ''"),
        (HEADER + "a,E,0,10,1\n\na,E,0,20,x\n", "row 4: return must be a number, not 'x'"),
        (HEADER + "a,E,0,10,1,7,8\n", "row 2: 7 values for 5 columns"),
        (HEADER + "a,E,0,10,1\na,E,0,20\n", "row 3: 4 values for 5 columns"),
        (HEADER + 'a,E,0,10,1\n"a,E,0,20,1\n', "runs.csv cannot be read: unexpected end of data"),
        ("variant,variant,environment,seed,step,return\n", "row 1: the column 'variant' is there twice"),
    ],
)
def test_a_damaged_file_is_one_line_with_its_row(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_csv(path)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_bytes(HEADER.encode() + b"\xff\xfe,E,0,10,1\n")
    with pytest.raises(ConfigError, match=r"runs.csv cannot be read: .*utf-8"):
        read_csv(tmp_path / "runs.csv")
