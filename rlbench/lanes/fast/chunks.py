"""How lanes are cut into chunks that learn together: as many as fit the cache, in a few fixed widths; and the memory that lanes take."""

from collections.abc import Sequence

from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.steps.columns import ReplayColumns
from rlbench.lanes.steps.observing import observed
from rlbench.lanes.steps.transitions import columns_of

# Working set of one chunk's update. Twice as many lanes were slower, half as many cost more calls than they saved in the cache.
CHUNK_BYTES = 9_000_000
MAX_WIDTH = 64
NO_LEARNING_WIDTH = 64
# Lanes that step together: more do not make a step cheaper, and their states would push each other out of the cache.
BLOCK_LANES = 64


def chunk_width(run: Run) -> int:
    """Lanes of one chunk, a power of two: what keeps weights, optimiser state and activations of an update in the cache.

    One lane where a network takes them one by one: a minibatch of patches fills the cache alone, and grouped convolutions are slower.
    """
    network = run.variant.network
    if not network.learns:
        return NO_LEARNING_WIDTH
    if network.lane_by_lane:
        return 1
    tensors = 3 + len(run.variant.optimizer.slots([]))
    activations = run.variant.batch_size * 4 * network.activation_count(*_sizes(run))
    lanes = CHUNK_BYTES // (4 * (parameter_count(run) * tensors + activations))
    return max(1, min(MAX_WIDTH, 1 << (max(1, lanes).bit_length() - 1)))


def parameter_count(run: Run) -> int:
    """Weights and biases of one lane's network."""
    return run.variant.network.parameter_count(*_sizes(run))


def bytes_per_lane(run: Run) -> int:
    """Memory of one lane's state, in bytes, without allocating it."""
    if not run.variant.network.learns:
        return 256
    seen, capacity = observed(run), run.variant.replay.capacity
    weights = parameter_count(run)
    rule = run.variant.validation.episodes
    kept = rule is not None and rule.keep_best
    copies = 2 + len(run.variant.optimizer.slots([])) + kept + (not run.variant.detach_target)
    frames = _frame_bytes(seen.pixel, capacity) if seen.pixel is not None and seen.stores_frames else 0
    remembered = sum(tensor.nbytes for tensor in run.variant.replay.memory().values())
    return frames + remembered + 4 * weights * copies + capacity * stored_columns(run).bytes + 256


def stored_columns(run: Run) -> ReplayColumns:
    """The columns of the run's stored steps."""
    info = observed(run).info
    return columns_of(run.variant, info.obs_shape, info.obs_dtype)


def _frame_bytes(pixel: Pixel, capacity: int) -> int:
    """Memory of the frames that a lane stores (see `frame_memory`)."""
    return pixel.ring_size(capacity) * pixel.colours * pixel.rows * pixel.columns


def _sizes(run: Run) -> tuple[tuple[int, ...], int, int]:
    """Shape of an observation, actions, and numbers for each of them."""
    seen = observed(run)
    return seen.shape, seen.info.num_actions, run.variant.estimator.width


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
