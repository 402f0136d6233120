"""Contract: a tuner may be killed at any moment; the same command ends with exactly the asked trials, and with the same ones.

Real commands in real processes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

import rlbench
from rlbench.store import load
from rlbench.tuning.storage import open_storage
from tests.tuning.studies import PATIENCE_SECONDS, TINY, command, run, start, told, trials_in, write_study

AS_TUNED = ("steps=1000", "evaluation.period=250", "diagnostics.period=500")


def url(store: Path) -> str:
    return f"sqlite:///{store}/studies/optuna.db"


def digests(store: Path) -> dict[str, str]:
    """run_id -> digest of the runs of the trials."""
    runs = load(store).experiment("tiny.tuning").runs
    assert set(runs["status"]) <= {"done", "pruned"}, runs[["variant", "seed", "status", "error"]]
    return dict(zip(runs["run_id"], runs["digest"], strict=True))


def wait_until(process: "subprocess.Popen[str]", reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)  # a poll, not a guess of how long something takes


def progress(storage: str) -> int:
    """How much is in the storage: trials, reports and ends, each counted once."""
    if storage.startswith("sqlite") and not Path(storage.removeprefix("sqlite:///")).exists():
        return 0
    try:
        trials = trials_in(storage)
    except Exception:  # the tables are being made
        return 0
    return sum(1 + len(trial.intermediate_values) + trial.state.is_finished() for trial in trials)


def is_complete(trials: list[FrozenTrial], asked: int) -> None:
    assert [trial.number for trial in trials] == list(range(asked))
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning")
    write_study(folder)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study without the confirmation, for tests that are over when tuning is."""
    bare = tmp_path_factory.mktemp("bare")
    write_study(bare, confirm={"seeds": 0})
    return bare


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[Path, str]:
    """The store of an uninterrupted study, and what it printed."""
    store = folder / "whole"
    code, out, err = run(command(folder, store))
    assert code == 0, err
    return store, out


def kill_and_continue(folder: Path, store: Path, moments: list[int], rng: random.Random) -> None:
    """Kill the tuner when so much is in its storage, with its workers or alone; then let it end."""
    for moment in moments:
        process = start(command(folder, store, "checkpoint_seconds=0.3"))
        wait_until(process, lambda moment=moment: progress(url(store)) >= moment)  # type: ignore[misc]
        if rng.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
    code, _, err = run(command(folder, store, "checkpoint_seconds=0.3"))
    assert code == 0, err


def test_an_uninterrupted_study_has_its_trials_and_runs_and_says_what_it_found(whole: tuple[Path, str]) -> None:
    store, out = whole
    trials = trials_in(url(store))
    is_complete(trials, TINY["trials"])
    results = load(store)
    tuned = results.experiment("tiny.tuning").runs
    assert set(tuned["namespace"]) == {"tune"}
    assert set(tuned["study"]) == {"tiny"}
    assert sorted(tuned["trial"].unique()) == [trial.number for trial in trials]
    for trial in trials:
        own = tuned[tuned["trial"] == trial.number]
        assert len(own) == 2
        is_pruned = trial.state == TrialState.PRUNED
        assert set(own["status"]) == {"pruned" if is_pruned else "done"}
        assert set(own["env_steps"]) == {max(trial.intermediate_values) if is_pruned else 1000}
        if not is_pruned:
            assert trial.value == pytest.approx(own["final_return"].mean())
    fresh = results.experiment("tiny").runs
    assert set(fresh["namespace"]) == {"train"}
    seeds = sorted(set(fresh["seed"]))
    assert seeds == list(range(seeds[0], seeds[0] + 6))
    assert seeds[0] >= 1_000_000  # no count of seeds reaches them
    assert "optimism gap" in out
    assert (store / "reports" / "tiny" / "report.html").read_text().count("Optimism gap") >= 1


def parsed(store: Path, name: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What a study left: its record, the numbers of its report by key, and the page."""
    import json

    report = store / "reports" / name
    record = json.loads((store / "studies" / f"{name}.json").read_text())
    return record, json.loads((report / "stats.json").read_text())["statistics"], (report / "report.html").read_text()


@pytest.mark.slow
def test_two_variants_of_which_each_tunes_into_the_other(tmp_path: Path) -> None:
    write_study(
        tmp_path,
        variant=["soft_mse", "soft_huber"],
        steps=500,
        space={"loss": ["mse", "huber"]},
        sampler="grid",
        pruner="none",
        trials=2,
    )
    store = tmp_path / "store"
    code, out, err = run(command(tmp_path, store))
    assert code == 0, err
    record, numbers, page = parsed(store, "tiny")
    assert [study["study"] for study in record["studies"]] == ["tiny.soft_mse", "tiny.soft_huber"]
    assert [[trial["state"] for trial in study["trials"]] for study in record["studies"]] == [["complete"] * 2] * 2
    mse, huber = (study["confirmation"] for study in record["studies"])
    # The only other configuration of each is the untuned one of the other: the same runs on the same fresh seeds.
    assert mse["candidates"][0]["fresh_score"] == huber["default_score"]
    assert huber["candidates"][0]["fresh_score"] == mse["default_score"]
    runs = load(store).experiment("tiny").runs
    assert len(runs) == 12
    assert set(runs["seed"]) == set(record["fresh_seeds"])
    for study in record["studies"]:
        found, (one,) = study["confirmation"], study["confirmation"]["candidates"]
        told_of = numbers[f"tuning/{study['study']}/{one['label']}"]
        assert told_of["fresh_score"] == one["fresh_score"]
        assert told_of["optimism_gap"] == one["tuning_score"] - one["fresh_score"]
        assert (told_of["n"], told_of["lost"]) == (6, 0)
        assert numbers[f"tuning/{study['study']}/default"]["estimate"] == found["default_score"]
        assert one["label"] in page
        assert found["winner"] == one["label"]
    assert len(record["between_variants"]) == 2
    assert "Better, or only better tuned?" in page
    winners = {
        label: (store / "studies" / f"{label}.yaml").read_text()
        for label in ("tiny", "tiny.soft_mse", "tiny.soft_huber")
    }
    best = (
        "tiny.soft_mse"
        if mse["candidates"][0]["fresh_score"] >= huber["candidates"][0]["fresh_score"]
        else "tiny.soft_huber"
    )
    assert winners["tiny"] == winners[best]
    assert out.count("2 trials completed, 0 pruned, 0 failed; 2 distinct configurations") == 2


@pytest.mark.slow
def test_a_study_without_a_confirmation_has_a_report_of_how_it_was_tuned(tmp_path: Path) -> None:
    write_study(tmp_path, steps=500, space={"loss": ["mse", "huber"]}, sampler="grid", trials=2, confirm={"seeds": 0})
    code, out, err = run(command(tmp_path, tmp_path / "store"))
    assert code == 0, err
    record, _, page = parsed(tmp_path / "store", "tiny")
    assert record["studies"][0]["confirmation"] is None
    assert "not confirmed on fresh seeds" in page
    assert "Maximised: iqm over seeds" in page
    assert "report.html" in out
    report = [sys.executable, "-m", "rlbench.report", f"store={tmp_path / 'store'}", "experiment=tiny"]
    code, out, err = run([*report, f"out={tmp_path / 'again'}"])
    assert code == 0, err
    assert (tmp_path / "again" / "report.html").read_text() == page
    code, _, err = run([*report, "lint=true"])
    assert code == 2
    assert "tiny is a study that was not confirmed" in err


def test_every_run_of_a_study_can_be_verified(whole: tuple[Path, str]) -> None:
    from rlbench.config import run_of
    from rlbench.verify import digest_alone

    store, _ = whole
    results = load(store)
    for status in ("done", "pruned"):
        row = next(row for row in results.runs.itertuples() if row.status == status)
        spec = results.store.spec(row.run_id)
        assert digest_alone(run_of(spec), int(row.env_steps) if status == "pruned" else None) == row.digest
        assert results.stored_digest(row.run_id) == row.digest


def test_the_same_command_again_trains_nothing_and_says_the_same(folder: Path, whole: tuple[Path, str]) -> None:
    store, out = whole
    before = (told(trials_in(url(store))), digests(store))
    code, again, err = run(command(folder, store))
    assert (code, again) == (0, out), err
    assert (told(trials_in(url(store))), digests(store)) == before


def test_the_winner_is_a_variant(whole: tuple[Path, str], tmp_path: Path) -> None:
    from rlbench.config import resolve

    store, out = whole
    record = out.split("winner: variant=")[1].split(",")[0]
    assert record == "study:tiny"
    request = resolve(["variant=study:tiny,soft_mse", f"store={store}", "seeds=2", *AS_TUNED])
    tuned = next(one.run.variant for one in request.planned if one.variant == "study:tiny")
    fresh = load(store).experiment("tiny").runs
    specs = [rlbench.store.Store.open(store, create=False).spec(run_id)["variant"] for run_id in fresh["run_id"]]
    from rlbench.config import spec_of

    assert spec_of(request.planned[0].run)["variant"] in specs
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "tuned.yaml").write_text((store / "studies" / "tiny.yaml").read_text())
    same = resolve(["variant=tuned", f"--config-dir={tmp_path}", "seeds=2", *AS_TUNED])
    assert same.planned[0].run.variant == tuned


def test_the_dashboard_shows_the_study(whole: tuple[Path, str]) -> None:
    import json
    from wsgiref.util import setup_testing_defaults

    dashboard = pytest.importorskip("optuna_dashboard")
    storage = open_storage(url(whole[0]))
    application = dashboard.wsgi(storage)

    def get(path: str) -> Any:
        environment: dict[str, Any] = {}
        setup_testing_defaults(environment)
        statuses: list[str] = []
        body = b"".join(application(environment | {"PATH_INFO": path}, lambda status, *_: statuses.append(status)))
        assert statuses == ["200 OK"]
        return json.loads(body)

    (study,) = get("/api/studies")["study_summaries"]
    assert study["study_name"] == "tiny"
    shown = get(f"/api/studies/{study['study_id']}")["trials"]
    assert [trial["state"] for trial in shown] == [
        {"COMPLETE": "Complete", "PRUNED": "Pruned"}[t.state.name] for t in trials_in(url(whole[0]))
    ]
    close(storage)


def close(storage: Any) -> None:
    storage.remove_session()
    storage.engine.dispose()


def test_reporting_on_tuning_seeds_is_refused(whole: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    import rlbench.report

    store, _ = whole
    assert rlbench.report.main(["experiment=tiny.tuning", f"store={store}"]) == 2
    error = capsys.readouterr().err
    assert "tuning seeds" in error
    assert "experiment=tiny" in error
    assert len(error.strip().splitlines()) == 1


def files_of(store: Path) -> list[Path]:
    """The files of a store, without those that SQLite has while somebody reads."""
    return sorted(path for path in store.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))


def test_another_space_or_objective_is_refused_and_nothing_changes(
    folder: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    store, _ = whole
    before = told(trials_in(url(store)))
    files = files_of(store)
    write_study(tmp_path, objective={"window": 1})
    code, out, err = run(command(tmp_path, store))
    assert (code, out) == (2, "")
    assert "objective.window (2, now 1)" in err
    assert len(err.strip().splitlines()) == 1
    assert told(trials_in(url(store))) == before
    assert files_of(store) == files


def test_a_storage_that_cannot_be_reached_is_refused_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    code, out, err = run(command(folder, store, "storage=postgresql://nobody@127.0.0.1:1/nothing"))
    assert (code, out) == (2, "")
    assert "cannot be reached" in err
    assert len(err.strip().splitlines()) == 1
    assert not store.exists()


@pytest.mark.slow
def test_a_killed_tuner_goes_on_as_if_it_had_not_been_killed(
    bare: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    kill_and_continue(bare, store, [4, 15], random.Random(0))
    assert told(trials_in(url(store))) == told(trials_in(url(whole[0])))
    assert digests(store) == digests(whole[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_ten_kills_at_random_moments(bare: Path, whole: tuple[Path, str], tmp_path: Path, seed: int) -> None:
    store, rng = tmp_path / "store", random.Random(seed)
    most = progress(url(whole[0]))
    kill_and_continue(bare, store, sorted(rng.randrange(1, most) for _ in range(10)), rng)
    assert told(trials_in(url(store))) == told(trials_in(url(whole[0])))
    assert digests(store) == digests(whole[0])


@pytest.mark.slow
def test_an_interrupt_says_how_to_go_on(bare: Path, whole: tuple[Path, str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = start(command(bare, store))
    wait_until(process, lambda: progress(url(store)) >= 4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, err
    assert "the same command goes on" in out
    assert run(command(bare, store))[0] == 0
    assert told(trials_in(url(store))) == told(trials_in(url(whole[0])))


def two_tuners_one_killed(
    folder: Path, storage: str, stores: tuple[Path, Path], trials: Callable[[], list[FrozenTrial]]
) -> None:
    """Start two tuners on one study, kill one when both have trials, and let the other end it."""
    tuners = [start(command(folder, store, f"storage={storage}", "trials=10")) for store in stores]

    def both_have_trials() -> bool:
        return len({trial.user_attrs.get("owner") for trial in trials()}) == 2

    wait_until(tuners[0], both_have_trials)
    os.killpg(tuners[0].pid, signal.SIGKILL)
    tuners[0].communicate()
    out, err = tuners[1].communicate(timeout=PATIENCE_SECONDS)
    assert tuners[1].returncode == 0, err
    is_complete(trials(), 10)
    assert "tiny: " in out


@pytest.mark.slow
def test_two_tuners_on_one_sqlite_study_one_killed(bare: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/shared.db"

    def trials() -> list[FrozenTrial]:
        return trials_in(storage) if progress(storage) else []

    two_tuners_one_killed(bare, storage, (tmp_path / "store", tmp_path / "store"), trials)
    assert len(load(tmp_path / "store").experiment("tiny.tuning").runs) == 20


@pytest.mark.slow
def test_two_tuners_on_one_journal_study_one_killed(bare: Path, tmp_path: Path) -> None:
    storage = f"journal:{tmp_path}/shared.log"

    def trials() -> list[Any]:
        if not (tmp_path / "shared.log").exists():
            return []
        opened = open_storage(storage)
        studies = opened.get_all_studies()
        return opened.get_all_trials(studies[0]._study_id) if studies else []

    two_tuners_one_killed(bare, storage, (tmp_path / "one", tmp_path / "other"), trials)
