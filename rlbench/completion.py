"""`python -m rlbench.completion bash|zsh`: what a shell has to know to complete the words of every command.

In: the name of a shell. Out: a script for it on stdout, with all names in it, so that a press of the tab key starts no Python. The
names are those of the groups, keys and files that there are when the script is written. Never: writes a file, or imports torch.
"""

import contextlib
import importlib
import io
import re
import sys
from collections.abc import Mapping, Sequence

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError, check_choice

PROG = "python -m rlbench.completion"
SHELLS = ("bash", "zsh")
DOC = """Print what makes a shell complete the words of rlbench: commands, keys, and the names of variants, recipes, environments,
experiments and studies. For bash or zsh:

  rlbench completion bash > ~/.rlbench-completion.bash      and in ~/.bashrc:  source ~/.rlbench-completion.bash
  rlbench completion zsh > ~/.rlbench-completion.zsh        and in ~/.zshrc, behind compinit:  source ~/.rlbench-completion.zsh"""
Values = Mapping[str, Sequence[str]]  # key -> what may stand behind it, as far as that is known
_KEY_OF_HELP = re.compile(r"^  ([\w.]+) +(?:optional|default: \S+)(?: +one of: (.+))?$", re.MULTILINE)

_SCRIPT = """\
_rlbench_values() {
  case "$1" in
__VALUES__
  esac
}
_rlbench() {
  local line="${COMP_LINE:0:COMP_POINT}" command="${COMP_WORDS[1]}" word head
  word="${line##* }"
  COMPREPLY=()
  if [ "$COMP_CWORD" -le 1 ]; then
    COMPREPLY=($(compgen -W "__COMMANDS__ --help --version" -- "$word"))
    return
  fi
  case "$word" in
    *=*)  # of a comma list, the last value
      head="${word%"${word##*[=,]}"}"
      COMPREPLY=($(compgen -P "$head" -W "$(_rlbench_values "$command:${word%%=*}")" -- "${word#"$head"}"))
      case "$COMP_WORDBREAKS" in  # the shell replaces only what stands behind the sign
        *=*) COMPREPLY=("${COMPREPLY[@]#"${word%%=*}="}") ;;
      esac ;;
    *) COMPREPLY=($(compgen -W "$(_rlbench_values "$command")" -- "$word")) ;;
  esac
  case "${COMPREPLY[*]}" in
    *=) compopt -o nospace 2> /dev/null ;;
  esac
}
complete -F _rlbench rlbench
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _complete(sys.argv[1:] if argv is None else argv))


def _complete(argv: Sequence[str]) -> int:
    named = [word for word in argv if "=" not in word and not word.startswith("-")]
    parse_arguments([word for word in argv if word not in named], {}, prog=PROG, doc=DOC)
    if len(named) != 1:
        raise ConfigError(f"say for which shell: {' or '.join(SHELLS)} (see: {PROG} --help)")
    shell = check_choice("shell", named[0], SHELLS)
    print((_ZSH if shell == "zsh" else "") + script(), end="")
    return EXIT_OK


def script() -> str:
    """The completion of every command, as bash reads it."""
    from rlbench.__main__ import COMMANDS

    cases = []
    for command in COMMANDS:
        values = _of_training(command) if command in ("run", "tune") else _of_help(command)
        flags = {
            "run": ["--dry-run", "--cfg", "--config-dir"],
            "tune": ["--dry-run", "--config-dir"],
            "delete": ["--yes"],
        }
        words = [*(f"{key}=" for key in values), *flags.get(command, []), "--help"]
        cases.append(_case(command, [*SHELLS, "--help"] if command == "completion" else words))
        cases += [_case(f"{command}:{key}", known) for key, known in values.items() if known]
    return _SCRIPT.replace("__VALUES__", "\n".join(cases)).replace("__COMMANDS__", " ".join(COMMANDS))


def _case(name: str, words: Sequence[str]) -> str:
    plain = [word for word in words if re.fullmatch(r"[\w.:=-]+", word)]  # a file may be called anything
    return f'    {name}) echo "{" ".join(plain)}" ;;'


def _of_training(command: str) -> dict[str, Sequence[str]]:
    """The groups and keys of a command that trains."""
    from rlbench.config import groups
    from rlbench.config.composing import composing
    from rlbench.config.experiment_file import experiment_paths
    from rlbench.config.keys import all_keys
    from rlbench.tuning.study_file import study_paths

    with composing(None) as composer:
        values: dict[str, Sequence[str]] = dict(composer.names)
    values["experiment"] = tuple(experiment_paths(None))
    if command == "tune":
        values = {"study": tuple(study_paths(None)), **{key: values[key] for key in groups.CLASSES}}
    for name, key in all_keys().items():
        values[name] = key.allowed or (("true", "false") if key.plain_hint is bool else ())
    return values


def _of_help(command: str) -> dict[str, Sequence[str]]:
    """The keys of another command, as its own --help lists them."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        importlib.import_module(f"rlbench.{command}").main(["--help"])
    _, _, keys = told.getvalue().partition("\nkeys:\n")
    return {key: values.split(", ") if values else () for key, values in _KEY_OF_HELP.findall(keys)}


if __name__ == "__main__":
    sys.exit(main())
