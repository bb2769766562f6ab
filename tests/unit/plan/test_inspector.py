from __future__ import annotations

import time

import pytest

from loadr.errors import PlanInvalid
from loadr.plan.inspector import inspect_script
from loadr.plan.scripting import Executor

HEAD = "from loadr import constant_vus, data, options, scenario, thresholds\n"


def fault_of(desk, content, name="buy.py", timeout_s=20.0):
    with pytest.raises(PlanInvalid) as caught:
        inspect_script(desk.write(name, content), desk.folder, timeout_s)
    (fault,) = caught.value.faults
    return fault


def test_everything_declared_comes_back_though_the_script_prints(desk):
    declared = inspect_script(
        desk.write(
            "buy.py",
            HEAD + "import sys\nprint('{}')\nprint('x' * 100_000, file=sys.stderr)\n"
            "users = data.csv('users.csv', mode='unique', on_end='recycle')\n"
            "thresholds({'http_reqs': ['count>1']})\noptions(base_url='http://x')\n"
            "@scenario(constant_vus(20, '6m'), start_time='1s')\nasync def buy(vu): ...\n"
            "@scenario\nasync def look(vu): ...\n",
        ),
        desk.folder,
    )
    buy, look = declared.scenarios.values()
    assert (buy.function_name, buy.executor, buy.settings, buy.line, buy.function) == (
        *("buy", Executor("constant-vus", {"vus": 20, "duration": "6m"}), {"start_time": "1s"}),
        *(8, None),
    )
    assert look.executor is None
    users = declared.data["users"]
    assert users.settings == {"file": "users.csv", "mode": "unique", "on_end": "recycle"} and users.line == 5
    assert declared.thresholds == {"http_reqs": ["count>1"]}
    assert declared.options == {"base_url": "http://x"}
    assert declared.lines == {"thresholds": 6, "options": 7}


def test_a_syntax_error_is_told_at_its_place(desk):
    fault = fault_of(desk, "x = 1\n\ndef f(:\n")
    assert str(fault) == "buy.py:3:7: SyntaxError: invalid syntax"


def test_a_syntax_error_of_a_module_beside_it_is_told_there(desk):
    desk.write("steps.py", "x = = 1\n")
    assert str(fault_of(desk, "import steps\n")) == "steps.py:1:5: SyntaxError: invalid syntax"


def test_an_exception_is_told_at_the_last_line_of_the_authors_own_files(desk):
    desk.write("sub/steps.py", "import json\ndef read():\n    return json.loads('{')\n")
    fault = fault_of(desk, "import steps\nx = steps.read()\n", name="sub/buy.py")
    assert str(fault).startswith("sub/steps.py:3:12: JSONDecodeError: Expecting property name")
    assert (
        str(fault_of(desk, "def f():\n    return 1 / 0\n\nf()\n"))
        == "buy.py:2:12: ZeroDivisionError: division by zero"
    )


def test_a_missing_module_has_a_hint(desk):
    fault = fault_of(desk, "import no_such_module\n")
    assert str(fault) == "buy.py:1:1: ModuleNotFoundError: No module named 'no_such_module'"
    assert fault.hint == "put the module beside the script, or install it here and for every agent"


def test_a_plain_def_is_told_with_a_hint_and_without_the_name_of_an_exception(desk):
    fault = fault_of(desk, HEAD + "\n@scenario(constant_vus(1, '1s'))\ndef buy(vu): ...\n")
    assert str(fault) == "buy.py:3:2: the scenario 'buy' is not an async def"
    assert fault.hint == "write: async def buy(vu):"


def test_sys_exit_is_told(desk):
    assert str(fault_of(desk, "import sys\nsys.exit(0)\n")) == "buy.py:2:1: the script exits while it is imported"


def test_a_crash_is_told(desk):
    fault = fault_of(desk, "import os\nos._exit(0)\n")
    assert str(fault) == "buy.py: importing the script ended its process"


def test_a_script_that_never_ends_is_ended(desk):
    began = time.monotonic()
    fault = fault_of(desk, "while True: pass\n", timeout_s=0.6)
    assert str(fault) == "buy.py: importing the script did not end within 0.6 s"
    assert fault.hint == "move slow work from the module's level into the scenario"
    assert time.monotonic() - began < 10


def test_children_and_threads_of_a_script_do_not_hold_it(desk):
    began = time.monotonic()
    declared = inspect_script(
        desk.write(
            "buy.py",
            "import os, threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
            "if os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)\n",
        ),
        desk.folder,
    )
    assert declared.scenarios == {}
    assert time.monotonic() - began < 15


def test_what_json_can_not_hold_is_sent_as_its_text(desk):
    declared = inspect_script(desk.write("buy.py", HEAD + "options(seed={1, 2})\n"), desk.folder)
    assert declared.options == {"seed": "{1, 2}"}


def test_modules_of_the_current_folder_are_not_importable(desk):
    desk.write("here.py", "x = 1\n")
    assert "No module named 'here'" in str(fault_of(desk, "import here\n", name="sub/buy.py"))


def test_no_bytecode_is_left_behind(desk):
    desk.write("steps.py", "x = 1\n")
    inspect_script(desk.write("buy.py", "import steps\n"), desk.folder)
    assert not (desk.folder / "__pycache__").exists()
