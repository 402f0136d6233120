"""The operators in C++ beside this file, built once on this machine by the C++ compiler and kept in the cache of torch.compile.

Which instructions are used follows PyTorch's own choice (`ATEN_CPU_CAPABILITY`), and changes no bit. Without a compiler the same numbers
come from `emulation`, slowly. A compiler that is there and fails is an error.
"""

import fcntl
import functools
import getpass
import hashlib
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from rlbench.errors import ConfigError, first_line
from rlbench.exact.compiler import compiler
from rlbench.exact.waiting import waiting

SOURCES = tuple(
    Path(__file__).with_name(name) for name in ("products.cpp", "normals.cpp", "projection.cpp", "softmax.cpp")
)
HEADERS = (Path(__file__).with_name("parts.h"),)
MARCHES = {"AVX512": "x86-64-v4", "AVX2": "x86-64-v3"}

_LIBRARY = torch.library.Library("rlbench", "DEF")
for _schema in (
    "affine(Tensor x, Tensor weight, Tensor? bias, bool positive) -> Tensor",
    "affine_backward(Tensor gradient, Tensor x, Tensor weight, Tensor y, bool positive, bool wants_x) -> (Tensor, Tensor, Tensor)",
    "layers(Tensor x, Tensor[] weights, Tensor[] biases, bool keeps) -> Tensor",
    "layers_backward(Tensor gradient, Tensor x, Tensor[] weights, Tensor kept, bool wants_x) -> (Tensor, Tensor)",
    "sqrt(Tensor x) -> Tensor",
    "sums(Tensor x) -> Tensor",
    "square_sums(Tensor[] xs) -> Tensor",
    "normals(Tensor seed, Tensor name_space, Tensor step, int stream, int begin, int count) -> Tensor",
    "softmax(Tensor x) -> (Tensor, Tensor, Tensor)",
    "shared(Tensor mass, Tensor place) -> Tensor",
):
    _LIBRARY.define(_schema, tags=(torch.Tag.needs_exact_strides,))  # the operators take any: nothing is to be copied


@functools.cache
def load() -> None:
    """Make the operators ready in this process, at their first use. Raises ConfigError where the compiler fails."""
    cxx = compiler()
    if cxx is None:
        from rlbench.exact import emulation

        for name in emulation.OPERATORS:
            _LIBRARY.impl(name, getattr(emulation, name), "CPU")
        return
    path = _path(cxx)
    _build(cxx, path)
    try:
        torch.ops.load_library(str(path))
    except OSError:  # what lies there is damaged, by a full disk, say
        path.unlink(missing_ok=True)
        _build(cxx, path)
        try:
            torch.ops.load_library(str(path))
        except OSError as error:
            raise ConfigError(f"{path}, which {cxx} has just made, cannot be loaded: {first_line(error)}") from error


def implement(name: str, function: Callable[..., Any]) -> None:
    """Let a function be an operator where there is no compiler."""
    _LIBRARY.impl(name, function, "CPU")


def _path(cxx: str) -> Path:
    """Where the library lies: its name says what it was made of and for."""
    version = subprocess.run([cxx, "--version"], capture_output=True, text=True).stdout
    made_of = [
        *(source.read_text() for source in (*SOURCES, *HEADERS)),
        *(word for word in _command(cxx) if not word.startswith(("/", "-I"))),  # not where things lie
        version,
        torch.__version__,
        str(torch.version.git_version),
        str(torch.compiled_with_cxx11_abi()),
        platform.system(),
        platform.machine(),
    ]
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    return cache_folder() / f"rlbench_products_{digest}.so"


def _build(cxx: str, path: Path) -> None:
    """Build the library if it is not there. Processes that want it at once wait for the one that builds it."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        with waiting(), tempfile.TemporaryDirectory(dir=path.parent) as folder:
            new = Path(folder) / path.name
            _run([*_command(cxx), "-o", str(new), *_linked()])
            with open(new, "rb") as written:
                os.fsync(written.fileno())
            new.replace(path)


def march() -> str | None:
    """The processors for which to compile, by PyTorch's own choice; None for what the compiler takes by itself."""
    return MARCHES.get(torch.backends.cpu.get_cpu_capability())


def cache_folder() -> Path:
    """Where torch.compile keeps what it made. Its own module tells, and takes a second to import, which who compiles nothing saves."""
    given = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    if given is not None:
        return Path(given).absolute()
    try:
        user = getpass.getuser()
    except (KeyError, ImportError, OSError):  # a container's user without a name
        user = f"uid_{os.getuid()}"
    return Path(tempfile.gettempdir()) / ("torchinductor_" + re.sub(r'[\\/:*?"<>|]', "_", user))


def _command(cxx: str) -> list[str]:
    # Without contraction a multiplication and an addition stay two roundings, as everywhere in the engine.
    wanted = march()
    instructions = [f"-march={wanted}"] if wanted else []
    include = Path(torch.__file__).with_name("include")
    return [
        cxx,
        "-O3",
        "-std=c++20",
        "-shared",
        "-fPIC",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",  # lets roundings be vectors, and changes no bit
        *instructions,
        f"-I{include}",
        *map(str, SOURCES),
    ]


def _linked() -> list[str]:
    if platform.system() == "Darwin":
        return ["-undefined", "dynamic_lookup"]
    return [f"-L{Path(torch.__file__).with_name('lib')}", "-lc10", "-ltorch_cpu"]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        last = ([line for line in lines if "error" in line] or lines)[-1]
        raise ConfigError(
            f"the C++ compiler {command[0]} failed: {last}; name another one in CXX, or set RLBENCH_COMPILER=none"
            " (the same numbers without a compiler, many times slower)"
        )
