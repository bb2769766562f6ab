import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from loadr.cli import main, run
from loadr.errors import FleetFault


class FakeRun:
    """Stands in for a fleet: shows views, sends itself signals, ends with a summary once it may."""

    def __init__(self, summary, views=(), interrupts: int = 0, fault: Exception | None = None) -> None:
        self.summary, self.views, self.interrupts, self.fault = summary, views, interrupts, fault
        self.stops = 0
        self.on_view = None
        self.arguments: tuple = ()
        self.api_files: tuple = ()
        self.secrets: dict[str, str] = {}

    async def run(self):
        for view in self.views:
            self.on_view(view)
        for number in range(self.interrupts):
            stopped, self._stopped = asyncio.Event(), None
            self._stopped = stopped
            os.kill(os.getpid(), signal.SIGINT if number % 2 == 0 else signal.SIGTERM)
            await asyncio.wait_for(stopped.wait(), 5)
        if self.fault is not None:
            raise self.fault
        return self.summary

    def stop(self) -> None:
        self.stops += 1
        self._stopped.set()


@pytest.fixture
def install(monkeypatch):
    """Makes `loadr run` use a `FakeRun`."""

    def put(fake: FakeRun) -> FakeRun:
        def runner(
            loaded, controller, agents, workers, *, choice, api_files, secrets, corpora, on_view, on_notice
        ):
            fake.choice = choice
            fake.arguments = (loaded, controller, agents, workers)
            fake.api_files, fake.secrets, fake.corpora = api_files, secrets, corpora
            fake.on_view = on_view
            return fake

        monkeypatch.setattr(run, "_runner", runner)
        return fake

    return put


@pytest.fixture
def passed(new_run):
    built = new_run()
    built.second(0, [5.0] * 10)
    return built.summary(1.0)


def test_the_summary_goes_to_stdout_and_its_exit_code_out(
    install, capsys, plan_file, passed, eventful_run
) -> None:
    install(FakeRun(passed))
    assert main(["run", str(plan_file)]) == 0
    assert capsys.readouterr().out.startswith("\n  PASSED  ")
    install(FakeRun(eventful_run.summary()))
    assert main(["run", str(plan_file)]) == 99
    assert "THRESHOLD FAILED" in capsys.readouterr().out


def test_without_a_terminal_progress_is_lines_on_stderr(install, capsys, plan_file, passed, view_at) -> None:
    install(FakeRun(passed, [view_at(0.0), view_at(1.5)]))
    assert main(["run", str(plan_file)]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0] == "checkout: running, 2 agents"
    assert "399/s of 400/s" in captured.err and "399/s" not in captured.out


def test_quiet_leaves_only_the_summary(install, capsys, plan_file, passed, view_at) -> None:
    install(FakeRun(passed, [view_at(1.5)]))
    assert main(["run", str(plan_file), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and "PASSED" in captured.out


def test_files_are_written_and_named_at_the_end(install, capsys, plan_file, passed, tmp_path) -> None:
    install(FakeRun(passed))
    export, page = tmp_path / "s.json", tmp_path / "r.html"
    assert main(["run", str(plan_file), "--summary-export", str(export), "--report", str(page)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"summary: {export}", f"report: {page}"]
    assert json.loads(export.read_bytes())["loadr"]["verdict"] == "passed"
    assert page.read_text().startswith("<!doctype html>")


def test_a_file_that_can_not_be_written_is_told_before_the_run(
    install, capsys, plan_file, passed, tmp_path
) -> None:
    fake = install(FakeRun(passed))
    assert main(["run", str(plan_file), "--report", str(tmp_path / "no" / "r.html")]) == 104
    assert fake.arguments == ()
    assert "--report" in capsys.readouterr().err


def test_a_file_that_fails_after_the_run_never_hides_the_verdict(
    install, capsys, plan_file, passed, eventful_run, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(run, "check_writable", lambda path, flag: None)
    gone = ["--report", str(tmp_path / "gone" / "r.html")]
    install(FakeRun(passed))
    assert main(["run", str(plan_file), *gone]) == 104
    install(FakeRun(eventful_run.summary()))
    assert main(["run", str(plan_file), *gone]) == 99
    captured = capsys.readouterr()
    assert "THRESHOLD FAILED" in captured.out and "No such file" in captured.err


def test_flags_change_the_plan(install, plan_file, passed) -> None:
    fake = install(FakeRun(passed))
    flags = ["--vus", "9", "--duration", "3s", "--seed", "42", "--tag", "build=1", "-e", "KEY=a=b"]
    assert main(["run", str(plan_file), *flags, "--workers", "2", "--agents", "3", "--no-thresholds"]) == 0
    loaded, controller, agents, workers = fake.arguments
    assert (controller, agents, workers) == (None, 3, 2)
    scenario = loaded.plan.scenarios["browse"]
    assert (scenario.vus, scenario.duration_ns, loaded.plan.seed) == (9, 3_000_000_000, 42)
    assert (loaded.plan.tags, loaded.plan.env, loaded.plan.thresholds) == ({"build": "1"}, {"KEY": "a=b"}, {})


def test_the_plans_own_values_hold_without_flags(install, plan_file, passed) -> None:
    fake = install(FakeRun(passed))
    assert main(["run", str(plan_file)]) == 0
    loaded, controller, agents, workers = fake.arguments
    assert (controller, agents, workers) == (None, None, None)
    assert (loaded.plan.seed, list(loaded.plan.thresholds)) == (7, ["http_req_failed"])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--controller", "a:1", "--agents", "2"], "--controller and --agents exclude each other"),
        (["--controller", "a:1", "--workers", "2"], "--workers has no effect"),
        (["--controller", "nowhere"], "HOST:PORT"),
        (["--agents-with", "zone=eu"], "choose among the agents of a controller"),
        (["--expect-agents", "3"], "choose among the agents of a controller"),
        (["--duration", "soon"], "is not a duration"),
        (["--vus", "0"], "--vus"),
        (["-e", "KEY"], "KEY=VALUE"),
    ],
)
def test_what_can_not_be_run_is_refused_at_once(install, capsys, plan_file, passed, flags, words) -> None:
    fake = install(FakeRun(passed))
    assert main(["run", str(plan_file), *flags]) == 104
    assert words in capsys.readouterr().err
    assert fake.arguments == ()


def test_a_broken_plan_is_told_with_its_place(capsys, plan_file: Path) -> None:
    plan_file.write_text("scenarios: {}\n")
    assert main(["run", str(plan_file)]) == 104
    err = capsys.readouterr().err
    assert str(plan_file) in err and "Traceback" not in err


def test_a_fleet_that_can_not_start_is_told_with_its_exit_code(install, capsys, plan_file) -> None:
    install(FakeRun(None, fault=FleetFault("no agent joined", hint="start one with `loadr agent`")))
    assert main(["run", str(plan_file)]) == 122
    assert capsys.readouterr().err == "loadr: no agent joined\n  hint: start one with `loadr agent`\n"


def test_ctrl_c_once_drains_and_says_so(install, capsys, plan_file, passed) -> None:
    fake = install(FakeRun(passed, interrupts=1))
    assert main(["run", str(plan_file)]) == 0
    assert fake.stops == 1
    assert "stopping gracefully; press Ctrl-C again to stop at once" in capsys.readouterr().err


def test_ctrl_c_twice_stops_at_once(install, capsys, plan_file, passed) -> None:
    fake = install(FakeRun(passed, interrupts=2))
    assert main(["run", str(plan_file)]) == 0
    assert fake.stops == 2
    assert capsys.readouterr().err.splitlines()[-1] == "stopping at once"


def test_after_a_run_ctrl_c_is_pythons_again(install, plan_file, passed) -> None:
    install(FakeRun(passed, interrupts=1))
    main(["run", str(plan_file)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_extra_files_are_named_by_a_flag_or_a_variable(
    install, capsys, plan_file, passed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.json", "b.json", "c.txt"):
        (plan_file.parent / name).write_text(name)
    fake = install(FakeRun(passed))
    assert main(["run", str(plan_file), "--include", "*.json", "--include", "c.*"]) == 0
    assert set(fake.arguments[0].files) == {"a.json", "b.json", "c.txt"}
    monkeypatch.setenv("LOADR_RUN_INCLUDE", "a.* c.*")
    assert main(["run", str(plan_file)]) == 0
    assert set(fake.arguments[0].files) == {"a.json", "c.txt"}
    assert main(["run", str(plan_file), "--include", "../*", "--include", "/etc/*"]) == 104
    said = capsys.readouterr().err
    assert "../* leaves the folder" in said and "/etc/* is an absolute path" in said and "hint:" in said


def test_corpora_are_for_runs_on_this_machine(install, capsys, plan_file, passed) -> None:
    fake = install(FakeRun(passed))
    assert main(["run", str(plan_file), "--corpus", "big=/data/big.csv"]) == 0
    assert fake.corpora == {"big": Path("/data/big.csv")}
    assert main(["run", str(plan_file), "--corpus", "big=/x", "--controller", "a:1"]) == 104
    assert "give it to `loadr agent` on the agents' machines" in capsys.readouterr().err


def test_agents_of_a_controller_are_chosen_by_label_and_number(install, plan_file, passed) -> None:
    fake = install(FakeRun(passed))
    flags = ["--controller", "a:1", "--agents-with", "zone=eu", "--expect-agents", "3", "--wait", "5s"]
    assert main(["run", str(plan_file), *flags]) == 0
    assert (fake.choice.expect_agents, fake.choice.labels, fake.choice.wait_s) == (3, {"zone": "eu"}, 5.0)


def secret_plan(plan_file: Path) -> str:
    plan_file.write_text(plan_file.read_text().replace("/items", "/items?key=${secret.KEY}"))
    return str(plan_file)


def test_secrets_come_from_variables_and_leave_the_environment(install, monkeypatch, plan_file, passed) -> None:
    monkeypatch.setenv("LOADR_SECRET_KEY", "hunter2")
    monkeypatch.setenv("LOADR_SECRET_OTHER", "not-asked-for")
    fake = install(FakeRun(passed))
    assert main(["run", secret_plan(plan_file)]) == 0
    assert fake.secrets == {"KEY": "hunter2"}
    assert not [name for name in os.environ if name.startswith("LOADR_SECRET_")]
    assert b"hunter2" not in fake.arguments[0].plan.canonical_json()


def test_a_secret_that_was_not_given_is_a_fault_of_the_plan_with_its_place(capsys, plan_file) -> None:
    assert main(["run", secret_plan(plan_file)]) == 104
    err = capsys.readouterr().err
    assert "plan.yaml:9:" in err and "secret.KEY was not given" in err and "LOADR_SECRET_KEY" in err


def test_the_files_for_the_api_reach_the_client(install, plan_file, tmp_path, passed) -> None:
    fake = install(FakeRun(passed))
    ca, token = tmp_path / "ca.pem", tmp_path / "token"
    ca.touch(), token.touch()
    flags = ["--controller", "h:1", "--api-ca", str(ca), "--api-token-file", str(token)]
    assert main(["run", str(plan_file), *flags]) == 0
    assert fake.api_files == (ca, token)
