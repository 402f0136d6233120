"""What `python -m rlbench.run --help` prints, generated from the groups and the keys themselves.

In: the members of every group. Out: a text of at most 100 columns. Never: prints, or says a default that is not the code's.
"""

import textwrap
from collections.abc import Collection, Iterable, Mapping

from rlbench.config import groups
from rlbench.config.cadence import as_given
from rlbench.config.cells import DEFAULT_VARIANT
from rlbench.config.composing import DEFAULT_ENV
from rlbench.config.keys import Key, command_keys, fixed_keys, keys_of, show, typed

WIDTH = 100
BUDGETS = ("steps", "episodes")
NO_BREAK = "\N{NO-BREAK SPACE}"  # keeps a bound on one line while wrapping
_KEY, _DEFAULT = 27, 12  # columns

_HEAD = """\
usage: python -m rlbench.run [key=value ...] [--dry-run] [--cfg] [--config-dir DIR]

Trains DQN variants over many seeds, many seeds at a time in one program, into a folder of results.
A command that was interrupted goes on where it stopped when it is given again.

examples
  variant=soft_huber env=cartpole seeds=32                   one variant, seeds 0 to 31
  variant=hard_mse,soft_huber optimizer.lr=1e-3,1e-4         four cells: a comma list is a factor
  seeds=100:132        seeds=[1,2,5]                         seeds 100 to 131; exactly these
  variant=soft_huber steps=2000                              short: what nobody gave adapts
  experiment=target_by_loss steps=20000                      a file's grid with another budget
  recipe=cleanrl_cartpole episodes=500                       a published script, another budget
  env=Acrobot-v1   env=my_module:MyEnv-v0                    any Gymnasium id
  network.units=[128,128] target=soft target.tau=0.01        lists in brackets; a member, then a key
  --dry-run                                                  shows the plan and trains nothing
  --cfg                                                      prints the settings as YAML, no more
  --config-dir DIR     finds your own DIR/variant/NAME.yaml, DIR/env/NAME.yaml, DIR/experiment/ ...
"""

_GROUPS_HEAD = """\
groups: group=member, * is the default. A member sets all keys of its group to its own defaults.
Every group from observation to validation also takes module:Class, a class of your own in a module
that can be imported from here, with its fields as keys: loss=my_module:LogCosh loss.scale=2
"""


def help_text(names: Mapping[str, Collection[str]]) -> str:
    """The help. `names` has the members of every group of `groups.MEANINGS`."""
    keys = fixed_keys()
    blocks = [
        _HEAD,
        "\n".join(
            [_GROUPS_HEAD.rstrip(), *(line for group in groups.MEANINGS for line in _group(group, names[group]))]
        ),
    ]
    blocks.append(_block("keys of the command", command_keys().values()))
    rest = [key for key in keys.values() if key.name not in command_keys()]
    blocks.append(_block("keys of every run", (_budget(key) for key in rest)))
    for group in groups.CLASSES:
        for member, choice in groups.members(group).items():
            own = keys_of(choice, f"{group}.").values()
            if own:
                blocks.append(_block(f"keys with {group}={member}", own))
    return "\n".join(block.rstrip() + "\n" for block in blocks)


def _budget(key: Key) -> Key:
    """The budget's keys, which exclude each other, told as what they are."""
    if key.name not in BUDGETS:
        return key
    other = next(name for name in BUDGETS if name != key.name)
    return Key(key.name, key.hint, key.default, f"budget of a run in {key.meaning}; replaces {other}", key.bound)


def _group(group: str, members: Iterable[str]) -> list[str]:
    default = {"variant": DEFAULT_VARIANT, "env": DEFAULT_ENV}.get(group) or (
        groups.default_member(group) if group in groups.CLASSES else ""
    )
    shown = "  ".join(f"*{member}" if member == default else member for member in members)
    return [f"  {group.ljust(13)}{groups.MEANINGS[group]}", *_wrapped(shown or "(none found)", " " * 17)]


def _block(title: str, keys: Iterable[Key]) -> str:
    return "\n".join([title, *(line for key in keys for line in _key(key))])


def _key(key: Key) -> list[str]:
    key = as_given(key)
    told = key.meaning
    if key.allowed:
        told += f" ({', '.join(key.allowed)})"
    elif key.bound:
        told += f" ({key.bound})".replace(" ", NO_BREAK).replace(NO_BREAK, " ", 1)
    margin = " " * (2 + _KEY + _DEFAULT)
    head = f"  {typed(key.name).ljust(_KEY - 1)} {show(key.default).ljust(_DEFAULT - 1)} "
    lines = _wrapped(told, margin)
    if len(head) > len(margin):
        return [head.rstrip(), *lines]
    return [head + lines[0].strip(), *lines[1:]]


def _wrapped(text: str, margin: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines] or [margin]
