"""The commands behind ``transfer``: each checks its options, makes a plan, calls and prints."""
