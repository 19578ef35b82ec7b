"""Resources for Kubernetes that serve a folder of `pocketflow serve init`: Seldon Core 1 and 2, KServe.

Fields as in their documentation and custom resource definitions; docs/serving.md says which were checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from pocketflow.utils.errors import UsageError
from pocketflow.utils.serving.options import ManifestOptions

HTTP_PORT, GRPC_PORT = 8080, 8081
"""MLServer's own defaults."""
CAPABILITY = 'pocketflow-litert'
"""What a Seldon Core 2 server offers and its model needs."""
Resource = dict[str, Any]


def manifests(settings: Mapping[str, Any], options: ManifestOptions) -> str:
    """The resources as YAML documents.

    Args:
      settings: `model-settings.json` of the folder.
      options: platform, image, storage.

    Raises:
      UsageError: the platform loads models from a storage, and none is given.
    """
    name, version = settings['name'], settings['parameters']['version']
    found = RESOURCES[options.kind](name, options.image or f'{name}:{version}', options)
    return '---\n'.join(yaml.safe_dump(resource, sort_keys=False) for resource in found)


def _container(name: str, image: str, options: ManifestOptions, **more: Any) -> Resource:
    return {'name': name, 'image': image, **more, 'resources': {'requests': {'memory': options.memory}}}


def _seldon1(name: str, image: str, options: ManifestOptions) -> list[Resource]:
    """Seldon Core 1: the container of a graph's node; node, container and model have the same name."""
    container = _container(
        name,
        image,
        options,
        ports=[
            {'name': 'http', 'containerPort': HTTP_PORT, 'protocol': 'TCP'},
            {'name': 'grpc', 'containerPort': GRPC_PORT, 'protocol': 'TCP'},
        ],
        readinessProbe={'httpGet': {'path': f'/v2/models/{name}/ready', 'port': HTTP_PORT}},
    )
    predictor = {
        'name': 'default',
        'replicas': options.replicas,
        'graph': {'name': name, 'type': 'MODEL'},
        'componentSpecs': [{'spec': {'containers': [container]}}],
    }
    return [
        {
            'apiVersion': 'machinelearning.seldon.io/v1',
            'kind': 'SeldonDeployment',
            'metadata': {'name': name},
            'spec': {'protocol': 'v2', 'predictors': [predictor]},
        }
    ]


def _seldon2(name: str, image: str, options: ManifestOptions) -> list[Resource]:
    """Seldon Core 2: a server with LiteRT, and a model that is loaded into it from a storage."""
    if options.storage_uri is None:
        raise UsageError(
            '--storage_uri is missing: Seldon Core 2 loads the model from a storage; upload the folder and give its '
            'address, as in --storage_uri=gs://BUCKET/FOLDER'
        )
    server = {
        'serverConfig': 'mlserver',
        'extraCapabilities': [CAPABILITY],
        'replicas': options.replicas,
        'podSpec': {'containers': [_container('mlserver', image, options)]},
    }
    model = {
        'storageUri': options.storage_uri,
        'requirements': [CAPABILITY],
        'memory': options.memory,
        'replicas': options.replicas,
    }
    api = 'mlops.seldon.io/v1alpha1'
    return [
        {'apiVersion': api, 'kind': 'Server', 'metadata': {'name': f'{name}-server'}, 'spec': server},
        {'apiVersion': api, 'kind': 'Model', 'metadata': {'name': name}, 'spec': model},
    ]


def _kserve(name: str, image: str, options: ManifestOptions) -> list[Resource]:
    """KServe: a custom predictor; Knative allows one port, so that this serves REST."""
    container = _container(
        'kserve-container',
        image,
        options,
        env=[{'name': 'PROTOCOL', 'value': 'v2'}],
        ports=[{'containerPort': HTTP_PORT, 'protocol': 'TCP'}],
        readinessProbe={'httpGet': {'path': f'/v2/models/{name}/ready', 'port': HTTP_PORT}},
    )
    predictor = {'minReplicas': options.replicas, 'containers': [container]}
    return [
        {
            'apiVersion': 'serving.kserve.io/v1beta1',
            'kind': 'InferenceService',
            'metadata': {'name': name},
            'spec': {'predictor': predictor},
        }
    ]


RESOURCES: dict[str, Callable[[str, str, ManifestOptions], list[Resource]]] = {
    'seldon1': _seldon1,
    'seldon2': _seldon2,
    'kserve': _kserve,
}
"""Platform -> its resources."""
