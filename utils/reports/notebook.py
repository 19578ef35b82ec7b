"""A report as an object, which notebooks show as a fragment of HTML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.page import page_context, page_environment
from pocketflow.utils.reports.report import summary
from pocketflow.utils.runs.records import Record
from pocketflow.utils.system import atomic

PAGE = 'report.html'


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """The report of a finished run.

    Attributes:
      data: the content of `report.json` (docs/run_directory.md).
      run_dir: the run directory.
    """

    data: Record
    run_dir: Path

    @property
    def path(self) -> Path:
        """The page, `report.html`."""
        return self.run_dir / PAGE

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the first exported file, measured on the evaluation data, by name."""
        metrics: Mapping[str, float] = self.data['compressed']['file_metrics']
        return metrics

    @property
    def metrics_before(self) -> Mapping[str, float]:
        """The same of the uncompressed network's file."""
        metrics: Mapping[str, float] = self.data['baseline']['file_metrics']
        return metrics

    @property
    def smaller(self) -> bool | None:
        """Whether the file is smaller than that of the uncompressed network; None if nothing was compressed."""
        smaller: bool | None = self._of_verdict('smaller')
        return smaller

    @property
    def faster(self) -> bool | None:
        """Whether the file was measured to be faster; None if nothing was compressed, or the file cannot be timed."""
        faster: bool | None = self._of_verdict('faster')
        return faster

    @property
    def size_ratio(self) -> float | None:
        """Bytes of the uncompressed network's file, divided by those of the file."""
        ratio: float | None = self._of_verdict('size_ratio')
        return ratio

    @property
    def speedup(self) -> float | None:
        """Milliseconds of the uncompressed network's file, divided by those of the file, on one thread; medians."""
        speedup: float | None = self._of_verdict('speedup')
        return speedup

    @property
    def metric_drop(self) -> float | None:
        """By how much the primary metric of the file is worse; negative if it is better."""
        drop: float | None = self._of_verdict('metric_drop')
        return drop

    @property
    def macs_left(self) -> float:
        """The share of the multiply-accumulates of the uncompressed network that is left."""
        return float(self.data['compressed']['macs'] / max(1, self.data['baseline']['macs']))

    def save(self, path: str | Path) -> Path:
        """Copies the page, which needs no other file.

        Raises:
          UsageError: there is another file at that path.
        """
        target, page = Path(path), self.path.read_text(encoding='utf-8')
        if target.is_dir():
            raise UsageError(f'{target}: is a folder; give the name of the page, such as {target / PAGE}')
        if target.exists() and target.read_bytes() != page.encode():
            raise UsageError(f'{target}: exists, with other content; delete it, or give another name')
        atomic.write_text(target, page)
        return target

    def __str__(self) -> str:
        return summary(self.data)

    def __repr__(self) -> str:
        return f'Report({str(self.path)!r})'

    def _repr_html_(self) -> str:
        """For notebooks: verdict, figures before and after, and the files; all texts are escaped."""
        template = page_environment().get_template('notebook.html')
        return str(template.render(page_context(self.data), page=str(self.path)))

    def _of_verdict(self, key: str) -> Any:
        return self.data['verdict'] and self.data['verdict'][key]
