from loadr.cli import main
from loadr.version import __version__


def test_version_says_what_this_software_is(capsys) -> None:
    assert main(["version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"loadr {__version__}"
    assert lines[1].startswith("python 3.") and lines[2].startswith("platform Linux")
    assert lines[3] == "protocol loadr.coordination.v1, versions 1 to 1"
