"""An agent whose disk has no room for the files of a plan."""

from __future__ import annotations

from pathlib import Path

from loadr.errors import ExitCode
from support.fleet import LOADR, Fleet, run_loadr
from support.live import LiveRun, target_with_record, write_counted
from support.privileges import need

MOUNT = 'mount -t tmpfs -o size=256k small "$0" && exec "$@"'
IN_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT)


def test_a_full_disk_fails_the_run_before_its_start_in_the_agents_words_and_the_next_run_passes(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    need((*IN_NAMESPACE, str(disk), "true"), "a small file system of one's own", "util-linux")
    with target_with_record() as target, Fleet() as fleet:
        join = [*LOADR, "agent", "--join", f"127.0.0.1:{fleet.port}", "--workers", "1", "--name"]
        fleet.start([*IN_NAMESPACE, str(disk), *join, "small", "--work-dir", str(disk)], "small")
        fleet.agent("large")
        fleet.await_agents(2)
        plan = write_counted(tmp_path, target.url, rate=50, seconds=2, lease="10s")
        small_plan = plan.read_text()
        (tmp_path / "rows.csv").write_text("n\n" + "123456789\n" * 100_000)
        plan.write_text(small_plan + "data: { rows: { file: rows.csv } }\n")
        failed = run_loadr("run", str(plan), "--controller", fleet.api, "--quiet")
        assert target.counters()["total"] == 0
        plan.write_text(small_plan)
        done = LiveRun(fleet, target, plan).end()
    assert failed.returncode == ExitCode.FLEET_COULD_NOT_START, failed.stdout
    said = " ".join(failed.stdout.split())
    assert "agent small could not prepare: no room for the plan's files" in said, said
    assert done.code == ExitCode.PASSED, done.said
    done.assert_exact()
