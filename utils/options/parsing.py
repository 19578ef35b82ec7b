"""Parses a command line, flag files and `--config` included, into the flags of some options classes."""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options.config_file import with_config
from pocketflow.utils.options.fields import Options, define_flags
from pocketflow.utils.system import paths


def parse(options_classes: Sequence[type[Options]], argv: Sequence[str], known_only: bool = False) -> flags.FlagValues:
    """Parses argv, its flag files and its `--config`; unknown flags are errors, or are ignored with `known_only`."""
    flag_values = flags.FlagValues()
    for options_class in options_classes:
        define_flags(options_class, flag_values)
    try:
        arguments = flag_values.read_flags_from_files(list(argv[1:]), force_gnu=False)
        rest = flag_values(with_config([argv[0], *arguments]), known_only=known_only)
    except UnicodeDecodeError as error:
        raise UsageError(f'--flagfile: holds no text ({error})') from error
    except (flags.Error, OSError) as error:
        reason = str(error).removeprefix('ERROR:: ')  # absl's own prefix for missing flag files
        raise UsageError(f'{reason}; --help lists the most important flags, --helpfull all') from error
    for name in flag_values:
        if isinstance(flag_values[name].value, str):
            paths.refuse_unusable_text(f'--{name}', flag_values[name].value)
    positional = [] if known_only else rest[1:]
    if positional:
        raise UsageError(f'unexpected argument {positional[0]!r}; flags look like --name=value')
    return flag_values
