"""Contract: kill -9 at any moment loses at most the work since the last checkpoint, and the same command ends with the same digests."""

import random
import signal
from pathlib import Path

import pytest

from rlbench.store import Store, load
from tests.runner.commands import FOUR, SMALL, digests, finish, kill, progress, run, start, wait_until

STEPS = 2000
TRAINED = (f"steps={STEPS}", *SMALL[1:], "workers=2")
CHECKPOINTED = (*TRAINED, "checkpoint_seconds=0.2")
TWENTY = ("variant=hard_mse,soft_huber", "seeds=10")
TWENTY_OF_FOUR = (FOUR, "seeds=5")
ENDLESS = ("steps=400000", *SMALL[1:], "checkpoint_seconds=0.2", "workers=1")


def trained(factory: pytest.TempPathFactory, runs: tuple[str, str]) -> dict[tuple[str, int], str]:
    store = factory.mktemp("uninterrupted") / "store"
    code, _, err = run(store, *runs, *TRAINED)
    assert code == 0, err
    return digests(store)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    return trained(tmp_path_factory, TWENTY)


@pytest.fixture(scope="module")
def uninterrupted_four(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    return trained(tmp_path_factory, TWENTY_OF_FOUR)


def cut_and_continue(store: Path, runs: tuple[str, str], num_kills: int, seed: int) -> list[dict[str, int]]:
    """Train 20 runs, killed when a random number of steps is in the checkpoints; returns from where each continuation went on."""
    moments = sorted(random.Random(seed).randrange(1, STEPS - 400) for _ in range(num_kills))
    went_on_from: list[dict[str, int]] = []
    for moment in moments:
        process = start(store, *runs, *CHECKPOINTED)
        wait_until(
            process, lambda moment=moment: len(progress(store)) == 20 and min(progress(store).values()) >= moment
        )
        kill(process)
        went_on_from.append(dict(progress(store)))
    code, _, err = run(store, *runs, *TRAINED)
    assert code == 0, err
    assert "20 of them from their last checkpoint" in err
    return went_on_from


def test_runs_cut_by_kill_go_on_above_zero_and_end_with_the_same_digests(
    uninterrupted: dict[tuple[str, int], str], tmp_path: Path
) -> None:
    went_on_from = cut_and_continue(tmp_path / "store", TWENTY, num_kills=2, seed=1)
    assert all(len(steps) == 20 and min(steps.values()) > 0 for steps in went_on_from)
    assert digests(tmp_path / "store") == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_kills_at_random_moments(
    uninterrupted_four: dict[tuple[str, int], str], tmp_path: Path, seed: int
) -> None:
    went_on_from = cut_and_continue(tmp_path / "store", TWENTY_OF_FOUR, num_kills=5, seed=seed)
    assert len(went_on_from) == 5
    assert all(len(steps) == 20 and min(steps.values()) > 0 for steps in went_on_from)
    assert digests(tmp_path / "store") == uninterrupted_four


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_publishes_what_is_done_and_says_how_to_go_on(
    number: signal.Signals, uninterrupted: dict[tuple[str, int], str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    process = start(store, *TWENTY, *CHECKPOINTED)
    # Past the first diagnostics of every run, which are among what is to be published.
    wait_until(process, lambda: len(progress(store)) == 20 and min(progress(store).values()) > 400)
    seen = min(progress(store).values())
    process.send_signal(number)
    code, out, _ = finish(process)
    assert code == 130
    assert "the same command goes on from here" in out
    assert "python -m rlbench.run" in out
    assert min(progress(store).values()) >= seen > 0
    assert len(load(store).diagnostics) > 0
    assert run(store, *TWENTY, *TRAINED)[0] == 0
    assert digests(store) == uninterrupted


@pytest.mark.slow
def test_a_dead_parent_takes_its_workers_along(tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = start(store, "variant=hard_mse", "seeds=2", *ENDLESS)
    wait_until(process, lambda: bool(progress(store)))
    process.kill()  # the parent alone: its worker must notice, or it would hold the runs
    process.communicate(timeout=30)
    before = min(progress(store).values())
    other = start(store, "variant=hard_mse", "seeds=2", *ENDLESS)
    wait_until(other, lambda: min(progress(store).values()) > before + 100)
    assert Store.open(store, create=False).claimed() == set(progress(store))
    kill(other)
