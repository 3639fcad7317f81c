"""sqlite-utils as a unit needs it: without pandas and NumPy.

Where they are installed, sqlite-utils imports both to accept data frames and NumPy's numbers. Nobody here gives it any;
pandas would cost every start most of a second and the unit 35 MB of memory, NumPy every command that reads the record.
"""

import sys
from types import ModuleType
from typing import cast

_ABSENT = {name: cast(ModuleType, None) for name in ("numpy", "pandas") if name not in sys.modules}
"""Python's own way of saying that a module cannot be imported; sqlite-utils does without it then."""

sys.modules.update(_ABSENT)
try:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
finally:
    # Whoever wants them in this process may have them.
    for _name in _ABSENT:
        sys.modules.pop(_name, None)

__all__ = ["Database", "Migrations"]
