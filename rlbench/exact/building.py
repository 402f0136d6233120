"""The operators of `products.cpp`, built once on this machine by the C++ compiler and kept in the cache of torch.compile.

Which instructions are used follows PyTorch's own choice (`ATEN_CPU_CAPABILITY`), and changes no bit. Without a compiler the same numbers
come from `emulation`, slowly. A compiler that is there and fails is an error.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from rlbench.errors import ConfigError
from rlbench.exact.waiting import waiting

SOURCE = Path(__file__).with_name("products.cpp")
INSTRUCTIONS = {"AVX512": ("-march=x86-64-v4",), "AVX2": ("-march=x86-64-v3",)}

_LIBRARY = torch.library.Library("rlbench", "DEF")
for _schema in (
    "affine(Tensor x, Tensor weight, Tensor? bias, bool positive) -> Tensor",
    "affine_backward(Tensor gradient, Tensor x, Tensor weight, Tensor y, bool positive, bool wants_x) -> (Tensor, Tensor, Tensor)",
    "layers(Tensor x, Tensor[] weights, Tensor[] biases, bool keeps) -> Tensor",
    "layers_backward(Tensor gradient, Tensor x, Tensor[] weights, Tensor kept, bool wants_x) -> (Tensor, Tensor)",
    "sqrt(Tensor x) -> Tensor",
    "sums(Tensor x) -> Tensor",
    "square_sums(Tensor[] xs) -> Tensor",
):
    _LIBRARY.define(_schema, tags=(torch.Tag.needs_exact_strides,))  # the operators take any: nothing is to be copied


def compiler() -> str | None:
    """The C++ compiler: the one that `CXX` names, else g++ or clang++; None where there is none, or with `RLBENCH_COMPILER=none`."""
    if os.environ.get("RLBENCH_COMPILER") == "none":
        return None
    found = (shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))
    return next((path for path in found if path), None)


@functools.cache
def load() -> None:
    """Make the operators ready in this process, at their first use. Raises ConfigError where the compiler fails."""
    cxx = compiler()
    if cxx is None:
        from rlbench.exact import emulation

        for name in ("affine", "affine_backward", "layers", "layers_backward", "sqrt", "sums", "square_sums"):
            _LIBRARY.impl(name, getattr(emulation, name), "CPU")
        return
    torch.ops.load_library(_built(cxx))


def _built(cxx: str) -> str:
    """The path of the library, built if need be; processes that build it at once do so twice, and the last one stays."""
    command = [cxx, *_flags(), str(SOURCE)]
    version = subprocess.run([cxx, "--version"], capture_output=True, text=True).stdout
    made_of = [SOURCE.read_text(), *command, version, torch.__version__]
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    path = cache_folder() / f"rlbench_products_{digest}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with waiting(), tempfile.TemporaryDirectory(dir=path.parent) as folder:
            new = Path(folder) / path.name
            _run([*command, "-o", str(new), *_linked()])
            new.replace(path)
    return str(path)


def cache_folder() -> Path:
    """Where torch.compile keeps what it made."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    return Path(cache_dir())


def _flags() -> list[str]:
    # Without contraction a multiplication and an addition stay two roundings, as everywhere in the engine.
    instructions = INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())
    include = Path(torch.__file__).with_name("include")
    return [
        "-O3",
        "-std=c++20",
        "-shared",
        "-fPIC",
        "-ffp-contract=off",
        "-fno-math-errno",
        *instructions,
        f"-I{include}",
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
