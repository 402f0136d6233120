"""Prioritised replay: priorities and weights by hand, against plain statements step by step, in proportion, and never an empty row."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_runs import SMALL, fresh, small_run, with_fields
from plain.prioritised import Plain
from scipy import stats

from rlbench.lanes.choices import sum_tree
from rlbench.lanes.choices.choice import stack
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.steps.noise import replay_words
from rlbench.lanes.tensors import Tensors, group

MIDDLE = 2**31  # the word in the middle of a share


def replay_of(**numbers: float) -> Prioritised:
    return Prioritised(**{"capacity": 6, "warmup": 1, "beta_fraction": None, "beta_steps": 10, **numbers})


def filled(replay: Prioritised, errors: list[float]) -> Tensors:
    """The memory of one lane in which the first rows have these errors."""
    memory, count = replay.memory(), len(errors)
    for row in range(count):
        place = torch.tensor([row])
        replay.stored(memory, place, place, torch.tensor([True]))
    stack([replay]).learned(memory, torch.arange(count)[None], torch.tensor([errors]), torch.tensor([True]))
    return memory


def leaves(memory: Tensors) -> torch.Tensor:
    return memory["priority.0"].flatten(1)


def test_priorities_and_weights_by_hand() -> None:
    """Roots of 4, 9, 1 and 16 lie side by side on a line of length 10; shares of 2.5 are hit in their middles: 1.25, 3.75, 6.25, 8.75."""
    replay = replay_of(alpha=0.5, beta=0.2, eps=1.0)
    memory = filled(replay, [3.0, -8.0, 0.0, -15.0])
    torch.testing.assert_close(leaves(memory)[0, :6], torch.tensor([2.0, 3, 1, 4, 0, 0]).double())
    assert float(memory["largest"]) == pytest.approx(4.0)
    words, steps = torch.full((1, 4), MIDDLE), torch.tensor([3])
    index, weights = stack([replay]).draw(memory, words, torch.tensor([4]), {"env_steps": steps})
    assert index.tolist() == [[0, 1, 3, 3]]
    beta = 0.2 + 0.8 * 3 / 10
    assert weights.tolist()[0] == pytest.approx([1.0, (2 / 3) ** beta, (2 / 4) ** beta, (2 / 4) ** beta])


def test_beta_goes_to_its_end_in_a_straight_line() -> None:
    replay = stack([replay_of(beta=0.4, beta_steps=10), replay_of(beta=0.5, beta_end=0.5)])
    for steps, expected in ((0, 0.4), (5, 0.7), (10, 1.0), (999, 1.0)):
        assert replay.exponent(torch.full((2,), steps))[:, 0].tolist() == pytest.approx([expected, 0.5])


def test_a_new_transition_has_the_largest_priority_that_ever_was() -> None:
    """1 before anything was learned; that of an error that is gone, too; an overwritten row loses its own."""
    replay = replay_of(alpha=1.0, eps=0.5)
    memory = filled(replay, [0.5, 3.5])
    assert leaves(memory)[0, :3].tolist() == [1.0, 4.0, 0.0]
    stack([replay]).learned(memory, torch.tensor([[1, 1]]), torch.tensor([[0.0, 0.0]]), torch.tensor([True]))
    place = torch.tensor([0])
    replay.stored(memory, place, place, torch.tensor([True]))
    assert leaves(memory)[0, :3].tolist() == [4.0, 0.5, 0.0]
    assert float(filled(replay, [0.0])["largest"]) == 1.0


def test_transitions_of_several_steps_have_a_priority_when_they_are_complete() -> None:
    replay = replay_of()
    memory = replay.memory()
    found = []
    for step in range(9):
        newest, complete = torch.tensor([step % 6]), torch.tensor([(step - 2) % 6])
        replay.stored(memory, newest, complete, torch.tensor([step >= 2]))
        found.append(leaves(memory)[0, :6].tolist())
    assert found[1] == [0] * 6
    assert found[2] == [1, 0, 0, 0, 0, 0]
    assert found[5] == [1, 1, 1, 1, 0, 0]
    assert found[6] == [0, 1, 1, 1, 1, 0]
    assert found[8] == [1, 0, 0, 1, 1, 1]


def test_a_lane_that_is_not_due_or_does_not_step_keeps_its_priorities() -> None:
    replay = stack([replay_of(), replay_of()])
    memory = {name: torch.cat([t, t]) for name, t in filled(replay_of(), [0.3, 2.0]).items()}
    before = {name: t.clone() for name, t in memory.items()}
    only_second = torch.tensor([False, True])
    replay.learned(memory, torch.tensor([[0, 1], [0, 1]]), torch.full((2, 2), 9.0), only_second)
    replay.stored(memory, torch.tensor([1, 1]), torch.tensor([1, 1]), only_second)
    for name, tensor in memory.items():
        assert torch.equal(tensor[0], before[name][0])
        assert not torch.equal(tensor[1], before[name][1])


def test_many_steps_are_those_of_the_plain_statement() -> None:
    """Three lanes with numbers of their own, a ring of 37 that goes round five times, minibatches with a row twice."""
    own = [(0.6, 0.4, 100), (1.0, 0.0, 150), (0.3, 1.0, 1)]
    replays = [replay_of(capacity=37, alpha=a, beta=b, beta_steps=n, eps=1e-3) for a, b, n in own]
    lanes, plain = stack(replays), [Plain(with_fields(SMALL, replay=replay)) for replay in replays]
    memory = {name: t.repeat(3, *[1] * (t.dim() - 1)) for name, t in replays[0].memory().items()}
    generator = np.random.default_rng(3)
    repeated = 0
    for step in range(200):
        place = torch.full((3,), step % 37)
        lanes.stored(memory, place, place, torch.ones(3, dtype=torch.bool))
        for one in plain:
            one.add((step,))
        words = generator.integers(0, 2**32, (3, 9))
        counters = {"env_steps": torch.full((3,), step + 1)}
        index, weights = lanes.draw(memory, torch.from_numpy(words), torch.full((3,), min(step + 1, 37)), counters)
        errors = (generator.standard_normal((3, 37)) * 10.0 ** generator.integers(-3, 3, (3, 37))).astype(np.float32)
        drawn = np.take_along_axis(errors, index.numpy(), 1)
        lanes.learned(memory, index, torch.from_numpy(drawn), torch.ones(3, dtype=torch.bool))
        for lane, one in enumerate(plain):
            expected, expected_weights = one.sample(words[lane] / 2.0**32)
            assert index[lane].tolist() == expected.tolist()
            np.testing.assert_allclose(weights[lane].numpy(), expected_weights, rtol=1e-6)
            one.learned(expected, drawn[lane])
            np.testing.assert_allclose(leaves(memory)[lane, :37].numpy(), one.priority, rtol=1e-12)
            repeated += len(set(expected.tolist())) < 9
    assert repeated > 100


def many_draws(priorities: np.ndarray, batch: int) -> np.ndarray:
    """How often each row is drawn in 3000 lanes with the same priorities, minibatches of a run's own words."""
    replay = replay_of(capacity=len(priorities))
    tree = [level.repeat(3000, 1, 1) for level in sum_tree.empty(len(priorities))]
    rows = torch.arange(len(priorities)).repeat(3000, 1)
    sum_tree.write(tree, rows, torch.from_numpy(priorities).repeat(3000, 1))
    memory = {f"priority.{i}": level for i, level in enumerate(tree)}
    words = replay_words(fresh(small_run(seed=1)).state, np.arange(3000)[:, None], batch)[:, 0]
    counters = {"env_steps": torch.zeros(3000, dtype=torch.int64)}
    index, _ = stack([replay] * 3000).draw(memory, words, torch.full((3000,), len(priorities)), counters)
    return np.bincount(index.flatten().numpy(), minlength=len(priorities))


@pytest.mark.parametrize("batch", [1, 32])
def test_rows_are_drawn_in_proportion_to_their_priorities(batch: int) -> None:
    """Chi-square over independent draws; drawn by shares, counts lie nearer to what is expected, so only too far off is an error."""
    priorities = np.random.default_rng(0).pareto(1.5, 40) + 0.2
    priorities[[3, 17, 39]] = 0
    counts, expected = many_draws(priorities, batch), priorities / priorities.sum() * 3000 * batch
    assert counts[priorities == 0].sum() == 0
    kept = priorities > 0
    found = stats.chisquare(counts[kept], expected[kept])
    assert found.pvalue > 0.01
    if batch == 1:
        assert found.pvalue < 0.999
        assert stats.chisquare(counts[kept], np.full(kept.sum(), counts.sum() / kept.sum())).pvalue < 1e-9


ROW = st.tuples(st.integers(0, 299), st.just(0.0) | st.floats(1e-6, 1e6))
SIZE = st.one_of(st.just(0.0), st.floats(1e-9, 1e9), st.sampled_from([1e-300, 1e300, 0.1, 1 / 3]))


@settings(deadline=None)
@given(st.lists(SIZE, min_size=1, max_size=40).filter(any), st.integers(1, 9))
def test_a_row_without_priority_is_never_drawn(priorities: list[float], batch: int) -> None:
    """Whatever is rounded away: at both ends of every share."""
    tree = sum_tree.empty(len(priorities))
    sum_tree.write(tree, torch.arange(len(priorities))[None], torch.tensor([priorities], dtype=torch.float64))
    assert float(sum_tree.total(tree)) == pytest.approx(sum(priorities))
    memory = {f"priority.{i}": level for i, level in enumerate(tree)}
    for word in (0, MIDDLE, 2**32 - 1):
        words = torch.full((1, batch), word)
        index, weights = stack([replay_of()]).draw(memory, words, words[:, 0], {"env_steps": torch.tensor([5])})
        assert all(priorities[row] > 0 for row in index[0].tolist())
        assert bool((weights <= 1).all())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(ROW, min_size=1, max_size=8), max_size=20))
def test_a_tree_hangs_on_its_leaves_alone(writes: list[list[tuple[int, float]]]) -> None:
    """Written bit by bit, it has the sums that it has when all leaves are written at once."""
    tree, last = sum_tree.empty(300), torch.zeros(1, 300, dtype=torch.float64)
    for one in writes:
        own = dict(one)
        index = torch.tensor([[row for row, _ in one]])
        values = torch.tensor([[own[row] for row, _ in one]], dtype=torch.float64)
        sum_tree.write(tree, index, values)
        last[0, index[0]] = values[0]
    whole = sum_tree.empty(300)
    sum_tree.write(whole, torch.arange(300)[None], last)
    assert all(torch.equal(ours, once) for ours, once in zip(tree, whole, strict=True))
    assert [tuple(level.shape) for level in group({f"t.{i}": t for i, t in enumerate(tree)}, "t")] == [
        (1, 19, 16), (1, 2, 16), (1, 1, 16)
    ]  # fmt: skip
