"""JSON Schema of `--config` files, by which editors complete and check them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pocketflow.learners.options import LEARNERS
from pocketflow.learners.program.config import SECTIONS, learner_flags, sections
from pocketflow.nets import PAIRS
from pocketflow.utils.options import dependence, value_type
from pocketflow.utils.options.config_file import LEARNER, STRATEGIES

_SCALAR = {'type': ['string', 'number', 'boolean']}
_TYPES: dict[type, dict[str, Any]] = {
    bool: {'type': 'boolean'},
    int: {'type': 'integer'},
    float: {'type': 'number'},
    str: {'anyOf': [_SCALAR, {'type': 'array', 'items': _SCALAR, 'minItems': 1}]},
}
_BOUNDS = {'low': 'minimum', 'high': 'maximum', 'above': 'exclusiveMinimum', 'below': 'exclusiveMaximum'}


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of the files of all pairs; a pair accepts the keys that it has flags for."""
    properties: dict[str, Any] = {}
    declarations = [PAIRS.declaration(name) for name in PAIRS]
    for section in SECTIONS:
        if section == STRATEGIES:
            properties[section] = {'type': 'array', 'minItems': 1, 'items': {'anyOf': [*_strategies()]}}
            continue
        keys: dict[str, Any] = {}
        for declaration in declarations:
            keys |= {
                flag: _value(owner, field)
                for flag, (owner, field) in sections(declaration)[section].items()
                if flag not in keys
            }
        properties[section] = _object(keys)
    return {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        'title': 'A run of PocketFlow, for --config=FILE.yaml',
        **_object(properties),
    }


def _strategies() -> list[dict[str, Any]]:
    """One form per learner, and the name of a learner alone."""
    names = [{'enum': list(LEARNERS), 'description': 'a learner with its default flags'}]
    forms = []
    for name in LEARNERS:
        declaration = LEARNERS.declaration(name)
        keys = {flag: _value(owner, field) for flag, (owner, field) in learner_flags(name).items()}
        forms.append(
            {'title': name, **_object({LEARNER: {'const': name, 'description': declaration.summary}, **keys}, LEARNER)}
        )
    return [*names, *forms]


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    result = {'type': 'object', 'additionalProperties': False, 'properties': dict(properties)}
    return {**result, 'required': list(required)} if required else result


def _value(owner: type[Any], field: dataclasses.Field[Any]) -> dict[str, Any]:
    """The schema of a flag's value."""
    meta = field.metadata
    rules = {word: meta[key] for key, word in _BOUNDS.items() if meta[key] is not None}
    kind = {'enum': list(meta['choices'])} if meta['choices'] else _TYPES[value_type(owner, field)]
    condition = dependence(field)
    return {**kind, **rules, 'description': f'{meta["help"]} ({condition})' if condition else meta['help']}
