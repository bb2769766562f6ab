"""YAML 1.2 text → plain values with the place of each key and value, or every fault of the text.

The parser gives nodes only; values are made here, so that nothing but text, numbers, booleans, null, lists and
mappings with text keys can come out. Aliases are followed within a bound on the size of the whole.
"""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from loadr.errors import PlanInvalid
from loadr.plan.faults import FaultList, Place, Places, Route

MAX_VALUES = 200_000
MAX_DEPTH = 64
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = ("str", "timestamp", "value", "merge")
_PARSER_WORDS = (
    ("<stream end>", "the end of the file"),
    ("<block end>", "the end of the block"),
    ("<document start>", "---"),
    ("<scalar>", "a value"),
)
_PARSER_HINTS = (
    ("mapping values are not allowed", 'put text that holds ": " in quotes'),
    ("'\\t'", "indent with spaces, not with tabs"),
    ("cannot start any token", "put text that begins with this character in quotes"),
    ("found another document", "a plan is one document: remove the ---"),
    ("expected <block end>", "check the indentation of this line and of those above it"),
    ("'<stream end>'", "a bracket or brace above is not closed"),
    ("too many levels", f"at most {MAX_DEPTH} levels are read"),
    ("unexpected end of stream", "a quote above is not closed"),
)


def parse_yaml(content: bytes, file: str) -> tuple[Any, Places]:
    """The values of the one document in ``content``. Raises `PlanInvalid`."""
    places = Places()
    faults = FaultList(file, places)
    root = _compose(content, file, faults)
    if root is None:
        if not len(faults):
            places.declare((), Place(file, 1, 1))
            faults.add((), "the plan is empty", "a plan needs at least the key scenarios")
        raise PlanInvalid(faults.sorted)
    builder = _Builder(file, faults)
    value = builder.build(root, ())
    if len(faults):
        raise PlanInvalid(faults.sorted)
    return value, places


def _compose(content: bytes, file: str, faults: FaultList) -> Node | None:
    def tell(line: int, column: int, message: str, hint: str = "") -> None:
        faults.places.declare((), Place(file, line, column))
        faults.add((), message, hint)

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        tell(line, 1, "this is not UTF-8 text", "save the file as UTF-8")
        return None
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Composer = _BoundedComposer
        root: Node | None = yaml.compose(text)
        return root
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context or "").split()).removeprefix("but ")
        hint = next((hint for sign, hint in _PARSER_HINTS if sign in problem), "")
        for sign, word in _PARSER_WORDS:
            problem = problem.replace(f"'{sign}'", word).replace(sign, word)
        tell(mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, f"this is not YAML: {problem}", hint)
    except YAMLError as error:
        bad = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
        line = text.count("\n", 0, bad.start()) + 1 if bad else 0
        column = bad.start() - text.rfind("\n", 0, bad.start()) if bad else 0
        reason = "a control character stands here" if bad else " ".join(str(error).split())
        tell(line, column, f"this is not YAML: {reason}", "remove it, or write it as an escape in double quotes")
    except (ValueError, TypeError, AttributeError, IndexError, KeyError):  # of the parser, on text like "%YAML 1"
        tell(1, 1, "this is not YAML", "check directives (lines that begin with %) and tags (words with !)")
    return None


class _BoundedComposer(Composer):
    """Stops where nesting gets too deep, before the parser, which takes time in the square of it, reads on."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ComposerError(None, None, "too many levels", self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Builder:
    def __init__(self, file: str, faults: FaultList) -> None:
        self._file = file
        self._faults = faults
        self._count = 0

    def build(self, node: Node, route: Route) -> Any:
        """The value of a node; what can not be used is told, and stands as None."""
        self._faults.places.values[route] = self._place(node)
        self._count += 1
        if len(route) > MAX_DEPTH:
            self._faults.add(route, "the plan is nested too deeply", f"at most {MAX_DEPTH} levels are read")
        elif self._count > MAX_VALUES:
            if self._count == MAX_VALUES + 1:
                self._faults.add(route, f"the plan has more than {MAX_VALUES:,} values", "use fewer aliases")
        elif isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return self._build_mapping(node, route)
        elif isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.build(child, (*route, i)) for i, child in enumerate(node.value)]
        elif isinstance(node, ScalarNode):
            return self._build_scalar(node, route)
        else:
            self._faults.add(route, f"the tag {node.tag} is not allowed", "remove the tag")
        return None

    def _build_mapping(self, node: MappingNode, route: Route) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, ScalarNode) else None
            if key is None or str(key_node.tag).removeprefix(_TAG) not in _TEXT_TAGS or not is_text(key):
                self._faults.places.declare(route, self._place(key_node))
                hint = f'write "{key}" in quotes' if key and is_text(key) else "write it in quotes"
                self._faults.add(route, "a key must be text", hint)
                continue
            inner = (*route, key)
            if key in out:
                first = self._faults.places.keys[inner]
                self._faults.places.keys[inner] = self._place(key_node)
                self._faults.add(
                    inner,
                    f"the key {key!r} is given twice",
                    f"it stands in line {first.line} already",
                    at_key=True,
                )
                continue
            self._faults.places.keys[inner] = self._place(key_node)
            out[key] = self.build(value_node, inner)
        return out

    def _build_scalar(self, node: ScalarNode, route: Route) -> Any:
        text: str = node.value
        tag = str(node.tag).removeprefix(_TAG)
        try:
            match tag:
                case "null":
                    return None
                case "bool":
                    return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}[
                        text.lower()
                    ]
                case "int":
                    return _read_int(text)
                case "float":
                    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
                case _ if tag in _TEXT_TAGS:
                    if not is_text(text):
                        self._faults.add(
                            route, "this text holds half of a surrogate pair", r"write it as \U0001F600"
                        )
                    return text
        except (ValueError, KeyError):
            self._faults.add(
                route, f"this is not a value of the type {tag}", "remove the tag, or write fewer digits"
            )
            return None
        self._faults.add(route, f"the tag {node.tag} is not allowed", "remove the tag")
        return None

    def _place(self, node: Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)


def _read_int(text: str) -> int:
    digits = text.replace("_", "")
    based = digits.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
    return int(digits, 0) if based else int(digits)


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
