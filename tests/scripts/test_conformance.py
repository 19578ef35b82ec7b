"""The checks of `scripts/conformance` that need neither MLServer nor the network."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from pocketflow.scripts.conformance.malformed import grpc_cases, rest_cases
from pocketflow.scripts.conformance.manifests import Types, checked_parts

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
raise SystemExit('not to be run')
class V1Pod:
    openapi_types = {'min_count': 'int', 'labels': 'dict(str, str)', 'ports': 'List[V1Port]', 'when': 'V1IntOrString'}
    attribute_map = {'min_count': 'minCount', 'labels': 'labels', 'ports': 'ports', 'when': 'when'}
"""
PORT = """
class V1Port:
    openapi_types: dict = {'number': 'int'}
    attribute_map: dict = {'number': 'number'}
"""


@pytest.fixture
def types(tmp_path: Path) -> Types:
    with zipfile.ZipFile(tmp_path / 'a.whl', 'w') as archive:
        archive.writestr('a/models/v1_pod.py', SOURCE)
        archive.writestr('a/models/v1_port.py', PORT)
    return Types([tmp_path / 'a.whl'])


@pytest.mark.parametrize(
    ('value', 'errors'),
    [
        ({'minCount': 1, 'labels': {'a': 'b'}, 'ports': [{'number': 1}], 'when': 'x'}, []),
        ({'min_count': 1}, ['pod: V1Pod has no field min_count']),
        ({'minCount': '1'}, ["pod.minCount: '1' is no int"]),
        ({'labels': {'a': 1}}, ['pod.labels.a: 1 is no str']),
        ({'ports': {'number': 1}}, ["pod.ports: {'number': 1} is no List[V1Port]"]),
        ({'ports': [{'number': 1}, 2]}, ['pod.ports.1: 2 is no V1Port']),
        ({'when': []}, ['pod.when: [] is no V1IntOrString']),
    ],
)
def test_fields_and_their_types_are_compared(types, value, errors):
    assert list(types.errors(value, 'V1Pod', 'pod')) == errors


def test_pod_specifications_are_found():
    assert list(checked_parts('seldon2', {'spec': {'storageUri': 'x'}})) == []
    assert [part[0] for part in checked_parts('seldon2', {'spec': {'podSpec': {'a': 1}}})] == [{'a': 1}]


def test_the_cases_change_requests():
    assert len(rest_cases(4)) > 15 and len(grpc_cases(4, 1)) > 10
    request = {'inputs': [{'name': 'x', 'shape': [1, 2], 'data': [1.0, 2.0]}]}
    rest_cases(4)['too many samples'](request)
    assert request['inputs'][0]['shape'] == [5, 2] and len(request['inputs'][0]['data']) == 10


@pytest.mark.parametrize(
    ('arguments', 'message'), [(['a', 'b'], 'give one run directory'), (['none'], 'none: holds no finished run')]
)
def test_wrong_calls_of_the_script_are_refused(arguments, message):
    script = ROOT / 'scripts/conformance/mlserver.sh'
    done = subprocess.run([script, *arguments], capture_output=True, text=True, env={'PATH': os.environ['PATH']})
    assert done.returncode == 2 and message in done.stderr
