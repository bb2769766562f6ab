from __future__ import annotations

import subprocess
import sys

import pytest

import loadr


def test_every_public_name_is_there():
    for name in loadr.__all__:
        assert getattr(loadr, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'loadr' has no attribute 'nothing'"):
        loadr.nothing  # noqa: B018


def test_importing_the_package_and_declaring_a_scenario_loads_no_library():
    source = (
        "import sys, loadr\nfrom loadr import constant_vus, data, scenario\n"
        "heavy = {'pydantic', 'numpy', 'grpc', 'ruamel.yaml', 'uvloop', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, timeout=30, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
