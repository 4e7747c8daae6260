"""The Python interface behind ``import headstart as hs``: the plans and sessions of the commands."""
