"""What the W&B client gets to see of the shell's variables."""

from __future__ import annotations

from rlbench.tracking.wandb.environment import client_environment

SHELL = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "https_proxy": "http://proxy",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "OPENAI_API_KEY": "planted",
    "WANDB_API_KEY": "planted",
    "WANDB_BASE_URL": "http://there",
    "WANDB_NAME": "another name",
    "WANDB_MODE": "disabled",
    "WANDB_TAGS": "a",
}


def test_offline_sees_no_key_and_no_secret() -> None:
    seen = client_environment(SHELL, online=False)
    assert "planted" not in seen.values()
    assert {name for name in seen if name in SHELL} == {"PATH", "HOME", "https_proxy"}


def test_online_sees_the_key_and_the_address_only() -> None:
    seen = client_environment(SHELL, online=True)
    assert {name for name in seen if name in SHELL} == {
        "PATH",
        "HOME",
        "https_proxy",
        "WANDB_API_KEY",
        "WANDB_BASE_URL",
    }
    assert seen["WANDB_ERROR_REPORTING"] == "false"
