"""Completion of commands, flags and values in shells: `source <(pocketflow completion bash)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pocketflow.learners.options import LEARNERS
from pocketflow.learners.program.command import SEARCH_OPTIONS, SHARED_OPTIONS, UNRECORDED_OPTIONS
from pocketflow.learners.program.subcommands import SUBCOMMANDS
from pocketflow.nets import PAIRS
from pocketflow.nets.find_pair import PairOptions
from pocketflow.nets.options import GIVEN
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option_fields, value_type

_BASH = """\
# Completion for pocketflow: source <(pocketflow completion bash)
_pocketflow() {
  local current=${COMP_WORDS[COMP_CWORD]} flag='' values=''
  COMPREPLY=()
  # The shell splits --flag=value at the equals sign.
  if [[ $current == = ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 1]} current=''
  elif ((COMP_CWORD >= 2)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $flag in
@VALUES@
    ?*) compopt -o default 2>/dev/null; return ;;
    *) if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then values='@COMMANDS@'@NESTED@; else values='@FLAGS@'; fi ;;
  esac
  COMPREPLY=($(compgen -W "$values" -- "$current"))
  [[ ${COMPREPLY[0]:-} == --*= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _pocketflow pocketflow
"""
_ZSH = """\
# Completion for pocketflow: source <(pocketflow completion zsh)
autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
"""
_NESTED = """
      elif [[ ${COMP_WORDS[1]} == @NAME@ ]]; then
        if ((COMP_CWORD == 2)); then values='@ACTIONS@'; else values='@FLAGS@'; compopt -o default 2>/dev/null; fi"""
Nested = Mapping[str, tuple[Sequence[str], Sequence[type[Options]]]]
"""Command -> its actions, and the flags that these take besides a path."""
SHELLS = {'bash': '', 'zsh': _ZSH}
"""Shell -> what precedes the script for bash, which zsh runs, too."""


def completion(arguments: Sequence[str], others: Sequence[str] = (), nested: Nested | None = None) -> str:
    """The script for the shell that the arguments name.

    Args:
      arguments: of the command.
      others: commands besides those of `SUBCOMMANDS`.
      nested: those of them that have actions and flags of their own.

    Raises:
      UsageError: they do not name one.
    """
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        raise UsageError(
            f'pocketflow completion {" ".join(arguments)}: give the name of a shell: {" or ".join(SHELLS)}, as in '
            f'source <(pocketflow completion bash)'
        )
    values = '\n'.join(
        f"    --{flag}) values='{' '.join(words)}' ;;" for flag, words in _all_choices(nested or {}).items()
    )
    script = (
        _BASH.replace('@VALUES@', values)
        .replace('@NESTED@', _nested(nested or {}))
        .replace('@COMMANDS@', ' '.join([*SUBCOMMANDS, *others]))
    )
    return SHELLS[arguments[0]] + script.replace('@FLAGS@', ' '.join(_flags(_classes())))


def _nested(nested: Nested) -> str:
    """The branches of commands with actions."""
    return ''.join(
        _NESTED.replace('@NAME@', name)
        .replace('@ACTIONS@', ' '.join(actions))
        .replace('@FLAGS@', ' '.join(_flags(classes)))
        for name, (actions, classes) in nested.items()
    )


def _classes() -> Iterator[type[Options]]:
    yield from (PairOptions, *SHARED_OPTIONS, *SEARCH_OPTIONS, *UNRECORDED_OPTIONS)
    for name in PAIRS:
        yield from (PAIRS.declaration(name).net_options_class, PAIRS.declaration(name).data_options_class)
    yield from (LEARNERS.declaration(name).options_class for name in LEARNERS)


def _flags(classes: Iterable[type[Options]]) -> Iterable[str]:
    """The flags of these classes, each once, with an equals sign if they take a value."""
    return dict.fromkeys(
        f'--{field.metadata["flag"]}{"" if value_type(part, field) is bool else "="}'
        for part in classes
        for field in option_fields(part)
    )


def _choices(classes: Iterable[type[Options]]) -> dict[str, list[str]]:
    """Flag -> its values, of those that have a list of them."""
    return {
        field.metadata['flag']: list(field.metadata['choices'])
        for part in classes
        for field in option_fields(part)
        if field.metadata['choices']
    }


def _all_choices(nested: Nested) -> dict[str, list[str]]:
    """As `_choices`, of all flags, with the names that are registered."""
    pairs = [name.split('_at_') for name in PAIRS]
    return {
        **_choices(options for _, classes in nested.values() for options in classes),
        **_choices(_classes()),
        'model': sorted({model for model, _ in pairs} - {GIVEN}),
        'dataset': sorted({dataset for _, dataset in pairs}),
        'learner': list(LEARNERS),
    }
