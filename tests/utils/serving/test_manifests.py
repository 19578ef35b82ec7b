"""The resources, against the fields of the platforms' definitions that they use: types, required ones, no others."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from pocketflow.utils.errors import UsageError
from pocketflow.utils.serving.manifests import manifests
from pocketflow.utils.serving.options import KINDS, ManifestOptions

SETTINGS = {'name': 'lenet-digits', 'parameters': {'version': '3'}}
TEXT, WHOLE = {'type': 'string'}, {'type': 'integer'}


def fields(required: str, **properties: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {'type': 'object', 'properties': properties, 'required': required.split(), 'additionalProperties': False}


def items(schema: Any) -> dict[str, Any]:
    return {'type': 'array', 'items': schema, 'minItems': 1}


def resource(api: str, kind: str, spec: Any) -> dict[str, Any]:
    constants = {'apiVersion': {'const': api}, 'kind': {'const': kind}}
    name = {'type': 'string', 'pattern': '^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$'}
    return fields('apiVersion kind metadata spec', **constants, metadata=fields('name', name=name), spec=spec)


QUANTITY = {'type': 'string', 'pattern': r'^[0-9]+(\.[0-9]+)?([KMGTPE]i?|m)?$'}
PORT = fields('containerPort', name=TEXT, containerPort=WHOLE, protocol={'enum': ['TCP', 'UDP', 'SCTP']})
CONTAINER = fields(
    'name image',
    name=TEXT,
    image=TEXT,
    env=items(fields('name', name=TEXT, value=TEXT)),
    ports=items(PORT),
    readinessProbe=fields('httpGet', httpGet=fields('port', path=TEXT, port=WHOLE)),
    resources=fields('', requests=fields('', memory=QUANTITY)),
)
POD = fields('containers', containers=items(CONTAINER))
PREDICTOR = fields(
    'name graph',
    name=TEXT,
    replicas=WHOLE,
    graph=fields(
        'name', name=TEXT, type={'enum': ['MODEL', 'ROUTER', 'COMBINER', 'TRANSFORMER', 'OUTPUT_TRANSFORMER']}
    ),
    componentSpecs=items(fields('spec', spec=POD)),
)
PROTOCOLS = {'enum': ['seldon', 'tensorflow', 'kfserving', 'v2']}
SCHEMAS = {
    'seldon1': [
        resource(
            'machinelearning.seldon.io/v1',
            'SeldonDeployment',
            fields('predictors', protocol=PROTOCOLS, predictors=items(PREDICTOR)),
        )
    ],
    'seldon2': [
        resource(
            'mlops.seldon.io/v1alpha1',
            'Server',
            fields('serverConfig', serverConfig=TEXT, extraCapabilities=items(TEXT), replicas=WHOLE, podSpec=POD),
        ),
        resource(
            'mlops.seldon.io/v1alpha1',
            'Model',
            fields('storageUri', storageUri=TEXT, requirements=items(TEXT), memory=QUANTITY, replicas=WHOLE),
        ),
    ],
    'kserve': [
        resource(
            'serving.kserve.io/v1beta1',
            'InferenceService',
            fields('predictor', predictor=fields('', minReplicas=WHOLE, containers=items(CONTAINER))),
        )
    ],
}


def made(kind: str, **options: Any) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifests(SETTINGS, ManifestOptions(kind=kind, **options))))


@pytest.mark.parametrize('kind', KINDS)
def test_resources_have_the_fields_of_their_definitions(kind):
    found = made(kind, storage_uri='gs://bucket/folder', image='registry/name:tag', memory='1Gi', replicas=2)
    assert len(found) == len(SCHEMAS[kind])
    for one, schema in zip(found, SCHEMAS[kind], strict=True):
        jsonschema.validate(one, schema)


def test_graph_and_container_of_seldon_core_1_are_called_as_the_model():
    (deployment,) = made('seldon1')
    (predictor,) = deployment['spec']['predictors']
    (container,) = predictor['componentSpecs'][0]['spec']['containers']
    assert predictor['graph']['name'] == container['name'] == 'lenet-digits' and container['image'] == 'lenet-digits:3'
    assert {port['name']: port['containerPort'] for port in container['ports']} == {'http': 8080, 'grpc': 8081}


def test_the_model_of_seldon_core_2_needs_what_its_server_offers():
    server, model = made('seldon2', storage_uri='gs://bucket/folder')
    assert model['spec']['requirements'] == server['spec']['extraCapabilities']
    assert server['spec']['podSpec']['containers'][0]['name'] == 'mlserver'
    with pytest.raises(UsageError, match='--storage_uri is missing'):
        made('seldon2')


def test_kserve_has_one_port():
    (service,) = made('kserve')
    (container,) = service['spec']['predictor']['containers']
    assert (
        len(container['ports']) == 1
        and container['readinessProbe']['httpGet']['path'] == '/v2/models/lenet-digits/ready'
    )
