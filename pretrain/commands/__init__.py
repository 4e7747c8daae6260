"""The commands behind ``pretrain``: each checks its options, makes a plan, calls and prints."""
