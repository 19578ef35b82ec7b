"""A child process runs the modules of this checkout, in whatever folder it is started."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pocketflow.utils.system.child_process import PACKAGE, module_command


def test_a_module_of_this_checkout_is_run(tmp_path: Path):
    (tmp_path / 'pocketflow').mkdir()
    (tmp_path / 'pocketflow/__init__.py').write_text('raise SystemExit(9)')
    ended = subprocess.run(
        [*module_command('pocketflow.scripts.house'), '--help'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'structure of the source' in ended.stdout and Path(__file__).resolve().parents[3] == PACKAGE
