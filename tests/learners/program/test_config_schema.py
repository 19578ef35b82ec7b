"""docs/config.schema.json is that of the options classes, and accepts what `--config` accepts."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from pocketflow.learners.program.config_schema import schema
from pocketflow.scripts.generate_config_schema import FILE, text

CONFIGS = sorted((Path(__file__).resolve().parents[3] / 'examples' / 'configs').glob('*.yaml'))


def test_the_file_is_up_to_date():
    assert FILE.read_text(encoding='utf-8') == text(), 'run scripts/generate_config_schema.py'


def errors(document: dict) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(document)]


def test_the_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(json.loads(text()))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_examples_fit_it(path):
    assert errors(yaml.safe_load(path.read_text(encoding='utf-8'))) == []


@pytest.mark.parametrize(
    'document',
    [
        {'modell': {}},
        {'model': {'resnet_sizes': 20}},
        {'training': {'seed': -1}},
        {'training': {'lrn_rate_init': 0}},
        {'strategies': [{'learner': 'uniform', 'cpr_prune_ratio': 0.5}]},
        {'strategies': [{'cpr_prune_ratio': 0.5}]},
        {'strategies': ['unknown']},
        {'data': {'data_disk': 'tape'}},
    ],
)
def test_it_refuses_what_the_program_refuses(document):
    assert errors(document)
