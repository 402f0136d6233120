"""Random numbers: published test vectors, an independent statement, and streams that share nothing."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import plain_philox
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lane_runs import fresh, small_run

from rlbench.lanes.choices.choice import stack
from rlbench.lanes.steps.noise import acting_noise, replay_words
from rlbench.lanes.streams import (
    EVALUATION,
    MAX_SEED,
    Namespace,
    Stream,
    philox,
    reset_seed,
    uniform_table,
    uniforms,
    words,
)

WORDS = st.integers(0, 2**32 - 1)

# From the file kat_vectors of Random123 1.14, lines "philox4x32 10": counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def from_hex(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def ours(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    return [int(word) for word in philox(*(torch.tensor(value) for value in (*counter, *key)))]


def draw(seed: int = 3, namespace: int = 1, stream: Stream = Stream.RESET, step: int = 5, index: int = 0) -> list[int]:
    at = [torch.tensor(value) for value in (seed, namespace, step, index)]
    return [int(word) for word in words(at[0], at[1], stream, at[2], at[3])]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_published_vectors(counter: str, key: str, result: str) -> None:
    assert ours(from_hex(counter), from_hex(key)) == from_hex(result)
    assert list(plain_philox.philox(from_hex(counter), from_hex(key))) == from_hex(result)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4), st.lists(st.integers(0, 2**64 - 1), min_size=2))
def test_the_plain_statement_with_64_bits_is_that_of_numpy(counter: list[int], key: list[int]) -> None:
    # NumPy counts up before it draws; a first word below the maximum keeps the carry out of this test.
    first = min(counter[0], 2**64 - 2)
    state = np.array([first, *counter[1:]], np.uint64)
    drawn = np.random.Philox(counter=state, key=np.array(key[:2], np.uint64)).random_raw(4)
    assert drawn.tolist() == list(plain_philox.philox((first + 1, *counter[1:]), key[:2], word_bits=64))


@given(st.lists(WORDS, min_size=4, max_size=4), st.lists(WORDS, min_size=2, max_size=2))
def test_the_plain_statement_with_32_bits_is_ours(counter: list[int], key: list[int]) -> None:
    assert ours(counter, key) == list(plain_philox.philox(counter, key))


@given(seed=WORDS, namespace=st.integers(1, 2**17), step=st.integers(0, 2**62), index=WORDS)
def test_a_draw_is_keyed_by_seed_and_namespace_and_counted_by_the_rest(
    seed: int, namespace: int, step: int, index: int
) -> None:
    expected = plain_philox.stream_words(seed=seed, namespace=namespace, stream=4, step=step, index=index)
    assert draw(seed, namespace, Stream.REPLAY, step, index) == list(expected)


def test_arguments_broadcast_to_the_numbers_of_single_draws() -> None:
    seed, step, index = torch.tensor([[3], [9]]), torch.tensor([[5], [2**40]]), torch.arange(3)
    first, _, _, last = words(seed, torch.tensor([[1], [2]]), Stream.WEIGHTS, step + 0 * index, index)
    assert first.shape == (2, 3)
    for row, column in itertools.product(range(2), range(3)):
        alone = draw(int(seed[row]), row + 1, Stream.WEIGHTS, int(step[row]), column)
        assert [int(first[row, column]), int(last[row, column])] == [alone[0], alone[3]]


def test_every_argument_changes_every_word() -> None:
    others = [
        draw(seed=4),
        draw(namespace=2),
        draw(stream=Stream.REPLAY),
        draw(step=6),
        draw(step=5 + 2**32),
        draw(index=1),
        draw(namespace=1 + EVALUATION),
    ]
    for position in range(4):
        assert len({drawn[position] for drawn in [draw(), *others]}) == len(others) + 1


def test_streams_and_namespaces_have_their_published_numbers() -> None:
    assert {stream.name: int(stream) for stream in Stream} == {
        "WEIGHTS": 1,
        "RESET": 2,
        "EXPLORATION": 3,
        "REPLAY": 4,
        "UNIFORM_POLICY": 5,
        "VALIDATION": 6,
        "ENVIRONMENT": 7,
        "WEIGHT_NOISE": 8,
    }
    assert {space.name: int(space) for space in Namespace} == {"TRAIN": 1, "TUNE": 2}
    assert all(int(space) + EVALUATION not in set(Namespace) for space in Namespace)


def test_another_consumer_shifts_nobody() -> None:
    """Reading more of one stream, or reading streams in another order, leaves every number where it was."""
    lane = fresh(small_run(seed=7)).state
    ordinals = torch.tensor([[0], [1], [2]]).numpy()
    few = replay_words(lane, ordinals, 8)
    uniform_table(7, Namespace.TRAIN, Stream.UNIFORM_POLICY, 0, 100)
    many = replay_words(lane, ordinals, 64)
    assert torch.equal(many[..., :8], few)
    assert torch.equal(uniform_table(7, 1, Stream.WEIGHTS, 0, 6), uniform_table(7, 1, Stream.WEIGHTS, 0, 1000)[:6])


def test_seeds_differ_in_initial_weights_and_first_draws() -> None:
    lanes = [fresh(small_run(seed=seed)) for seed in range(32)]
    for name in ("online.0", "online.1", "online.2", "online.3", "env"):
        assert len({lane.state[name].numpy().tobytes() for lane in lanes}) == len(lanes)
    noise = [acting_noise(lane.state, stack([lane.run.variant]), 64, 2, None) for lane in lanes]
    assert len({one.explores.numpy().tobytes() for one in noise}) == len(lanes)
    assert len({one.uniform_action.numpy().tobytes() for one in noise}) == len(lanes)
    first_minibatch = np.zeros((1, 1), np.int64)
    assert len({replay_words(lane.state, first_minibatch, 8).numpy().tobytes() for lane in lanes}) == len(lanes)


def test_uniforms_are_the_words_as_fractions() -> None:
    at = torch.tensor(3), torch.tensor(1), torch.tensor(5), torch.tensor(0)
    drawn = uniforms(at[0], at[1], Stream.RESET, at[2], at[3])
    assert [float(value) for value in drawn] == [word / 2**32 for word in draw()]
    assert all(value.dtype == torch.float64 for value in drawn)


def test_numbers_are_uniform() -> None:
    """10 000 numbers in 100 bins: chi-squared with 99 degrees of freedom stays below 149 in 999 of 1000 cases. Neighbours do not correlate."""
    table = uniform_table(0, Namespace.TRAIN, Stream.WEIGHTS, 0, 10_000)
    assert table.shape == (10_000,)
    assert float(table.min()) >= 0.0
    assert float(table.max()) < 1.0
    counts = torch.bincount((table * 100).long(), minlength=100).double()
    assert 61 < float(((counts - 100) ** 2 / 100).sum()) < 149
    for lag in (1, 2, 4):
        correlation = float(torch.corrcoef(torch.stack([table[lag:], table[:-lag]]))[0, 1])
        assert abs(correlation) < 4 / math.sqrt(len(table))


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_a_table_holds_what_was_asked_for(count: int) -> None:
    drawn = [word / 2**32 for block in range(3) for word in draw(3, 1, Stream.WEIGHTS, 2, block)]
    assert uniform_table(3, 1, Stream.WEIGHTS, 2, count).tolist() == drawn[:count]


@given(seed=WORDS, episode=st.integers(0, 2**40), index=st.integers(0, 1000))
def test_reset_seeds_fit_gymnasium(seed: int, episode: int, index: int) -> None:
    found = reset_seed(seed, Namespace.TRAIN, episode, index)
    assert found == draw(seed, 1, Stream.RESET, episode, index)[0] // 8 * 4
    assert 0 <= found < 2**31


@given(seed=WORDS, episode=st.integers(0, 2**40), index=st.integers(0, 1000))
def test_no_reset_seed_serves_two_purposes(seed: int, episode: int, index: int) -> None:
    """Training, evaluation, tuning, and its evaluation are told apart by the two lowest bits."""
    purposes = (1, 1 + EVALUATION, 2, 2 + EVALUATION)
    assert [reset_seed(seed, purpose, episode, index) % 4 for purpose in purposes] == [0, 1, 2, 3]


def test_reset_seeds_are_all_different() -> None:
    asked = itertools.product((0, 1, MAX_SEED), (1, 1 + EVALUATION), range(50), range(3))
    found = [reset_seed(*arguments) for arguments in asked]
    assert len(set(found)) == len(found) == 900
