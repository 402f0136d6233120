"""The live view: what it adds up, what it shows at which width, and that it gives the terminal back."""

import io
import itertools
import re

import pytest
from rich.console import Console

from rlbench.runner.progress import Progress
from rlbench.runner.updates import VariantProgress, WorkerUpdate

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console_of(*, terminal: bool, width: int = 100, height: int = 30, **more: object) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    environment = {"TERM": "xterm-256color"} | dict(more.pop("environment", {}))  # type: ignore[call-overload]
    console = Console(
        file=file,
        force_terminal=terminal,
        width=width,
        height=height,
        _environ=environment,
        **more,  # type: ignore[arg-type]
    )
    return console, file


def plain_text(written: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)


def update(worker: int = 0, speed: float = 12_900.0, **variants: VariantProgress) -> WorkerUpdate:
    return WorkerUpdate(worker, sum(share.lanes_running for share in variants.values()), variants, speed)


def share(
    done: int, runs_done: int = 0, *, total: int = 1000, runs: int = 8, lanes: int = 8, value: float | None = None
) -> VariantProgress:
    return VariantProgress(done, total, runs_done, runs, value, lanes)


def last_frame(written: str) -> list[str]:
    """The lines of the last table that was drawn."""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", plain_text(written)) if line.strip()]
    start = max(i for i, line in enumerate(lines) if line.startswith("variant"))
    return lines[start:]


def test_a_line_says_how_far_how_fast_and_how_long() -> None:
    console, file = console_of(terminal=False)
    with Progress(console, Clock()) as progress:
        progress.update(update(soft_huber=share(420_000, total=1_000_500, lanes=8)))
    assert file.getvalue() == "  42 %  soft_huber 8/8 lanes  12 900 steps/s  0:45 left\n"


def test_workers_and_variants_are_added_up() -> None:
    console, _ = console_of(terminal=False)
    progress = Progress(console, Clock())
    with progress:
        progress.update(update(0, 100.0, a=share(100, 1, value=10.0, runs=2), b=share(0, lanes=0, runs=2)))
        progress.update(update(1, 50.0, a=share(300, 2, value=40.0, runs=4, lanes=3)))
        progress.update(update(1, 60.0, a=share(500, 2, value=40.0, runs=4, lanes=2)))
        assert progress.totals() == {
            "a": VariantProgress(600, 2000, 3, 6, 30.0, 10),
            "b": VariantProgress(0, 1000, 0, 2, None, 0),
        }
        assert progress.steps_per_second() == 160.0
        progress.drop(0)
        assert progress.totals()["a"].done_steps == 500
        assert list(progress.totals()) == ["a"]


def test_planned_work_that_nobody_began_counts() -> None:
    console, _ = console_of(terminal=False)
    with Progress(console, Clock()) as progress:
        progress.expect({"a": share(0, total=1000), "b": share(0, total=3000, runs=24)})
        progress.update(update(a=share(1000, 8, lanes=0)))
        assert progress.totals()["b"] == VariantProgress(0, 3000, 0, 24)
        assert progress.line().startswith("  25 %  8/32 runs")


def test_lines_come_at_most_every_ten_seconds_and_at_the_end() -> None:
    console, file = console_of(terminal=False)
    clock = Clock()
    with Progress(console, clock) as progress:
        for tenth in range(251):
            clock.now = 100 + tenth / 10
            progress.update(update(a=share(4 * tenth)))
        assert file.getvalue().count("\n") == 3  # at 1 s, 11 s and 21 s
    lines = file.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["4", "44", "84", "99"]


def test_the_end_repeats_nothing() -> None:
    console, file = console_of(terminal=False)
    clock = Clock()
    with Progress(console, clock) as progress:
        progress.update(update(a=share(0)))
        clock.now += 5
        progress.update(update(a=share(1000, 8, lanes=0)))
    assert len(file.getvalue().splitlines()) == 1
    assert file.getvalue().rstrip().endswith("done")
    assert file.getvalue().startswith(" 100 %")


def test_without_a_word_from_workers_nothing_is_printed() -> None:
    console, file = console_of(terminal=False)
    with Progress(console, Clock()):
        pass
    assert file.getvalue() == ""


def test_a_line_names_three_variants_and_counts_the_rest() -> None:
    console, _ = console_of(terminal=False)
    with Progress(console, Clock()) as progress:
        progress.update(update(**{name: share(0) for name in "abcde"}))
        assert "a 8/8, b 8/8, c 8/8 and 2 more variants, 40 lanes" in progress.line()


def test_percent_is_below_100_until_the_last_run_has_ended() -> None:
    console, _ = console_of(terminal=False)
    with Progress(console, Clock()) as progress:
        progress.update(update(a=share(1000, 7)))
        assert progress.line().startswith("  99 %")
        progress.update(update(a=share(1000, 8)))
        assert progress.line().startswith(" 100 %")


def test_an_unknown_total_is_counted_in_runs() -> None:
    console, _ = console_of(terminal=False)
    with Progress(console, Clock()) as progress:
        progress.update(update(a=share(12345, 2, total=0), b=share(5, 2, total=100)))
        assert progress.line().startswith("  25 %  4/16 runs")
        assert progress.line().endswith("time left unknown")


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, ["variant", "runs", "left"]),
        (60, ["variant", "%", "runs", "left", "return"]),
        (100, ["variant", "%", "runs", "lanes", "steps/s", "left", "return"]),
    ],
)
def test_the_table_fits_its_terminal(width: int, columns: list[str]) -> None:
    console, file = console_of(terminal=True, width=width)
    with Progress(console, Clock()) as progress:
        progress.update(update(a_variant_with_a_very_long_name_indeed=share(400, value=123.4), b=share(0, lanes=0)))
    frame = last_frame(file.getvalue())
    assert frame[0].split() == columns
    assert all(len(line) <= width for line in frame)
    assert "all" in frame[-1]
    assert "waiting" in next(line for line in frame if line.startswith("b "))


def test_a_row_shows_speed_time_left_and_return() -> None:
    console, file = console_of(terminal=True)
    clock = Clock()
    with Progress(console, clock) as progress:
        progress.update(update(a=share(0), b=share(1000, 8, lanes=0)))
        clock.now += 4
        progress.update(update(a=share(400, value=123.4), b=share(1000, 8, lanes=0, value=200.0)))
    frame = last_frame(file.getvalue())
    (a,) = (line.split() for line in frame if line.startswith("a "))
    (b,) = (line.split() for line in frame if line.startswith("b "))
    assert a[2:] == ["40", "%", "0/8", "8", "100", "0:06", "123.4"]
    assert b[2:] == ["100", "%", "8/8", "done", "200.0"]


def test_more_variants_than_lines_keep_those_under_way() -> None:
    console, file = console_of(terminal=True, height=9)
    variants = {f"v{i}": share(10, lanes=8 if i == 6 else 0) for i in range(8)}
    with Progress(console, Clock()) as progress:
        progress.update(update(**variants))
    frame = last_frame(file.getvalue())
    assert len(frame) <= 9
    assert any(line.startswith("v6 ") for line in frame)
    assert frame[-1] == "and 5 more variants"


def test_a_narrower_window_leaves_no_wrapped_lines_behind() -> None:
    console, file = console_of(terminal=True, width=100)
    clock = Clock()
    with Progress(console, clock) as progress:
        progress.update(update(a=share(0), b=share(0)))
        wide = last_frame(file.getvalue())
        before = len(file.getvalue())
        console.width = 50
        clock.now += 1
        progress.update(update(a=share(10), b=share(0)))
        written = file.getvalue()[before:]
    frame_end = written.index("variant")
    # Each line of up to 82 columns takes two lines of 50: one step up more for each.
    num_lines = len(wide) + 1  # with the empty line above "all"
    assert written[:frame_end].count("\x1b[1A") == 2 * num_lines - 1


def test_the_terminal_is_given_back_after_an_exception() -> None:
    console, file = console_of(terminal=True)

    def train() -> None:
        with Progress(console, Clock()) as progress:
            progress.update(update(a=share(10)))
            assert HIDE_CURSOR in file.getvalue()
            assert SHOW_CURSOR not in file.getvalue()
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        train()
    assert file.getvalue().rindex(SHOW_CURSOR) > file.getvalue().rindex(HIDE_CURSOR)


def test_no_color_means_no_colour() -> None:
    console, file = console_of(terminal=True, environment={"NO_COLOR": "1"})
    with Progress(console, Clock()) as progress:
        progress.update(update(a=share(400)))
    codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", file.getvalue()) for code in found.split(";")}
    assert codes <= {"", "0", "1", "2"}


def test_a_dumb_terminal_gets_lines() -> None:
    console, file = console_of(terminal=True, environment={"TERM": "dumb"})
    with Progress(console, Clock()) as progress:
        progress.update(update(a=share(400)))
    assert file.getvalue().splitlines() == ["  40 %  a 8/8 lanes  12 900 steps/s  0:00 left"]


def test_a_note_stays() -> None:
    for terminal in (False, True):
        console, file = console_of(terminal=terminal)
        with Progress(console, Clock()) as progress:
            progress.update(update(a=share(400)))
            progress.say("run 12 [failed]")
        assert "run 12 [failed]" in file.getvalue()


def test_a_second_round_starts_afresh() -> None:
    console, file = console_of(terminal=True)
    progress = Progress(console, Clock())
    for done in (10, 20):
        with progress:
            progress.update(update(0, a=share(done)))
            if done == 10:
                progress.update(update(1, a=share(500)))
    assert progress.totals()["a"].done_steps == 20
    assert file.getvalue().count(SHOW_CURSOR) == 2


def test_a_budget_in_episodes_moves_and_says_when_it_ends() -> None:
    console, _ = console_of(terminal=False)
    clock = Clock()
    with Progress(console, clock) as progress:
        for done in (0.0, 1.0, 2.0):
            share = VariantProgress(100, 0, 0, 8, None, 8, runs_share=done)
            progress.update(update(a=share))
            clock.now += 10
        clock.now -= 10
        assert progress.line().startswith("  25 %")
        assert progress.line().endswith("1:00 left")


def test_the_time_left_is_steady_and_leaves_the_compiler_out() -> None:
    console, _ = console_of(terminal=False)
    clock, told = Clock(), []
    done = 0.0
    with Progress(console, clock) as progress:
        progress.expect({"a": share(0, total=100_000)}, {"a": 3.0})
        for second in range(1, 61):
            clock.now = 100.0 + second
            compiled = min(second, 20.0)  # twenty seconds of compiling, then blocks that differ by a factor of three
            done += 0.0 if second <= 20 else (500, 1000, 1500)[second % 3]
            word = WorkerUpdate(0, 8, {"a": share(int(done), total=100_000)}, 30_000.0 * (second % 3), compiled)
            progress.update(word)
            if second > 30:
                minutes, seconds = progress.left().split(":")
                told.append((second, 60 * int(minutes) + int(seconds)))
    assert all(abs(left - (120 - second)) <= 15 for second, left in told)
    assert all(later <= earlier + 6 for (_, earlier), (_, later) in itertools.pairwise(told))


def test_slow_runs_that_wait_count_as_slow() -> None:
    console, _ = console_of(terminal=False)
    clock = Clock()
    with Progress(console, clock) as progress:
        progress.expect({"fast": share(0), "slow": share(0)}, {"fast": 1.0, "slow": 9.0})
        progress.update(update(fast=share(0)))
        clock.now += 10
        progress.update(update(fast=share(500)))
        assert progress.left() == "3:10"  # half of a tenth took ten seconds


def test_a_word_that_several_workers_say_is_printed_once() -> None:
    console, file = console_of(terminal=False)
    with Progress(console, Clock()) as progress:
        for _ in range(2):
            progress.say_once("compiling")
    assert file.getvalue().splitlines() == ["compiling"]
