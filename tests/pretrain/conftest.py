import sys
from pathlib import Path

# The helpers beside the tests (malformed*.py) are imported by name, also by subprocesses.
sys.path.insert(0, str(Path(__file__).parent))
