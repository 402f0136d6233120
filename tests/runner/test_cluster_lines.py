"""The README's lines for who has a cluster, as they stand there: on a Ray cluster of two nodes, and as jobs."""

import re
from pathlib import Path

import pytest

from rlbench.store import load
from tests.runner.commands import SMALL, called
from tests.runner.ray_clusters import cluster_of

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_they_train_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("submitit")
    found = re.findall(
        r"^python -m (rlbench\.\w+) (.*store=/shared/results.*?)(?: +#.*)?$", README.read_text(), re.MULTILINE
    )
    (ray, slurm, report) = [(module, words.split()) for module, words in found]
    small = ["seeds=1", *SMALL, "wandb.mode=disabled", "report=false"]
    with cluster_of(2) as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)  # what `auto` looks at first
        digests = [
            train(tmp_path / "ray", *ray, small),
            train(tmp_path / "slurm", *slurm, [*small, "launcher.executor=local"]),
        ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 4
    code, _, err = called(report[0], here(report[1], tmp_path / "ray"))
    assert (code, err) == (0, "")
    assert (tmp_path / "ray" / "reports" / "target_by_loss" / "report.html").exists()


def train(store: Path, module: str, words: list[str], more: list[str]) -> dict[str, str]:
    words = [word for word in here(words, store) if not word.startswith("workers=")]
    code, _, err = called(module, [*words, "workers=2", *more])
    assert code == 0, err
    runs = load(store).runs
    assert set(runs["status"]) == {"done"}
    return dict(zip(runs["run_id"], runs["digest"], strict=True))


def here(words: list[str], store: Path) -> list[str]:
    return [f"store={store}" if word == "store=/shared/results" else word for word in words]
