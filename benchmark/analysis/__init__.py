"""Statistics over finished cells: intervals, ranks, equivalent labels, the verdict."""
