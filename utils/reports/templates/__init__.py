"""Templates of the pages that a run writes: `report.html`."""
