from __future__ import annotations

import asyncio
import sys

import pytest

from loadr.errors import ScriptFault
from loadr.plan.script_loader import import_script

SCRIPT = (
    "from loadr import constant_vus, data, scenario\nimport {sibling}\nusers = data.csv('users.csv')\n"
    "@scenario(constant_vus(1, '1s'))\nasync def buy(vu):\n    return {sibling}.PRICE\n"
)


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("loadr_script_", "shop_")):
            del sys.modules[name]


def test_declarations_hold_the_functions_themselves(desk):
    desk.write("shop_steps.py", "PRICE = 5\n")
    declared = import_script(desk.write("buy.py", SCRIPT.format(sibling="shop_steps")))
    assert asyncio.run(declared.scenarios["buy"].function(None)) == 5
    assert list(declared.data) == ["users"]
    assert sys.path[0] == str(desk.folder)


def test_each_import_makes_a_module_of_its_own(desk):
    path = desk.write("buy.py", "from loadr import scenario\n@scenario\nasync def buy(vu): ...\n")
    first, second = (import_script(path).scenarios["buy"].function for _ in range(2))
    assert first is not second
    assert first.__module__ != second.__module__


def test_two_folders_may_have_modules_of_the_same_name(desk):
    desk.write("a/shop_steps.py", "PRICE = 1\n")
    desk.write("b/shop_steps.py", "PRICE = 2\n")
    scripts = [desk.write(f"{folder}/buy.py", SCRIPT.format(sibling="shop_steps")) for folder in "ab"]
    functions = [import_script(path).scenarios["buy"].function for path in scripts]
    assert [asyncio.run(function(None)) for function in functions] == [1, 2]


def test_what_a_sibling_declares_belongs_to_every_script_that_imports_it(desk):
    desk.write("shop_data.py", "from loadr import data\nusers = data.csv('users.csv')\n")
    scripts = [desk.write(f"{name}.py", "import shop_data\n") for name in ("one", "two")]
    assert [list(import_script(path).data) for path in scripts] == [["users"], ["users"]]


def test_what_the_script_raises_comes_through_and_leaves_no_module(desk):
    before = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        import_script(desk.write("bad.py", "1 / 0\n"))
    assert not [name for name in set(sys.modules) - before if name.startswith("loadr_script_")]


def test_a_missing_script_is_told(desk):
    with pytest.raises(ScriptFault, match=r"there is no script 'none\.py'"):
        import_script(desk.folder / "none.py")
