"""Exceptions that the command line reports as one line and an exit code."""

from __future__ import annotations


class PocketFlowError(Exception):
    """A failure at run time (a failed conversion, a non-finite loss): exit code 1."""

    exit_code = 1


class UsageError(PocketFlowError):
    """Invalid input of the user (a flag, a file, a combination of flags): exit code 2."""

    exit_code = 2


class LostWorkerError(PocketFlowError):
    """Another worker of the job has ended, so this one cannot continue: exit code 75 (EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75


LONGEST_REASON = 300
"""Maximal length of `first_line` in characters, because messages of libraries may contain entire graphs."""


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, cut to `LONGEST_REASON` characters; its type if it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:LONGEST_REASON]
