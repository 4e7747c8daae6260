"""The report of a benchmark's folder: tables, figures, a page, machine-readable files."""
