"""A unit stores its record with sqlite-utils and pays for nothing it does not use."""

import subprocess
import sys


def test_the_units_storage_imports_neither_numpy_nor_pandas_and_others_still_can() -> None:
    program = (
        "import sys, edge.adapters.sqlite_journal\n"
        "assert 'pandas' not in sys.modules, 'pandas was imported'\n"
        "assert 'numpy' not in sys.modules, 'numpy was imported'\n"
        "import numpy\n"
        "assert numpy.zeros(1)[0] == 0\n"
        "import importlib.util\n"
        "if importlib.util.find_spec('pandas'):\n"
        "    import pandas\n"
        "    assert pandas.DataFrame\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
