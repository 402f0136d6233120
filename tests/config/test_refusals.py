"""Strict input: one clear line with the key, what is allowed and the nearest right name; nothing of Hydra shows, nothing is written."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbench.config import HelpRequested, groups, resolve
from rlbench.errors import ConfigError

SEE = "(see: python -m rlbench.run --help)"
VARIANTS = (
    "(one of: c51, double, dueling, hard_huber, hard_huber_pixel, hard_huber_small_pixel, hard_mse, hard_mse_pixel, "
    "hard_mse_small_pixel, munchausen, noisy, nstep, per, qr, rainbow, rainbow_no_c51, rainbow_no_double, "
    "rainbow_no_dueling, rainbow_no_noisy, rainbow_no_nstep, rainbow_no_per, random, soft_huber, soft_huber_pixel, "
    "soft_huber_small_pixel, soft_mse, soft_mse_pixel, soft_mse_small_pixel)"
)

REFUSALS = {
    # names
    "variant=soft_hubber": f"unknown variant 'soft_hubber'; did you mean 'soft_huber'? {VARIANTS}",
    "variant=hard_mse,soft_hubber": f"unknown variant 'soft_hubber'; did you mean 'soft_huber'? {VARIANTS}",
    "variant=1": f"unknown variant '1' {VARIANTS}",
    "optimizer=adamm": f"unknown optimizer 'adamm'; did you mean 'adam'? (one of: {', '.join(groups.members('optimizer'))})",
    "target=periodic": "unknown target 'periodic' (one of: hard, soft, none)",
    "experiment=target_by_los": "unknown experiment 'target_by_los'; did you mean 'target_by_loss'?",
    "recipe=clean_cartpole": "unknown recipe 'clean_cartpole'; did you mean 'cleanrl_cartpole'?",
    "env=cartpol": "unknown env 'cartpol'; did you mean 'cartpole'?",
    "env=CartPole-v9": "unknown environment 'CartPole-v9'; did you mean 'CartPole-v1'?",
    "env=no_such_module:X-v0": "environment 'no_such_module:X-v0': module 'no_such_module' does not import",
    "env=Pendulum-v1": "environment 'Pendulum-v1' has actions Box",
    "env=Blackjack-v1": "environment 'Blackjack-v1' has observations Tuple",
    "network.activation=rel": "unknown network.activation 'rel'; did you mean 'relu'? (one of: relu, tanh)",
    "target.unit=update": "unknown target.unit 'update'; did you mean 'updates'? (one of: steps, updates, episodes, losses)",
    "wandb.mode=onlin": "unknown wandb.mode 'onlin'; did you mean 'online'? (one of: offline, online, disabled)",
    # estimators and returns
    "estimator=c51": "estimator=c51 learns probabilities: give loss=cross_entropy; got loss=mse",
    "estimator=qr": "estimator=qr learns quantiles: give loss=huber, its delta is kappa; got loss=mse",
    "loss=cross_entropy": "loss=cross_entropy is a loss of probabilities: give estimator=c51; got estimator=scalar",
    "estimator=munchausen double=true": "estimator=munchausen picks no next action that another network could choose",
    "variant=qr loss_over=all": "loss_over=all needs estimator=scalar; got estimator=qr",
    "variant=c51 detach_target=false": "detach_target=false needs estimator=scalar; got estimator=c51",
    "variant=c51 estimator.atoms=1": "estimator.atoms must be >= 2; got 1",
    "variant=c51 estimator.v_min=200": "estimator.v_min 200 must be below estimator.v_max 100: the support would be empty",
    "variant=nstep returns.steps=0": "returns.steps must be >= 1; got 0",
    "variant=nstep returns.steps=20000": "returns=n_step makes transitions of 20000 steps, more than replay.capacity 10000",
    "variant=nstep returns.steps=9 replay.warmup=8": "returns=n_step makes transitions of 9 steps and needs replay.warmup of at least 9",
    # budgets that cannot give a result
    "steps=2000 evaluation.period=2500": "evaluation.period 2500 is larger than steps 2000: no run would ever be evaluated",
    "steps=3000 replay.warmup=4000": "replay.warmup 4000 is larger than steps 3000: learning would never start",
    # keys
    "batchsize=3": f"unknown key 'batchsize'; did you mean 'batch_size'? {SEE}",
    "seed=3": f"unknown key 'seed'; did you mean 'seeds'? {SEE}",
    "lr=1": f"unknown key 'lr'; did you mean 'optimizer.lr'? {SEE}",
    "learning_rate=1": f"unknown key 'learning_rate'; did you mean 'optimizer.lr'? {SEE}",
    "gamma=1": f"unknown key 'gamma'; did you mean 'discount'? {SEE}",
    "optimizer.learning_rate=1": "unknown key 'optimizer.learning_rate'; did you mean 'optimizer.lr'? (keys: optimizer.lr,",
    "loss.dleta=1": "unknown key 'loss.dleta'; did you mean 'delta'? (keys: loss.delta, loss.floor)",
    "loss.kind=huber": "unknown key 'loss.kind' (keys: loss.delta, loss.floor)",
    "hydra.searchpath=[x]": f"unknown key 'hydra.searchpath' {SEE}",
    "hydra/launcher=x": f"unknown key 'hydra/launcher' {SEE}",
    "evaluation=5": "'evaluation' is not a key itself; its keys are evaluation.period, evaluation.episodes,"
    f" evaluation.max_env_steps, evaluation.at_end {SEE}",
    "a\nb=3": f"unknown key 'a b' {SEE}",
    # keys that another choice has
    "loss.delta=2": "'loss.delta' does not apply: loss=mse has no 'delta', only loss=huber (loss=mse has no keys)",
    "variant=hard_huber loss=mse loss.delta=2": "'loss.delta' does not apply: loss=mse has no 'delta'",
    "target=none target.tau=0.1": "'target.tau' does not apply: target=none has no 'tau', only target=hard and target=soft",
    "optimizer.momentum=0.1": "'optimizer.momentum' does not apply: optimizer=adam has no 'momentum', "
    "only optimizer=rmsprop and optimizer=sgd (keys: optimizer.lr, optimizer.beta1,",
    # types
    "optimizer.lr=abc": "optimizer.lr must be a finite number; got abc",
    "optimizer.lr=nan": "optimizer.lr must be a finite number; got nan",
    "optimizer.lr=true": "optimizer.lr must be a finite number; got true",
    "optimizer.lr=[1]": "optimizer.lr must be a finite number; got [1]",
    "optimizer.lr={a:1}": "optimizer.lr takes no mapping",
    "optimizer=[adam]": "optimizer takes the name of a member",
    "recipe=null": "recipe takes the name of a member",
    "double=yes": "double must be true or false; got yes",
    "double=1": "double must be true or false; got 1",
    "batch_size=1.5": "batch_size must be a whole number; got 1.5",
    "batch_size=null": "batch_size must be a whole number; got null",
    "steps=1e400": "steps must be a whole number or null; got inf",
    "steps=9223372036854775808": "steps must be a whole number or null (at most 9223372036854775807)",
    "network.units=64": "network.units is a list: write network.units=[64]",
    "network.units=64,64": "network.units is a list and needs brackets: network.units=[64,64]",
    "network.units=[a]": "network.units must be a [list], each a whole number; got a",
    "wandb.tags=a,b": "wandb.tags is a list and needs brackets: wandb.tags=[a,b]",
    # values
    "optimizer.lr=-1": "optimizer.lr must be > 0; got -1.0",
    "optimizer.lr=1e-3,-1": "optimizer.lr must be > 0; got -1.0",
    "discount=2": "discount must be 0 <= x <= 1; got 2.0",
    "evaluation.period=0": "evaluation.period must be >= 1; got 0",
    "env.max_env_steps=0": "env.max_env_steps must be >= 1; got 0",
    "steps=0": "steps must be >= 1; got 0",
    "lanes=0": "lanes must be >= 1; got 0",
    "checkpoint_seconds=0": "checkpoint_seconds must be > 0; got 0.0",
    "final_window=0": "final_window must be >= 1; got 0",
    "workers=0": "workers must be auto, or a whole number of at least 1; got 0",
    "workers=many": "workers must be auto, or a whole number of at least 1; got many",
    "name=../up": "name=../up: a name has 1 to 100 letters, digits, dots, dashes and underscores",
    "name=.hidden": "name=.hidden: a name has 1 to 100 letters",
    "store=": "store= has no value",
    "steps=": "steps= has no value",
    "batch_size=20000": "batch_size 20000 is larger than replay.capacity 10000",
    "replay.warmup=20000": "replay.warmup 20000 is larger than replay.capacity 10000",
    "optimizer=sgd optimizer.nesterov=true": "optimizer.nesterov needs optimizer.momentum above 0",
    # seeds
    "seeds=0": "seeds=0: at least 1 seed is needed",
    "seeds=-3": "seeds=-3: at least 1 seed is needed",
    "seeds=1,2": "seeds=1,2 needs brackets: seeds=[1,2] (or a count, or a range a:b)",
    "seeds=1,1": "seeds=1,1 needs brackets: seeds=[1,1]",
    "seeds=[1,1]": "seeds lists 1 twice; every seed is one run",
    "seeds=[]": "seeds=[] has no seeds; at least 1 is needed",
    "seeds=5:5": "seeds=5:5 is an empty range",
    "seeds=1.5": "seeds takes a count (32), a range (100:132) or a list in brackets ([1,2,5]); got 1.5",
    "seeds=4294967297": "4294967297 seeds in one command are too many",
    "seeds=[4294967296]": "a seed is at most 4294967295; got 4294967296",
    # grammar and combinations
    "steps": f"expected key=value, got 'steps'; write steps=VALUE {SEE}",
    "soft_huber": f"expected key=value, got 'soft_huber'; did you mean 'variant=soft_huber'? {SEE}",
    "=3": f"expected key=value, got '=3' {SEE}",
    "+foo=1": "'+foo=1': every key exists already, so none is added, removed or moved",
    "~loss": "'~loss': every key exists already, so none is added, removed or moved",
    "loss@other=mse": "'loss@other=mse': every key exists already",
    "optimizer.lr=${discount}": "optimizer.lr has an interpolation ${...}; write the value itself",
    "network.units=[1": "cannot read 'network.units=[1'",
    "wandb.project=a=b": "cannot read 'wandb.project=a=b'",
    "optimizer.lr=1e-3,1e-3": "optimizer.lr lists 0.001 twice",
    "loss.delta=1,1.0": "loss.delta lists 1 twice",
    "variant=random,random": "variant lists random twice",
    "env=cartpole,CartPole-v1": "the cells 'hard_mse env=cartpole' and 'hard_mse env=CartPole-v1' on CartPole-v1 are the same runs",
    "optimizer.lr=interval(0,1)": "optimizer.lr: write the values of a factor out",
    "optimizer.lr=shuffle(1,2)": "optimizer.lr: write the values of a factor out",
    "optimizer.lr=range(1,4,0)": "optimizer.lr: the range has no values",
    "optimizer.lr=range(1,1000000000)": "optimizer.lr: the range has no values, or more than 100000",
    "optimizer.lr=glob(*)": "optimizer.lr: glob() stands for members of a group",
    "variant=glob(x*)": "variant: no values in 'glob(x*)'",
    "loss.delta=range(1,1000) discount=range(0,1,0.001)": "loss.delta x discount make 999000 cells; at most 10000",
    "lanes=1,2": "lanes takes one value for the whole command; got 1,2",
    "experiment=quickstart,target_by_loss": "experiment takes one value for the whole command",
    "loss=mse loss=huber": "'loss' is given twice; several values are written loss=a,b",
    "steps=5 episodes=5": "steps and episodes exclude each other; give one of them",
    "recipe=cleanrl_cartpole variant=random": "variant and recipe exclude each other; give one of them",
    "exploration.decay_steps=5 exploration.decay_fraction=0.1": "exploration.decay_steps and exploration.decay_fraction exclude",
    "episodes=5 exploration.decay_fraction=0.1": "exploration.decay_fraction needs a budget in steps",
    "variant=per replay.alpha=1.5": "replay.alpha must be 0 <= x <= 1; got 1.5",
    "variant=per replay.alpha=-0.1": "replay.alpha must be 0 <= x <= 1; got -0.1",
    "variant=per replay.beta=1.01": "replay.beta must be 0 <= x <= 1; got 1.01",
    "variant=per replay.beta_end=-1": "replay.beta_end must be 0 <= x <= 1; got -1",
    "variant=per replay.beta_fraction=0": "replay.beta_fraction must be 0 < x <= 1; got 0",
    "variant=per replay.beta_steps=0": "replay.beta_steps must be >= 1; got 0",
    "variant=per replay.eps=0": "replay.eps must be > 0; got 0",
    "variant=per replay.beta_steps=5 replay.beta_fraction=0.1": "replay.beta_steps and replay.beta_fraction exclude each other",
    "variant=per episodes=5 replay.beta_fraction=0.1": "replay.beta_fraction needs a budget in steps; with episodes=N set replay.beta_steps",
    "variant=per replay.replacement=false": "'replay.replacement' does not apply: replay=prioritised has no",
    "variant=soft_mse replay.alpha=0.5": "'replay.alpha' does not apply: replay=uniform has no 'alpha', only replay=prioritised",
    "replay=prioritized": "unknown replay 'prioritized'; did you mean 'prioritised'?",
    "--dryrun": f"'--dryrun' is an unknown flag; did you mean '--dry-run'? {SEE}",
    "--dry-run=yes": f"'--dry-run' takes no value {SEE}",
    "--config-dir": "--config-dir needs a folder: --config-dir DIR",
    "--config-dir /no/such/folder": "--config-dir: '/no/such/folder' is not a folder",
}


@pytest.mark.parametrize("command", REFUSALS)
def test_a_mistake_is_told_in_one_line(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        resolve(command.split(" "))
    message = str(caught.value)
    assert message.startswith(REFUSALS[command])
    assert message.isprintable()
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


words = st.one_of(
    st.text(max_size=30),
    st.builds(
        "{}={}".format,
        st.sampled_from(
            ["variant", "loss", "steps", "seeds", "optimizer.lr", "network.units", "env.id", "name", "wandb.tags"]
        ),
        st.text(max_size=12) | st.text("[](){}:,=\"'\\$0123456789.e-", max_size=12),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, max_size=2))
def test_nothing_but_a_one_line_configuration_error_comes_out(typed: list[str]) -> None:
    with pytest.raises((ConfigError, HelpRequested)) as caught:
        resolve([*typed, "seeds.=1"])  # an error in any case, so that nothing is composed
    assert caught.type is HelpRequested or str(caught.value).isprintable()
