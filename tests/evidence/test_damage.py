"""Whatever bytes are damaged in whatever kind of files: runs and findings, or one line, and never another exception."""

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from foreign_files import curves, write_csv, write_monitor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlbench.errors import ConfigError
from rlbench.evidence import lint, read_evidence

PIECES = (b"nan", b"inf", b"-1", b"1e400", b"", b"\0", b"\n", b"\r", b",", b'"', b"None", b"\xff", b"9" * 20, b"[" * 40)
CHANGES = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 40), st.sampled_from(PIECES) | st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


def changed(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Some bytes taken out somewhere, and others put in their place."""
    for place, length, piece in changes:
        at = place % (len(data) + 1)
        data = data[:at] + piece + data[at + length :]
    return data


def write_curves(folder: Path) -> Path:
    return write_csv(folder / "runs.csv", curves({"a": 0.0, "b": 1.0}, seeds=2, steps=(10, 20)))


def write_export(folder: Path) -> Path:
    names = ["Step", *(f"E-v0__dqn__{seed}__17 - eval/mean_reward" for seed in (1, 2))]
    (folder / "export.csv").write_text(",".join(names) + "\n" + '"0","1","2"\n"5","","3"\n')
    return folder / "export.csv"


def write_packed(folder: Path) -> Path:
    (folder / "runs.csv.gz").write_bytes(gzip.compress(write_curves(folder).read_bytes()))
    return folder / "runs.csv.gz"


def write_one_monitor(folder: Path) -> Path:
    for rank in range(2):
        path = write_monitor(
            folder / "a" / "E-v0_1" / f"{rank}.monitor.csv", [(1.0, 5, 1.0), (2.0, 6, 2.0)], env="E-v0"
        )
    return path


def write_evaluations(folder: Path) -> Path:
    run = folder / "a" / "E-v0_1"
    run.mkdir(parents=True)
    np.savez(run / "evaluations.npz", timesteps=[10, 20], results=[[1.0], [2.0]], ep_lengths=[[1], [2]])
    return run / "evaluations.npz"


def write_scalars(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(folder / "E-v0__a__1__2"), purge_step=1) as writer:
            for step in range(5):
                writer.add_scalar("charts/episodic_return", step, step)
    return next((folder / "E-v0__a__1__2").iterdir())


@pytest.mark.parametrize(
    "write", [write_curves, write_export, write_packed, write_one_monitor, write_evaluations, write_scalars]
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_damage_is_told(
    tmp_path_factory: pytest.TempPathFactory, write: Callable[[Path], Path], changes: list[tuple[int, int, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = write(folder)
    path.write_bytes(changed(path.read_bytes(), changes))
    try:
        results = read_evidence(path if path.parent == folder else folder)
    except ConfigError as error:
        lines = [str(error)]
    else:
        lines = [finding.text for finding in lint(results, results.name)]
        assert len(results.runs) == len(results.sources)
        assert all(line.isprintable() for line in (*results.listing, *results.remarks))
    assert all("\n" not in line for line in lines)
