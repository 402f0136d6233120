"""What passes through a network draw: normal numbers for noise in its weights, new ones for each pass.

They are a pure function of (seed, namespace), of the step or the number of the update, and of which pass it is, so that they do not hang on
other lanes, on other passes, or on where a run was interrupted.
"""

from enum import IntEnum

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Network
from rlbench.lanes.streams import Stream
from rlbench.lanes.tensors import Tensors

PASS_SIZE = 1 << 24  # counters, of four numbers each, that a pass has for itself


class Pass(IntEnum):
    """Which pass of a step or an update. Values are part of the published results: never renumber."""

    ACTING = 0
    LEARNING = 1
    TARGET = 2
    CHOOSING = 3


NUM_PASSES = len(Pass)


def drawn(network: Network, lanes: Tensors, params: list[Tensor], which: Pass, earlier: int = 0) -> tuple[Tensor, ...]:
    """The normal numbers [L, n] of a pass, alone in a tuple, which is empty for networks that draw none.

    They go with the environment steps of a lane until now, or with its updates; `earlier`: passes of this kind in this update. A network
    that keeps its numbers has those of its first acting step.
    """
    count = network.num_normals(params)
    if count == 0:
        return ()
    if network.keeps_normals:
        return (kept(lanes["seed"], lanes["namespace"], count),)
    step = lanes["env_steps" if which is Pass.ACTING else "updates"]
    begin = (which + NUM_PASSES * earlier) * PASS_SIZE
    key = lanes["seed"], lanes["namespace"]
    return (exact.normals(*key, step, stream=int(Stream.WEIGHT_NOISE), begin=begin, count=count),)


def drawn_in(role: str, network: Network, lanes: Tensors, params: list[Tensor]) -> tuple[Tensor, ...]:
    """The same of who acts: in evaluation there is noise only where it is kept."""
    return drawn(network, lanes, params, Pass.ACTING) if role == "acting" or network.keeps_normals else ()


def kept(seed: Tensor, namespace: Tensor, count: int) -> Tensor:
    """The normal numbers [L, count] that runs of these seeds and namespaces [L] int64 keep."""
    return exact.normals(seed, namespace, torch.zeros_like(seed), stream=int(Stream.WEIGHT_NOISE), count=count)
