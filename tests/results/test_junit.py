from __future__ import annotations

from xml.etree import ElementTree

from fake_reports import report

from rankvqa_cli.results.junit import Case, cases, junit


def test_a_case_for_each_result_and_each_gate() -> None:
    made = report(("a.mp4", "b.mp4"), gates=("mean=60", "tiny:min=1"))
    root = ElementTree.fromstring(junit(list(cases(made.results, made.gates))))
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "1", "0")
    first, second = root
    assert (first.get("name"), first.get("tests"), first.get("failures")) == ("a.mp4", "3", "1")
    assert (second.get("name"), second.get("tests"), second.get("failures")) == ("b.mp4", "3", "0")
    assert [case.get("name") for case in first] == [
        "scored by tiny",
        "mean=60 by tiny",
        "tiny:min=1 by tiny",
    ]
    assert first[0].get("time") == "1.235"
    (failure,) = first[1]
    assert failure.tag == "failure"
    assert failure.get("message") == failure.text == "mean=60 is not kept: 45.0494"
    assert not list(first[2])


def test_a_job_without_a_result_is_an_error() -> None:
    root = ElementTree.fromstring(junit([Case("a.mp4", "scored", error="cannot read 'a.mp4'")]))
    assert (root.get("errors"), root.get("failures")) == ("1", "0")
    assert root[0][0][0].tag == "error"


def test_names_that_xml_cannot_write() -> None:
    odd = 'a\x00\x1b"<&>\udce9\ufffe\U0001f600.mp4'
    root = ElementTree.fromstring(junit([Case(odd, odd, failure=odd)]))
    assert root[0].get("name") == 'a\ufffd\ufffd"<&>\ufffd\ufffd\U0001f600.mp4'


def test_nothing_at_all() -> None:
    assert ElementTree.fromstring(junit([])).get("tests") == "0"
