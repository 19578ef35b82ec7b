"""A folder of images with one folder per class, or without classes; images are decoded on demand.

Classes are the names of the folders, sorted, as Keras sorts them; so the outputs of a network that was trained by
`image_dataset_from_directory` on folders of these names have the order of these classes.
"""

from __future__ import annotations

import functools

from absl import logging

from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.datasets.image_dataset import BadImages, Contents, ImageDataset
from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.image_files import ImageFileSource, ImageIndex, read_index
from pocketflow.datasets.sources.image_folders import (
    Listing,
    class_names,
    find_plain_trees,
    find_trees,
    list_images,
    list_plain_images,
    shown,
    some,
)
from pocketflow.datasets.sources.index import SampleIndex


class FolderDataset(ImageDataset):
    """Image files in `--data_dir_local`, in one folder per class; with `--labels=none` in any folders."""

    name = 'folder'
    options_class = FolderOptions
    options: FolderOptions

    @property
    def classes(self) -> tuple[str, ...] | None:
        return self._listings[0].classes if self.options.has_labels else None

    @property
    def declared_classes(self) -> int | None:
        return self.num_outputs if self.classes is None else len(self.classes)

    def read(self) -> Contents:
        bad = BadImages(self.options.skip_bad)
        logging.info('opening %d images', sum(len(listing.names) for listing in self._listings))
        read = functools.partial(
            read_index, check_all=self.options.check_images, num_threads=self.options.num_threads, refuse=bad
        )
        return Contents(tuple(map(read, self._listings)), self.classes, bad.num)

    def make_source(self, index: SampleIndex, form: Form) -> ImageFileSource:
        assert isinstance(index, ImageIndex)
        return ImageFileSource(index, form)

    @property
    def _listings(self) -> tuple[Listing, ...]:
        """The file names of one tree, or of the training and the evaluation tree."""
        return self.once('listings', self._list)

    def _list(self) -> tuple[Listing, ...]:
        self.options.refuse_missing()
        listings = self._with_classes() if self.options.has_labels else self._without_classes()
        for listing in listings:
            if listing.left_out:
                endings = [f'{count} {ending}' for ending, count in sorted(listing.left_out.items())]
                logging.warning('%s: files that are no images by their names: %s', shown(listing.root), some(endings))
        return listings

    def _with_classes(self) -> tuple[Listing, ...]:
        trees = [tree for tree in find_trees(self.options.data_dir or '') if tree is not None]
        classes = class_names(trees[0])
        return tuple(list_images(tree, classes) for tree in trees)

    def _without_classes(self) -> tuple[Listing, ...]:
        trees = find_plain_trees(self.options.data_dir or '')
        return tuple(list_plain_images(tree) for tree in trees if tree is not None)
