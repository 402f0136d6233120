"""The winner of a study as a file: a variant written out whole, with a header that says where it came from.

A class of one's own has its source's digest there: with other code the file is refused.

In: a variant as a value. Out: YAML that is a variant file, for `variant=study:NAME` and for anybody's `--config-dir DIR/variant/`.
"""

from collections.abc import Sequence

import yaml

from rlbench.config import groups
from rlbench.config.keys import keys_of
from rlbench.config.sources import source_of
from rlbench.lanes.choices.variant import Variant


def variant_yaml(variant: Variant, header: Sequence[str]) -> str:
    """The text of the file."""
    members = {group: groups.members_of_kind(group, getattr(variant, group).kind)[0] for group in groups.CLASSES}
    data: dict[str, object] = {"defaults": [{f"override /{group}": member} for group, member in members.items()]}
    for group in groups.CLASSES:
        choice = getattr(variant, group)
        fields = source_of(choice) | {
            name: list(key.default) if isinstance(key.default, tuple) else key.default
            for name, key in keys_of(choice).items()
        }
        if fields:
            data[group] = fields
    data |= {name: key.default for name, key in keys_of(variant).items()}
    comments = "".join(f"# {line}\n" for line in header)
    return comments + yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=120)
