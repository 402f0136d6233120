"""Numbers, names and commands as the report prints them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rlbench.plain_text import as_message, escaped, one_line, printable
from rlbench.text import (
    NOTHING,
    command_line,
    duration,
    number,
    p_value,
    place_of,
    plural,
    share,
    shortened,
    signed,
    span,
    without_folders,
)


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
        (-1e-9, "-1.00e-9"),
        (0.04871, "0.0487"),
        (0.001, "0.00100"),
        (0.00099999, "0.00100"),
        (0.0004871, "4.87e-4"),
        (123_456_789.0, "123 456 789"),
        (3.4e38, "3.40e38"),
        (-1e155, "-1.00e155"),
    ],
)
def test_number_has_the_digits_that_its_size_deserves(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_span_of_a_single_run_is_nothing() -> None:
    assert span(float("nan"), float("nan")) == NOTHING
    assert span(1.0, 20.0) == "[1.00, 20.0]"


@pytest.mark.parametrize(
    ("estimate", "low", "high", "shown"),
    [
        (1.004e-4, 9.14e-5, 1.093e-4, "+1.004e-4 [+9.14e-5, +1.093e-4]"),
        (12.345, 9.1, 15.6, "+12.3 [+9.1, +15.6]"),
        (0.4, -12.3, 13.1, "+0.4 [-12.3, +13.1]"),
        (-250.0, -300.0, -200.0, "-250.0 [-300.0, -200.0]"),
        (1_234_567.0, 1_234_566.5, 1_234_567.5, "+1 234 567.00 [+1 234 566.50, +1 234 567.50]"),
        (499.99995, 499.9999, 500.0, "+499.999950 [+499.999900, +500.000000]"),
        (3.4e38, 3.1e38, 3.7e38, "+3.40e38 [+3.10e38, +3.70e38]"),
        (0.0, 0.0, 0.0, "0.00 [0.00, 0.00]"),
        (4.0, 4.0, 4.0, "+4.00 [+4.00, +4.00]"),
    ],
)
def test_a_difference_has_the_digits_that_its_interval_supports(
    estimate: float, low: float, high: float, shown: str
) -> None:
    place = place_of(low, high, estimate)
    assert f"{signed(estimate, place)} [{signed(low, place)}, {signed(high, place)}]" == shown


@given(
    st.floats(-1e300, 1e300),
    st.floats(0, 1e300),
    st.floats(min_value=0, max_value=1),
)
def test_ends_of_an_interval_are_shown_apart_where_they_are(low: float, width: float, part: float) -> None:
    high = low + width
    assume(high - low > 1e-9 * max(abs(low), abs(high)))
    place = place_of(low, high, low + part * (high - low))
    assert number(low, place) != number(high, place)
    for end in (low, high):
        assert len(number(end, place)) < 40
        said = float(number(end, place).replace(" ", ""))
        assert abs(said - end) <= 0.03 * (high - low)


def test_an_interval_without_ends_asks_for_no_place() -> None:
    assert place_of(None, 1.0) is None
    assert place_of(float("nan"), float("nan"), 4.0) is None


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.00"), (1.0, "1.00"), (0.5, "0.50"), (0.004, "0.004"), (0.998, "0.998"),
                         (1e-9, "< 0.0001"), (1 - 1e-9, "> 0.9999"), (float("nan"), NOTHING)],
)  # fmt: skip
def test_a_rate_that_is_not_0_or_1_is_not_shown_as_one(value: float, shown: str) -> None:
    assert share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.05, "0.050"), (0.0504, "0.0504"), (0.0496, "0.0496"), (0.050001, "> 0.05"),
                         (0.049999, "< 0.05"), (0.0004, "< 0.001"), (1.0, "1.000")],
)  # fmt: skip
def test_a_p_value_beside_the_level_says_on_which_side_it_is(value: float, shown: str) -> None:
    assert p_value(value) == shown


def test_what_no_eye_sees_is_written_out() -> None:
    assert printable("a\x1b[31mred\x07\u202eb\x9bc\td") == r"a\x1b[31mred\x07\u202eb\x9bc\td"
    assert printable("50\N{NO-BREAK SPACE}000\nsoft_huber 软更新 ±") == "50\N{NO-BREAK SPACE}000\nsoft_huber 软更新 ±"
    assert escaped("a\tb\n\N{NO-BREAK SPACE}c") == r"a\tb\n\xa0c"
    assert one_line(" a\tb\n\x1bc\N{NO-BREAK SPACE} d ") == r"a b \x1bc d"


def test_a_message_is_one_line_of_bounded_length() -> None:
    assert as_message("a\nb\x07") == r"a b\x07"
    assert as_message("x" * 1000) == f"{'x' * 200}...{'x' * 50}"
    assert len(as_message("word " * 10_000)) == 3995


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
