from loadr.report.layout import Ink, flow, table, to_ascii


def test_colour_is_added_only_when_asked_for() -> None:
    assert Ink(True)("good", "x") == "\x1b[32mx\x1b[0m"
    assert Ink(False)("good", "x") == "x"
    assert Ink(True)("plain", "x") == "x"


def test_ascii_keeps_the_width() -> None:
    text = "✓ 12µs … ─ é"
    assert to_ascii(text) == "+ 12us ~ - ?"
    assert len(to_ascii(text)) == len(text)


def test_pieces_flow_onto_lines_that_start_under_the_first_one() -> None:
    assert flow("name: ", ["aaaa", "bbbb", "cccc"], 16) == ["name: aaaa  bbbb", "      cccc"]


def test_a_piece_wider_than_the_line_stands_alone() -> None:
    assert flow("n: ", ["a" * 20, "b"], 10) == ["n: " + "a" * 20, "   b"]


def test_a_table_aligns_numbers_and_clips_only_names() -> None:
    lines = table(("name", "n"), [("a" * 40, "1"), ("b", "12345")], 30)
    assert all(len(line) <= 30 for line in lines)
    assert lines[1].endswith("…      1") and lines[2].endswith("12345")
