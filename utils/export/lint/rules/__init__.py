"""Published rules of the delegates, as data: which operations each one takes, and under which conditions."""

from __future__ import annotations

from pocketflow.utils.export.lint.rules.gpu import GPU
from pocketflow.utils.export.lint.rules.nnapi import NNAPI
from pocketflow.utils.export.lint.rules.rule import DelegateRules
from pocketflow.utils.export.lint.rules.xnnpack import XNNPACK

DELEGATES: tuple[DelegateRules, ...] = (XNNPACK, GPU, NNAPI)
"""The delegates, in the order of the report's columns."""
