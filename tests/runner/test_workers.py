"""The `Worker` port's contract, for every implementation that there is."""

import subprocess
import types

import pytest
import torch.nested._internal.nested_tensor  # noqa: F401 (what workers import, for those that are forked)

from rlbench.runner import cohorts, local  # noqa: F401
from rlbench.runner.local import LocalLauncher, LocalWorker
from rlbench.runner.worker import Worker
from tests.forked import ForkedProgram
from tests.runner.thread_workers import ThreadLauncher, ThreadWorker
from tests.runner.worker_contract import RUNS, WorkerContract


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of the runs, each trained as the only lane."""
    from rlbench.verify import digest_alone

    return {run.run_id: digest_alone(run.run) for run in RUNS}


class TestThreads(WorkerContract):
    def new_launcher(self) -> ThreadLauncher:
        return ThreadLauncher()

    def crash(self, worker: Worker) -> None:
        assert isinstance(worker, ThreadWorker)
        worker.crash()


class TestProcesses(WorkerContract):
    @pytest.fixture(autouse=True)
    def forked(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """In one of the tests workers are new processes, in the others forks of this one."""
        in_new_processes = WorkerContract.test_an_experiment_is_trained_and_its_launcher_named
        if request.function.__name__ != in_new_processes.__name__:
            monkeypatch.setattr(local, "subprocess", types.SimpleNamespace(Popen=ForkedProgram, PIPE=subprocess.PIPE))

    def new_launcher(self) -> LocalLauncher:
        return LocalLauncher()

    def crash(self, worker: Worker) -> None:
        assert isinstance(worker, LocalWorker)
        worker.process.kill()
