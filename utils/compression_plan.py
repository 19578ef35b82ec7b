"""Compression plans: the decision for each layer, as a value that can be printed and saved."""

from __future__ import annotations

import dataclasses
import json
import numbers
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, cast

import tf_keras as keras

from pocketflow.utils.channels import ChannelGraph, reader_channels, trace
from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs.given_files import resolve_plan_path
from pocketflow.utils.system.atomic import write_text

SCHEMA = 1
_JSON_NAMES = {'num_channels': 'nb_channels'}
"""Field -> its name in plan files, where that differs."""
Value = tuple[int, ...] | float | int


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _are_channels(value: object) -> bool:
    if not isinstance(value, (list, tuple)) or not value or not all(map(_is_whole, value)):
        return False
    return value[0] >= 0 and all(one < two for one, two in zip(value, value[1:], strict=False))


def _plain(value: Value) -> Value:
    """The same value with Python's number types in place of NumPy's, which JSON does not support."""
    if isinstance(value, (list, tuple)):
        return tuple(int(channel) for channel in value)
    return int(value) if isinstance(value, numbers.Integral) else float(value)


_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    'channels': (_are_channels, 'one or more distinct channel numbers, ascending from 0 on'),
    'sparsity': (lambda value: _is_number(value) and 0 <= value < 1, 'a share in [0, 1)'),
    'bits': (lambda value: _is_whole(value) and 1 <= value <= 32, 'a whole number of bits in 1..32'),
}


@dataclasses.dataclass(frozen=True)
class CompressionPlan:
    """A decision for each layer.

    Attributes:
        kind: what the values are: 'channels' (the input channels that the layer keeps, ascending), 'sparsity'
            (the share of its weights to be zero, in [0, 1)) or 'bits' (the width of its weights, 1 to 32).
        model_name: name of the model for which it was made; informative, not checked.
        values: layer -> its value; layers that are not named are not compressed.
        num_channels: for 'channels', layer -> its number of input channels before pruning.
        predicted: name -> predicted figure of the compressed model, such as 'macs' or 'parameters'.

    Raises:
        UsageError: the kind or a value is invalid.
    """

    kind: str
    model_name: str
    values: Mapping[str, Value]
    num_channels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    predicted: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in tuple(_CHECKS):
            raise UsageError(f'unknown kind of compression plan {self.kind!r}; known: {", ".join(_CHECKS)}')
        is_fine, accepted = _CHECKS[self.kind]
        for layer, value in self.values.items():
            if not is_fine(value):
                raise UsageError(f'plan for layer {layer!r}: {value!r} is not {accepted}')
        self._check_num_channels()
        bad = next((name for name, figure in self.predicted.items() if not _is_number(figure)), None)
        if bad is not None:
            raise UsageError(f'predicted {bad!r} of a compression plan is {self.predicted[bad]!r}, not a number')
        for name in ('values', 'num_channels', 'predicted'):
            plain = {layer: _plain(value) for layer, value in getattr(self, name).items()}
            object.__setattr__(self, name, plain)

    def _check_num_channels(self) -> None:
        if self.kind != 'channels':
            return
        for layer, channels in self.channels().items():
            total = self.num_channels.get(layer)
            if not _is_whole(total) or channels[-1] >= total:
                raise UsageError(
                    f'plan for layer {layer!r}: channel {channels[-1]} is kept, but nb_channels says that'
                    f' there are {total}; it must be more than the last kept channel'
                )

    def channels(self) -> Mapping[str, tuple[int, ...]]:
        """The values of a plan of channels."""
        return cast(Mapping[str, tuple[int, ...]], self._values_of('channels'))

    def shares(self) -> Mapping[str, float]:
        """The values of a plan of sparsities."""
        return cast(Mapping[str, float], self._values_of('sparsity'))

    def widths(self) -> Mapping[str, int]:
        """The values of a plan of bits."""
        return cast(Mapping[str, int], self._values_of('bits'))

    def _values_of(self, kind: str) -> Mapping[str, Value]:
        if self.kind != kind:
            raise ValueError(f'a plan of {self.kind} has no {kind}')
        return self.values

    def __str__(self) -> str:
        head = f'{self.kind} plan for {self.model_name}'
        figures = [f'{name} {value:,.6g}' for name, value in self.predicted.items()]
        return '\n'.join([', '.join([head, *figures]), *(f'  {row}' for row in map(self._row, self.values))])

    def _row(self, layer: str) -> str:
        value = self.values[layer]
        shown = f'{len(value)} of {self.num_channels[layer]}' if isinstance(value, tuple) else f'{value:g}'
        return f'{layer}: {shown}'

    def to_json(self) -> str:
        """The plan as text that `from_json` reads."""
        entries = {_JSON_NAMES.get(name, name): value for name, value in dataclasses.asdict(self).items()}
        return json.dumps({'schema': SCHEMA, **entries}, indent=1) + '\n'

    @classmethod
    def from_json(cls, text: str) -> CompressionPlan:
        """Reads the text of `to_json`.

        Raises:
            UsageError: `text` is not a plan, or one of another schema.
        """
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:  # the latter: nested too deep
            raise UsageError(f'a compression plan must be JSON: {error}') from None
        return cls(**_checked_entries(entries))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan to a file, atomically."""
        write_text(pathlib.Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CompressionPlan:
        """Reads a file of `save`.

        Raises:
            UsageError: the file does not exist or is not a plan; the message names the file.
        """
        try:
            text = pathlib.Path(path).read_text(encoding='utf-8')
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f'cannot read the compression plan {os.fspath(path)!r}: {error}') from None
        try:
            return cls.from_json(text)
        except UsageError as error:
            raise UsageError(f'{os.fspath(path)}: {error}') from None

    def check_model(self, model: keras.Model | ChannelGraph) -> None:
        """Checks that the plan fits a model.

        Raises:
            UsageError: it does not; the message names the first layer that is missing in the model or has
                a different number of input channels.
        """
        graph = trace(model)
        known = _layer_sizes(graph, self.kind)
        for layer in self.values:
            if layer not in known or known[layer] != self.num_channels.get(layer, known[layer]):
                raise UsageError(
                    f'the plan was made for another model ({self.model_name!r}) than {graph.model.name!r}:'
                    f' {self._mismatch(layer, known)}'
                )

    def _mismatch(self, layer: str, known: Mapping[str, int]) -> str:
        if layer not in known:
            what = 'prunable layer' if self.kind == 'channels' else 'layer with weights'
            return f'it has no {what} {layer!r}; it has {", ".join(known) or "none"}'
        return f'layer {layer!r} has {known[layer]} input channels, the plan expects {self.num_channels[layer]}'


def load_plan(given: str, learner: str, kind: str, flag: str) -> CompressionPlan:
    """Loads the plan that is given by a flag (see `resolve_plan_path`).

    Args:
        given: the flag's value.
        learner: name of the learner whose plan is read if a run directory is given.
        kind: required kind of the plan.
        flag: the flag's name, for messages.

    Raises:
        UsageError: the plan does not exist, or is of another kind.
    """
    found = resolve_plan_path(given, learner, flag)
    try:
        plan = CompressionPlan.load(found)
    except UsageError as error:
        raise UsageError(f'--{flag}: {error}') from None
    if plan.kind != kind:
        raise UsageError(
            f'--{flag}={given}: a plan of {plan.kind}; give one of {kind}, with {_CHECKS[kind][1]} for each layer'
        )
    return plan


def _layer_sizes(graph: ChannelGraph, kind: str) -> dict[str, int]:
    """Layers that a plan of this kind may name -> their number of input channels (0 for other kinds)."""
    if kind == 'channels':
        return {name: reader.num_channels for name, reader in reader_channels(graph).items()}
    return {layer.name: 0 for layer in graph.model.layers if layer.weights}


def _checked_entries(entries: Any) -> dict[str, Any]:
    """The arguments of `CompressionPlan` in a decoded JSON document."""
    if not isinstance(entries, dict) or 'schema' not in entries:
        raise UsageError("a compression plan must be a JSON object with the entry 'schema'")
    schema = entries['schema']
    if schema != SCHEMA:
        raise UsageError(f'the compression plan has the schema {schema!r}; this version reads {SCHEMA}')
    expected = {_JSON_NAMES.get(field.name, field.name): field.name for field in dataclasses.fields(CompressionPlan)}
    given = set(entries) - {'schema'}
    if given != set(expected):
        raise UsageError(
            f'a compression plan has the entries {", ".join(sorted(expected))}; this one has'
            f' {", ".join(sorted(given)) or "none"}'
        )
    for name in ('values', 'nb_channels', 'predicted'):
        if not isinstance(entries[name], dict):
            raise UsageError(f'entry {name!r} of a compression plan must be an object, not {entries[name]!r}')
    return {field: entries[name] for name, field in expected.items()}
