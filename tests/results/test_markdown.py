from __future__ import annotations

import dataclasses

from fake_reports import report

from rankvqa_cli.results.markdown import escaped, report_markdown, table
from rankvqa_cli.types import GateResult


def test_a_report() -> None:
    made = report(gates=("mean=60", "min=1"))
    before = GateResult("base.json:mean=1", 45.0, False, "a.mp4", "tiny", 47.5, 48.5)
    assert report_markdown(dataclasses.replace(made, gates=(*made.gates, before))) == (
        "## Video quality: 2 of 3 gates failed\n"
        "\n"
        "| input | model | mean | 95 % | p5 | worst clip |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| a.mp4 | tiny | 45.05 | 40.00 to 49.50 | 40.00 | 40.00 in frames 0 to 11 |\n"
        "\n"
        "| gate |  | input | model | value | needs |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| **failed** | mean=60 | a.mp4 | tiny | 45.0494 | 60.00 |\n"
        "| **failed** | base.json:mean=1 | a.mp4 | tiny | 45.0000, 48.5000 before | 47.50 |\n"
        "| passed | min=1 | a.mp4 | tiny | 40.0000 | 1.00 |\n"
        "\n"
        "- a.mp4: frames look shifted by -1: use --align auto\n"
    )


def test_a_result_without_an_interval() -> None:
    plain = report()
    made = report_markdown(
        dataclasses.replace(plain, results=(dataclasses.replace(plain.results[0], ci95=None),))
    )
    assert "| a.mp4 | tiny | 45.05 |  | 40.00 |" in made


def test_the_title_says_how_it_ended() -> None:
    assert report_markdown(report()).startswith("## Video quality\n")
    assert report_markdown(report(gates=("mean=1",))).startswith("## Video quality: every gate passed\n")


def test_names_write_nothing_but_themselves() -> None:
    assert escaped("a|b\n<img>`x`_y_*.mp4") == "a\\|b \\<img\\>\\`x\\`\\_y\\_\\*.mp4"
    assert escaped("a\u202egp4.mp4\u2066") == "a\ufffdgp4.mp4\ufffd"
    assert table(["a"], [["x|y"]]).splitlines()[2] == "| x\\|y |"
