"""Checks the resources of `pocketflow serve manifests` against types in the packages of KServe and Kubernetes.

    python scripts/conformance/manifests.py

Downloads the packages `kserve` and `kubernetes` with pip, without installing them, and reads from their source which
fields each type has, and of which types these are; no code of them is run. Checked are KServe's `InferenceService` as a
whole, and the pod specifications in the resources for Seldon Core 1 and 2; Seldon Core's own fields are in no package.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pocketflow.utils.serving.manifests import manifests
from pocketflow.utils.serving.options import KINDS, ManifestOptions

PACKAGES = ('kserve', 'kubernetes')
PLAIN = {'str': str, 'int': int, 'bool': bool, 'float': (int, float), 'object': object}
"""Types in the tables of the packages that are no classes."""
SETTINGS = {'name': 'lenet-digits', 'parameters': {'version': '1'}}


class Types:
    """The types in the modules of the wheels: name -> {field in YAML: type}."""

    def __init__(self, wheels: list[Path]):
        self._sources: dict[str, str] = {}
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if re.search(r'/models/v1\w*\.py$', name):
                        self._sources.setdefault(Path(name).stem.replace('_', ''), archive.read(name).decode())

    def fields(self, name: str) -> dict[str, str]:
        """The fields of a type.

        Raises:
          KeyError: the packages have no such type.
        """
        tables: dict[str, dict[str, str]] = {}
        for node in ast.walk(ast.parse(self._sources[name.lower()])):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, 'target', None)
            if isinstance(target, ast.Name) and target.id in ('openapi_types', 'attribute_map'):
                tables[target.id] = ast.literal_eval(node.value)
        return {tables['attribute_map'][field]: kind for field, kind in tables['openapi_types'].items()}

    def errors(self, value: Any, kind: str, place: str) -> Iterator[str]:
        """What of a value does not have a type."""
        listed = re.fullmatch(r'[lL]ist\[(.+)\]', kind)
        mapped = re.fullmatch(r'[dD]ict[\[(]str, (.+)[\])]', kind)
        if listed or mapped:
            wanted = list if listed else dict
            if not isinstance(value, wanted):
                yield f'{place}: {value!r} is no {kind}'
                return
            items = enumerate(value) if listed else value.items()
            for key, item in items:
                yield from self.errors(item, (listed or mapped).group(1), f'{place}.{key}')
        elif kind in PLAIN or kind.endswith('IntOrString'):
            if not isinstance(value, PLAIN.get(kind, (int, str))):
                yield f'{place}: {value!r} is no {kind}'
        elif not isinstance(value, dict):
            yield f'{place}: {value!r} is no {kind}'
        else:
            fields = self.fields(kind)
            for key, item in value.items():
                if key not in fields:
                    yield f'{place}: {kind} has no field {key}'
                else:
                    yield from self.errors(item, fields[key], f'{place}.{key}')


def checked_parts(kind: str, resource: dict[str, Any]) -> Iterator[tuple[Any, str, str]]:
    """(value, type, name for messages) of what is checked in a resource."""
    spec = resource['spec']
    if kind == 'kserve':
        yield resource, 'V1beta1InferenceService', 'InferenceService'
    elif kind == 'seldon1':
        for predictor in spec['predictors']:
            for component in predictor['componentSpecs']:
                yield component['spec'], 'V1PodSpec', 'SeldonDeployment.componentSpecs.spec'
    elif 'podSpec' in spec:
        yield spec['podSpec'], 'V1PodSpec', 'Server.podSpec'


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'download', '--quiet', '--no-deps']
        subprocess.run([*pip, '--dest', folder, *PACKAGES], check=True, stderr=subprocess.DEVNULL)
        wheels = sorted(Path(folder).glob('*.whl'))
        types = Types(wheels)
        print('types of', ', '.join('-'.join(wheel.name.split('-')[:2]) for wheel in wheels))
    wrong = 0
    for kind in KINDS:
        text = manifests(SETTINGS, ManifestOptions(kind=kind, storage_uri='gs://bucket/folder'))
        for resource in yaml.safe_load_all(text):
            for value, name, place in checked_parts(kind, resource):
                errors = list(types.errors(value, name, place))
                wrong += len(errors)
                print(f'{kind:8} {place} ({name}): {"; ".join(errors) or "fits"}')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
