"""Equivalent forms of layers that more accelerators run, applied before the export (`--rewrite_for`)."""

from __future__ import annotations

import pocketflow.utils.export.rewrites.gpu  # noqa: F401 (registers its rewrites)
from pocketflow.utils.export.rewrites.rewrite import Rewritten, rewritten

__all__ = ['Rewritten', 'rewritten']
