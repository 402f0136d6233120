"""Ids of runs of members are what stores already hold, for every variant, recipe, experiment and member that comes with rlbench."""

import hashlib

import pytest

from rlbench.config import groups, resolve
from rlbench.config.composing import composing
from rlbench.config.experiment_file import packaged_experiments
from rlbench.config.specification import run_id_of

# A digest of the ids of all runs of a command, of two seeds where no experiment says more.
IDS = {
    "experiment=rainbow_parts": "107902fd4bd99bb8",
    "experiment=revisiting_rainbow": "832d0fee311052fa",
    "recipe=revisiting_dqn": "333a7dd59b5efb75",
    "recipe=revisiting_dqn_acrobot": "e3897733564b9b45",
    "recipe=revisiting_dqn_mountaincar": "4d67e3f945283986",
    "recipe=revisiting_rainbow": "833164c91f1eb776",
    "recipe=revisiting_rainbow_acrobot": "21d2f52231a5f9a2",
    "recipe=revisiting_rainbow_acrobot_fixed": "f76bd0f6d7fd0272",
    "recipe=revisiting_rainbow_fixed": "f64070d366181d96",
    "recipe=revisiting_rainbow_mountaincar": "3f63e7045750f45c",
    "recipe=revisiting_rainbow_mountaincar_fixed": "5284b79d6ea1f40d",
    "variant=rainbow": "18899011002ad16b",
    "variant=rainbow_no_c51": "a1ecc480eee03768",
    "variant=rainbow_no_double": "d26af51158a87b1e",
    "variant=rainbow_no_dueling": "09574d1e60ea4f88",
    "variant=rainbow_no_noisy": "b4b924f5b2f24925",
    "variant=rainbow_no_nstep": "5df75f7cd3ad441f",
    "variant=rainbow_no_per": "d0b0cc4bc7a57b3b",
    "variant=dueling": "ddb96dc396740365",
    "variant=noisy": "9b5ca3f4ec494d14",
    "variant=hard_huber": "7450c7ee1a6aa544",
    "variant=hard_huber_pixel": "a372c8a7fb6790d8",
    "variant=hard_huber_small_pixel": "3de192bec555634b",
    "variant=hard_mse": "2661428925f83970",
    "variant=hard_mse_pixel": "25fc5ac842db9d96",
    "variant=hard_mse_small_pixel": "dba7674c0e41f7d8",
    "variant=per": "e286093bc80cf8bb",
    "variant=random": "608b6aafe6a3f638",
    "variant=soft_huber": "23fdb81713be23c9",
    "variant=soft_huber_pixel": "5ed40967dfc4bb62",
    "variant=soft_huber_small_pixel": "69ee57df596c8d2f",
    "variant=soft_mse": "5a6bbde1e22254f7",
    "variant=soft_mse_pixel": "ea53083860ec17c4",
    "variant=soft_mse_small_pixel": "6832d54e4a7a17e2",
    "variant=double": "040a6d222947273e",
    "variant=nstep": "0173d0d9ea9405f5",
    "variant=c51": "b9ffeaf60e7b2fa4",
    "variant=qr": "58b44c4a2ed19220",
    "variant=munchausen": "5b1e9c1c2aebded9",
    "recipe=cleanrl_c51": "2e83e01d16289647",
    "recipe=cleanrl_cartpole": "4787801fe47b2157",
    "recipe=keras_mountaincar": "4dc2e4960813687b",
    "recipe=keras_mountaincar_fixed": "d3c8b5baa16f439f",
    "recipe=mlp_hard": "c93997967047da0a",
    "recipe=mlp_hard_fixed": "4abb104f53e6450e",
    "recipe=pytorch_pixel": "b5579e79ae4e46f2",
    "recipe=pytorch_pixel_448": "a4e2eb91c678b849",
    "recipe=pytorch_state": "95ba1fd8b35cf202",
    "recipe=torchkeras": "03d4703b02a42d58",
    "recipe=torchkeras_fixed": "6fae5cb4e5716225",
    "experiment=cleanrl_c51": "252088660ccedcb6",
    "experiment=cleanrl_cartpole": "27d5d40a6400b282",
    "experiment=hard_or_soft": "be66f768305f76c9",
    "experiment=pixel_vs_state": "a4519559b03e9977",
    "experiment=pixel_vs_state_small": "aa0f86d8575a92d0",
    "experiment=quickstart": "c6aac43f715b6eb9",
    "experiment=target_by_loss": "87ecf1236d5b1239",
    "experiment=two_environments": "583b3e1da6e70c20",
    "network=conv": "25fc5ac842db9d96",
    "network=dqn2015": "1c7030c6f62d3a0a",
    "network=mlp": "2661428925f83970",
    "network=uniform": "608b6aafe6a3f638",
    "loss=mse": "2661428925f83970",
    "loss=huber": "7450c7ee1a6aa544",
    "loss=cross_entropy": "ea5562999bcd997f",
    "target=hard": "2661428925f83970",
    "target=soft": "5a6bbde1e22254f7",
    "target=none": "9bdfb8ab55bdecb8",
    "optimizer=adam": "2661428925f83970",
    "optimizer=adamw": "222e44dd8a9124d9",
    "optimizer=rmsprop": "7f4778540ea3eaa9",
    "optimizer=sgd": "a000118389472a5d",
    "clip=none": "2661428925f83970",
    "clip=value": "9685e42cb0cd3878",
    "clip=norm": "b11c9a17741fa4bd",
    "exploration=constant": "352ca6007b73816a",
    "exploration=linear": "2661428925f83970",
    "exploration=exponential": "1fcc7aa9219d0ec3",
    "exploration=multiplicative": "3e5cf41754f8430b",
    "replay=uniform": "2661428925f83970",
    "replay=prioritised": "4bd989145ef8d7e7",
    "validation=none": "2661428925f83970",
    "validation=episode": "34ca648058ec9401",
    "observation=state": "2661428925f83970",
    "observation=pixel": "25fc5ac842db9d96",
    "estimator=scalar": "2661428925f83970",
    "estimator=c51": "ea5562999bcd997f",
    "estimator=qr": "a2138c096b63f3c8",
    "estimator=munchausen": "c95f5cb14d6f6a40",
    "returns=one_step": "2661428925f83970",
    "returns=n_step": "4b4526a26de0d8bb",
}
COMPANIONS = {
    "loss=cross_entropy": ["estimator=c51"],
    "estimator=c51": ["loss=cross_entropy"],
    "estimator=qr": ["loss=huber"],
    "network=conv": ["observation=pixel"],
    "network=dqn2015": ["observation=pixel"],
    "observation=pixel": ["network=conv"],
}
QUICK = [
    "experiment=quickstart",
    "optimizer=sgd",
    "recipe=mlp_hard_fixed",
    "recipe=torchkeras",
    "variant=hard_mse_small_pixel",
    "variant=soft_huber",
]


@pytest.mark.parametrize("word", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in IDS])
def test_ids_are_what_stores_already_hold(word: str) -> None:
    seeds = [] if word.startswith("experiment=") else ["seeds=2"]
    planned = resolve([word, *seeds, *COMPANIONS.get(word, [])]).planned
    assert hashlib.sha256("".join(one.run_id for one in planned).encode()).hexdigest()[:16] == IDS[word]


def test_all_that_comes_with_rlbench_is_in_the_list() -> None:
    with composing() as composer:
        words = [f"{group}={name}" for group in ("variant", "recipe") for name in composer.names[group]]
    words += [f"experiment={path.stem}" for path in packaged_experiments().glob("*.yaml")]
    words += [f"{group}={name}" for group in groups.CLASSES for name in groups.members(group)]
    assert {word for word in words if "lunarlander" not in word} == set(
        IDS
    )  # which needs an extra: see test_revisiting


def test_the_ids_of_many_seeds_are_those_of_their_specifications() -> None:
    planned = resolve(["variant=hard_mse,per", "seeds=[0,1,7,4294967295]"]).planned
    assert [one.run_id for one in planned] == [run_id_of(one.spec) for one in planned]
