import re
from importlib.metadata import version

from loadr.version import __version__


def test_the_installed_package_is_of_this_version() -> None:
    assert version("loadr") == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", __version__)
