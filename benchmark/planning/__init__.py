"""From a configuration to work items: which pretrainings, how long, which strategies can run."""
