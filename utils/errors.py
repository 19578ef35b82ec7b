"""The failures that the command line turns into one clear line and an exit code."""

from __future__ import annotations


class PocketFlowError(Exception):
    """Something went wrong while running (a failed conversion, a non-finite loss): exit code 1."""

    exit_code = 1


class UsageError(PocketFlowError):
    """The user gave something that cannot work (flag, file, combination): exit code 2."""

    exit_code = 2


class LostWorkerError(PocketFlowError):
    """Another worker of the job has ended, and this one cannot go on: exit code 75, "try again" on Unix systems."""

    exit_code = 75


LONGEST_REASON = 300
"""Characters that `first_line` keeps: libraries put whole graphs into their messages."""


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, cut to `LONGEST_REASON` characters; its type if it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:LONGEST_REASON]
