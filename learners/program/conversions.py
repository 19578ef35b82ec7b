"""Conversions with the options of the command line, and the reasons of those that fail."""

from __future__ import annotations

from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.export.isolated import Settings
from pocketflow.utils.export.options import FLOAT32, ExportOptions
from pocketflow.utils.export.watched_process import Limits
from pocketflow.utils.system.storage_failures import storage_reason


def conversion_settings(options: ExportOptions) -> Settings:
    """How the files of these options are converted and run."""
    num_bytes = None if options.memory_limit is None else int(options.memory_limit * 1e9)
    return Settings(Limits(options.time_limit, num_bytes), float_io=options.int8_io == FLOAT32)


def reason_of_failure(error: Exception) -> str:
    """One line on why there is no file of a format."""
    if isinstance(error, PocketFlowError):
        return str(error)
    if (reason := storage_reason(error)) is not None:
        return f'{reason}, and export this format again (--exec_mode=export)'
    return f'{type(error).__name__}: {first_line(error)}'
