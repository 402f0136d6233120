"""Workers that are jobs of SLURM, submitted by submitit, or with `launcher.executor=local` the same jobs as processes of this machine.

Words go through files in the store's folder, which every node has to see anyway. A socket would need each compute node to find and reach
the host where the command was given, by a name and through a firewall that differ from site to site. No clock of another machine is
read: who hears nothing new for a while, by its own clock, takes the other one for gone.
"""

import pickle
import shutil
import signal
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import submitit

from rlbench.config.launchers import LauncherSettings
from rlbench.errors import ConfigError, first_line
from rlbench.places import beside
from rlbench.runner.mailbox import Inbox, Outbox
from rlbench.runner.remote import NOT_NEEDED, Heard, Relay, import_path, of_elsewhere
from rlbench.runner.worker import Launcher, Message, Round, Worker, WorkerSettings

POLL_SECONDS = 0.5
BEAT_SECONDS = 10.0
SILENT_SECONDS = 180.0  # without a beat: more than file systems keep what they know, less than anybody waits for
LAST_WORDS_SECONDS = 5.0  # from the end of a job until nothing more will come of it
STOP, BEAT = b"stop", b"beat"


class SlurmWorker(Worker):
    """A job, and a file each way."""

    def __init__(self, folder: Path, executor: Any, settings: WorkerSettings) -> None:
        folder.mkdir()
        self._orders, words = Outbox(folder / "orders"), folder / "words"
        words.touch()
        self._words, self._said = Inbox(words), deque[Message]()
        self._is_there, self._died, self._ended_at = False, "", 0.0
        self._heard_at = time.monotonic()
        self.job = executor.submit(work, str(folder), import_path(), pickle.dumps(of_elsewhere(settings)))

    def send(self, order: Round) -> None:
        self._orders.put(pickle.dumps(order))

    def receive(self) -> Message | None:
        if not self._said and not self._died:
            self._read()
        return self._said.popleft() if self._said else None

    def _read(self) -> None:
        for word in self._words.read():
            heard: Heard = pickle.loads(word)
            self._is_there, self._heard_at = True, time.monotonic()
            self._said.extend(heard.messages())
            if heard.died is not None:
                self._end(heard.died)

    def _end(self, how: str) -> None:
        self._died, self._ended_at = how, time.monotonic()

    def stop(self, *, at_once: bool = False) -> None:
        if self._died:
            return
        if at_once or not self._is_there:  # a job that waits for a node would not hear
            self._cancel(NOT_NEEDED)
        else:
            self._orders.put(STOP)

    def _cancel(self, how: str) -> None:
        self.job.cancel(check=False)
        self._end(how)

    def died(self) -> str | None:
        now = time.monotonic()
        silent = self._is_there and not self._died and now - self._heard_at > SILENT_SECONDS
        is_done = self.job.done(force_check=silent)
        if is_done and not self._died:  # it ended without a word, or its last one is on its way
            self._ended_at = self._ended_at or now
            if now - self._ended_at > LAST_WORDS_SECONDS:
                self._read()
                self._died = self._died or f"as job {self.job.job_id}, {self.job.state}"
        elif silent:
            self._cancel(f"without a word for {SILENT_SECONDS:.0f} s, as job {self.job.job_id}")
        is_over = is_done or now - self._ended_at > LAST_WORDS_SECONDS
        return self._died if self._died and is_over and not self._said else None


class SlurmLauncher(Launcher):
    """Jobs of a cluster."""

    name = "slurm"

    def __init__(self, settings: LauncherSettings, workers: int | None = None) -> None:
        self._settings, self._workers = settings, workers
        self._folder: Path | None = None
        self._started = 0
        self._all: list[SlurmWorker] = []
        self._closed = threading.Event()

    def check(self) -> None:
        """Raise ConfigError where jobs cannot be submitted, or nobody says how many."""
        self.room()
        if self._settings.executor == "slurm" and shutil.which("sbatch") is None:
            raise ConfigError(
                "launcher=slurm: there is no sbatch here; launcher.executor=local runs the same jobs as processes of this machine"
            )

    def room(self) -> int:
        if self._workers is None:
            raise ConfigError(
                "launcher=slurm needs workers=N, the jobs to submit: nobody can tell how many would get a node"
            )
        return self._workers

    def start(self, settings: WorkerSettings) -> SlurmWorker:
        """Raises ConfigError where SLURM does not take the job."""
        if self._folder is None:
            self._folder = beside(settings.root).absolute() / "slurm" / uuid.uuid4().hex[:12]
            self._folder.mkdir(parents=True)
            beats = Outbox(self._folder / "beats")
            threading.Thread(target=self._beat, args=(beats,), daemon=True).start()
        self._started += 1
        folder = self._folder / f"worker-{settings.worker}-{self._started}"
        try:
            self._all.append(SlurmWorker(folder, self._executor(self._folder), settings))
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            raise ConfigError(f"launcher=slurm: the job was not taken: {first_line(error)}") from None
        return self._all[-1]

    def _executor(self, folder: Path) -> Any:
        asked = self._settings
        executor = submitit.AutoExecutor(folder=folder / "logs", cluster=asked.executor)
        options = dict(option.partition("=")[::2] for option in asked.sbatch)
        executor.update_parameters(
            name="rlbench",
            timeout_min=asked.minutes,
            cpus_per_task=int(asked.cpus),
            mem_gb=asked.memory_gb,
            slurm_partition=asked.partition,
            slurm_account=asked.account,
            slurm_additional_parameters={name.strip(): value.strip() or True for name, value in options.items()},
        )
        return executor

    def _beat(self, beats: Outbox) -> None:
        while not self._closed.wait(BEAT_SECONDS):
            with suppress(OSError):  # a full disk, which who commits will tell
                beats.put(BEAT)

    def wait(self, workers: Sequence[Worker], seconds: float) -> None:
        time.sleep(min(seconds, POLL_SECONDS))

    def close(self) -> None:
        """The files are of no more use; of a worker that died, what its job printed is kept."""
        self._closed.set()
        if self._folder is not None and all(one.died() in ("with exit status 0", NOT_NEEDED) for one in self._all):
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):  # those of another command are there
                self._folder.parent.rmdir()


def work(folder: str, path: Sequence[str], settings: bytes) -> None:
    """A job: passes words on between the files in `folder` and a worker beside it."""
    orders, words = Inbox(Path(folder, "orders")), Outbox(Path(folder, "words"))
    beats = Inbox(Path(folder).parent / "beats")
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # of the worker, which may get it too
    relay = Relay(pickle.loads(settings), path)
    for number in (signal.SIGTERM, signal.SIGUSR2):  # the job is cancelled, or its time is nearly up
        signal.signal(number, lambda *_: relay.stop())
    heard, told_at, beat_at = Heard([], None), float("-inf"), time.monotonic()
    while heard.died is None:
        for order in orders.read():
            if order == STOP:
                relay.stop()
            else:
                relay.send(order)
        if beats.read():
            beat_at = time.monotonic()
        if time.monotonic() - beat_at > SILENT_SECONDS:  # the command is gone
            relay.stop()
        heard = relay.listen(POLL_SECONDS)
        if heard.words or heard.died is not None or time.monotonic() - told_at > BEAT_SECONDS:
            words.put(pickle.dumps(heard))
            told_at = time.monotonic()
