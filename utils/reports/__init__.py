"""Reports: tables, HTML page, charts, verdict."""
