"""The weights file: one HDF5 file that describes itself, read without trust."""
