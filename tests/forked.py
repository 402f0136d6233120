"""Python programs that begin as forks of this process, with what it has imported: torch, pandas and wandb take a new one two seconds."""

import atexit
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


class ForkedProgram(subprocess.Popen[Any]):
    """`subprocess.Popen` of `[sys.executable, ...]` with `-m MODULE`, `-c CODE` or a script, and its own files, folder and environment."""

    def _execute_child(self, args: Sequence[Any], *given: Any) -> None:
        before, _, _, kept, folder, variables, _, _, _, *pipes = given[:15]
        if before is not None:
            raise ValueError("a forked program has no preexec_fn")
        to_read, _, _, to_write, _, to_write_errors = pipes
        leads = given[20]
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of this process's threads
            self.pid = os.fork()
        if self.pid == 0:
            try:
                if leads:
                    os.setsid()
                _take_files((to_read, to_write, to_write_errors), kept)
                _begin(folder, variables)
                _run([os.fspath(word) for word in args[1:]])
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _take_files(files: Sequence[int], kept: Collection[int]) -> None:
    """Its own standard files where there are any, and no others but those to be kept.

    The numbers of the others stay taken, by nothing: objects of the tests that had them may yet write to them or close them.
    """
    for number, file in enumerate(files):
        if file != -1:
            os.dup2(file, number)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/dev/fd")):
        if number > 2 and number not in kept:
            with suppress(OSError):  # that of the listing itself
                os.dup2(nothing, number, inheritable=False)


def _begin(folder: Path | None, variables: Mapping[str, str] | None) -> None:
    """Leave behind what belongs to the process that it was."""
    atexit._clear()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)):  # as `exec` does: handlers go, what is ignored stays so
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    warnings._showwarnmsg_impl = _show_warning  # type: ignore[attr-defined]  # pytest collects them
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    if folder is not None:
        os.chdir(folder)
    if variables is not None:
        os.environ.clear()
        os.environ.update({os.fspath(name): os.fspath(value) for name, value in variables.items()})


def _show_warning(message: warnings.WarningMessage) -> None:
    sys.stderr.write(warnings._formatwarnmsg(message))  # type: ignore[attr-defined]


def _run(words: list[str]) -> None:
    """Run the program, and end as a program does."""
    kind, *rest = words
    try:
        if kind == "-c":
            sys.argv[:] = ["-c", *rest[1:]]
            exec(rest[0], {"__name__": "__main__"})
        else:
            sys.argv[:] = rest if kind == "-m" else words
            (runpy.run_module if kind == "-m" else runpy.run_path)(sys.argv[0], run_name="__main__")
        code: Any = 0
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        traceback.print_exc()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code or 0)
