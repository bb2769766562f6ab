from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadr.engine.rows import Rows


@given(st.lists(st.sampled_from(["append", "many", "pack", "give back"]), max_size=30))
def test_rows_come_back_once_and_in_order_however_they_were_packed(steps: list[str]) -> None:
    rows, expected, number = Rows(2), [], 0
    for step in steps:
        if step == "pack":
            rows.pack()
        elif step == "give back":
            taken = rows.take()
            assert taken.tolist() == expected
            rows.give_back(taken[1:])
            expected = expected[1:]
        else:
            for _ in range(1 if step == "append" else 700):
                rows.append((number, number + 2**60))
                expected.append([number, number + 2**60])
                number += 1
    assert rows.take().tolist() == expected
    assert rows.take().shape == (0, 2)
