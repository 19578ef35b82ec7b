"""Package, dependencies and extras; `constraints.txt` holds the exact versions that are tested."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

PARTS = ['learners', 'nets', 'datasets', 'hp_optimizer', 'rl_agents', 'utils']
"""Subpackages of `pocketflow`; the modules of the root folder belong to it, too."""

INSTALL_REQUIRES = [
    'tensorflow>=2.18,<2.22',
    'tf_keras>=2.18,<2.22',  # each release asks for the TensorFlow of its own minor version
    'tensorflow-model-optimization>=0.8.1',
    'ai-edge-litert>=2.0',
    'ai-edge-quantizer>=0.5',
    'flatbuffers>=24',
    'numpy>=1.26',
    'scikit-learn>=1.5',
    'scipy>=1.11',
    'threadpoolctl>=3.1',
    'hyperopt>=0.2.7',
    'absl-py>=1.4',
    'tensorboard>=2.18',
    'tqdm>=4.66',
    'matplotlib>=3.8',
    'h5py>=3.11',
    'protobuf>=5.26',
    'pyyaml>=6.0',
    'jinja2>=3.1',
    'pillow>=10.1',
]

DOCS = ['mkdocs-material>=9.6,<10']
"""The site that scripts/build_docs.sh makes of docs/."""

EXTRAS_REQUIRE = {
    'docs': DOCS,
    # Published as source only; scripts/install_horovod.sh builds it for TensorFlow > 2.18, too.
    'horovod': ['horovod==0.28.1'],
    # The server, and the client of `pocketflow serve test`. MLServer asks for protobuf < 7, which TensorFlow accepts,
    # but constraints.txt does not: docs/serving.md. The workers of MLServer 1.7 fail with uvloop 0.22.
    'serve': ['mlserver>=1.6,<2', 'uvloop<0.22', 'grpcio>=1.67'],
    'test': [
        'pytest>=8',
        'pytest-xdist>=3.7',
        'pytest-cov>=7',
        'coverage>=7.10',  # the first that follows subprocesses by itself
        'slipcover>=1.1; python_version < "3.12"',
        'hypothesis>=6.100',
        'jsonschema>=4.20',
        'selenium>=4.20',
        *DOCS,
        'ruff>=0.6',
        'mypy>=1.18',
        'packaging>=24',
        'setuptools<81',
    ],
}

PATTERNS = [pattern for part in PARTS for pattern in (part, f'{part}.*')]


class BuildPackage(build_py):
    """Excludes this file, which lies in the package's folder, from the package."""

    def find_package_modules(self, package, package_dir):
        return [found for found in super().find_package_modules(package, package_dir) if found[1] != 'setup']


setup(
    name='pocketflow',
    version='0.1.0',
    description='Compresses TensorFlow 2 networks and measures the files that result',
    license='BSD-3-Clause',
    python_requires='>=3.10',
    packages=['pocketflow', *(f'pocketflow.{package}' for package in find_packages(include=PATTERNS))],
    package_dir={'pocketflow': '.'},  # all code is imported as pocketflow.*: `utils` is too common a name to install
    package_data={
        '': ['*.md', '*.html', '*.css', '*.js'],
        'pocketflow': ['py.typed', 'scripts/flags/*.flags', 'zoo/*'],
    },
    include_package_data=False,
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    cmdclass={'build_py': BuildPackage},
    entry_points={'console_scripts': ['pocketflow = pocketflow.main:console_main']},
)
