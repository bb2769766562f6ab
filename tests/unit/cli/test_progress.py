import io

from loadr.cli.progress import PlainLines, Silence, is_utf8, open_progress, state_line, view_line


def lines_after(views) -> list[str]:
    stream = io.StringIO()
    progress = PlainLines(stream)
    for view in views:
        progress.show(view)
    progress.close()
    return stream.getvalue().splitlines()


def test_a_line_comes_after_the_first_second_and_then_every_five(view_at) -> None:
    views = [view_at(half / 2, agents=[]) for half in range(43)]
    told = [line.split("/")[0] for line in lines_after(views)[1:]]
    assert told == ["1s", "5s", "10s", "15s", "20s"]


def test_the_first_line_waits_for_the_first_figures_but_not_for_ever(view_at) -> None:
    views = [view_at(half / 2, rate_per_s=0.0) for half in range(8)]
    assert [line.split("/")[0] for line in lines_after(views)[1:]] == ["2s"]


def test_views_that_come_late_skip_lines_and_keep_the_beat(view_at) -> None:
    told = [line.split("/")[0] for line in lines_after([view_at(s) for s in (1.2, 13.7, 14.9, 15.1)])[1:]]
    assert told == ["1s", "13s", "15s"]


def test_each_change_of_state_is_told_once(view_at) -> None:
    views = [view_at(0, state="preparing", agents=[]), view_at(0, state="preparing"), view_at(0, state="arming")]
    assert lines_after(views) == ["checkout: preparing", "checkout: arming, 2 agents"]


def test_a_run_that_waits_says_for_what(view_at) -> None:
    assert state_line(view_at(0, state="preparing", cause="1 of 3 agents is here", agents=[])) == (
        "checkout: preparing: 1 of 3 agents is here"
    )


def test_a_line_tells_rate_against_target_percentiles_failures_and_vus(view_at) -> None:
    line = view_line(view_at(12.4))
    assert line == "12s/30s  399/s of 400/s  811 req/s  p95 31.2ms  p99 56.0ms  failed 0  12 VUs"
    assert len(line) <= 80


def test_a_closed_run_has_no_target(view_at) -> None:
    assert "30s  811 req/s  p95" in view_line(view_at(12.4, target_per_s=None, open_iterations_per_s=None))


def test_troubles_are_added_to_the_line(view_at, agent_of) -> None:
    thresholds = [type(t)(metric="m", expression="e", passed=False, observed=1.0) for t in view_at(1).thresholds]
    agents = [agent_of("agent-1"), agent_of("agent-2", "lost")]
    line = view_line(
        view_at(9, failed=5, failed_fraction=0.01, dropped=2, missed=1, agents=agents, thresholds=thresholds)
    )
    assert "failed 5 (1.00%)" in line and "dropped 3" in line
    assert line.endswith("agent-2 lost  1 threshold failing")


def test_a_stream_that_is_not_utf8_gets_ascii(view_at) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert not is_utf8(stream)
    PlainLines(stream).show(view_at(0, name="naïve"))
    stream.seek(0)
    assert stream.read() == "checkout: running, 2 agents\n".replace("checkout", "na?ve")


def test_the_kind_of_progress_follows_the_stream(view_at) -> None:
    stream = io.StringIO()
    assert type(open_progress(stream, quiet=True)) is Silence
    assert type(open_progress(stream, quiet=False)) is PlainLines


def test_quiet_shows_nothing_but_notices(view_at) -> None:
    stream = io.StringIO()
    progress = open_progress(stream, quiet=True)
    progress.show(view_at(9))
    progress.notice("stopping")
    progress.close()
    assert stream.getvalue() == "stopping\n"
