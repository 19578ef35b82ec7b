"""Damaged, forged and random bytes: one `PocketFlowError`, or a container that is sound; never anything else."""

from __future__ import annotations

import contextlib
import json
import random
import resource
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.container import contents, layout, pack, tensor_table, unpack
from pocketflow.utils.container.contents import Contents
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.quantization.encoding import Buckets
from tests.utils.container.samples import encoded, fill

NUM_DAMAGED, NUM_FORGED_BODIES, NUM_FORGED_MANIFESTS, NUM_MODELS = 6000, 3000, 3000, 150
Bytes = Callable[[random.Random, bytes], bytes]


@pytest.fixture(scope='module')
def content() -> bytes:
    """Two layers that use codes, a code book, a sparse tensor and dense ones."""
    inputs = keras.Input((5, 5, 2), name='images')
    stream = keras.layers.Conv2D(4, 3, name='conv')(inputs)
    stream = keras.layers.Conv2D(3, 2, name='sparse')(stream)
    model = fill(
        keras.Model(inputs, keras.layers.Dense(3, name='dense')(keras.layers.Flatten(name='flat')(stream)), name='net')
    )
    sparse = np.zeros((2, 2, 4, 3), np.float32)
    sparse[1, 0, 2] = 1.5, -0.5, 2.5
    model.get_layer('sparse').kernel.assign(sparse)
    encodings = {
        'conv': encoded('symmetric', 3, Buckets('channel'), (3, 3, 2, 4)),
        'dense': encoded('codebook', 2, Buckets('split', size=8), (12, 3)),
    }
    for name, encoding in encodings.items():
        model.get_layer(name).kernel.assign(encoding.decode())
    packed = pack(model, encodings)
    assert {row.form for row in tensor_table(packed)} == {'affine', 'codebook', 'dense', 'delta'}
    return packed


def flipped(rng: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def truncated(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def extended(rng: random.Random, content: bytes) -> bytes:
    return content + rng.randbytes(rng.choice((1, 7, 1000)))


def shuffled(rng: random.Random, content: bytes) -> bytes:
    start, length = rng.randrange(len(content)), rng.randrange(1, 60)
    other = rng.randrange(len(content))
    return content[:start] + content[other : other + length] + content[start + rng.choice((0, length)) :]


def random_bytes(rng: random.Random, content: bytes) -> bytes:
    return rng.choice((b'', content[:4], content[:16])) + rng.randbytes(rng.randrange(300))


DAMAGES: tuple[Bytes, ...] = (flipped, truncated, extended, shuffled, random_bytes)


def test_damage_is_always_noticed(content):
    rng = random.Random(0)
    for case in range(NUM_DAMAGED):
        damaged = DAMAGES[case % len(DAMAGES)](rng, content)
        if damaged != content:
            with pytest.raises(PocketFlowError, match=r'^the content is not a readable \.pfz container: .'):
                unpack(damaged)


def loads(content: bytes) -> Contents | None:
    """What is in the container, or `None` if it is refused as it should be."""
    with contextlib.suppress(UnreadableError):
        return contents.read(content)
    return None


def test_bodies_with_a_right_checksum_load_or_are_refused(content):
    rng, num_loaded = random.Random(1), 0
    streams = len(content) - len(layout.opened(content)[1])
    for case in range(NUM_FORGED_BODIES):
        if case % 2:  # only what lies behind the manifest
            forged = content[:streams] + flipped(rng, content[streams:])
        else:
            forged = DAMAGES[case // 2 % 4](rng, content)
        num_loaded += loads(layout.sealed(forged[48:])) is not None
    assert 0 < num_loaded < NUM_FORGED_BODIES


INTERESTING: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    3,
    7,
    16,
    255,
    2**16,
    2**24,
    2**28,
    2**31,
    2**63,
    2**100,
    0.5,
    1e308,
    float('nan'),
    '',
    'conv',
    'dense',
    'bitmap',
    'delta',
    'affine',
    'codebook',
    'lzma',
    'deflate',
    'stored',
    'bits',
    'bytes',
    'uint8',
    'float16',
    'int64',
    'bool',
    'split',
    'tensor',
    'x' * 2000,
    [],
    {},
    [[]],
    [0],
    [1, 1, 1],
    {'class_name': 'Lambda'},
    ['stored', 0, 0],
    ['split', 2**28, 1],
    ['channel', 0, 2],
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for key, item in items for place in [(value, key), *places(item)]]


def mutate(rng: random.Random, value: Any) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        inside, key = rng.choice(places(value))
        match rng.randrange(4):
            case 0:
                del inside[key]
            case 1 if isinstance(inside[key], int):
                inside[key] += rng.choice((-1, 1, 2**20))
            case 2:  # what stands elsewhere
                other, other_key = rng.choice(places(value))
                inside[key] = json.loads(json.dumps(other[other_key]))
            case _:
                inside[key] = rng.choice(INTERESTING)
        if not places(value):
            return


def with_manifest(content: bytes, change: Callable[[Any], None]) -> bytes:
    manifest, body = layout.opened(content)
    changed = json.loads(json.dumps(manifest.value))
    change(changed)
    text = json.dumps(changed).encode()
    return layout.sealed(struct.pack('<BII', 0, len(text), len(text)) + text + body)


def test_manifests_with_a_right_checksum_load_or_are_refused(content):
    rng, num_loaded = random.Random(2), 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(NUM_FORGED_MANIFESTS):
        num_loaded += loads(with_manifest(content, lambda m: mutate(rng, m['tensors']))) is not None
    assert 0 < num_loaded < NUM_FORGED_MANIFESTS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18, 'more than 256 MiB'


def test_architectures_with_a_right_checksum_load_or_are_refused(content):
    rng, num_loaded = random.Random(3), 0
    for _ in range(NUM_MODELS):
        forged = with_manifest(content, lambda m: mutate(rng, m['architecture']))
        try:
            num_loaded += len(unpack(forged).model.layers) > 0
        except PocketFlowError as error:
            assert str(error).startswith('the content is not a readable .pfz container: ')
    assert 0 < num_loaded < NUM_MODELS
