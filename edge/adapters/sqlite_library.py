"""sqlite-utils as a unit needs it: without pandas.

Where pandas happens to be installed, sqlite-utils imports it to accept data frames. Nobody here has any, and it would
cost every start most of a second and the unit 35 MB of memory.
"""

import sys
from types import ModuleType
from typing import cast

_PANDAS = "pandas"

_present = sys.modules.get(_PANDAS)
if _present is None:
    # Python's own way of saying that a module cannot be imported; sqlite-utils does without it then.
    sys.modules[_PANDAS] = cast(ModuleType, None)
try:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
finally:
    if _present is None:
        # Whoever wants pandas in this process may have it.
        sys.modules.pop(_PANDAS, None)

__all__ = ["Database", "Migrations"]
