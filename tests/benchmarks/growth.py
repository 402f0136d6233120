"""How commands grow with the number of runs: processor seconds and peak memory of each on a store, on one core.

    python -m tests.benchmarks growth                                   500, 2 000 and 10 000 runs of 420 rows
    python -m tests.benchmarks.growth 20 1000 10000 100000 [plan ...]   so many runs of 20 rows; only these commands

What is measured is each time a process of its own, imports and all. `plan` is the dry run, which plans all runs and finds what
is missing; `runs` prints the runs table; `verify` is the digest check without the run that is trained again, `audit` that of
shared curves and weights; `sync` finds what to mirror where all but ten runs are mirrored.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from unittest import mock

SIZES = (500, 2_000, 10_000)
LEFT = 10  # runs that are not mirrored
VARIANTS = tuple(f"{target}_{loss}" for target in ("hard", "soft") for loss in ("mse", "huber"))


def words(store: Path, num_runs: int) -> list[str]:
    """The command that plans the runs of a store."""
    settings = [f"variant={','.join(VARIANTS)}", "steps=50000", f"seeds={num_runs // len(VARIANTS)}"]
    return [*settings, "name=growth", f"store={store}"]


def num_files(store: Path) -> int:
    """How many files the store has, weights aside."""
    return sum(len(files) for folder, _, files in os.walk(store) if "weights" not in Path(folder).parts[-2:])


def _module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", name, *words]


def _code(function: str, store: Path, *arguments: int) -> list[str]:
    call = f"growth.{function}({', '.join(map(repr, (str(store), *arguments)))})"
    return [sys.executable, "-c", f"from tests.benchmarks import growth; {call}"]


COMMANDS: Mapping[str, Callable[[Path, int], list[str]]] = {
    "plan": lambda store, num_runs: _module("rlbench.run", *words(store, num_runs), "--dry-run"),
    "runs": lambda store, _: _module("rlbench.results", "table=runs", "format=csv", f"store={store}"),
    "report": lambda store, _: _module("rlbench.report", f"store={store}", f"out={store.parent / 'out'}"),
    "verify": lambda store, _: _code("check_digests", store),
    "audit": lambda store, _: _code("check_curves", store),
    "sync": lambda store, _: _code("find_what_to_mirror", store),
}


def check_digests(path: str) -> None:
    """What `verify` does before it trains a run again, but for the audit."""
    from rlbench.store import Results, Store
    from rlbench.verify import is_as_written

    store = Store.open(path, create=False)
    assert is_as_written(store, Results(store), store.outcomes())


def check_curves(path: str) -> None:
    """The audit that follows it."""
    from rlbench.store import load, passes_audit

    assert passes_audit(load(path))


def find_what_to_mirror(path: str) -> None:
    """A mirror's first look at a store of which all but a few runs are mirrored, and those handed to nobody."""
    from rlbench.store import Store
    from rlbench.tracking.ledger import MirrorLedger
    from rlbench.tracking.mirror import Mirror
    from tests.benchmarks.silent_tracker import SilentTracker

    ledger = MirrorLedger(_mirrored(Path(path)))
    mirror = Mirror(Store.open(path, create=False), ledger, SilentTracker())
    mirror.advance()
    assert mirror.finish() == 0


def write(path: str, num_runs: int, rows_a_run: int) -> None:
    """A store, and what a follower writes down that has mirrored all of its runs but `LEFT`."""
    from rlbench.store import Store
    from rlbench.tracking.ledger import Mirrored, MirrorLedger
    from rlbench.tracking.mirror import stamp_of
    from tests.benchmarks.growth_store import SHAPES, write_store

    write_store(Path(path), num_runs, SHAPES[rows_a_run])
    folder = _mirrored(Path(path))
    folder.mkdir()
    ledger = MirrorLedger(folder)
    outcomes = list(Store.open(path, create=False).outcomes().items())
    with mock.patch("os.fsync"):
        for run_id, outcome in outcomes[:-LEFT]:
            ledger.add(Mirrored(run_id, stamp_of(outcome), True, 0, f"run-{run_id}"))


def _mirrored(store: Path) -> Path:
    return store.parent / "mirrored"


def cost_of(command: list[str]) -> tuple[float, float]:
    """Processor seconds and peak MiB of a command on one core."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)} ended with {process.returncode}"
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def costs(rows_a_run: int, num_runs: int, only: Collection[str] = ()) -> Mapping[str, float]:
    """What the commands cost on a store of so many runs, printed; `only` these of them, or all."""
    row: dict[str, float] = {"rows_a_run": rows_a_run, "runs": num_runs}
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "results"
        # Not here: of a process's peak its children begin with what it has, and this one would have the engine.
        row["write_seconds"], _ = cost_of(_code("write", store, num_runs, rows_a_run))
        row["files"] = num_files(store)
        print(f"{num_runs:>7} runs of {rows_a_run} rows, {row['files']} files, written in {row['write_seconds']:.0f} s")
        for name, command in COMMANDS.items():
            if name in only or not only:
                row[f"{name}_seconds"], row[f"{name}_mib"] = cost_of(command(store, num_runs))
                print(f"{name:>14} {row[f'{name}_seconds']:7.1f} s {row[f'{name}_mib']:6.0f} MiB", flush=True)
    return row


def bench_growth() -> list[Mapping[str, float]]:
    """The table of a usual run's rows, printed; one row a size."""
    return [costs(420, num_runs) for num_runs in SIZES]


if __name__ == "__main__":
    rows_a_run, *rest = sys.argv[1:]
    only = [word for word in rest if word in COMMANDS]
    for word in rest:
        if word not in COMMANDS:
            costs(int(rows_a_run), int(word), only)
