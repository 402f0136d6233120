"""A user's own folder of groups: found beside those of the package, and as strict."""

from pathlib import Path

import pytest

from rlbench.config import HelpRequested, groups, resolve
from rlbench.errors import ConfigError
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Budget, Environment

FILES = {
    "variant/gentle.yaml": "defaults:\n  - soft_huber\nloss: {delta: 0.5}\ndiscount: 0.9\n",
    "variant/headed.yaml": "# @package _global_\ndefaults:\n  - override /loss: half\ntarget: {tau: 0.5}\n",
    "variant/brief.yaml": "defaults:\n  - override /loss: huber\nepisodes: 30\nexploration: {decay_steps: 9}\n",
    "loss/half.yaml": "defaults: [huber, _self_]\ndelta: 0.25\n",
    "env/short.yaml": "id: Acrobot-v1\nmax_env_steps: 77\n",
    "recipe/ours.yaml": "defaults:\n  - override /env: short\nsteps: 12300\nseeds: 4\n",
    "experiment/which.yaml": "variant: [gentle, hard_mse]\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "my configs, (old) & 'new'"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_own_members_are_found_beside_those_of_the_package(folder: Path) -> None:
    planned = resolve(["--config-dir", str(folder), "variant=gentle,headed,brief,soft_huber", "seeds=1"]).planned
    gentle, headed, brief, soft_huber = (one.run for one in planned)
    assert (gentle.variant.loss, gentle.variant.target, gentle.variant.discount) == (
        Huber(0.5),
        Periodic(1, 0.005),
        0.9,
    )
    assert (headed.variant.loss, headed.variant.target) == (Huber(0.25), Periodic(250, 0.5))
    assert (brief.budget, soft_huber.variant.loss) == (Budget(None, 30), Huber(1.0))
    run = resolve([f"--config-dir={folder}", "env=short", "loss=half", "seeds=1"]).planned[0].run
    assert (run.env, run.variant.loss) == (Environment("Acrobot-v1", 77), Huber(0.25))
    request = resolve([f"--config-dir={folder}", "recipe=ours"])
    assert {(one.run.env.id, one.run.budget.steps) for one in request.planned} == {("Acrobot-v1", 12300)}
    assert len(request.planned) == 4
    assert [
        cell["variant"] for cell in resolve([f"--config-dir={folder}", "experiment=which"]).definition["cells"]
    ] == [
        "gentle",
        "hard_mse",
    ]
    with pytest.raises(ConfigError, match="unknown variant 'gentle'"):
        resolve(["variant=gentle"])


def test_help_lists_own_members(folder: Path) -> None:
    with pytest.raises(HelpRequested, match="gentle") as caught:
        resolve(["--help", "--config-dir", str(folder)])
    assert all(Path(name).stem in str(caught.value) for name in FILES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("discont: 0.9", "variant=bad: unknown key 'discont'; did you mean 'discount'?"),
        ("discount: high", "variant=bad: discount must be a finite number (Value 'high' of type 'str'"),
        ("discount: null", "variant=bad: discount must be a finite number (Incompatible value 'None'"),
        ("discount: 7", "discount must be 0 <= x <= 1; got 7.0"),
        ("discount: ${batch_size}", "variant=bad: interpolations ${...} are not supported"),
        ("discount: 0.9\ndiscount: 0.8", "variant=bad: while constructing a mapping"),
        ("loss: {delta: 3}", "variant=bad: 'loss.delta' does not apply: loss=mse has no 'delta', only loss=huber"),
        ("loss: huber", "variant=bad: Merge error: str is not a subclass of"),
        ("loss: null", "variant=bad: the file must build on a member of loss"),
        ("network: {units: 64}", "variant=bad: network.units must be a [list], each a whole number"),
        ("target: {unit: step}", "unknown target.unit 'step'; did you mean 'steps'?"),
        ("defaults: [override /loss: hubber]", "variant=bad: unknown loss 'hubber'; did you mean 'huber'?"),
        ("defaults: [overide /loss: huber]", "variant=bad: Multiple values for loss."),
        ("a: [1\nb: 2", "variant=bad: while parsing a flow sequence"),
        ("- 1", "variant=bad: Cannot merge DictConfig with ListConfig"),
        ("steps: 5\nepisodes: 5", "the budget is either steps=N or episodes=N"),
    ],
)
def test_a_mistake_in_an_own_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve(["--config-dir", str(tmp_path), "variant=bad"])
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


def test_a_member_needs_a_choice_to_build_on(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "bad.yaml").write_text("delta: 3\n")
    with pytest.raises(
        ConfigError,
        match=f"loss=bad: the file must build on a member of loss: 'defaults: \\[{' or '.join(groups.members('loss'))}\\]'",
    ):
        resolve(["--config-dir", str(tmp_path), "loss=bad"])


def test_an_own_member_cannot_take_the_name_of_a_packaged_one(tmp_path: Path) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "hard_mse.yaml").write_text("discount: 0.5\n")
    with pytest.raises(ConfigError, match=r"variant/hard_mse\.yaml has the name of a member of rlbench; rename it"):
        resolve(["--config-dir", str(tmp_path)])


def test_a_folder_without_groups_is_refused(tmp_path: Path) -> None:
    (tmp_path / "variants").mkdir()
    with pytest.raises(ConfigError, match="has none of the folders variant, recipe, env"):
        resolve(["--config-dir", str(tmp_path)])


def test_files_that_disagree_about_the_command_are_refused(tmp_path: Path) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "few.yaml").write_text("seeds: 2\n")
    words = ["--config-dir", str(tmp_path), "variant=few,hard_mse"]
    with pytest.raises(ConfigError, match=r"^seeds is one value for the whole command, .*: give seeds=VALUE$"):
        resolve(words)
    with pytest.raises(ConfigError, match="'few' and 'hard_mse' on CartPole-v1 are the same runs"):
        resolve([*words, "seeds=1"])
