"""Options: frozen dataclasses from which the flags of the command line are derived.

A component declares its settings once:

    @dataclasses.dataclass(frozen=True)
    class DistillationOptions(Options):
        weight: float = option('loss_w_dst', 4.0, 'weight of the distillation loss', low=0)

`define_flags` defines an absl flag for each field, `from_flags` builds the checked dataclass from the parsed flags.
The flag keeps the spelling of existing flag files, the field has a readable name.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from absl import flags

from pocketflow.utils.errors import UsageError

OptionsT = TypeVar('OptionsT', bound='Options')


def option(
    flag: str,
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    above: float | None = None,
    below: float | None = None,
    decides: bool = True,
    names: Literal['model', 'plan', 'file', 'curves'] | None = None,
    needs: str = '',
    unless: str = '',
    implies: Mapping[Any, Mapping[str, Any]] | None = None,
) -> Any:
    """A dataclass field that is also a flag.

    Args:
      flag: the flag's name on the command line.
      default: its default value; `None` means "not given".
      help: one line for `--helpfull`.
      low, high: inclusive bounds of a number.
      above, below: exclusive bounds of a number.
      choices: the accepted values of a string.
      decides: whether the value affects results; otherwise it may change when a run is resumed.
      names: the kind of file that the value is a path of, if a run starts from that file; its content must not change
        when the run is resumed, either. 'file': any other than a model or a plan.
      needs: conditions for the flag to have an effect, such as `'cpr_prune_option=auto hpo_space'`: a flag with this
        value, and a flag that is on or has any value.
      unless: conditions of the same form under which the flag has no effect.
      implies: value of this flag -> values of other flags, which those take if they are not given (`implied`).
    """
    metadata = {
        'flag': flag,
        'help': help,
        'low': low,
        'high': high,
        'above': above,
        'below': below,
        'choices': choices,
        'decides': decides,
        'names': names,
        'needs': needs,
        'unless': unless,
        'implies': implies or {},
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """Base class of all options: checks each field against its declared type and range.

    `superseded` maps flags of old flag files to the reason why they have no effect any more; `superseded_switches`
    lists those of them that take no value. `needs` holds conditions of all flags of the class (see `option`).
    """

    superseded: ClassVar[Mapping[str, str]] = {}
    superseded_switches: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[str] = ''

    def __post_init__(self) -> None:
        for field in option_fields(type(self)):
            check_value(field, getattr(self, field.name))
        self.check()

    def check(self) -> None:
        """Raises a `UsageError` for incompatible values; subclasses override it."""

    def replace(self: OptionsT, **changes: Any) -> OptionsT:
        return dataclasses.replace(self, **changes)


def option_fields(options_class: type[Options]) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(options_class) if 'flag' in field.metadata]


def value_type(options_class: type[Options], field: dataclasses.Field[Any]) -> type:
    """Type of a field without None: `float` for both `float` and `float | None`."""
    hint = _type_hints(options_class)[field.name]
    plain: list[type] = [kind for kind in typing.get_args(hint) or (hint,) if kind is not type(None)]
    return plain[0]


_HINTS: dict[Any, dict[str, Any]] = {}


def _type_hints(options_class: type[Options]) -> dict[str, Any]:
    """The declared types; kept, since Python compiles each annotation anew and each command line needs them all."""
    if options_class not in _HINTS:
        _HINTS[options_class] = typing.get_type_hints(options_class)
    return _HINTS[options_class]


def accepted(field: dataclasses.Field[Any]) -> str:
    """Description of the accepted values of a field: `one of a, b`, `a number >= 0 and <= 1`."""
    meta = field.metadata
    if meta['choices']:
        return f'one of {", ".join(meta["choices"])}'
    bounds = [
        f'{sign} {meta[key]}'
        for key, sign in (('above', '>'), ('low', '>='), ('high', '<='), ('below', '<'))
        if meta[key] is not None
    ]
    return ('a number ' + ' and '.join(bounds)).strip()


def check_value(field: dataclasses.Field[Any], value: Any) -> None:
    """Raises a `UsageError` that names flag, value and rule if the value breaks the field's rule."""
    meta = field.metadata
    if value is None or isinstance(value, bool):
        return
    wrong = bool(meta['choices']) and value not in meta['choices']
    if isinstance(value, (int, float)):
        wrong = wrong or not math.isfinite(value)
        wrong = wrong or (meta['low'] is not None and value < meta['low'])
        wrong = wrong or (meta['high'] is not None and value > meta['high'])
        wrong = wrong or (meta['above'] is not None and value <= meta['above'])
        wrong = wrong or (meta['below'] is not None and value >= meta['below'])
    if wrong:
        raise UsageError(f'--{meta["flag"]}={value}: must be {accepted(field)}')


_DEFINE = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}


def define_flags(options_class: type[Options], flag_values: flags.FlagValues, group: str | None = None) -> None:
    """Defines an absl flag for each field, unless it is already defined by an equal option.

    Raises:
      ValueError: two options classes give one flag different defaults.
    """
    for field in option_fields(options_class):
        name = field.metadata['flag']
        if name in flag_values:
            if flag_values[name].default != field.default:
                raise ValueError(
                    f'flag --{name} is declared with two defaults: {flag_values[name].default} and {field.default}'
                )
            continue
        define = _DEFINE[value_type(options_class, field)]
        define(
            name,
            field.default,
            help_text(field),
            flag_values=flag_values,
            module_name=group or options_class.__module__,
        )
    for define, reasons in (
        (flags.DEFINE_string, options_class.superseded),
        (flags.DEFINE_boolean, options_class.superseded_switches),
    ):
        for name, reason in reasons.items():
            define(
                name,
                None,
                f'no effect any more: {reason}',
                flag_values=flag_values,
                module_name=group or options_class.__module__,
            )


def superseded_flags(options_classes: Iterable[type[Options]]) -> dict[str, str]:
    """Superseded flags -> reason why they have no effect any more."""
    return {
        flag: reason
        for options_class in options_classes
        for flag, reason in {**options_class.superseded, **options_class.superseded_switches}.items()
    }


def help_text(field: dataclasses.Field[Any]) -> str:
    rules = [rule for rule in (accepted(field) if is_restricted(field) else '', dependence(field)) if rule]
    words: str = field.metadata['help']
    return f'{words} ({"; ".join(rules)})' if rules else words


def is_restricted(field: dataclasses.Field[Any]) -> bool:
    """Whether a field rejects some values of its type."""
    return any(field.metadata[key] is not None for key in ('low', 'high', 'above', 'below', 'choices'))


def dependence(field: dataclasses.Field[Any]) -> str:
    """Description of the conditions of a field: `needs --hpo_space; not with --ws_prune_plan`."""
    rules = {
        'needs': ' '.join(f'--{condition}' for condition in field.metadata['needs'].split()),
        'not with': ' or '.join(f'--{condition}' for condition in field.metadata['unless'].split()),
    }
    return '; '.join(f'{words} {conditions}' for words, conditions in rules.items() if conditions)


def from_flags(options_class: type[OptionsT], flag_values: flags.FlagValues) -> OptionsT:
    """Builds the checked options from parsed flags."""
    return options_class(
        **{field.name: flag_values[field.metadata['flag']].value for field in option_fields(options_class)}
    )


def flag_lines(options: Iterable[Options], decisive: bool = False) -> list[str]:
    """Lines of a flag file that reproduces these options, in order and without duplicates.

    With `decisive` only flags that affect results.
    """
    lines: dict[str, str] = {}
    for part in options:
        for field in option_fields(type(part)):
            value = getattr(part, field.name)
            if value is not None and (field.metadata['decides'] or not decisive):
                lines[field.metadata['flag']] = f'--{field.metadata["flag"]}={_as_text(value)}'
    return list(lines.values())


def indecisive_flags(options_classes: Iterable[type[Options]]) -> list[str]:
    """Names of the flags that do not affect results."""
    return [
        field.metadata['flag']
        for options_class in options_classes
        for field in option_fields(options_class)
        if not field.metadata['decides']
    ]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_defaults(options_class: type[OptionsT], name: str, **defaults: Any) -> type[OptionsT]:
    """Creates a subclass with other defaults of its flags, such as the batch size of a data set.

    >>> DigitsOptions = with_defaults(DatasetOptions, 'DigitsOptions', batch_size=64)
    """
    hints = _type_hints(options_class)
    known = {field.name: field for field in option_fields(options_class)}
    new = [
        (key, hints[key], dataclasses.field(default=value, metadata=known[key].metadata))
        for key, value in defaults.items()
    ]
    return dataclasses.make_dataclass(name, new, bases=(options_class,), frozen=True)
