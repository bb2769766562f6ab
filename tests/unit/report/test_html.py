import re
from html.parser import HTMLParser

import msgspec

from loadr.report.html import render_html


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_is_well_formed_and_has_every_section(eventful_run) -> None:
    page = Page(render_html(eventful_run.summary()))
    assert page.open == []
    for title in (
        "What limits trust", "Thresholds", "Rate over time", "Duration over time", "Failures over time",
        "VUs over time", "Requests", "Errors", "Checks", "Agents", "Iterations", "All metrics",
    ):  # fmt: skip
        assert title in page.text


def test_the_page_needs_nothing_from_elsewhere_and_runs_no_script(eventful_run) -> None:
    text = render_html(eventful_run.summary())
    page = Page(text)
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    links = [value for _, attrs in page.tags for key, value in attrs.items() if key in ("src", "href")]
    assert links == ["data:,"]
    assert "http://" not in text and "https://" not in text and "@import" not in text and "url(" not in text
    assert any("default-src 'none'" in (attrs.get("content") or "") for _, attrs in page.tags)


def test_nothing_that_a_plan_or_a_target_says_becomes_markup(new_run) -> None:
    evil = '"><script>alert(1)</script>'
    run = new_run(thresholds={"http_reqs{name:" + evil + "}": ["count>1"]})
    run.second(0, [5.0], failed_ms=[1.0], name=evil, agent=evil)
    run.record.notes, run.record.events, run.record.cause = [evil], [evil], evil
    summary = msgspec.structs.replace(run.summary(), tags={evil: evil}, name=evil, run_id=evil, headline=evil)
    page = Page(render_html(summary))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert(1)</script>") >= 7


def test_text_that_looks_like_a_placeholder_of_the_template_stays_text(eventful_run) -> None:
    summary = msgspec.structs.replace(eventful_run.summary(), name="$body ${style} $$")
    assert "$body ${style} $$" in Page(render_html(summary)).text


def test_weak_percentiles_are_greyed_out(eventful_run) -> None:
    page = Page(render_html(eventful_run.summary()))
    assert any(attrs.get("class") == "weak" for tag, attrs in page.tags if tag == "span")
    assert "~40.0ms" in page.text


def test_the_target_is_drawn_only_where_there_is_one(new_run) -> None:
    run = new_run(scenarios={"buy": {"executor": "constant-vus", "vus": 1, "duration": "2s"}})
    run.second(0, [5.0], scenario="buy")
    assert "target, iterations/s" not in render_html(run.summary(1.0))
    run = new_run()
    run.second(0, [5.0])
    assert "target, iterations/s" in render_html(run.summary(1.0))


def test_iterations_are_drawn_apart_only_if_they_are_not_the_requests(new_run) -> None:
    run = new_run()
    run.second(0, [5.0])
    assert "iterations/s (open scenarios)" not in render_html(run.summary(1.0))
    run.second(0, [5.0], scenario="another")
    assert "iterations/s (open scenarios)" in render_html(run.summary(1.0))


def test_the_rest_of_a_second_at_the_end_is_not_drawn_as_a_collapse(new_run) -> None:
    run = new_run()
    for second in range(3):
        run.second(second, [5.0] * 10)
    run.second(3, [5.0])
    text = render_html(run.summary(3.1))
    assert len(re.findall("2s to 3s", text)) > 0 and "3s to 4s" not in text


def test_a_run_without_failures_has_no_chart_of_them(new_run) -> None:
    run = new_run()
    run.second(0, [5.0])
    assert "Failures over time" not in render_html(run.summary(1.0))


def test_a_run_that_never_started_has_a_page(new_run) -> None:
    run = new_run()
    run.record.started_unix_ms, run.record.cause = 0, "no agent joined"
    page = Page(render_html(run.summary(0.0, "failed")))
    assert page.open == [] and "no agent joined" in page.text


def test_a_run_without_requests_has_a_page(new_run) -> None:
    page = Page(render_html(new_run(thresholds={"http_req_duration": ["p(95)<1"]}).summary(3.0)))
    assert page.open == [] and "no data" in page.text


def test_a_pause_and_a_loss_are_shaded_in_the_charts(eventful_run) -> None:
    summary = eventful_run.summary()
    agents = [msgspec.structs.replace(summary.agents[0], lost_at_s=1.5, covered_at_s=2.0, last_acked_s=1)]
    timeline = [msgspec.structs.replace(point, paused=point.t0_s == 0) for point in summary.timeline]
    page = render_html(msgspec.structs.replace(summary, agents=agents, timeline=timeline))
    assert page.count('class="mark m-pause"') == page.count('class="mark m-loss"') == 2
    assert "its share was nobody&#x27;s until 2.0 s" in page
    assert "m-pause" not in render_html(summary).split("</style>")[1]
