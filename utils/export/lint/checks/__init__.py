"""Checks of a file; each is a function registered in `pocketflow.utils.export.lint.findings`."""

from __future__ import annotations

import pocketflow.utils.export.lint.checks.half_precision
import pocketflow.utils.export.lint.checks.quantization
import pocketflow.utils.export.lint.checks.structure  # noqa: F401
