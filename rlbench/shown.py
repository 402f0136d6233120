"""What an experiment or a run is made of, as YAML: what `show` prints of what is stored, and `run ... --cfg` of what is asked for.

In: definitions and specifications, as the store has them. Out: text, from which the same comes again: `command` makes the experiment, and
`settings` have every value that determines a run. Never touches a file.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

_OF_THE_STORE = ("command", "commands", "machine", "name")
Spec = Mapping[str, Any]


def experiment_yaml(definition: Mapping[str, Any], runs: Iterable[tuple[str, Spec]]) -> str:
    """An experiment: its command, what was declared, and of each variant and environment all settings but the seed.

    runs: the label and the specification of each.
    """
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for label, spec in runs:
        settings = {key: value for key, value in spec.items() if key != "seed"}
        cells.setdefault((label, spec["env"]["id"]), settings)
    declared = {key: value for key, value in definition.items() if key not in _OF_THE_STORE}
    settings_of = [{"cell": f"{label} on {env}", **settings} for (label, env), settings in cells.items()]
    named = {"experiment": definition["name"], "command": shlex.join(definition.get("command", ()))}
    return _yaml({**named, **declared, "settings": settings_of})


def run_yaml(named: Mapping[str, str], spec: Spec) -> str:
    """A run: what it is called, and its specification."""
    return _yaml({**named, "settings": dict(spec)})


def _yaml(value: Any) -> str:
    import yaml

    plain = json.loads(json.dumps(value))  # without what is shared, which YAML would write as a reference
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=False, width=120))
