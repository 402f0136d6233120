"""Which transitions a minibatch takes: in range, fair, without replacement when asked, and the same as a sequential shuffle."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lane_runs import SMALL, fresh, small_run, with_fields
from plain_dqn import minibatch

from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.steps.noise import replay_words
from rlbench.lanes.training.trainer import Trainer

WORD = st.integers(0, 2**32 - 1)
EDGES = st.sampled_from([0, 1, 2**31, 2**32 - 2, 2**32 - 1])


@st.composite
def drawn_lanes(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Sizes of the lanes' memories, each at least a minibatch, and the words of one minibatch a lane."""
    batch = draw(st.integers(1, 20))
    sizes = draw(st.lists(st.integers(batch, batch + draw(st.sampled_from([0, 1, 5, 10_000]))), min_size=1, max_size=4))
    words = [draw(st.lists(WORD | EDGES, min_size=batch, max_size=batch)) for _ in sizes]
    return sizes, words


@given(drawn_lanes())
def test_with_replacement_every_word_is_scaled_to_the_size(case: tuple[list[int], list[list[int]]]) -> None:
    sizes, words = case
    index = Uniform(replacement=True).indices(torch.tensor(words), torch.tensor(sizes))
    assert index.tolist() == [minibatch(own, size, replacement=True) for own, size in zip(words, sizes, strict=True)]
    assert all(0 <= one < size for own, size in zip(index.tolist(), sizes, strict=True) for one in own)


@given(drawn_lanes())
def test_without_replacement_it_is_a_sequential_shuffle(case: tuple[list[int], list[list[int]]]) -> None:
    sizes, words = case
    index = Uniform(replacement=False).indices(torch.tensor(words), torch.tensor(sizes)).tolist()
    assert index == [minibatch(own, size, replacement=False) for own, size in zip(words, sizes, strict=True)]
    for own, size in zip(index, sizes, strict=True):
        assert len(set(own)) == len(own)
        assert all(0 <= one < size for one in own)


def words_for(jumps: list[int], size: int) -> list[int]:
    """Words with which draw j swaps entry j with entry j + jumps[j]."""
    return [-(-jump * 2**32 // (size - j)) for j, jump in enumerate(jumps)]


@given(st.data(), st.integers(2, 70), st.integers(0, 3))
def test_entries_that_move_many_times_are_found(data: st.DataObject, batch: int, beyond: int) -> None:
    """Short jumps: nearly every draw meets an entry that earlier draws have moved, some of them a long way."""
    size = batch + beyond
    jumps = [data.draw(st.integers(0, min(2, size - 1 - j))) for j in range(batch)]
    words = words_for(jumps, size)
    index = Uniform(replacement=False).indices(torch.tensor([words]), torch.tensor([size]))
    assert index[0].tolist() == minibatch(words, size, replacement=False)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 8, 9, 32, 33, 64, 65, 128])
def test_an_entry_may_move_with_every_draw(batch: int) -> None:
    """Each draw pushes entry 0 one place on, and the last one takes it."""
    words = words_for([1] * (batch - 1) + [0], batch)
    index = Uniform(replacement=False).indices(torch.tensor([words]), torch.tensor([batch]))
    assert index[0].tolist() == [*range(1, batch), 0]


@given(st.lists(WORD | EDGES, min_size=1, max_size=33))
def test_a_minibatch_as_large_as_the_memory_takes_everything(words: list[int]) -> None:
    index = Uniform(replacement=False).indices(torch.tensor([words]), torch.tensor([len(words)]))
    assert sorted(index[0].tolist()) == list(range(len(words)))


def test_every_pair_is_equally_likely_without_replacement() -> None:
    """20 ordered pairs out of 5, drawn 20 000 times: each within 4.5 standard deviations of 1000."""
    words = replay_words(fresh(small_run(seed=1)).state, torch.arange(20_000)[:, None].numpy(), 2)[:, 0]
    index = Uniform(replacement=False).indices(words, torch.full((20_000,), 5))
    counts = torch.bincount(index[:, 0] * 5 + index[:, 1], minlength=25).reshape(5, 5)
    assert not counts.diagonal().any()
    others = counts[~torch.eye(5, dtype=torch.bool)]
    assert int(others.min()) > 1000 - 4.5 * 31
    assert int(others.max()) < 1000 + 4.5 * 31


def test_each_minibatch_has_its_own_words() -> None:
    state = fresh(small_run(seed=1)).state
    drawn = replay_words(state, torch.tensor([[0], [1], [2]]).numpy(), 6)
    assert drawn.shape == (3, 1, 6)
    assert len({tuple(row) for row in drawn[:, 0].tolist()}) == 3


def test_the_memory_keeps_the_last_transitions_in_a_ring() -> None:
    """Capacity 30, 70 steps: the memory holds steps 41 to 70, step n at place (n - 1) % 30, as a large memory saw them."""
    small = with_fields(SMALL, replay__capacity=30, replay__warmup=30, exploration__value=1.0)
    large = with_fields(small, replay__capacity=70)
    memory = {}
    for variant in (small, large):
        trainer = Trainer([fresh(small_run(variant, steps=1000))])
        trainer.advance(70)
        memory[variant.replay.capacity] = trainer.lane(0).state["replay.float32"][0]
    order = [(n - 1) % 30 for n in range(41, 71)]
    assert torch.equal(memory[30][order], memory[70][40:])
    assert bool(memory[70].any(1).all())
