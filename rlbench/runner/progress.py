"""The live view of training: what each variant has done, how fast it goes and when it ends.

In: a `WorkerUpdate` from every worker about once a second. Out: a table that keeps itself up to date on a terminal, or
a line every 10 s where there is none. Never: reads the store, starts a thread, or slows a worker: it only adds up.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.table import Table
from rich.text import Text

from rlbench.plain_text import as_message
from rlbench.runner.progress_table import add_columns, cells, columns_that_fit, rows_that_fit
from rlbench.runner.updates import (
    VariantProgress,
    WorkerUpdate,
    added,
    at_least,
    clock,
    count,
    fraction,
    is_done,
    runs_done,
    seconds_left,
)

LINE_PERIOD_SECONDS = 10.0
REFRESH_PERIOD_SECONDS = 0.2
# The first line waits until the other workers have spoken too, or its totals would be those of one of them.
FIRST_LINE_SECONDS = 1.0
# Over how long a variant's speed is measured: long enough to smooth evaluations, short enough to follow a new cohort.
SPEED_WINDOW_SECONDS = 15.0
_NAMED_IN_LINE = 3


@dataclass
class _Speed:
    """Steps per second of one variant over the last seconds."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)
    first: tuple[float, int] = (0.0, 0)

    def observe(self, now: float, steps: int) -> None:
        if not self.seen or steps <= self.first[1]:
            self.first = (now, steps)
        if self.seen and steps < self.seen[-1][1]:  # a worker was lost, and its work with it
            self.seen.clear()
        self.seen.append((now, steps))
        while len(self.seen) > 2 and now - self.seen[0][0] > SPEED_WINDOW_SECONDS:
            self.seen.popleft()

    def per_second(self) -> float:
        (start, before), (end, after) = self.seen[0], self.seen[-1]
        return (after - before) / (end - start) if end > start else 0.0

    def since_its_first_step(self) -> float:
        """Steps per second from all that was seen, which changes slowly: for the time left."""
        (start, before), (end, after) = self.first, self.seen[-1]
        return (after - before) / (end - start) if end > start else 0.0


class Progress:
    """Shows the updates of all workers while it is entered as a context, and gives the terminal back at its end.

    console: where to show it, stderr by default, so that stdout stays a result. clock: seconds, for tests.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._planned: dict[str, VariantProgress] = {}
        self._updates: dict[int, WorkerUpdate] = {}
        self._kept: dict[int, Mapping[str, VariantProgress]] = {}
        """worker -> what it has done in rounds that have ended; `_updates` have it too"""
        self._speeds: dict[str, _Speed] = {}
        self._costs: Mapping[str, float] = {}
        self._begun: dict[int, tuple[float, float]] = {}
        """worker -> when it was first heard of, less what it had compiled, and the work that it had done by then"""
        self._said: set[str] = set()
        self._live: Live | None = None
        self._due_at: float | None = None
        self._is_stale = False
        self._drawn_widths: list[int] = []
        self._drawn_for = 0

    @property
    def is_live(self) -> bool:
        """Whether there is a terminal whose lines can be redrawn."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def __enter__(self) -> Self:
        """Start a round of workers: what those of an earlier round said no longer counts."""
        self._updates.clear()
        self._kept.clear()
        self._speeds.clear()
        self._begun.clear()
        self._due_at, self._is_stale = None, False
        self._drawn_widths, self._drawn_for = [], 0
        if self.is_live:
            self._live = Live(console=self._console, auto_refresh=False, get_renderable=self._view)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._is_stale:
                self._show()
        finally:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def expect(self, planned: Mapping[str, VariantProgress], costs: Mapping[str, float] | None = None) -> None:
        """Say what the whole round is, so that work which no worker has begun is counted in percent and time left.

        Without it the totals are the sums of what the workers report; with it they are never smaller than planned. `costs` are the
        seconds that a run of each variant is expected to take: only how they compare with each other counts.
        """
        self._planned, self._costs = dict(planned), dict(costs or {})

    def update(self, update: WorkerUpdate) -> None:
        """Take in one worker's news, and show it if it is time."""
        kept = self._kept.get(update.worker, {})
        if kept:
            own = update.per_variant
            both = {
                name: added(one[name] for one in (kept, own) if name in one) for name in dict.fromkeys([*kept, *own])
            }
            update = replace(update, per_variant=both)
        self._updates[update.worker] = update
        self._begun.setdefault(update.worker, (self._clock() - update.compile_seconds, self._work(update.per_variant)))
        for variant, total in self.totals().items():
            self._speeds.setdefault(variant, _Speed()).observe(self._clock(), total.done_steps)
        self._is_stale = True
        if self._due_at is None:
            self._due_at = self._clock() + (0.0 if self._live is not None else FIRST_LINE_SECONDS)
        if self._clock() >= self._due_at:
            self._show()

    def keep(self, worker: int) -> None:
        """A worker has done a round: what it says from now on comes on top."""
        if worker in self._updates:
            last = self._updates[worker].per_variant
            self._kept[worker] = {name: replace(share, lanes_running=0) for name, share in last.items()}
            self._set_back(worker)

    def drop(self, worker: int) -> None:
        """Forget what a worker that died was doing: whoever takes its runs reports them again."""
        self._updates.pop(worker, None)
        self._begun.pop(worker, None)
        if worker in self._kept:
            self._set_back(worker)

    def _set_back(self, worker: int) -> None:
        """To what it has done in rounds that have ended."""
        self._updates[worker] = WorkerUpdate(worker, 0, self._kept[worker], 0.0)

    def say(self, line: str) -> None:
        """Print a line that stays, above the table."""
        self._console.print(Text(as_message(line)))

    def say_once(self, line: str) -> None:
        """`say`, unless the same was said before."""
        if line not in self._said:
            self._said.add(line)
            self.say(line)

    def totals(self) -> dict[str, VariantProgress]:
        """Each variant over all workers, as planned or else first heard of."""
        heard = (name for update in self._updates.values() for name in update.per_variant)
        totals = {}
        for name in dict.fromkeys([*self._planned, *heard]):
            shares = [update.per_variant[name] for update in self._updates.values() if name in update.per_variant]
            totals[name] = at_least(added(shares), self._planned[name]) if name in self._planned else added(shares)
        return totals

    def steps_per_second(self) -> float:
        """Environment steps a second over all workers, as they report it."""
        return sum(update.lane_steps_per_second for update in self._updates.values() if update.lanes_running)

    def _work(self, per_variant: Mapping[str, VariantProgress]) -> float:
        """What is done, in the expected seconds of its runs."""
        return sum(self._costs.get(name, 1.0) * runs_done(share) for name, share in per_variant.items())

    def left(self) -> str:
        """The time left, from all that was measured since the workers began but the compiler's time; empty where nobody can tell."""
        totals, rate = self.totals(), 0.0
        for worker, update in self._updates.items():
            begin, before = self._begun[worker]
            seconds = self._clock() - update.compile_seconds - begin
            if update.lanes_running and seconds > 0:
                rate += max(0.0, self._work(update.per_variant) - before) / seconds
        if rate <= 0:
            return seconds_left(added(totals.values()), self.steps_per_second())
        whole = sum(self._costs.get(name, 1.0) * total.runs_total for name, total in totals.items())
        return clock((whole - self._work(totals)) / rate)

    def line(self) -> str:
        """The state as one line of text."""
        totals = self.totals()
        overall = added(totals.values())
        running = [(name, total) for name, total in totals.items() if total.lanes_running]
        lanes = ", ".join(
            f"{name} {total.lanes_running}/{total.runs_total}" for name, total in running[:_NAMED_IN_LINE]
        )
        if not running:
            lanes = str(sum(update.lanes_running for update in self._updates.values()))
        elif len(running) > _NAMED_IN_LINE:
            lanes += f" and {len(running) - _NAMED_IN_LINE} more variants"
            lanes = f"{lanes}, {overall.lanes_running}"
        speed = self.steps_per_second()
        parts = [f"{100 * fraction(overall):4.0f} %", f"{lanes} lanes", f"{count(speed)} steps/s"]
        if len(totals) > 1 or overall.runs_done:
            parts.insert(1, f"{overall.runs_done}/{overall.runs_total} runs")
        left = self.left()
        return "  ".join([*parts, "done" if is_done(overall) else f"{left} left" if left else "time left unknown"])

    def _show(self) -> None:
        self._is_stale = False
        if self._live is not None:
            self._due_at = self._clock() + REFRESH_PERIOD_SECONDS
            self._erase_wrapped()
            self._live.refresh()
        else:
            self._due_at = self._clock() + LINE_PERIOD_SECONDS
            self._console.print(Text(self.line()), soft_wrap=True)

    def _erase_wrapped(self) -> None:
        """Make up for lines that a narrower window has wrapped: `Live` goes up as many lines as it wrote."""
        width = self._console.width
        if width < self._drawn_for:
            added = sum((length - 1) // width for length in self._drawn_widths if length)
            step = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            self._console.control(Control(*step * added))
        lines = self._console.render_lines(self._view(), pad=False)
        self._drawn_widths = [Segment.get_line_length(line) for line in lines]
        self._drawn_for = width

    def _view(self) -> RenderableType:
        """The table, fitted to the terminal as it is now."""
        if not self._updates:
            return Text("waiting for the first worker ...", style="dim")
        width, height = self._console.size
        totals = self.totals()
        columns = columns_that_fit(width)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        add_columns(table, columns, width)
        shown, num_hidden = rows_that_fit(totals, max(1, height - 5))
        for name, total in shown:
            speed = self._speeds.get(name)
            left = seconds_left(total, speed.since_its_first_step()) if speed else ""
            table.add_row(*cells(name, total, speed.per_second() if speed else 0.0, columns, left))
        if len(totals) > 1:
            table.add_section()
            overall = added(totals.values())
            lanes = sum(update.lanes_running for update in self._updates.values())
            table.add_row(
                *cells("all", overall, self.steps_per_second(), columns, self.left(), lanes=lanes), style="bold"
            )
        hidden = [Text(f"and {num_hidden} more variants", style="dim")] if num_hidden else []
        return Group(table, *hidden)
