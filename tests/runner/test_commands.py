"""The commands as a person meets them: exit codes, verify, bad places for a store, the Python entry point."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

import rlbench
from rlbench.config import run_of
from rlbench.lanes.choices.networks import MLP
from rlbench.store import Checkpoint, Store, load
from rlbench.store.checkpoints import read_header, write_checkpoint
from rlbench.store.conditional import FolderStore
from tests.runner.commands import SMALL, SMALL_UNIFORM, environment, kill, progress, run, start, wait_until


def test_a_report_is_written_where_it_is_asked_for(trained: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(trained, tmp_path / "store"))
    words = ("variant=soft_huber", "seeds=3", *SMALL, "name=small")
    code, out, err = run(store, *words)
    assert (code, err) == (0, "")
    assert "report:" not in out
    assert not (store / "reports").exists()
    code, out, err = run(store, *words, "report=true")
    assert (code, err) == (0, "")
    assert "report:" in out
    assert (store / "reports" / "small" / "report.html").stat().st_size > 10_000


def test_verify_trains_a_run_again_and_finds_the_same_digest(trained: Path) -> None:
    code, out, _ = run(trained, module="rlbench.verify")
    assert code == 0
    assert "6 finished runs: specifications give the ids; rows, weights and outcomes give the stored digests" in out
    assert "the same digest" in out


def test_verify_names_the_run_of_an_altered_row(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(trained, copy)
    part = sorted((copy / "tables" / "evaluations").glob("*.parquet"))[-1]
    table = pq.read_table(part)
    rows = table.to_pylist()
    rows[0]["episode_return"] += 1.0
    part.chmod(0o644)
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), part)
    code, out, _ = run(copy, module="rlbench.verify")
    assert code == 1
    assert part.name in out
    assert "do not give their digests" in out


def test_stored_weights_load_into_a_plain_module(trained: Path) -> None:
    store = Store.open(trained, create=False)
    results = rlbench.load(trained)
    chosen = results.runs[results.runs["variant"] == "soft_huber"].iloc[0]
    network = run_of(store.spec(chosen.run_id)).variant.network
    assert isinstance(network, MLP)
    module = network.module(obs_shape=(4,), num_actions=2)
    module.load_state_dict(safetensors.torch.load_file(trained / "weights" / f"{chosen.run_id}.safetensors"))
    assert module(torch.zeros(1, 4)).shape == (1, 2)
    assert not (
        trained / "weights" / f"{results.runs[results.runs['variant'] == 'random'].iloc[0].run_id}.safetensors"
    ).exists()


def test_results_have_every_row(trained: Path) -> None:
    results = rlbench.load(trained)
    runs = results.runs
    assert set(runs["status"]) == {"done"}
    assert (runs["env_steps"] == 400).all()
    assert runs.set_index("variant")["updates"].to_dict() == {"soft_huber": 76, "random": 0}
    assert len(results.evaluations) == 6 * 2 * 2
    assert sorted(results.evaluations["env_steps"].unique()) == [200, 400]
    assert len(results.diagnostics) == 6 * 4
    episodes = results.episodes.groupby("run_id")
    assert (episodes["length"].sum() <= 400).all()
    assert (episodes["length"].sum() == episodes["env_steps"].max()).all()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["optimizer.lr=-1"], "optimizer.lr must be > 0"),
        (["batch_size=64", "replay.capacity=32"], "batch_size 64 is larger than replay.capacity 32"),
        (["seeds=0"], "seeds"),
        (["env=NoSuchEnv-v0"], "NoSuchEnv-v0"),
        (["env=Pendulum-v1"], "only Discrete actions are supported"),
        (["varient=soft_huber"], "did you mean 'variant'?"),
        (["wandb.mode=ofline"], "offline"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_nothing_written(tmp_path: Path, words: list[str], text: str) -> None:
    code, out, err = run(
        tmp_path / "store", *words, *([] if any("wandb" in w for w in words) else ["wandb.mode=disabled"])
    )
    assert code == 2
    assert text in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert not (tmp_path / "store").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path / "store", "variant=hard_mse,soft_huber", "seeds=4", "--dry-run")
    assert code == 0
    assert "8 runs" in out
    assert "expected time" in out
    assert not (tmp_path / "store").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    code, _, err = run(tmp_path / "store", "seeds=1", *SMALL)
    assert code == 2
    assert len(err.strip().splitlines()) == 1


def test_a_store_in_a_place_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    code, _, err = run(tmp_path / "store", "seeds=1", *SMALL)
    assert code == 2
    assert str(tmp_path / "store") in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_report_that_the_disk_does_not_take_exits_with_4_and_the_runs_stay(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert run(store, "variant=random", "seeds=2", *SMALL_UNIFORM)[0] == 0
    before = rlbench.load(store).episodes
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)); "
    limited += "import rlbench.run; sys.exit(rlbench.run.main(sys.argv[1:]))"
    words = [f"store={store}", "variant=hard_mse", "seeds=2", "wandb.mode=disabled", *SMALL, "checkpoint_seconds=0.1"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *words],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=240,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "cannot write the report" in done.stderr.splitlines()[-1]
    assert list(rlbench.load(store).runs["status"]) == ["done"] * 4
    after = rlbench.load(store).episodes
    assert after[after["run_id"].isin(before["run_id"])].reset_index(drop=True).equals(before.reset_index(drop=True))


def test_from_python(tmp_path: Path) -> None:
    results = rlbench.run(
        "soft_huber",
        seeds=2,
        steps=600,
        store=tmp_path / "store",
        replay__warmup=100,
        evaluation__period=300,
        workers=1,
    )
    assert list(results.runs["status"]) == ["done", "done"]
    assert results.runs["final_return"].notna().all()
    variant = rlbench.Variant(batch_size=16)
    with pytest.raises(rlbench.errors.ConfigError, match="label"):
        rlbench.run(variant, seeds=1, steps=600, store=tmp_path / "store")


SCRIPT = """
import rlbench

for lr in (1e-3, 1e-4):
    results = rlbench.run(
        "soft_huber", seeds=range(2), steps=600, store={store!r}, replay__warmup=100, evaluation__period=300,
        network__units=(8, 8), optimizer__lr=lr, workers=1,
    )
    print(len(results.runs), sorted(results.runs["seed"]), len(rlbench.load(results.path).runs))
"""


@pytest.mark.slow
def test_from_a_plain_script_each_call_returns_its_own_runs(tmp_path: Path) -> None:
    """The workers must not run the script again, as processes of `multiprocessing` do."""
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT.format(store=str(tmp_path / "store")))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["2 [0, 1] 2", "2 [0, 1] 4"]


def test_a_setting_of_the_algorithm_beside_a_variant_object_is_refused(tmp_path: Path) -> None:
    for key, value in (("optimizer__lr", 0.1), ("batch_size", 8)):
        with pytest.raises(rlbench.errors.ConfigError, match="beside a Variant object has no effect"):
            rlbench.run(rlbench.Variant(), label="mine", store=tmp_path / "store", **{key: value})
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_the_exit_code_is_about_the_runs_of_this_command(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert run(store, "variant=hard_mse", "optimizer.lr=1e30", "seeds=1", *SMALL)[0] == 3
    code, _, err = run(store, "variant=soft_huber", "seeds=1", *SMALL)
    assert code == 0
    assert "diverged" not in err


@pytest.mark.slow
def test_a_run_begun_on_another_platform_is_left_alone_and_the_others_are_trained(tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = ("variant=hard_mse", "seeds=2", "steps=4000", *SMALL[1:], "checkpoint_seconds=0.1", "workers=1")
    process = start(store, *words)
    wait_until(process, lambda: len(progress(store)) == 2)
    kill(process)
    # As if the state of one of the two had been written by another engine.
    for path in (store / "checkpoints").glob("*.safetensors"):
        objects, name = FolderStore(store), f"checkpoints/{path.name}"
        header, tensors = read_header(objects, name), safetensors.torch.load_file(path)
        assert header is not None
        first, *others = header.lanes
        other = dataclasses.replace(first, meta={**first.meta, "platform": "rlbench-engine-1"})
        path.unlink()
        write_checkpoint(objects, name, header.program, header.commit, Checkpoint(tensors, [other, *others]))
    code, _, err = run(store, *words)
    assert code == 3
    assert "the bits would not go on" in err
    runs = load(store).runs
    assert sorted(runs["status"]) == ["done", "pending"]


def test_verify_names_a_run_whose_outcome_was_altered(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    (path, *_) = (copy / "tables" / "outcomes").glob("*.parquet")
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["status"] = "diverged"  # which would take it out of every average
    path.chmod(0o644)
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    code, out, _ = run(copy, module="rlbench.verify")
    assert code == 1
    assert path.name in out
