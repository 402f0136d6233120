"""How lanes are cut into chunks that learn together: as many as fit the cache, in a few fixed widths; and the memory that lanes take."""

import itertools
from collections.abc import Sequence

from rlbench.lanes.convolution import Conv
from rlbench.lanes.networks import MLP
from rlbench.lanes.observations import Pixel
from rlbench.lanes.observing import observed
from rlbench.lanes.replay import ROW_EXTRAS
from rlbench.lanes.validation import EpisodeValidation
from rlbench.lanes.variant import Run

# Working set of one chunk's update. Twice as many lanes were slower, half as many cost more calls than they saved in the cache.
CHUNK_BYTES = 9_000_000
MAX_WIDTH = 64
NO_LEARNING_WIDTH = 64
# Lanes that step together: more do not make a step cheaper, and their states would push each other out of the cache.
BLOCK_LANES = 64


def chunk_width(run: Run) -> int:
    """Lanes of one chunk, a power of two: what keeps weights, optimiser state and activations of an update in the cache.

    One lane where the network convolves: a minibatch of patches fills the cache alone, and grouped convolutions are slower on a CPU.
    """
    network = run.variant.network
    if isinstance(network, Conv):
        return 1
    if not isinstance(network, MLP):
        return NO_LEARNING_WIDTH
    sizes = _sizes(run, network)
    weights = parameter_count(run)
    tensors = 3 + len(run.variant.optimizer.slots([]))
    activations = run.variant.batch_size * 4 * sum(sizes)
    lanes = CHUNK_BYTES // (4 * (weights * tensors + activations))
    return max(1, min(MAX_WIDTH, 1 << (max(1, lanes).bit_length() - 1)))


def parameter_count(run: Run) -> int:
    """Weights and biases of one lane's network."""
    network = run.variant.network
    if isinstance(network, Conv):
        channels, rows, columns = observed(run).shape
        return network.parameter_count((channels, rows, columns), observed(run).info.num_actions)
    if not isinstance(network, MLP):
        return 0
    return sum(fan_in * fan_out + fan_out for fan_in, fan_out in itertools.pairwise(_sizes(run, network)))


def bytes_per_lane(run: Run) -> int:
    """Memory of one lane's state, in bytes, without allocating it."""
    if not run.variant.network.learns:
        return 256
    seen, capacity = observed(run), run.variant.replay.capacity
    weights = parameter_count(run)
    rule = run.variant.validation
    kept = isinstance(rule, EpisodeValidation) and rule.keep_best
    copies = 2 + len(run.variant.optimizer.slots([])) + kept + (not run.variant.detach_target)
    frames = _frame_bytes(seen.pixel, capacity) if seen.pixel is not None and seen.stores_frames else 0
    return frames + 4 * (weights * copies + capacity * (2 * seen.info.obs_size + ROW_EXTRAS)) + 256


def _frame_bytes(pixel: Pixel, capacity: int) -> int:
    """Memory of the frames that a lane stores (see `frame_memory`)."""
    return pixel.ring_size(capacity) * pixel.colours * pixel.rows * pixel.columns


def _sizes(run: Run, network: MLP) -> tuple[int, ...]:
    info = observed(run).info
    return (info.obs_size, *network.units, info.num_actions)


def chunks(num_lanes: int, width: int) -> list[tuple[int, int]]:
    """(start, width) of each chunk: full ones, then one of the smallest power of two that holds the rest (its last lanes idle)."""
    full, rest = divmod(num_lanes, width)
    layout = [(i * width, width) for i in range(full)]
    if rest:
        layout.append((full * width, 1 << (rest - 1).bit_length()))
    return layout


def block_layouts(layout: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The chunks (start, width) whose lanes step together, block by block."""
    count = max(1, BLOCK_LANES // layout[0][1])
    return [list(layout[i : i + count]) for i in range(0, len(layout), count)]
