"""Commands on a store in S3: the digests of the same experiment in a folder, also after kill -9 and beside another command."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rlbench.store import Store, load
from tests.object_server import KEYS
from tests.runner.commands import SMALL, called, digests, finish, kill, run, start, wait_until
from tests.runner.ray_clusters import cluster_of


def progress(url: str) -> Mapping[str, int]:
    store = Store.peek(url)
    return {} if store is None else store.progress()


def test_an_experiment_is_trained_read_reported_verified_and_mirrored(bucket: str, trained: Path) -> None:
    url = f"{bucket}/store"
    code, out, err = run(url, "variant=soft_huber", "seeds=3", *SMALL, "name=small", "report=true")
    assert code == 0, err
    assert f"report: {Path('s3', url.removeprefix('s3://'))}/reports/small/report.html" in out
    expected = load(trained).experiment("small").runs
    assert digests(url) == {(row.variant, row.seed): row.digest for row in expected.itertuples()}
    for module, words, told in (
        ("rlbench.results", ["format=csv"], "soft_huber,CartPole-v1,2,done"),
        ("rlbench.report", [], "report: s3/"),
        ("rlbench.verify", [], "the same digest"),
        ("rlbench.sync", [], ""),
    ):
        code, out, err = called(module, [f"store={url}", *words])
        assert (code, err) == (0, ""), module
        assert told in out
    beside = Path("s3", url.removeprefix("s3://"))
    assert sorted(path.name for path in beside.iterdir()) == ["reports", "wandb"]
    for path in beside.rglob("*"):  # what lies there is shown and sent
        assert not path.is_file() or KEYS["AWS_SECRET_ACCESS_KEY"].encode() not in path.read_bytes()
    assert f"store={url}" in (beside / "reports" / "small" / "report.md").read_text()


@pytest.mark.slow
def test_killed_and_beside_another_command_runs_end_with_the_same_digests(bucket: str, tmp_path: Path) -> None:
    url = f"{bucket}/store"
    words = ("variant=soft_huber", "seeds=2", "steps=4000", *SMALL[1:], "checkpoint_seconds=0.2")
    code, _, err = run(tmp_path / "folder", *words)
    assert code == 0, err
    process = start(url, *words)
    wait_until(process, lambda: len(progress(url)) == 2)
    kill(process)
    left = dict(progress(url))
    assert min(left.values()) > 0
    both = [start(url, *words) for _ in range(2)]
    ended = [finish(one) for one in both]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert any("2 of them from their last checkpoint" in err for _, _, err in ended)
    assert digests(url) == digests(tmp_path / "folder")
    assert len(Store.open(url).read_rows("outcomes")) == 2


@pytest.mark.slow
def test_ray_nodes_and_jobs_give_the_digests_of_processes(bucket: str, tmp_path: Path) -> None:
    pytest.importorskip("rlbench.runner.ray", exc_type=ImportError)
    pytest.importorskip("submitit")
    words = ("variant=hard_mse,soft_huber", "seeds=2", *SMALL, "name=small")
    code, _, err = run(tmp_path / "folder", *words)
    assert code == 0, err
    with cluster_of(2) as cluster:
        for launcher, *own in (
            ("ray", f"launcher.address={cluster.address}"),
            ("slurm", "launcher.executor=local"),
        ):
            url = f"{bucket}/{launcher}"
            code, _, err = run(url, *words, f"launcher={launcher}", *own, "workers=2")
            assert code == 0, err
            assert digests(url) == digests(tmp_path / "folder")
            assert set(load(url).runs["launcher"]) == {launcher}
