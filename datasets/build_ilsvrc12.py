"""Writes ILSVRC-12, or images in folders of the same form, as the TFRecord files that `--dataset=ilsvrc12` reads.

    python -m pocketflow.datasets.build_ilsvrc12 --raw_dir=DIR --output_dir=DIR

`raw_dir` holds `train/` with one folder per class, named by its synset, and `val/` with such folders, too, or with the
images of `ILSVRC2012_img_val.tar` and the list `imagenet_2012_validation_synset_labels.txt`. The bytes of the images
are not changed. Each file is written whole or not at all; the same command continues after an interruption.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import logging

from pocketflow.datasets.ilsvrc12_options import NUM_CLASSES
from pocketflow.datasets.ilsvrc12_options import SPLITS as NAMES
from pocketflow.datasets.sources.image_folders import shown, some
from pocketflow.datasets.sources.labelled_images import LabelledImages, are_synsets, find_images
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.system import atomic, interrupts
from pocketflow.utils.system.progress import Progress
from pocketflow.utils.system.storage_failures import storage_failure
from pocketflow.utils.system.streams import say
from pocketflow.utils.system.tensorflow_start import load_tensorflow

LOCK = '.build.lock'
RECORD = 'build.json'
"""What the files in a folder are made of."""
BAD_IMAGES = 'bad_images.txt'
VERSION = 1
IMAGES_PER_FILE = {'train': 1252, 'validation': 391}
"""Largest number of images in a file, if the number of files is not given: 1,024 and 128 files of the complete set."""
REPORT_EVERY = 2000
"""Images between two lines about progress, where there is no bar."""


@dataclasses.dataclass(frozen=True)
class BuildOptions:
    """What is to be written.

    Attributes:
      raw_dir, output_dir: folders of the images and of the files.
      classes, validation_labels, bounding_boxes: paths of lists; see `find_images`.
      train_shards, validation_shards: numbers of files.
      seed: of the order of the images.
      num_threads: files written at a time.
      skip_bad_images: whether images that cannot be decoded are left out.
      overwrite: whether the files of another build in `output_dir` are removed.
    """

    raw_dir: Path
    output_dir: Path
    classes: str | None = None
    validation_labels: str | None = None
    bounding_boxes: str | None = None
    train_shards: int | None = None
    validation_shards: int | None = None
    seed: int = 0
    num_threads: int = 8
    skip_bad_images: bool = False
    overwrite: bool = False


def num_shards(split: str, given: int | None, num_images: int) -> int:
    """The number of files of a split.

    >>> num_shards('train', None, 1281167), num_shards('validation', None, 50000), num_shards('train', None, 500)
    (1024, 128, 1)

    Raises:
      UsageError: there are more files than images.
    """
    if given is None:
        return math.ceil(num_images / IMAGES_PER_FILE[split])
    if given > num_images:
        raise UsageError(f'--{split}_shards={given}: there are only {num_images} {split} images; give at most so many')
    return given


def build(options: BuildOptions) -> str:
    """Writes the files that are missing; returns one line about what there is.

    Raises:
      UsageError: images, lists or labels are missing, or the folder holds files of another build.
      PocketFlowError: there are images that cannot be used; all that can be written has been.
    """
    from pocketflow.datasets.sources.record_writing import ShardWriter, shuffled_parts

    images = find_images(str(options.raw_dir), options.classes, options.validation_labels, options.bounding_boxes)
    _tell_of_classes(images)
    splits = {'train': images.train, 'validation': images.validation}
    given = {'train': options.train_shards, 'validation': options.validation_shards}
    parts = {
        split: shuffled_parts(part, num_shards(split, given[split], len(part)), options.seed)
        for split, part in splits.items()
    }
    with _locked(options.output_dir):
        _claim(options, images, {split: len(part) for split, part in parts.items()})
        progress = Progress('build', sum(map(len, splits.values())))

        def advance(count: int) -> None:
            progress.advance(count)
            if progress.step % REPORT_EVERY == 0:
                progress.report({})

        writer = ShardWriter(options.output_dir, options.num_threads, options.skip_bad_images, advance)
        missing = {name: part for split in splits for name, part in writer.missing(split, parts[split]).items()}
        progress.advance(progress.total - sum(map(len, missing.values())))
        try:
            writer.write(missing)
        finally:
            progress.close()
            bad = _list_bad(options.output_dir, [f'{each.path}\t{each.reason}' for each in writer.bad])
        if writer.bad and not options.skip_bad_images:
            first = writer.bad[0]
            raise PocketFlowError(
                f'{shown(first.path)}: {first.reason}; {len(writer.bad)} images cannot be used and are listed in '
                f'{bad}; their files are not written; repair them and give the same command, or give --skip_bad_images'
            )
    counts = ', '.join(f'{len(splits[split])} {split} images in {len(parts[split])} files' for split in splits)
    left_out = f'; images that were left out are listed in {bad}' if bad.exists() else ''
    return f'{options.output_dir}: {counts}, {len(missing)} of them new{left_out}'


def _tell_of_classes(images: LabelledImages) -> None:
    count = len(images.classes)
    if count > NUM_CLASSES:
        raise UsageError(
            f'{count} classes ({some(images.classes)}); ILSVRC-12 has {NUM_CLASSES}; else give --dataset=folder'
        )
    if count < NUM_CLASSES:
        logging.warning(
            '%d classes, of which ILSVRC-12 has %d: labels 1 to %d are given in this order: %s%s',
            count,
            NUM_CLASSES,
            count,
            some(images.classes),
            '; give --classes with all of them to keep their labels' if are_synsets(images.classes) else '',
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Creates the folder and keeps other processes from building in it; removes what a killed process has left."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, 'a', encoding='utf-8') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f'--output_dir={folder}: another process is building in it; wait for it') from error
        for left in folder.glob(f'{atomic.TEMPORARY_PREFIX}*'):
            left.unlink()
        yield


def _claim(options: BuildOptions, images: LabelledImages, counts: dict[str, int]) -> None:
    """Makes the folder one for these files; raises a `UsageError` if there are others in it."""
    folder = options.output_dir
    digest = hashlib.blake2b(digest_size=16)
    for split in (images.train, images.validation):
        for image in split:
            path = Path(image.path).relative_to(options.raw_dir)
            digest.update(f'{path}\n{image.label}\n{image.boxes}\n'.encode('utf-8', 'surrogateescape'))
    record = {
        'version': VERSION,
        'seed': options.seed,
        'files': counts,
        'images': {'train': len(images.train), 'validation': len(images.validation)},
        'digest': digest.hexdigest(),
        'classes': list(images.classes),
    }
    if _read_record(folder) == record:
        return
    others = sorted(path.name for path in folder.iterdir() if _is_shard(path.name) or path.name in (RECORD, BAD_IMAGES))
    if others and not options.overwrite:
        raise UsageError(
            f'--output_dir={folder}: holds files that were made otherwise ({some(others)}): of other images, or with '
            'another seed or number of files; give another folder, or --overwrite to remove them'
        )
    for name in others:
        (folder / name).unlink()
    atomic.write_json(folder / RECORD, record)


def _read_record(folder: Path) -> Any:
    try:
        return json.loads((folder / RECORD).read_text(encoding='utf-8'))
    except (FileNotFoundError, ValueError):
        return None


def _is_shard(name: str) -> bool:
    return re.fullmatch(rf'({"|".join(NAMES.values())})-\d+-of-\d+', name) is not None


def _list_bad(folder: Path, lines: Sequence[str]) -> Path:
    """Adds lines to the list of images that cannot be used, each once; returns its path."""
    path = folder / BAD_IMAGES
    if lines:
        former = path.read_text(encoding='utf-8', errors='replace').splitlines() if path.exists() else []
        atomic.write_text(path, '\n'.join(dict.fromkeys([*former, *map(shown, lines)])) + '\n')
    return path


class _Parser(argparse.ArgumentParser):
    """Reports errors of the command line in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(UsageError.exit_code, f'{self.prog}: {message}\n')


def _count(text: str) -> int:
    if not re.fullmatch('[1-9][0-9]*', text):
        raise argparse.ArgumentTypeError(f'{text}: must be a whole number >= 1')
    return int(text)


def parse(arguments: Sequence[str] | None) -> BuildOptions:
    """The options of a command line."""
    parser = _Parser(prog='build_ilsvrc12', description=(__doc__ or '').split('\n', maxsplit=1)[0], allow_abbrev=False)
    add = parser.add_argument
    add('--raw_dir', type=Path, required=True, help='folder with train/ and val/')
    add('--output_dir', type=Path, required=True, help='folder for the files; created if it is not there')
    add(
        '--classes',
        help='list of the classes in the order of their labels, as imagenet_lsvrc_2015_synsets.txt, or '
        'with names, or CSV; default: the sorted names of the folders in train/',
    )
    add(
        '--validation_labels',
        help='list of the synsets of the images in val/, one per line in the order of their '
        'names, or CSV with names; default: imagenet_2012_validation_synset_labels.txt',
    )
    add('--bounding_boxes', help='list of boxes of objects, as imagenet_2012_bounding_boxes.csv')
    add('--train_shards', type=_count, help='number of training files; default: 1024 for the complete set')
    add('--validation_shards', type=_count, help='number of validation files; default: 128 for the complete set')
    add('--seed', type=int, default=0, help='of the order of the images')
    add('--nb_threads', dest='num_threads', type=_count, default=8, help='files written at a time')
    add('--skip_bad_images', action='store_true', help='leave out images that cannot be decoded')
    add('--overwrite', action='store_true', help='remove the files of another build in the folder')
    return BuildOptions(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Executes a command line and returns the exit code."""
    options = parse(arguments)
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    load_tensorflow()
    try:
        with interrupts.watched():
            say(build(options))
    except interrupts.Interrupted as stop:
        say(f'{stop}; the same command continues from here', sys.stderr)
        return stop.exit_code
    except Exception as error:
        message = str(error) if isinstance(error, PocketFlowError) else storage_failure(error)
        if message is None:
            raise
        say(f'error: {message}', sys.stderr)
        return getattr(error, 'exit_code', PocketFlowError.exit_code)
    return 0


if __name__ == '__main__':
    sys.exit(main())
