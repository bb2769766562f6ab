"""Files and corpora over a real fleet: sent once, kept, checked; a full disk and a stop leave nothing behind."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadr.api.client import ControllerClient
from loadr.testing.process import TargetProcess
from loadr.testing.proxy import Proxy
from support.fleet import LOADR, Fleet, await_condition, run_loadr

BIG = random.Random(1).randbytes(3_000_000)
SMALL = [random.Random(n).randbytes(50_000) for n in range(2, 7)]
CHATTER_BYTES = 100_000  # beats, the plan, the manifest: whatever a run says without files

SCRIPT = """
import hashlib
from pathlib import Path
from loadr import constant_vus, options, scenario

options(base_url="{url}", include=["bodies/*"])
here = Path(__file__).parent
assert hashlib.sha256((here / "bodies/big.bin").read_bytes()).hexdigest() == "{digest}"
assert len(list((here / "bodies").iterdir())) == 6


@scenario(constant_vus(vus=1, duration="500ms"))
async def load(vu):
    await vu.http.get("/steady?delay=20ms", name="steady")
"""


@pytest.fixture(scope="module")
def target() -> Iterator[TargetProcess]:
    with TargetProcess() as process:
        yield process


def write_plan(folder: Path, url: str) -> Path:
    (folder / "bodies").mkdir()
    (folder / "bodies" / "big.bin").write_bytes(BIG)
    for number, content in enumerate(SMALL):
        (folder / "bodies" / f"{number}.bin").write_bytes(content)
    script = folder / "script.py"
    script.write_text(SCRIPT.format(url=url, digest=hashlib.sha256(BIG).hexdigest()))
    return script


def run(fleet: Fleet, plan: Path) -> subprocess.CompletedProcess[str]:
    return run_loadr("run", str(plan), "--controller", fleet.api, "--quiet")


def files_in(work: Path) -> set[str]:
    """What a run leaves in an agent's folder, apart from the cache."""
    return {str(p.relative_to(work)) for part in ("incoming", "runs") for p in (work / part).rglob("*")}


def test_files_are_sent_once_and_kept_over_a_restart_and_sent_again_when_damaged(
    tmp_path: Path, target: TargetProcess
) -> None:
    plan = write_plan(tmp_path, target.url)
    work = tmp_path / "work"
    with Fleet() as fleet, Proxy(fleet.port) as proxy:

        def bytes_down() -> int:
            before = proxy.bytes_down
            done = run(fleet, plan)
            assert done.returncode == 0, done.stdout + done.stderr + fleet.controller.said
            return proxy.bytes_down - before

        agent = fleet.agent("keeper", "--work-dir", str(work), port=proxy.port)
        fleet.await_agents(1)
        small_bytes = sum(map(len, SMALL))
        assert bytes_down() > len(BIG) + small_bytes
        assert bytes_down() < CHATTER_BYTES, "a second run of the same files"
        await_condition(lambda: files_in(work) == set(), "the run's folder goes with the run")

        agent.end()
        agent = fleet.agent("keeper", "--work-dir", str(work), port=proxy.port)
        await_condition(lambda: fleet.controller.said.count("agent keeper joined") == 2, "the agent is back")
        assert bytes_down() < small_bytes + CHATTER_BYTES, "small files ride inline, once per agent process"

        kept = work / "objects" / hashlib.sha256(BIG).hexdigest()
        kept.chmod(0o600)
        with kept.open("r+b") as content:
            content.write(bytes([BIG[0] ^ 1]))
        down = bytes_down()
        assert len(BIG) < down < len(BIG) + small_bytes, "what was damaged comes again, and nothing else"
        assert kept.read_bytes() == BIG


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MiB; skips where none can be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system can not be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_a_disk_that_is_too_small_is_told_before_anything_is_sent(
    tmp_path: Path, small_disk: Path, target: TargetProcess
) -> None:
    plan = write_plan(tmp_path, target.url)
    with Fleet() as fleet, Proxy(fleet.port) as proxy:
        fleet.agent("tiny", "--work-dir", str(small_disk), port=proxy.port)
        fleet.await_agents(1)
        before = proxy.bytes_down
        done = run(fleet, plan)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 122, said
        assert "agent tiny could not prepare: no room for the plan's files in" in said
        assert "start the agent with a --work-dir on a larger disk" in said
        assert proxy.bytes_down - before < sum(map(len, SMALL)) + CHATTER_BYTES
        assert files_in(small_disk) == set() and list((small_disk / "objects").iterdir()) == []


def test_a_disk_that_takes_no_more_is_told_and_left_as_it_was(tmp_path: Path, target: TargetProcess) -> None:
    """The limit of a file's size stands for a disk that fills up after its room was looked at."""
    plan = write_plan(tmp_path, target.url)
    work = tmp_path / "work"
    with Fleet() as fleet:
        agent = fleet.agent("full", "--work-dir", str(work))
        fleet.await_agents(1)
        resource.prlimit(agent.popen.pid, resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        done = run(fleet, plan)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 122, said
        assert "agent full could not prepare: a file of the run can not be stored in" in said
        assert "File too large (free some space there" in said
        await_condition(lambda: files_in(work) == set(), "nothing of the run is left")
        assert list((work / "objects").iterdir()) == []


def test_a_run_that_is_stopped_while_files_are_on_their_way_leaves_nothing(
    tmp_path: Path, target: TargetProcess
) -> None:
    plan = write_plan(tmp_path, target.url)
    (tmp_path / "bodies" / "big.bin").write_bytes(huge := os.urandom(60_000_000))
    plan.write_text(SCRIPT.format(url=target.url, digest=hashlib.sha256(huge).hexdigest()))
    work = tmp_path / "work"
    with Fleet() as fleet:
        agent = fleet.agent("stopped", "--work-dir", str(work))
        fleet.await_agents(1)
        command = [*LOADR, "run", str(plan), "--controller", fleet.api, "--quiet"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as person:
            await_condition(lambda: any((work / "incoming").iterdir()), "a file is on its way")
            agent.popen.send_signal(signal.SIGSTOP)
            try:
                assert any((work / "incoming").iterdir()), "the agent was stopped in the midst of it"
                person.send_signal(signal.SIGINT)
                said, _ = person.communicate(timeout=30)
            finally:
                agent.popen.send_signal(signal.SIGCONT)
        assert "before the load began" in " ".join(said.split()), said
        await_condition(lambda: files_in(work) == set(), "what was half received is gone")
        assert run(fleet, plan).returncode == 0, "and the agent is fit for the next run"


CORPUS_PLAN = """
name: corpus
defaults: {{ http: {{ base_url: "{url}" }} }}
data:
  users: {{ corpus: users, sha256: "{digest}", columns: [name, city], rows: 40, mode: unique }}
scenarios:
  read:
    executor: constant-arrival-rate
    rate: 20
    duration: 1s
    max_vus: 20
    flow: [ request: {{ get: "/steady?user=${{users.name}}&city=${{users.city}}", name: steady }} ]
"""


def test_a_corpus_is_read_in_its_place_and_another_one_is_refused(tmp_path: Path, target: TargetProcess) -> None:
    content = "name,city\n" + "".join(f'user{n},"town, {n}"\n' for n in range(40))
    corpora = [tmp_path / "one.csv", tmp_path / "two.csv"]
    corpora[0].write_text(content)
    corpora[1].write_text("other")
    digest, other = (hashlib.sha256(path.read_bytes()).hexdigest() for path in corpora)
    plan = tmp_path / "plan.yaml"
    plan.write_text(CORPUS_PLAN.format(url=target.url, digest=digest))

    def said(done: subprocess.CompletedProcess[str]) -> str:
        return " ".join((done.stdout + done.stderr).split())

    with Fleet() as fleet:
        agents = [
            fleet.agent(name, "--corpus", f"users={path}") for name, path in zip("ab", corpora, strict=True)
        ]
        fleet.agent("c")
        fleet.await_agents(3)
        announced = {agent["name"]: agent["corpora"] for agent in ControllerClient(fleet.api).status()["agents"]}
        assert announced == {"a": {"users": digest}, "b": {"users": other}, "c": {}}
        refused = run(fleet, plan)
        assert refused.returncode == 122
        assert f"agent b has another corpus 'users' (sha256 {other}, and the plan wants {digest})" in said(
            refused
        )
        assert "agent c has no corpus 'users'" in said(refused) and "agent a has" not in said(refused)

        for agent in fleet.processes[2:]:
            agent.end()
        corpora[1].write_text(content)
        fleet.agent("d", "--corpus", f"users={corpora[1]}")
        await_condition(lambda: "agent d joined" in fleet.controller.said, "an agent with the right corpus")
        before = target.counters()["total"]
        done = run(fleet, plan)
        assert done.returncode == 0, said(done)
        assert target.counters()["total"] - before == 20

        corpora[0].write_text("changed while the agent runs")
        refused = run(fleet, plan)
        assert refused.returncode == 122
        assert "agent a could not prepare: it has another corpus 'users'" in said(refused)
        assert agents[0].popen.poll() is None


def test_a_run_on_this_machine_reads_corpora_too_with_any_number_of_agents(
    tmp_path: Path, target: TargetProcess
) -> None:
    content = "name,city\n" + "".join(f"user{n},town\n" for n in range(40))
    (tmp_path / "users.csv").write_text(content)
    plan = tmp_path / "plan.yaml"
    plan.write_text(CORPUS_PLAN.format(url=target.url, digest=hashlib.sha256(content.encode()).hexdigest()))
    for flags in ([], ["--agents", "2"]):
        before = target.counters()["total"]
        command = ["run", str(plan), "--quiet", "--corpus", "users=users.csv", *flags]
        done = run_loadr(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert target.counters()["total"] - before == 20
        gone = run_loadr("run", str(plan), "--quiet", "--corpus", "users=gone.csv", *flags, cwd=tmp_path)
        assert gone.returncode == 104
        assert "the corpus 'users' can not be read at gone.csv: No such file" in gone.stderr


CORPUS_SCRIPT = """
from pathlib import Path
from loadr import constant_arrival_rate, data, scenario

users = data.corpus("users", sha256="{digest}", columns=["name", "city"], rows=40, mode="unique")


@scenario(constant_arrival_rate(rate=20, duration="1s", max_vus=20))
async def read(vu):
    whole = (Path(__file__).parent / "corpora" / "users").read_text()
    assert users.next(vu).name in whole
    await vu.http.get("{url}/steady", name="steady")
"""


def test_a_script_takes_rows_of_a_corpus_and_may_open_it(tmp_path: Path, target: TargetProcess) -> None:
    content = "name,city\n" + "".join(f"user{n},town\n" for n in range(40))
    (tmp_path / "users.csv").write_text(content)
    script = tmp_path / "script.py"
    script.write_text(CORPUS_SCRIPT.format(url=target.url, digest=hashlib.sha256(content.encode()).hexdigest()))
    before = target.counters()["total"]
    done = run_loadr("run", str(script), "--quiet", "--corpus", f"users={tmp_path / 'users.csv'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert target.counters()["total"] - before == 20


def test_two_agents_do_not_share_a_folder(tmp_path: Path) -> None:
    with Fleet() as fleet:
        fleet.agent("first", "--work-dir", str(tmp_path))
        fleet.await_agents(1)
        second = fleet.agent("second", "--work-dir", str(tmp_path))
        assert second.popen.wait(30) == 104
        assert f"another agent uses the folder {tmp_path}" in second.said
        assert "give each agent a --work-dir of its own" in second.said
