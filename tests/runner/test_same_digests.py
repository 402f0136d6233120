"""Contract: a run's digest is the same whoever trains beside it, in how many processes, in one command or in several at once."""

import os
import signal
from pathlib import Path

import pytest

from rlbench.store import load
from tests.runner.commands import FOUR, SMALL, digests, finish, run, start, wait_until


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    store = tmp_path_factory.mktemp("together") / "store"
    code, _, err = run(store, FOUR, "seeds=16", *SMALL, "workers=2")
    assert code == 0, err
    found = digests(store)
    assert len(found) == 64
    assert len(set(found.values())) == 64
    return found


@pytest.mark.slow
def test_one_worker(together: dict[tuple[str, int], str], tmp_path: Path) -> None:
    assert run(tmp_path / "store", FOUR, "seeds=16", *SMALL, "workers=1")[0] == 0
    assert digests(tmp_path / "store") == together


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["hard_mse", "soft_huber"])
def test_a_variant_apart_with_few_lanes_that_are_refilled(
    together: dict[tuple[str, int], str], tmp_path: Path, variant: str
) -> None:
    assert run(tmp_path / "store", f"variant={variant}", "seeds=16", *SMALL, "lanes=5", "workers=1")[0] == 0
    found = digests(tmp_path / "store")
    assert len(found) == 16
    assert found == {key: together[key] for key in found}


def test_one_seed_alone(together: dict[tuple[str, int], str], tmp_path: Path) -> None:
    assert run(tmp_path / "store", "variant=soft_mse", "seeds=[11]", *SMALL)[0] == 0
    assert digests(tmp_path / "store") == {("soft_mse", 11): together["soft_mse", 11]}


@pytest.mark.slow
def test_two_commands_on_one_store_share_the_work(together: dict[tuple[str, int], str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = ("variant=hard_mse,soft_huber", "seeds=16", *SMALL, "checkpoint_seconds=0.2", "lanes=8")
    first, second = start(store, *words, "workers=1"), start(store, *words, "workers=1")
    assert finish(first)[0] == 0
    assert finish(second)[0] == 0
    found = digests(store)
    assert found == {key: together[key] for key in found}
    assert len(found) == 32
    episodes = load(store).episodes
    assert not episodes.duplicated(["run_id", "episode"]).any()


@pytest.mark.slow
def test_a_diverging_lane_is_recorded_and_the_others_do_not_notice(
    together: dict[tuple[str, int], str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    code, _, err = run(store, "variant=hard_mse", "optimizer.lr=5e-4,1e30", "seeds=4", *SMALL)
    assert code == 3
    assert (
        err.count("diverged: hard_mse optimizer.lr=1e+30 seed") + err.count("diverged: hard_mse optimizer.lr=1e30 seed")
        == 4
    )
    runs = load(store).runs
    assert runs["status"].value_counts().to_dict() == {"done": 4, "diverged": 4}
    healthy = runs[runs["status"] == "done"]
    assert {row.seed: row.digest for row in healthy.itertuples()} == {
        seed: together["hard_mse", seed] for seed in range(4)
    }
    # The same command again has nothing to train, and still says what diverged.
    assert run(store, "variant=hard_mse", "optimizer.lr=5e-4,1e30", "seeds=4", *SMALL)[0] == 3


@pytest.mark.slow
def test_pairing_with_more_seeds_keeps_the_first_ones(together: dict[tuple[str, int], str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert run(store, "variant=hard_huber", "seeds=3", *SMALL)[0] == 0
    assert run(store, "variant=hard_huber", "seeds=5", *SMALL)[0] == 0
    assert digests(store) == {("hard_huber", seed): together["hard_huber", seed] for seed in range(5)}


def followers(store: Path) -> list[int]:
    """Process ids of the W&B followers of a store."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:  # not a process, or one that has just ended
            continue
        if "rlbench.tracking.follower" in words and str(store) in words:
            found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the follower's process in /proc")
def test_a_paused_follower_a_second_command_and_diverging_lanes_at_once(
    together: dict[tuple[str, int], str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    first = start(store, FOUR, "seeds=3", *SMALL, "wandb.mode=offline")
    wait_until(first, lambda: bool(followers(store)))
    (paused,) = followers(store)
    os.kill(paused, signal.SIGSTOP)
    second = start(store, "variant=hard_mse", "optimizer.lr=1e30", "seeds=4", "name=broken", *SMALL)
    assert finish(second)[0] == 3
    wait_until(first, lambda: (load(store, "adhoc").runs["status"] == "done").sum() == 12)
    assert not list(store.glob("wandb/offline-run-*/*.wandb"))  # it was paused from the beginning
    os.kill(paused, signal.SIGCONT)
    assert finish(first)[0] == 0
    assert len(list(store.glob("wandb/offline-run-*/*.wandb"))) >= 12
    runs = load(store).runs
    assert (runs[runs["experiment"] == "broken"]["status"] == "diverged").all()
    healthy = runs[runs["experiment"] == "adhoc"]
    found = {(row.variant, row.seed): row.digest for row in healthy.itertuples()}
    assert found == {key: together[key] for key in found}
    assert len(found) == 12
