"""Commands that are no run, and take no flags of one: `pocketflow report A B`, `pocketflow completion bash`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pocketflow.learners.program.completion import completion
from pocketflow.learners.program.serving import command as serving
from pocketflow.utils.errors import UsageError

PAGE = '--page='


def report(arguments: Sequence[str]) -> str:
    """The comparison of the runs that the arguments name; `--page=FILE.html` also writes it as a page.

    Raises:
      UsageError: no run is named, or one cannot be compared.
    """
    pages = [word.removeprefix(PAGE) for word in arguments if word.startswith(PAGE)]
    folders = [word for word in arguments if not word.startswith(PAGE)]
    wrong = next((word for word in folders if word.startswith('-')), None)
    if wrong is not None or not folders or len(pages) > 1 or '' in pages:
        what = f'{wrong}: unknown flag' if wrong else 'give one --page=FILE.html' if pages else 'no run is named'
        raise UsageError(f'pocketflow report: {what}; as in pocketflow report RUN_DIR RUN_DIR --page=comparison.html')
    from pocketflow.utils.reports import comparison  # it takes a fifth of a second, which other commands do without

    reports = comparison.read_reports(folders)
    if pages:
        comparison.write_page(reports, Path(pages[0]))
    return comparison.text(reports)


NESTED = {'serve': (tuple(serving.ACTIONS), serving.OPTIONS)}
"""Command with actions -> these, and their flags."""
TOOLS: Mapping[str, Callable[[Sequence[str]], str]] = {
    'report': report,
    'serve': serving.serve,
    'completion': lambda arguments: completion(arguments, tuple(TOOLS), NESTED),
}
"""Command -> what it prints, given its arguments."""
SUMMARIES = {
    'report': 'compares finished runs: pocketflow report RUN_DIR RUN_DIR [--page=FILE.html]',
    'serve': serving.SUMMARY,
    'completion': 'prints the completion for a shell: source <(pocketflow completion bash)',
}
