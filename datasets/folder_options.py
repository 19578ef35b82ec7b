"""Options of a folder of images."""

from __future__ import annotations

import dataclasses

from pocketflow.datasets.image_options import ImageOptions
from pocketflow.datasets.sources.image_folders import find_plain_trees, find_trees
from pocketflow.datasets.sources.storage import is_address
from pocketflow.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class FolderOptions(ImageOptions):
    """A folder with image files."""

    def refuse_missing(self) -> None:
        if not self.data_dir:
            content = ': one folder per class in it' if self.has_labels else ''
            raise UsageError(f'--data_dir_local is missing; name the folder of the images{content}')
        super().refuse_missing()
        if not is_address(self.data_dir):
            (find_trees if self.has_labels else find_plain_trees)(self.data_dir)
