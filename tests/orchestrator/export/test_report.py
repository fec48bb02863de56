"""The report: one file, no network, nothing of users runs, sensible for every campaign."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.parameters import Categorical, Composition, Continuous
from acquisition.space import SearchSpace
from orchestrator.campaign import Campaign
from orchestrator.errors import InputError
from orchestrator.export.report import embedded, inline, render, write_report

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A parsed report: elements with attributes, scripts, visible text; refuses what does not nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif self._open and self._open[-1] != "style":
            self.text += data

    def figures(self) -> dict[str, Any]:
        return {str(a["data-for"]): json.loads(text) for a, text in self.scripts if a.get("type") == "application/json"}

    def rows(self) -> list[str]:
        return [str(a["id"]) for tag, a in self.elements if tag == "tr" and "id" in a]


def page_of(campaign: Campaign, record_of: Any, **fields: Any) -> Page:
    notices = fields.pop("notices", ())
    return Page(render(campaign, record_of(campaign, **fields), notices=notices))


def test_asks_no_network_for_anything(alloys: Campaign, record_of: Any) -> None:
    page = page_of(alloys, record_of)
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "action", "data", "srcset"):
            assert (attributes.get(name) or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    style = render(alloys, record_of(alloys)).split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_policy_names_exactly_the_scripts_that_run(alloys: Campaign, record_of: Any) -> None:
    page = page_of(alloys, record_of)
    policy = next(str(a["content"]) for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    run = [text for attributes, text in page.scripts if "type" not in attributes]
    assert len(run) == 2
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert re.search(r"script-src ([^;]*);", policy)[1].split() == [f"'sha256-{h}'" for h in hashes]  # type: ignore[index]
    assert Counter("plotly.js v" in text for text in run) == {True: 1, False: 1}


def test_figures_parse_and_have_words(alloys: Campaign, record_of: Any) -> None:
    page = page_of(alloys, record_of)
    figures = page.figures()
    assert set(figures) == {"progress-0", "predictions-0", "parallel", "ternary"}
    for figure in figures.values():
        assert figure["data"]
    plots = [a for tag, a in page.elements if tag == "div" and a.get("class") == "plot"]
    captions = [a.get("id") for tag, a in page.elements if tag == "figcaption"]
    assert [plot["aria-labelledby"] for plot in plots] == captions
    assert "best valid result of fe_c2h4" in page.text
    assert "within the 90 % interval" in page.text


def test_says_what_the_campaign_is(alloys: Campaign, record_of: Any) -> None:
    definition = {"strategy": {"name": "auto"}, "lab": {"type": "simulated"}, "stop": {"experiments": 12}}
    page = page_of(alloys, record_of, state="halted", reason="a person must act", definition=definition, seed=17)
    best = alloys.best()
    for part in (
        "alloys",
        "Maximize fe_c2h4, keeping fe_h2 ≤ 0.3, over 7 parameters.",
        "halted",
        "a person must act",
        "simulated",
        "17",
        "12 experiments",
        "2026-01-02 03:04 UTC",
        "13 experiments",
        "1 failed",
        "Faradaic efficiency of c2h4",
        f"Experiment {best.index[0]}",
        "V vs RHE",
        "mol L⁻¹",
        "plotly",
        "sabatier",
    ):
        assert re.sub(r"\s+", " ", part) in re.sub(r"\s+", " ", page.text), part
    assert page.rows() == [f"experiment-{i}" for i in range(1, 14)]


def test_shows_notices_once(plain: Campaign, record_of: Any) -> None:
    page = page_of(plain, record_of, notices=["fractions were renormalised", "fractions were renormalised"])
    assert page.text.count("fractions were renormalised") == 1


def test_nothing_of_users_becomes_markup(record_of: Any) -> None:
    space = SearchSpace([Categorical(f"kind{EVIL}", [EVIL, "b"]), Continuous("x", 0, 1, unit=f"V{EVIL}")])
    campaign = Campaign(space, [Objective(f"y{EVIL}")], strategy="random", name=f"n{EVIL}")
    batch = campaign.ask(5)
    results = batch.assign(**{f"y{EVIL}": np.arange(5.0)}, sample=EVIL, status="completed")
    results["failure_reason"], results["failure_cause"] = None, None
    results.loc[1, ["status", "failure_reason"]] = ["failed", EVIL]
    campaign.tell(results)
    html = render(
        campaign,
        record_of(campaign, reason=EVIL, definition={"comment": f"</pre>{EVIL}"}),
        notices=[EVIL, "</ul>--><!--"],
    )
    page = Page(html)
    assert all("alert(" not in text for attributes, text in page.scripts if "type" not in attributes)
    assert "<script>alert" not in html
    assert page.text.count(EVIL) >= 8
    page.figures()


def test_scripts_cannot_be_ended_early() -> None:
    assert "</script" not in inline("a='</script><!--'\r\n")
    assert "\r" not in inline("a\r\nb\rc")
    text = embedded(json.dumps({"a": "</script><!-- &amp;"}))
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!-- &amp;"}


def test_before_the_first_experiment(plain: Campaign, record_of: Any) -> None:
    page = page_of(plain, record_of, state="created", started=None)
    assert "No experiment has been proposed yet." in page.text
    assert page.figures() == {}
    assert page.rows() == []


@pytest.mark.parametrize(
    ("n", "told", "says"),
    [
        (1, {}, "1 experiment without a result yet"),
        (1, {"y": 2.5}, "The first valid result of y is still the best: 2.5"),
        (4, {"status": "failed", "failure_cause": "equipment"}, "4 failed experiments at the lower edge"),
        (3, {"y": 1.0, "verdict": "invalid"}, "There is no valid result of y yet."),
        (3, {"y": 0.0, "y_sem": 0.0}, "The first valid result of y is still the best: 0"),
    ],
)
def test_campaigns_with_little_in_them(
    plain: Campaign, record_of: Any, n: int, told: dict[str, Any], says: str
) -> None:
    batch = plain.ask(n)
    if told:
        plain.tell(batch.assign(**told))
    page = page_of(plain, record_of)
    assert says in page.text
    assert "There are no predictions to compare" in page.text
    assert len(page.rows()) == n


def test_metrics_that_are_not_measured_yet(record_of: Any) -> None:
    space = SearchSpace([Continuous("a", 0, 1)])
    campaign = Campaign(space, [Objective("y"), Objective("z", "minimize")], strategy="random", name="late")
    batch = campaign.ask(3)
    campaign.tell(batch.assign(y=[1.0, np.nan, 3.0], z=np.nan).drop(index=2))
    page = page_of(campaign, record_of)
    assert "No result is known yet" in page.text
    assert "2 awaiting analysis" in page.text
    assert "No experiment has a complete, valid result yet." in page.text


def test_several_objectives(record_of: Any) -> None:
    space = SearchSpace([Continuous("a", 0, 1), Continuous("b", 0, 1)])
    goals = [Objective("fe_co"), Objective("u_cell", "minimize"), Objective("j_co", "target", target=(80, 120))]
    campaign = Campaign(space, goals, strategy="random", name="three")
    batch = campaign.ask(12)
    campaign.tell(batch.assign(fe_co=batch["a"], u_cell=2 + batch["a"] * batch["b"], j_co=200 * batch["b"]))
    page = page_of(campaign, record_of)
    ids = ["progress-0", "progress-1", "progress-2", "pareto-0-1", "pareto-0-2", "pareto-1-2", "parallel"]
    assert list(page.figures()) == ids
    assert "Best compromises" in page.text
    assert "bring j_co to 80–120 mA cm⁻²" in page.text


def test_constraints_that_nothing_keeps(record_of: Any) -> None:
    space = SearchSpace([Continuous("a", 0, 1)])
    bounds = [OutcomeConstraint("h", upper=0.0)]
    campaign = Campaign(space, [Objective("y")], outcome_constraints=bounds, strategy="random", name="never")
    batch = campaign.ask(4)
    campaign.tell(batch.assign(y=[1.0, 2.0, 3.0, 4.0], h=[5.0, 5.1, 4.9, 5.0]))
    page = page_of(campaign, record_of)
    assert "No executed point is expected to keep all outcome constraints." in page.text
    assert "There is no valid result of y yet that keeps all constraints." in page.text


def test_many_experiments_and_parameters(record_of: Any) -> None:
    space = SearchSpace(
        [
            *(Continuous(f"p{i}", 0, 1) for i in range(20)),
            Composition("mix", [f"E{i}" for i in range(10)], max_components=4),
        ]
    )
    campaign = Campaign(space, [Objective("y")], strategy="random", name="many")
    batch = campaign.ask(500)
    # without results of the objective: a model of 500 points would take most of the test's time
    campaign.tell(batch.assign(fe_h2=0.5, y=np.nan))
    html = render(campaign, record_of(campaign))
    page = Page(html)
    assert len(page.rows()) == 500
    assert "8 parameters more in the exported tables" in page.text
    assert "12 of 30 parameters" in page.text
    assert len(html) < 9_000_000


def test_sorting_keys_are_numbers(alloys: Campaign, record_of: Any) -> None:
    page = page_of(alloys, record_of)
    cells = [a for tag, a in page.elements if tag == "td" and a.get("class") == "number" and a.get("data-key")]
    assert len(cells) > 50
    for cell in cells:
        float(str(cell["data-key"]))


def test_writes_one_file_and_replaces_it_as_a_whole(plain: Campaign, record_of: Any, tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    assert write_report(plain, record_of(plain), path) == path
    first = path.read_text(encoding="utf-8")
    assert first.startswith("<!doctype html>")
    plain.ask(1)
    write_report(plain, record_of(plain), path)
    assert "experiment-1" in path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_refused(plain: Campaign, record_of: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write_report(plain, record_of(plain), tmp_path)


def test_importing_is_light() -> None:
    code = (
        "import sys, orchestrator.export, orchestrator.export.report, orchestrator.export.picture as p; "
        "p.progress_svg; orchestrator.export.write_report; sys.exit('plotly' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
