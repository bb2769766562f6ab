"""One request step of a flow → lines of the compiled function: head and body, the call, checks, extraction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loadr.engine.extraction import extraction
from loadr.engine.requests import PreparedRequest, encode_body, prepare
from loadr.engine.splice import Place, Splicer
from loadr.plan.expressions import Expression, parse_template, whole_expression
from loadr.plan.model import RequestStep

if TYPE_CHECKING:
    from loadr.engine.flow import FlowCompiler


class RequestCompiler:
    """``number`` tells the names of this step's constants from those of other steps."""

    def __init__(self, flow: FlowCompiler, step: RequestStep, number: int) -> None:
        context = flow.context
        self._flow = flow
        self._step = step
        self._number = number
        self._scenario = context.scenario
        self._defaults = context.defaults
        self._splicer = Splicer(f"{step!r} {context.defaults!r} {context.env!r} {dict(context.secrets)!r}")
        self._series = self._name("series", context.scenario.request(step.method, step.metric_name))

    def compile(self) -> None:
        """Add this step's lines to the flow."""
        step, splicer = self._step, self._splicer
        changing: list[str] = []  # what is made anew for each request, and may fail
        body, headers = self._body()
        body_source = splicer.source(body)
        length = repr(len(body))
        if splicer.has_mark(body):
            changing.append(f"__body = {body_source}")
            body_source, length = "__body", "len(__body)"
        prepared = self._prepared(headers)
        if prepared is None:
            target, head = "__target", "__head"
            changing.append(f"__target, __head = __late_head({self._late_arguments(headers, length)})")
        else:
            target = self._name("target", prepared.target)
            head = splicer.source(prepared.head(len(body)))
            if body_source == "__body":
                start = splicer.source(prepared.line + prepared.fields)
                head = f"{start} + __content_length({step.method!r}, {length})"
            if body_source == "__body" or splicer.has_mark(prepared.head()):
                changing.append(f"__head = {head}")
                head = "__head"
        self._attempt(changing, "__fail", "__error")
        timeout = [repr(step.timeout_ns)] if step.timeout_ns else []
        arguments = (self._series, target, head, *([body_source] if body or timeout else []), *timeout)
        self._flow.line(f"__response = await __send({', '.join(arguments)})")
        self._checks()
        self._extracts()

    def _attempt(self, lines: list[str], otherwise: str, error: str = "") -> None:
        """The lines; if one of them raises, ``otherwise`` ends the iteration."""
        if not lines:
            return
        line = self._flow.line
        line("try:")
        for text in lines:
            line(text, 2)
        line(f"except __Exception{' as ' + error if error else ''}:")
        line(f"{otherwise}({', '.join(filter(None, (self._series, error)))})", 2)

    def _name(self, what: str, value: object) -> str:
        return self._flow.name(f"__{what}_{self._number}", value)

    # --- body and head, with marks where values go ------------------------------------------------------------

    def _body(self) -> tuple[bytes, dict[str, str]]:
        """The body with marks, and all headers as the plan has them: of its defaults, of the body, of the
        step."""
        step = self._step
        body, kind = encode_body(
            json=None if step.json_body is None else self._marked_tree(step.json_body),
            form=None if step.form is None else self._marked_values(step.form),
            body=None if step.body is None else self._marked(step.body, Place.BODY),
        )
        headers = {**self._defaults.headers}
        if kind:
            headers["content-type"] = kind
        headers.update(step.headers)
        return body, headers

    def _prepared(self, headers: Mapping[str, str]) -> PreparedRequest | None:
        """The request with marks; None if host, or whole address, are only known when the flow runs."""
        step, splicer = self._step, self._splicer
        if self._is_late(step.url):
            return None
        url = self._marked(step.url, Place.URL)
        base_url = self._marked(self._defaults.base_url, Place.URL)
        fields = {name: self._marked(value, Place.HEADER) for name, value in headers.items()}
        params = self._marked_values(step.params)
        try:
            prepared = prepare(step.method, url, base_url=base_url, headers=fields, params=params)
        except ValueError:
            if splicer.has_mark((url + base_url).encode()):
                return None
            raise
        return None if splicer.has_mark(prepared.target.base.encode()) else prepared

    def _is_late(self, url: str) -> bool:
        """An address that begins with a value: it may be a whole one."""
        parts = self._flow.template(url).parts
        return bool(parts) and isinstance(parts[0], Expression)

    def _late_arguments(self, headers: Mapping[str, str], length: str) -> str:
        """The source of what `splice.late_head` takes."""
        step = self._step
        fields = ", ".join(f"{name!r}: {self._text(value)}" for name, value in headers.items())
        params = ", ".join(f"{key!r}: {self._text(value)}" for key, value in step.params.items())
        url, base_url = self._text(step.url, url=True), self._text(self._defaults.base_url, url=True)
        return f"{step.method!r}, {url}, {base_url}, {{{fields}}}, {{{params}}}, {length}"

    def _text(self, text: Any, *, url: bool = False) -> str:
        """The source of a template as text; in a ``url`` values are encoded, but for one at its beginning."""
        if not isinstance(text, str):
            return repr(text)
        sources = []
        for at, part in enumerate(self._flow.template(text).parts):
            if isinstance(part, str):
                sources.append(repr(part))
            elif url and at:
                sources.append(f"__in_url({self._flow.code(part)}).decode()")
            else:
                sources.append(f"__as_text({self._flow.code(part)})")
        return " + ".join(sources) or "''"

    def _marked(self, text: str, place: Place) -> str:
        """The text of a template with a mark for each expression."""
        return "".join(
            part if isinstance(part, str) else self._splicer.mark(self._flow.code(part), place)
            for part in self._flow.template(text).parts
        )

    def _marked_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: self._marked(value, Place.URL) if isinstance(value, str) else value
            for key, value in values.items()
        }

    def _marked_tree(self, value: Any) -> Any:
        """JSON: a text that is one expression becomes the value itself, with its type."""
        match value:
            case str():
                expression = whole_expression(parse_template(value))
                if expression is not None:
                    return self._splicer.mark(self._flow.code(expression), Place.JSON)
                return self._marked(value, Place.JSON_TEXT)
            case list():
                return [self._marked_tree(item) for item in value]
            case dict():
                return {key: self._marked_tree(item) for key, item in value.items()}
            case _:
                return value

    # --- what is done with the response ---------------------------------------------------------------------

    def _checks(self) -> None:
        """An expression that raises is a check that failed."""
        line = self._flow.line
        for place, (name, rule) in enumerate(self._step.check.items()):
            condition = "__ok"
            match rule:
                case str():
                    expression = whole_expression(parse_template(rule))
                    assert expression is not None  # the loader has seen to it
                    line("try:")
                    line(f"__ok = {self._flow.code(expression)}", 2)
                    line("except __Exception:")
                    line("__ok = False", 2)
                case bool():
                    condition = repr(rule)
                case int():
                    condition = f"__response.status == {rule}"
                case _:
                    condition = f"__response.status in {tuple(rule)!r}"
            counter = self._name(f"check{place}", self._scenario.check(name))
            line(f"if {condition}:")
            line(f"{counter}.passes += 1", 2)
            line("else:")
            line(f"{counter}.fails += 1", 2)

    def _extracts(self) -> None:
        lines = ["__document = __response.json()"]
        for place, (name, extract) in enumerate(self._step.extract.items()):
            source, values = extraction(extract.jsonpath, "__document", f"__path{place}_{self._number}")
            self._flow.names(values)
            lines.append(f"{self._flow.variable(name)} = {source}")
        if self._step.extract:
            self._attempt(lines, "__no_value")
