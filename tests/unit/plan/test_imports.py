from __future__ import annotations

from loadr.plan.imports import imported_files


def found(desk, script="buy.py"):
    return {path.relative_to(desk.folder).as_posix() for path in imported_files(desk.folder / script)}


def test_a_script_alone_is_itself(desk):
    desk.write("buy.py", "import os, json\nfrom loadr import scenario\n")
    desk.write("other.py", "")
    assert found(desk) == {"buy.py"}


def test_modules_are_followed_from_file_to_file_wherever_the_statement_stands(desk):
    desk.write("buy.py", "def f():\n    import a\n")
    desk.write("a.py", "from b import x\ntry:\n    import c\nexcept ImportError: pass\n")
    desk.write("b.py", "import a\n")
    desk.write("c.py", "")
    assert found(desk) == {"buy.py", "a.py", "b.py", "c.py"}


def test_packages_come_with_their_init_files(desk):
    desk.write("buy.py", "import shop.api.cart\nfrom shop import prices, NAME\n")
    for name in ("shop/__init__", "shop/api/__init__", "shop/api/cart", "shop/prices", "shop/unused"):
        desk.write(f"{name}.py", "")
    assert found(desk) == {
        "buy.py",
        *(f"shop/{name}.py" for name in ("__init__", "api/__init__", "api/cart", "prices")),
    }


def test_folders_without_init_are_packages_too(desk):
    desk.write("buy.py", "from shop.api import cart\n")
    desk.write("shop/api/cart.py", "")
    assert found(desk) == {"buy.py", "shop/api/cart.py"}


def test_relative_imports_are_resolved_in_their_package(desk):
    desk.write("buy.py", "import shop.api.cart\n")
    desk.write("shop/api/cart.py", "from . import money\nfrom ..prices import x\nfrom .... import too_far\n")
    desk.write("shop/api/money.py", "")
    desk.write("shop/prices.py", "")
    desk.write("too_far.py", "")
    assert found(desk) == {"buy.py", "shop/api/cart.py", "shop/api/money.py", "shop/prices.py"}


def test_only_the_folder_of_the_script_is_looked_at(desk):
    desk.write("sub/buy.py", "import outside, inside\n")
    desk.write("outside.py", "")
    desk.write("sub/inside.py", "")
    assert found(desk, "sub/buy.py") == {"sub/buy.py", "sub/inside.py"}


def test_broken_files_are_taken_along_for_their_importer_to_complain(desk):
    desk.write("buy.py", "import broken, binary\n")
    desk.write("broken.py", "def f(:\n")
    desk.write("binary.py", b"\xff\x00")
    assert found(desk) == {"buy.py", "broken.py", "binary.py"}


def test_a_file_that_is_not_there_is_still_the_script(desk):
    assert found(desk, "none.py") == {"none.py"}
