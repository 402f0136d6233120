"""Numbers, names and commands as the report prints them."""

import pytest

from rlbench.reports.text import NOTHING, command_line, duration, number, plural, shortened, span, without_folders


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, NOTHING),
        (float("nan"), NOTHING),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (12345.4, "12 345"),
        (999.96, "1 000"),
        (999.94, "999.9"),
        (487.34, "487.3"),
        (9.996, "10.0"),
        (4.871, "4.87"),
        (0.4871, "0.487"),
        (0, "0.00"),
        (-200.0, "-200.0"),
        (-1e-9, "0.000"),
    ],
)
def test_number_has_the_digits_that_its_size_deserves(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_span_of_a_single_run_is_nothing() -> None:
    assert span(float("nan"), float("nan")) == NOTHING
    assert span(1.0, 20.0) == "[1.00, 20.0]"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (119, "119 s"), (150, "2.5 min"), (7199, "120.0 min"), (9000, "2.5 h")]
)
def test_duration_picks_its_unit(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_plural() -> None:
    assert [plural(n, "run") for n in (0, 1, 1200)] == ["0 runs", "1 run", "1 200 runs"]


def test_shortened_keeps_both_ends_and_prints() -> None:
    assert shortened("soft_huber", 10) == "soft_huber"
    assert shortened("soft_huber_lr=0.0003", 11) == "soft_….0003"
    assert len(shortened("x" * 100, 22)) == 22
    assert shortened("a\x00b\n") == "a?b?"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no space left: '/home/me/results/part.parquet'", "no space left: '…/part.parquet'"),
        ("in ~/work/store/x.py", "in …/x.py"),
        (r"in C:\Users\me\store.py", "in …/store.py"),
        ("see https://example.org/a/b/c", "see https://example.org/a/b/c"),
        ("experiments/a.yaml at 3/4", "experiments/a.yaml at 3/4"),
    ],
)
def test_without_folders_cuts_absolute_paths_only(text: str, shown: str) -> None:
    assert without_folders(text) == shown


def test_command_line_names_no_place_on_this_machine() -> None:
    words = [
        "/opt/venv/bin/python",
        "-m",
        "rlbench.run",
        "variant=[a,b]",
        "store=/home/me/r",
        "--config-dir",
        "/home/me/c",
    ]
    assert command_line(words) == "python -m rlbench.run 'variant=[a,b]' --config-dir '…/c'"
    assert command_line(["rlbench", "run", "store=~/r", "seeds=8"]) == "rlbench run seeds=8"
    assert command_line(["rlbench", "run", "store=mine"]) == "rlbench run store=mine"
