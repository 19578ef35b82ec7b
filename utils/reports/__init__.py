"""Reports: tables, the page, charts, the verdict."""
