"""The commands behind ``benchmark``: run, report, and the dry run."""
