"""Running work items: in this process, in worker processes, or on a Dask cluster."""
