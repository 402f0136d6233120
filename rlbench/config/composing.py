"""The groups composed by Hydra: what a named variant, recipe or member is, as a plain dict of every key.

In: names of members, and perhaps a user's folder of groups. Out: dicts {group or key: value}, typed by the dataclasses
through structured configs. Every error of Hydra, OmegaConf or YAML comes out as a one-line `ConfigError`. Hydra's
process-wide state is put back afterwards, so that a program which itself runs under Hydra can call this one. Knows nothing
of the command line.
"""

import contextlib
import copy
import dataclasses
import functools
import importlib.resources
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlbench.config import groups
from rlbench.config.cadence import as_given
from rlbench.config.keys import (
    Key,
    command_keys,
    convert,
    find_choice_key,
    find_key,
    fixed_keys,
    keys_of,
    typed,
    wanted,
)
from rlbench.config.own_choices import is_written_out, load
from rlbench.config.sources import source_of
from rlbench.config.yaml_files import bounded_text, check_checksum, checked_text
from rlbench.errors import ConfigError, check_choice, did_you_mean
from rlbench.lanes.choices.choice import Choice

PACKAGE = "rlbench.config"
NAMED = ("variant", "recipe")  # groups whose files say something about any key
DEFAULT_ENV = "cartpole"
Classes = tuple[tuple[str, tuple[type, ...]], ...]
WINNER = "study:"  # variant=study:NAME is the winner of that study


class Composer:
    """Composes members; made by `composing`, and of use only inside it."""

    def __init__(self, config_dir: Path | None) -> None:
        self._config_dir = config_dir
        self.winners: Path | None = None  # the folder of the winners of studies, which `variant=study:NAME` names
        self._composed = {} if _has_groups(config_dir) else _composed_of(_classes())
        self._registered: set[tuple[str, str]] = set()  # classes of one's own that files name, as (group, module:Class)
        self.names: dict[str, tuple[str, ...]] = {
            group: self._members(group) for group in (*NAMED, "env", *groups.CLASSES)
        }

    def base(self, group: str, name: str) -> dict[str, Any]:
        """Every key of a run as a variant or recipe has it. Raises ConfigError for an unknown name or a wrong file."""
        if group == "variant" and name.startswith(WINNER):
            return self._winner(name.removeprefix(WINNER))
        check_choice(group, name, self.names[group])
        composed = self._compose(f"{group}@_global_={name}", f"{group}={name}")
        _check_chosen(composed, f"{group}={name}")
        return composed

    def member(self, group: str, name: str) -> dict[str, Any]:
        """The keys of one member of `env` or of a group of choices, at its defaults. Raises ConfigError as `base` does.

        A member of a group of choices may be `module:Class`, a class of one's own.
        """
        if group in groups.CLASSES and is_written_out(name):
            return _tree_of(group, load(group, name)())
        check_choice(group, name, self.names[group])
        found: dict[str, Any] = self._compose(f"{group}={name}", f"{group}={name}")[group]
        return found

    def _winner(self, study: str) -> dict[str, Any]:
        """Every key of a run with the winner of a study as its variant."""
        found = {path.stem: path for path in sorted(self.winners.glob("*.yaml"))} if self.winners else {}
        if study not in found:
            store = self.winners.parent if self.winners else "this store"
            raise ConfigError(
                f"{store} has no winner of study '{study}'{did_you_mean(study, found)} (one of: {', '.join(found) or 'none'});"
                f" tune it first: python -m rlbench.tune study={study} store={store}"
            )
        path = found[study]
        try:
            check_checksum(path)
            data = yaml.safe_load(checked_text(path))
            tree = self.base("variant", self.names["variant"][0])
            for override in data.pop("defaults"):
                ((place, member),) = override.items()
                tree[place.removeprefix("override /")] = self.member(place.removeprefix("override /"), member)
            for key, value in data.items():
                tree[key] = {**tree[key], **value} if isinstance(value, dict) else value
        except (OSError, yaml.YAMLError, KeyError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"{path} is not the winner of a study ({error!r})") from None
        return tree

    def _registers_what_is_missing(self, error: BaseException, told: str) -> bool:
        """Whether a file names a class of one's own, which is now a member of its group. Raises ConfigError for a wrong one."""
        for one in _chain(error):
            group, _, name = str(getattr(one, "missing_cfg_file", None) or "").rpartition("/")
            if group in groups.CLASSES and is_written_out(name) and (group, name) not in self._registered:
                try:
                    choice = load(group, name)()
                except ConfigError as wrong:
                    raise ConfigError(f"{told}: {wrong}") from None
                ConfigStore.instance().store(group=group, name=name, node=_node(group, choice))
                self._registered.add((group, name))
                return True
        return False

    def _check_own_files(self) -> None:
        """Once, before the first of them is composed: a file may name any other in its `defaults`."""
        if self._config_dir is None or self._composed:
            return
        for group in (*NAMED, "env", *groups.CLASSES):
            for path in sorted((self._config_dir / group).glob("*.yaml")):
                try:
                    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError):  # told where it is composed
                        bounded_text(path)
                except ConfigError as error:
                    raise ConfigError(f"--config-dir: {group}/{path.name}: {error}") from None

    def _members(self, group: str) -> tuple[str, ...]:
        packaged = [*groups.members(group)] if group in groups.CLASSES else _packaged(group)
        own = sorted(path.stem for path in (self._config_dir / group).glob("*.yaml")) if self._config_dir else []
        for name in own:
            if name in packaged:
                raise ConfigError(f"--config-dir: {group}/{name}.yaml has the name of a member of rlbench; rename it")
        return (*packaged, *own)

    def _compose(self, override: str, told: str) -> dict[str, Any]:
        """Compose once, and give everybody a copy to change."""
        if override not in self._composed:
            self._check_own_files()
        while override not in self._composed:
            try:
                config = compose("base", overrides=[override])
                container = OmegaConf.to_container(config, resolve=False, throw_on_missing=True)
            except Exception as error:  # Hydra, OmegaConf, YAML and the file system each have their own
                if self._registers_what_is_missing(error, told):
                    continue
                raise _in_one_line(error, told) from None
            assert isinstance(container, dict)
            data = {str(key): value for key, value in container.items()}
            _check_composed(data, told)
            self._composed[override] = data
        return copy.deepcopy(self._composed[override])


@contextlib.contextmanager
def composing(config_dir: Path | None = None) -> Iterator[Composer]:
    """A composer over the groups of the package and of `config_dir`."""
    composer = Composer(config_dir)
    Plugins.instance()  # they register themselves once, which must not happen in the copy below
    store = ConfigStore.instance()
    outer, outer_repo = GlobalHydra.instance().hydra, store.repo
    GlobalHydra.instance().clear()
    own = _registered(_classes(), has_folder=config_dir is not None)
    others = {name: node for name, node in outer_repo.items() if name.removesuffix(".yaml") not in groups.CLASSES}
    # A group is a dict, to which classes of one's own are added.
    store.repo = others | {name: dict(node) if isinstance(node, dict) else node for name, node in own.items()}
    try:
        with (
            initialize_config_dir(str(config_dir), job_name="rlbench", version_base="1.3")
            if config_dir
            else initialize_config_module(PACKAGE, job_name="rlbench", version_base="1.3")
        ):
            yield composer
    finally:
        GlobalHydra.instance().hydra = outer  # another instance by now
        store.repo = outer_repo


def _has_groups(folder: Path | None) -> bool:
    """Whether a user's folder has files that may be composed, beside studies and experiments, which are none."""
    names = (*NAMED, "env", *groups.CLASSES, "base.yaml")
    return folder is not None and any((folder / name).exists() for name in names)


def _classes() -> Classes:
    """What there is to choose from, on which all below depends."""
    return tuple((group, tuple(classes)) for group, classes in groups.CLASSES.items())


@functools.cache
def _composed_of(classes: Classes) -> dict[str, dict[str, Any]]:
    """What was composed of the package's files alone, the same for every composer: Hydra takes a third of a second for each."""
    return {}


@functools.cache
def _registered(classes: Classes, *, has_folder: bool) -> dict[str, Any]:
    """The structured configs as a repository of Hydra's own store."""
    store = ConfigStore.instance()
    before, store.repo = store.repo, {}
    try:
        _register(store, searchpath=["pkg://" + PACKAGE] if has_folder else [])
        return store.repo
    finally:
        store.repo = before


def _packaged(group: str) -> list[str]:
    """The members that are YAML files of the package."""
    folder = importlib.resources.files(PACKAGE) / group
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _register(store: ConfigStore, searchpath: list[str]) -> None:
    """The structured configs: one per member of a group of choices, and the base that they hang on."""
    defaults: list[Any] = ["_self_", {"env": DEFAULT_ENV}]
    root: list[tuple[str, Any, Any]] = []
    for group in groups.CLASSES:
        for name, choice in groups.members(group).items():
            store.store(group=group, name=name, node=_node(group, choice))
        defaults.append({group: groups.default_member(group)})
        root.append((group, Any, None))
    nested: dict[str, list[tuple[str, Any, Any]]] = {}
    for key in map(as_given, fixed_keys().values()):
        part, _, name = key.name.rpartition(".")
        default = (
            None if key.name in ("steps", "episodes") else key.default
        )  # so that a file's budget can be told from none
        (nested.setdefault(part, []) if part else root).append((name, key.hint, default))
    for part, fields in nested.items():
        node = _structured(part, fields)
        root.append((part, node, dataclasses.field(default_factory=node)))
    defaults += [{f"{group}@_global_": None} for group in NAMED]
    if searchpath:
        root.append(("hydra", Any, dataclasses.field(default_factory=lambda: {"searchpath": searchpath})))
    root.append(("defaults", list[Any], dataclasses.field(default_factory=lambda: defaults)))
    store.store(name="base", node=_structured("base", root))


def _node(group: str, choice: Choice) -> type:
    """A structured config like a choice: not frozen, since composing writes into it, and with its kind as a key."""
    told = [(name, str, value) for name, value in {"kind": choice.kind, **source_of(choice)}.items()]
    fields = [(name, key.hint, key.default) for name, key in _fields_of(group, choice).items()]
    return _structured(type(choice).__name__, [*told, *fields])


def _tree_of(group: str, choice: Choice) -> dict[str, Any]:
    """A choice as composing gives it."""
    keys = _fields_of(group, choice)
    fields = {name: list(key.default) if key.is_list else key.default for name, key in keys.items()}
    return {"kind": choice.kind, **source_of(choice), **fields}


def _fields_of(group: str, choice: Choice) -> dict[str, Key]:
    """The keys of a choice as files have them, by the names of its fields."""
    prefix = f"{group}."
    return {name.removeprefix(prefix): as_given(key) for name, key in keys_of(choice, prefix).items()}


def _structured(name: str, fields: list[tuple[str, Any, Any]]) -> type:
    return dataclasses.make_dataclass(f"{name.capitalize()}Config", fields)


def _check_composed(data: Mapping[str, Any], told: str) -> None:
    """Refuse what structured configs let through: a member without kind, and interpolations."""
    for group, classes in groups.CLASSES.items():
        node = data[group]
        kind = node.get("kind") if isinstance(node, dict) else None
        if kind not in [cls.kind for cls in classes] and not is_written_out(str(kind)):
            kinds = " or ".join(groups.members(group))
            raise ConfigError(f"{told}: the file must build on a member of {group}: 'defaults: [{kinds}]'")
    if "${" in str(data):
        raise ConfigError(f"{told}: interpolations ${{...}} are not supported; write the value itself")


def _check_chosen(data: Mapping[str, Any], told: str) -> None:
    """Refuse what is not a file's to choose: where results go, who is told, and how much of a machine is taken."""
    for name, key in command_keys().items():
        part, _, field = name.rpartition(".")
        value = (data[part] if part else data)[field]
        if name not in ("seeds", "final_window") and convert(key, value) != key.default:
            raise ConfigError(
                f"{told}: {typed(name)} is not a file's to choose: give {typed(name)}= on the command line"
            )


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it was raised from."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain


def _in_one_line(error: BaseException, told: str) -> ConfigError:
    """What went wrong while composing, for the person who wrote the file."""
    chain = _chain(error)
    for one in chain:
        if isinstance(one, MissingConfigException) and one.missing_cfg_file:
            group, _, name = one.missing_cfg_file.rpartition("/")
            known = [str(option) for option in one.options or ()]
            return ConfigError(
                f"{told}: unknown {group} '{name}'{did_you_mean(name, known)} (one of: {', '.join(known)})"
            )
        if isinstance(one, OmegaConfBaseException) and one.full_key:
            return ConfigError(f"{told}: {_key_error(str(one.full_key), one)}")
    text = " ".join(str(chain[-1]).split()) or type(chain[-1]).__name__
    return ConfigError(f"{told}: {text if len(text) < 300 else text[:297] + '...'}")


def _key_error(name: str, error: OmegaConfBaseException) -> str:
    """What is wrong with one key of a file."""
    name = name.partition("[")[0]
    kind = getattr(error.object_type, "kind", None)  # a structured config made by `_node`
    try:
        key = find_choice_key(name, {name.partition(".")[0]: kind}) if kind else find_key(name)
    except ConfigError as known:
        return str(known)
    return f"{name} must be {wanted(as_given(key))} ({str(error).splitlines()[0]})"
