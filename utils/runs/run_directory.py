"""Run directories: each run writes only to its own directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.runs.records import Number, read_record
from pocketflow.utils.system import atomic

FLAGS_FILE = 'flags.txt'
REPORT = 'report.json'
LOCK_FILE = '.lock'
INPUTS_FOLDER = 'inputs'
"""Holds networks and data that were given to a run as Python objects; written before the run begins."""
CHECK_RECORD, CHECK_PAGE = 'check.json', 'check.html'
"""Results of a check before the run; the run neither reads nor changes them."""
IGNORED_FILES = frozenset(
    {LOCK_FILE, INPUTS_FOLDER, CHECK_RECORD, CHECK_PAGE, '.DS_Store', '.directory', '.gitignore', '.gitkeep'}
)
"""Files that an empty directory may contain: the lock file, inputs, those of a check, and files of file managers and
version control."""

SECONDS_FILE = 'seconds.json'
TEMPORARY_FOLDER = 'tmp-worker-{rank}'
"""Folder for temporary files, also of libraries."""

MAX_SHOWN_FLAGS = 4
"""Limit of the differing flags in an error message."""

PATTERN_CHARACTERS = frozenset('[\\')
"""Characters of paths that TensorFlow interprets as patterns: checkpoints can be written there, but are not found."""


def fingerprint(flag_lines: Sequence[str]) -> str:
    """Eight hexadecimal digits that identify a set of flags, independent of their order."""
    return hashlib.sha256('\n'.join(sorted(flag_lines)).encode()).hexdigest()[:8]


def differences(recorded: Sequence[str], given: Sequence[str], ignoring: Collection[str] = ()) -> list[str]:
    """Differences of two flag files, the learner first: `seed: 0 there, 2 given`.

    Args:
      recorded, given: lines `--name=value` and comments `# name=value`, `# name: value` or `# name`.
      ignoring: names that may differ, written as in the files but without dashes.
    """
    there, here = (dict(_name_and_value(line) for line in lines) for lines in (recorded, given))
    names = [
        name
        for name in sorted({*there, *here}, key=lambda name: (name != 'learner', name.lstrip('# ')))
        if there.get(name) != here.get(name) and name not in ignoring
    ]
    return [f'{name.lstrip("# ")}: {_shown(there, name)} there, {_shown(here, name)} given' for name in names]


def _name_and_value(line: str) -> tuple[str, str]:
    name, *value = re.split('=|: ', line.lstrip('-'), maxsplit=1)
    return name, value[0] if value else 'yes'


def _shown(values: Mapping[str, str], name: str) -> str:
    return values.get(name) or 'nothing'


class RunDirectory:
    """Files of one run: `flags.txt`, `log.txt`, `metrics.jsonl`, `events/`, a folder per stage, exports and reports.

    Args:
      path: the directory; created by `acquire`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).resolve()
        self._lock: TextIO | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def refuse_other_use(self, flag_lines: Sequence[str], ignoring: Collection[str] = ()) -> None:
        """Raises the `UsageError` that `acquire` would raise for the present content, without writing anything."""
        recorded = self.recorded_flags()
        if recorded:
            self._refuse_other_flags(recorded, flag_lines, ignoring)
        else:
            self._refuse_foreign_files()
            self._refuse_unwritable()

    def acquire(self, flag_lines: Sequence[str], ignoring: Collection[str] = ()) -> None:
        """Locks the directory for a new or resumed run with these flags.

        Args:
          flag_lines: lines of the run's flag file.
          ignoring: names of flags that may differ from those of the resumed run.

        Raises:
          UsageError: another process uses it, it holds a run with other flags, or foreign files.
        """
        if not self.recorded_flags():
            self._refuse_foreign_files()
        self._lock = self._take_lock()
        try:
            recorded = self.recorded_flags()
            self._refuse_other_flags(recorded, flag_lines, ignoring)
        except UsageError:
            self.release()
            raise
        if recorded:
            self._remove_torn_files()
        else:
            atomic.write_text(self / FLAGS_FILE, '\n'.join(flag_lines) + '\n')

    def release(self) -> None:
        """Unlocks the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def recorded_flags(self) -> list[str]:
        """Flag file lines of the run in this directory; empty if there is none."""
        try:
            return (self / FLAGS_FILE).read_text(encoding='utf-8').split('\n')[:-1]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._unreadable(error, FLAGS_FILE) from error
        except UnicodeDecodeError as error:
            raise UsageError(
                f'--run_dir={self.path}: {FLAGS_FILE} holds no text, so it is not of a run; give another directory'
            ) from error

    def _take_lock(self) -> TextIO:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self / LOCK_FILE, 'a', encoding='utf-8')  # noqa: SIM115 (held until release)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise UsageError(
                f'--run_dir={self.path}: another process is working in it; wait for it or choose another --run_dir'
            ) from error
        return lock

    def _refuse_foreign_files(self) -> None:
        if set(str(self.path)) & PATTERN_CHARACTERS:
            raise UsageError(
                f'--run_dir={self.path}: TensorFlow takes [ and \\ in the names of checkpoints for '
                'patterns, so the run could not be continued; give a directory without them'
            )
        try:
            if not self.path.exists():
                return
            if not self.path.is_dir():
                raise UsageError(f'--run_dir={self.path}: is a file; give a directory')
            foreign = [entry.name for entry in self.path.iterdir() if entry.name not in IGNORED_FILES]
        except OSError as error:
            raise self._unreadable(error) from error
        if foreign:
            raise UsageError(
                f'--run_dir={self.path}: holds files that are not of a run ({foreign[0]}, ...); give an '
                f'empty or new directory (what is left of a run whose {FLAGS_FILE} is gone cannot be '
                'continued; delete it to begin anew)'
            )

    def _refuse_unwritable(self) -> None:
        nearest = next(folder for folder in (self.path, *self.path.parents) if os.path.lexists(folder))
        if not nearest.is_dir():
            raise self._unwritable(os.strerror(errno.ENOTDIR))
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise self._unwritable(os.strerror(errno.EACCES))

    def _unwritable(self, reason: str) -> UsageError:
        return UsageError(f'--run_dir={self.path}: cannot be written to ({reason}); give another directory')

    def _unreadable(self, error: OSError, what: str = 'the directory') -> UsageError:
        return UsageError(f'--run_dir={self.path}: {what} cannot be read ({error.strerror}); give another directory')

    def _remove_torn_files(self) -> None:
        """Removes incomplete files and temporary folders of a killed process."""
        for torn in self.path.rglob(f'{atomic.TEMPORARY_PREFIX}*'):
            if torn.is_file() and not torn.is_symlink():
                torn.unlink()
        for left in self.path.glob(TEMPORARY_FOLDER.format(rank='[0-9]*')):
            _remove_folder(left)

    @contextlib.contextmanager
    def temporary_folder(self, rank: int = 0) -> Iterator[Path]:
        """Creates a folder for all temporary files of the process within the block, and removes it afterwards.

        TensorFlow's converter, Keras and child processes use Python's `tempfile` or the environment to place them.
        Temporary files of a killed process are removed by the next call.

        Args:
          rank: rank of the worker; each has its own folder, and removes its own previous files.
        """
        folder = self.path / TEMPORARY_FOLDER.format(rank=rank)
        _remove_folder(folder)
        folder.mkdir(parents=True)
        former, tempfile.tempdir = tempfile.tempdir, str(folder)
        variable, os.environ['TMPDIR'] = os.environ.get('TMPDIR'), str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = former
            os.environ.pop('TMPDIR') if variable is None else os.environ.update(TMPDIR=variable)
            _remove_folder(folder)

    def _refuse_other_flags(
        self, recorded: Sequence[str], flag_lines: Sequence[str], ignoring: Collection[str]
    ) -> None:
        changed = differences(recorded, flag_lines, ignoring) if recorded else []
        if changed:
            more = f' and {len(changed) - MAX_SHOWN_FLAGS} more' if len(changed) > MAX_SHOWN_FLAGS else ''
            raise UsageError(
                f'--run_dir={self.path}: holds a run with other flags ({"; ".join(changed[:MAX_SHOWN_FLAGS])}'
                f'{more}); give another --run_dir, or the same flags to continue it'
            )

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the wall time of the block in seconds to `name`, accumulated over interrupted and resumed runs."""
        begin, before = time.monotonic(), self.seconds()

        def write() -> None:
            self._check_exists()
            seconds = self.seconds() or before
            seconds[name] = round(seconds.get(name, 0.0) + time.monotonic() - begin, 2)
            atomic.write_json(self / SECONDS_FILE, seconds)

        try:
            yield
        except OSError:  # the directory is not writable, or is being removed
            raise
        except BaseException:
            with contextlib.suppress(OSError, PocketFlowError):  # the error of the block takes precedence
                write()
            raise
        write()

    def _check_exists(self) -> None:
        """Raises a `FileNotFoundError` if the acquired directory was removed: it must not be created again."""
        if self._lock is not None and not (self / LOCK_FILE).exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))

    def seconds(self) -> dict[str, float]:
        return (
            read_record(
                self / SECONDS_FILE, {...: Number(low=0)}, 'delete it: the seconds of the report then begin anew'
            )
            or {}
        )


def _remove_folder(folder: Path) -> None:
    """Removes a folder recursively; ignores links and files that cannot be removed."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
