"""The follower: a process that mirrors a store to a tracker until it is told to stop, and then what is left.

In: where a store lies and a tracker's settings. Out: runs at the tracker, lines in `<store>/<tracker>/follower.log` (of a remote store,
in the local folder for what lies beside it), an exit code:
0 when all that is published has been mirrored, 1 where something of the store is damaged, 2 for input that cannot work, 3 when
the tracker could not be reached or another follower is at it, 4 where its files cannot be written. It is told to stop
by anything on its standard input, by its end, or by the end of its parent. It can be killed and paused at any moment.
Must never hold up a training program: beside one it has the lowest priority, it changes nothing of the store, and
nobody waits for it.

    python -m rlbench.tracking.follower STORE --settings '{"tracker": "wandb", "mode": "online"}'
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rlbench.errors import EXIT_CANNOT_WRITE, EXIT_DIFFERENCE, EXIT_OK, RlbenchError
from rlbench.places import Place, beside, is_remote, place_of
from rlbench.store import Store
from rlbench.tracking.ledger import Lock, MirrorLedger, destination_folder, remember, remove_folder, tracker_folder
from rlbench.tracking.mirror import Mirror
from rlbench.tracking.tracker import Tracker, TrackerSettings, TrackingError
from rlbench.tracking.trackers import from_text, name_of, new_tracker

EXIT_LEFT = TrackingError.exit_code
_POLL_SECONDS = 3.0
_FIRST_PAUSE_SECONDS = 5.0  # after the tracker could not be reached; doubled each time
_LONGEST_PAUSE_SECONDS = 60.0
_TELL_SECONDS = 5.0  # between two words on how far the work is
_HANDOVER_SECONDS = 30.0  # how long to wait, when told to stop, for another follower that may be ending too
_SETTLE_SECONDS = 2.0  # for what a killed follower had sent to get through the server


class Stop:
    """The word to stop, from the process that started us."""

    def __init__(self, stream: int) -> None:
        """stream: a descriptor; whatever comes, or its end, is the word."""
        self._stream = stream
        self._parent = os.getppid()
        self.is_said = False

    def wait(self, seconds: float) -> bool:
        """Wait for the word, so long at most; whether it has been said."""
        if not self.is_said:
            readable, _, _ = select.select([self._stream], [], [], seconds)
            self.is_said = bool(readable) or os.getppid() != self._parent
        return self.is_said


class Log:
    """One line for everything that went wrong, and none for what did not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, text: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        with open(self._path, "a") as file:
            file.write(f"{stamp} {text}\n")


def follow(
    make_mirror: Callable[[], Mirror], *, stop: Stop, lost: threading.Event, log: Log, poll_seconds: float
) -> str:
    """Mirror until told to stop, then what is left; returns what was left undone, in words, or an empty text.

    Whatever goes wrong, expected or not, the answer is a line in the log and a new mirror after a pause.
    """
    failures = 0
    while True:
        mirror: Mirror | None = None
        lost.clear()
        try:
            mirror = make_mirror()
            is_last = stop.wait(0.0)
            while True:
                mirror.advance()
                if lost.is_set():
                    raise TrackingError("the server takes nothing more")
                if failures:
                    log.write("the tracker takes rows again")
                    failures = 0
                if is_last:
                    mirror.finish()
                    return ""
                is_last = stop.wait(poll_seconds)
        except Exception as error:
            reason = str(error) if isinstance(error, RlbenchError) else f"{type(error).__name__}: {error}"
            if not failures:
                log.write(f"{reason}; training goes on, and python -m rlbench.sync catches up")
            if stop.is_said:
                return reason
            if mirror is not None:
                mirror.abandon()
            stop.wait(min(_FIRST_PAUSE_SECONDS * 2**failures, _LONGEST_PAUSE_SECONDS))
            failures += 1


class Trackers:
    """A tracker after the other, all of the same settings: a new mirror has a new one. `lost` is set where one takes nothing more."""

    def __init__(self, settings: TrackerSettings, root: Path) -> None:
        self.settings, self.root = settings, root
        self.lost = threading.Event()
        self._made: list[Tracker] = []

    def make(self) -> Tracker:
        self._made.append(new_tracker(self.settings, self.root, on_lost=self.lost.set))
        return self._made[-1]

    @property
    def address(self) -> str:
        """Where the latest that knows it has put runs; empty where none does."""
        return next((one.address for one in reversed(self._made) if one.address), "")


class Ticker:
    """Says from time to time how far the work is: the first time after a while, for those who wait."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._next = say, time.monotonic() + _TELL_SECONDS

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _TELL_SECONDS
            self._say(f"mirroring: {done} of {of} runs")


def _take(lock: Lock, stop: Stop, handover_seconds: float, tell: Callable[[str], None]) -> bool:
    """Wait for the lock, which our children hold too; when told to stop, only for as long as another follower may need to end."""
    deadline, is_told = None, False
    while not lock.try_take():
        if not is_told:
            is_told = True
            tell(f"waiting for {lock.holder}, which is mirroring this store")
        if stop.wait(1.0):
            deadline = deadline or time.monotonic() + handover_seconds
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
    lock.hand_to_children()
    return True


def _parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, TrackerSettings]:
    parser = argparse.ArgumentParser(prog="python -m rlbench.tracking.follower", description=__doc__.splitlines()[0])
    parser.add_argument("store", type=place_of)
    parser.add_argument("--settings", required=True, help="of the tracker, as JSON")
    parser.add_argument("--poll-seconds", type=float, default=_POLL_SECONDS)
    parser.add_argument("--handover-seconds", type=float, default=_HANDOVER_SECONDS)
    parser.add_argument("--background", action="store_true", help="take the lowest priority")
    parser.add_argument("--check", action="store_true", help="only see whether there is a key where one is needed")
    given = parser.parse_args(argv)
    return given, from_text(given.settings)


def _run(argv: Sequence[str] | None, stop: Stop, say: Callable[[str], None], tell: Callable[[str], None]) -> int:
    """say: for what came of it. tell: for what is going on meanwhile, and what was found damaged."""
    given, settings = _parse(argv)
    if not settings.is_enabled:
        return EXIT_OK
    if given.background:
        os.nice(19)  # a tracker's own processes inherit it
    place: Place = given.store.absolute()

    def open_store() -> Store:
        return Store.open(place, create=False, say=lambda line: tell(f"damage: {line}"))

    # A remote store is opened with credentials of the environment, which no tracker is to see: before it is the tracker's.
    store = open_store() if is_remote(place) and not given.check else None
    environment = settings.variables(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    trackers = Trackers(settings, beside(place).absolute())
    tracker = trackers.make()
    if given.check:
        return EXIT_OK
    store = store or open_store()
    store.note_strays()
    folder = destination_folder(trackers.root, name_of(settings), tracker.destination)
    lock = Lock(folder)
    if not _take(lock, stop, given.handover_seconds, tell):
        say(
            f"nothing was mirrored: another follower, {lock.holder}, is mirroring this store; try again when it has ended"
        )
        return EXIT_LEFT
    if lock.mark() and tracker.is_remote:
        time.sleep(_SETTLE_SECONDS)
    left = _follow(store, trackers, folder, stop, tell, given.poll_seconds)
    if left:
        say(f"not everything has been mirrored: {left}; the same command goes on where this one stopped")
        return EXIT_LEFT
    lock.unmark()
    told, address = settings.told(len(MirrorLedger(folder).runs)), trackers.address
    say(f"{told}: {address}" if address else told)
    return EXIT_DIFFERENCE if store.damage.lines else EXIT_OK


def _follow(
    store: Store, trackers: Trackers, folder: Path, stop: Stop, tell: Callable[[str], None], poll_seconds: float
) -> str:
    """Mirror a store with the ledger of a folder, which is locked; returns what was left undone, in words."""
    own = tracker_folder(trackers.root, name_of(trackers.settings))
    remove_folder(folder / "scratch", own)
    remember(trackers.root, trackers.settings)

    def make_mirror() -> Mirror:
        ledger = MirrorLedger(folder)
        if ledger.num_bad_lines:
            tell(
                f"{ledger.num_bad_lines} lines of {folder / 'mirrored.jsonl'} are not to be read; their runs are mirrored again"
            )
        return Mirror(store, ledger, trackers.make(), Ticker(tell))

    log = Log(own / "follower.log")
    left = follow(make_mirror, stop=stop, lost=trackers.lost, log=log, poll_seconds=poll_seconds)
    if not left:
        remove_folder(folder / "scratch", own)
    return left


def main(argv: Sequence[str] | None = None) -> int:
    """The process. Its standard streams become others: a tracker's own processes inherit them, and print."""
    stop = Stop(os.dup(0))
    out, err = (os.fdopen(os.dup(stream), "w") for stream in (1, 2))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def say(text: str) -> None:
        with suppress(BrokenPipeError):  # who would have read it has ended
            print(text, file=out, flush=True)

    try:
        return _run(
            argv,
            stop,
            say=say,
            tell=lambda text: print(text, file=err, flush=True),
        )
    except RlbenchError as error:
        print(f"rlbench: {error}", file=err, flush=True)
        return error.exit_code
    except OSError as error:
        print(f"rlbench: cannot write the tracker's files: {error}", file=err, flush=True)
        return EXIT_CANNOT_WRITE
    except Exception:
        # The interpreter's own report would go where that of the tracker's processes goes.
        traceback.print_exc(file=err)
        return 1


if __name__ == "__main__":
    # Not sys.exit: at exit a client may wait for a server that is gone.
    code = main()
    sys.stdout.flush()
    os._exit(code)
