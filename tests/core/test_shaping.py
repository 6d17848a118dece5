"""Filters and looks, clause by clause."""

import datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pumpkit.config import Filters, PumpConfig
from pumpkit.shaping import shortener, wanted


def passes(record, include=None, exclude=None, more=()):
    """Return whether a record gets through."""
    test = wanted(Filters(include=include or {}, exclude=exclude or {}), more)
    return test is None or bool(test(record))


def look(record, omit_detail=None, **config):
    """Return how a record looks to the sink."""
    shorten = shortener(PumpConfig(name="p", **config), omit_detail)
    return record if shorten is None else shorten(dict(record))


@pytest.mark.parametrize(
    ("record", "include", "exclude", "through"),
    [
        ({"a": 1}, {}, {}, True),
        ({"a": "x"}, {"a": ["x", "y"]}, {}, True),
        ({"a": "z"}, {"a": ["x", "y"]}, {}, False),
        ({}, {"a": ["x"]}, {}, False),  # a missing field fails include
        ({}, {}, {"a": ["x"]}, True),  # and passes exclude
        ({"a": None}, {"a": [None]}, {}, True),  # null is a value
        ({}, {"a": [None]}, {}, False),  # and no missing field
        ({"a": None}, {}, {"a": [None]}, False),
        ({"a": "x"}, {"a": ["x"]}, {"a": ["x"]}, False),  # exclude wins
        ({"a": "x", "b": "y"}, {"a": ["x"], "b": ["y"]}, {}, True),  # every field included
        ({"a": "x", "b": "n"}, {"a": ["x"], "b": ["y"]}, {}, False),
        ({"a": "x", "b": "n"}, {}, {"a": ["y"], "b": ["n"]}, False),  # any field excluded
        ({"a": "x"}, {"a": []}, {}, False),  # nothing is one of no values
        ({"a": "x"}, {}, {"a": []}, True),
        ({"a": 1}, {"a": [True]}, {}, False),  # true is not 1
        ({"a": True}, {"a": [1]}, {}, False),
        ({"a": True}, {"a": [1, True]}, {}, True),
        ({"a": False}, {"a": [0, ""]}, {}, False),
        ({"a": 0}, {}, {"a": [False]}, True),
        ({"a": 1.0}, {"a": [1]}, {}, True),  # a number is a number
        ({"a": 1}, {"a": [1.0]}, {}, True),
        ({"a": "1"}, {"a": [1]}, {}, False),  # text is no number
        ({"a": b"x"}, {"a": ["x"]}, {}, False),  # and no bytes
        ({"a": ["x"]}, {"a": ["x"]}, {}, False),  # a list equals no value
        ({"a": {"x": 1}}, {}, {"a": ["x", 1]}, True),
        ({"a": [1], "b": "y"}, {}, {"a": [1], "b": ["y"]}, False),
        ({"a": [1], "b": "y"}, {"b": ["y"]}, {"a": [1, True]}, True),
        ({"a": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)}, {"a": ["2024-01-01"]}, {}, False),
        ({b"a": "x"}, {"a": ["x"]}, {}, False),
    ],
)
def test_filters(record, include, exclude, through):
    """Include and exclude compare whole values of fields."""
    assert passes(record, include, exclude) is through


def test_no_filter_costs_nothing():
    """Without any there is nothing to call."""
    assert wanted(Filters()) is None


@pytest.mark.parametrize("answers", [[True], [False], [True, True], [True, False], [1], [0], [""], [[1]]])
def test_a_plugin_can_only_narrow(answers):
    """A record must pass the configuration and every predicate of the plugin, whose truth counts."""
    more = [lambda record, answer=answer: answer for answer in answers]
    for through in (True, False):
        assert passes({"a": through}, {"a": [True]}, more=more) == (through and all(answers))
    assert passes({}, more=more) == all(answers)


def test_an_error_of_the_plugin_is_not_taken_for_a_list():
    """A TypeError in a plugin's predicate gets out; it says nothing about the configuration's filters."""

    def broken(record):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        passes({"a": [1]}, {}, {"a": [2]}, more=[broken])


SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "1", "true"]) | st.floats(-1, 1)
VALUES = SCALARS | st.lists(SCALARS, max_size=1) | st.dictionaries(st.just("k"), SCALARS, max_size=1) | st.just(b"x")
FILTERS = st.dictionaries(st.sampled_from("abc"), st.lists(SCALARS, max_size=3), max_size=3)


def same(a, b):
    """Return whether a field's value is a filter's: equal, and both or neither a boolean."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


@settings(max_examples=500)
@given(record=st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4), include=FILTERS, exclude=FILTERS)
def test_filters_are_what_they_say(record, include, exclude):
    """The compiled predicate agrees with the sentence in the reference, word for word."""
    expected = all(
        field in record and any(same(record[field], value) for value in values) for field, values in include.items()
    ) and not any(
        field in record and any(same(record[field], value) for value in values) for field, values in exclude.items()
    )
    before = repr(record)
    assert passes(record, include, exclude) is expected
    assert repr(record) == before


def test_no_look_costs_nothing():
    """Without any of its keys a record stays what it is, and there is nothing to call."""
    assert shortener(PumpConfig(name="p"), None) is None
    assert shortener(PumpConfig(name="p", detail_fields=["x"]), lambda record: {}) is None


RECORD = {"user": "ada", "policies": ["p1"], "deciders": "d", "n": 1}


def test_detail_is_blanked():
    """`policies` and `deciders` are blank unless other fields are named; a missing field stays missing."""
    assert look(RECORD, omit_detailed_recording=True) == RECORD | {"policies": "", "deciders": ""}
    assert look({"user": "ada", "deciders": None}, omit_detailed_recording=True) == {"user": "ada", "deciders": ""}
    assert look(RECORD, omit_detailed_recording=True, detail_fields=["n", "gone"]) == RECORD | {"n": ""}
    assert look(RECORD, omit_detailed_recording=True, detail_fields=[]) == RECORD


def test_a_plugin_says_how_detail_is_omitted_but_not_whether():
    """Its own way replaces the blanking, and is not asked where the configuration does not omit."""

    def own(record):
        return {"only": record["n"]}

    assert look(RECORD, own, omit_detailed_recording=True) == {"only": 1}
    assert look(RECORD, own) == RECORD
    assert look(RECORD, own, omit_detailed_recording=True, fields=["only"], add_fields={"x": 1}) == {"only": 1, "x": 1}


def test_fields_is_an_allow_list_in_its_own_order():
    """Only these, by their original names, in the order of the list."""
    assert list(look(RECORD, fields=["n", "gone", "user"]).items()) == [("n", 1), ("user", "ada")]


def test_fields_are_renamed_in_place():
    """A renamed field keeps its place, swaps are possible, and it wins over another field of its new name."""
    assert list(look(RECORD, rename_fields={"user": "username"})) == ["username", "policies", "deciders", "n"]
    assert look({"a": 1, "b": 2}, rename_fields={"a": "b", "b": "a"}) == {"b": 1, "a": 2}
    for record in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        assert look(record, rename_fields={"a": "b"}) == {"b": 1}
    assert look({"b": 2}, rename_fields={"a": "b"}) == {"b": 2}


def test_added_fields_are_constants():
    """They are on every record and win over its own."""
    assert look({"a": 1, "b": 2}, add_fields={"b": "const", "c": None}) == {"a": 1, "b": "const", "c": None}


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        ("R0VUIC8=", "GET /"),
        (b"R0VUIC8=", "GET /"),
        ("/w==", b"\xff"),  # no text
        ("", ""),
        ("no base64!", "no base64!"),
        ("R0VUIC8", "R0VUIC8"),  # cut
        ("é", "é"),
        (7, 7),
    ],
)
def test_base64_is_decoded(value, decoded):
    """In the fields named, to text where it is some; what is no base64 stays."""
    record = {"a": value, "b": "R0VUIC8="}
    assert look(record, decode_base64=["a", "missing"]) == {"a": decoded, "b": "R0VUIC8="}


@pytest.mark.parametrize(
    ("value", "size", "cut"),
    [
        ("abcdef", 3, "abc"),
        ("abc", 3, "abc"),
        (b"\xff\xfe\xfd", 2, b"\xff\xfe"),
        ("aé", 2, "a"),
        ("é", 1, ""),
        ("a😀", 4, "a"),
        ("a😀b", 5, "a😀"),
        ("\udc80x", 3, "\udc80"),
        (12345, 2, 12345),
        (["abc"], 1, ["abc"]),
    ],
)
def test_detail_is_cut(value, size, cut):
    """To so many bytes of UTF-8, and never within a character; other fields are not."""
    record = {"policies": value, "other": "x" * 100}
    assert look(record, max_detail_bytes=size) == {"policies": cut, "other": "x" * 100}


@given(st.text(st.characters(exclude_categories=[])), st.integers(1, 20))
def test_cut_text_is_the_longest_beginning_that_fits(text, size):
    """Of any text, lone surrogates included."""
    cut = look({"policies": text}, max_detail_bytes=size)["policies"]
    assert text.startswith(cut)
    assert len(cut.encode("utf-8", "surrogatepass")) <= size
    if cut != text:
        assert len(text[: len(cut) + 1].encode("utf-8", "surrogatepass")) > size


def test_ignored_fields_are_left_out():
    """Also where `fields` names them."""
    record = {"a": 1, "b": 2, "c": 3}
    assert look(record, ignore_fields=["b", "z"]) == {"a": 1, "c": 3}
    assert look(record, ignore_fields=["b"], fields=["b", "a"]) == {"a": 1}


def test_base64_is_decoded_before_detail_is_cut():
    """So that what is cut is what can be read."""
    look_of = look({"policies": "R0VUIC8="}, decode_base64=["policies"], max_detail_bytes=3)
    assert look_of == {"policies": "GET"}


def test_the_order_of_looks():
    """Omit detail, allow by original names, rename, add."""
    shown = look(
        RECORD,
        omit_detailed_recording=True,
        fields=["user", "policies"],
        rename_fields={"policies": "p"},
        add_fields={"p2": "added", "user": "constant"},
    )
    assert shown == {"user": "constant", "p": "", "p2": "added"}


NAMES = st.sampled_from("abcdef")


@settings(max_examples=300)
@given(
    record=st.dictionaries(NAMES, st.integers(), max_size=6),
    fields=st.none() | st.lists(NAMES, min_size=1, max_size=4, unique=True),
    order=st.permutations("vwxyzabc"),
    renamed=st.sets(NAMES, max_size=3),
    added=st.dictionaries(st.sampled_from("abz"), st.integers(), max_size=2),
    omit=st.booleans(),
    detail=st.lists(NAMES, max_size=3),
)
def test_looks_are_what_they_say(record, fields, order, renamed, added, omit, detail):
    """All together, a look is what one finds by asking for every name where its value comes from."""
    kept = fields or "abcdef"
    rename = {field: new for field, new in zip(sorted(renamed), order, strict=False) if field in kept}
    assume(fields is None or not {*rename.values()} & ({*fields} - {*rename}))
    shown = look(
        record,
        fields=fields,
        rename_fields=rename,
        add_fields=added,
        omit_detailed_recording=omit,
        detail_fields=detail,
    )
    visible = [field for field in record if field in kept]
    visible = [field for field in visible if field in rename or not any(rename.get(one) == field for one in visible)]
    names = {rename.get(field, field) for field in visible}
    assert set(shown) == names | set(added)
    for name, value in shown.items():
        origins = [field for field in visible if rename.get(field, field) == name]
        blank = {"" if omit and field in detail else record[field] for field in origins}
        assert value in ({added[name]} if name in added else blank)
