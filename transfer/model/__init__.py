"""The transferred network: kept blocks, fresh blocks, head and target."""
