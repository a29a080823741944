"""Gates as JUnit XML, which pipelines show as tests: a test case per gate."""

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kdcli.core.text import visible
from kdcli.report.gates import Checked

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even as a reference."""


def junit(gates: Sequence[Checked], title: str) -> bytes:
    """The file; `title` is what was evaluated."""
    failures = sum(not one.passed for one in gates)
    counts = {"tests": str(len(gates)), "failures": str(failures), "errors": "0", "skipped": "0"}
    root = Element("testsuites", {"name": "kd evaluate", **counts})
    suite = SubElement(root, "testsuite", {"name": _text(title), **counts})
    for one in gates:
        case = SubElement(
            suite,
            "testcase",
            {"classname": "kd.gates", "name": _text(f"{one.gate.title}={one.gate.limit:.12g}")},
        )
        words = _text(_words(one))
        if one.passed:
            SubElement(case, "system-out").text = words
        else:
            SubElement(case, "failure", {"message": words, "type": "GateMissed"}).text = words
    indent(root)
    found: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return found


def _words(one: Checked) -> str:
    side = "at least" if one.gate.kind == "min" else "at most"
    told = f"value {one.shown}, limit {side} {one.limit}"
    told += f", 95% interval {one.interval}" if one.ci95 else ""
    if one.before is not None or one.now is not None:
        told += f", before {_number(one.before)}, now {_number(one.now)}"
    return f"{told}: {one.outcome}"


def _number(value: float | None) -> str:
    return "null" if value is None else format(value, ".6g")


def _text(text: str) -> str:
    return _NO_XML.sub("?", visible(text))
