"""Options: flags declared as fields of frozen dataclasses, and dependences between flags."""

from pocketflow.utils.options.fields import (
    Options,
    OptionsT,
    accepted,
    check_value,
    define_flags,
    dependence,
    flag_lines,
    from_flags,
    help_text,
    indecisive_flags,
    is_restricted,
    option,
    option_fields,
    superseded_flags,
    value_type,
    with_defaults,
)

__all__ = [
    'Options',
    'OptionsT',
    'accepted',
    'check_value',
    'define_flags',
    'dependence',
    'flag_lines',
    'from_flags',
    'help_text',
    'indecisive_flags',
    'is_restricted',
    'option',
    'option_fields',
    'superseded_flags',
    'value_type',
    'with_defaults',
]
