from loadr.report.markup import Markup, element, join


def test_text_is_escaped_and_markup_is_not() -> None:
    assert element("p", "<b> & 'c'", element("b", "d")) == "<p>&lt;b&gt; &amp; &#x27;c&#x27;<b>d</b></p>"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    assert element("td", "x", class_='a" onload="b', data_x=1) == (
        '<td class="a&quot; onload=&quot;b" data-x="1">x</td>'
    )


def test_an_empty_shape_closes_itself_and_one_with_a_title_does_not() -> None:
    assert element("rect", x=1) == '<rect x="1"/>'
    assert element("rect", element("title", "t")) == "<rect><title>t</title></rect>"


def test_children_may_be_nested() -> None:
    assert join(["a<", [Markup("<i>"), ["b"]]]) == "a&lt;<i>b"
