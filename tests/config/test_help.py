"""--help: every group with its members, every key with its default and meaning, in 100 columns."""

import re

import pytest

from rlbench.config import HelpRequested, groups, resolve
from rlbench.config.cadence import as_given
from rlbench.config.keys import all_keys, keys_of, show, typed


@pytest.fixture(scope="module")
def text() -> str:
    with pytest.raises(HelpRequested) as caught:
        resolve(["--help"])
    return str(caught.value)


def test_it_fits_100_columns(text: str) -> None:
    assert max(map(len, text.splitlines())) <= 100
    assert text.isascii()


def test_it_lists_every_key_with_its_default_and_meaning(text: str) -> None:
    squeezed = " ".join(text.split())
    for name, key in all_keys().items():
        key = as_given(key)
        assert re.search(rf"^  {re.escape(typed(name))} +{re.escape(show(key.default))}( |$)", text, re.MULTILINE)
        assert key.meaning
        assert key.meaning in squeezed


def test_it_lists_the_keys_of_every_member(text: str) -> None:
    for group in groups.CLASSES:
        for name, choice in groups.members(group).items():
            own = keys_of(choice, f"{group}.")
            assert (f"keys with {group}={name}\n" in text) == bool(own)
            block = text.partition(f"keys with {group}={name}\n")[2].partition("\n\n")[0]
            assert re.findall(r"^  (\S+)", block, re.MULTILINE) == list(own)


def test_it_lists_every_group_with_its_members(text: str) -> None:
    listed = text.partition("groups:")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\w+) ", listed, re.MULTILINE) == list(groups.MEANINGS)
    for group in groups.CLASSES:
        for name in groups.members(group):
            assert re.search(rf"[ *]{name}\b", listed)
    for name in ("soft_mse", "random", "cleanrl_cartpole", "mountain_car", "target_by_loss", "*hard_mse", "*cartpole"):
        assert name in listed


def test_its_examples_resolve(text: str) -> None:
    examples = text.partition("examples")[2].partition("--dry-run")[0]
    commands = [re.split(r" {2,}", line.strip())[0] for line in examples.strip().splitlines()]
    assert len(commands) >= 6
    for command in commands:
        if "LunarLander" not in command:
            assert resolve(command.split(" ")).planned
