"""What CONTRIBUTING promises of the tree: a test file for each source file, and none without one."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "loadr"
UNIT = ROOT / "tests" / "unit"
GENERATED = SOURCE / "transport" / "generated"


def test_every_source_file_has_its_test_file() -> None:
    sources = [path for path in SOURCE.rglob("*.py") if not path.name.startswith("__init__")]
    missing = [
        str(path.relative_to(SOURCE))
        for path in sources
        if GENERATED not in path.parents and not mirrored(path).exists()
    ]
    assert len(sources) > 100
    assert missing == []


def test_no_unit_test_file_outlives_its_source_file() -> None:
    known = {mirrored(path) for path in SOURCE.rglob("*.py")} | {UNIT / "transport" / "test_generated.py"}
    assert [str(path.relative_to(UNIT)) for path in UNIT.rglob("test_*.py") if path not in known] == []


def mirrored(source: Path) -> Path:
    name = "test_" + source.stem.strip("_") + ".py"
    return UNIT / source.relative_to(SOURCE).parent / name
