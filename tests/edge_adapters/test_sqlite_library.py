"""A unit stores its record with sqlite-utils and pays for nothing it does not use."""

import subprocess
import sys


def test_pandas_is_not_imported_by_the_unit_s_storage_and_can_still_be_imported_by_others() -> None:
    program = (
        "import sys, edge.adapters.sqlite_journal\n"
        "assert 'pandas' not in sys.modules, 'pandas was imported'\n"
        "import importlib.util\n"
        "if importlib.util.find_spec('pandas'):\n"
        "    import pandas\n"
        "    assert pandas.DataFrame\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
