"""Makes the pictures of the documentation anew, from a real run of ``examples/demo.yaml``: ``make pictures``.

``progress.svg`` is always made. ``report.png``, a photograph of the first screen of the HTML report, needs Chromium
or Chrome; without one it is left as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from orchestrator.config.load import load
from orchestrator.export import progress_svg, write_report
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.loop.assembly import Assembly, assemble, register
from orchestrator.store import Store, open_store

ROOT: Final = Path(__file__).resolve().parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
WINDOW: Final = "1280,1500"


def run(store: Store, folder: Path) -> Assembly:
    """Run the demonstration to its end."""
    definition = load(ROOT / "examples" / "demo.yaml")
    register(store, definition)
    parts = assemble(store, definition.file.name, definition)
    budget = definition.file.stop.experiments
    Loop(parts.campaign, parts.lab, experiments=budget, engine=ThreadEngine(1), files=folder).run()
    return parts


def photograph(page: Path, picture: Path, folder: Path) -> bool:
    """Show a page in a browser and keep what is seen; whether there is a browser."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        return False
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
    words += ["--disable-background-networking", f"--user-data-dir={folder}", f"--window-size={WINDOW}"]
    words += ["--virtual-time-budget=5000", f"--screenshot={picture}", page.as_uri()]
    subprocess.run([browser, *words], check=True, capture_output=True, timeout=120)  # noqa: S603  our own page
    return True


def main() -> None:
    """Make all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(folder / "sabatier.db", durable=False)
        parts = run(store, folder / "files")
        objective = parts.definition.file.objectives[0]
        title = "examples/demo.yaml: ethylene from CO2 on copper alloys"
        svg = progress_svg(parts.campaign.to_dataframe(), objective, title)
        (PICTURES / "progress.svg").write_text(svg, encoding="utf-8")
        record = store.campaign(parts.campaign.name)
        page = write_report(parts.campaign, record, folder / "report.html", notices=parts.definition.notices)
        store.close()
        if not photograph(page, PICTURES / "report.png", folder / "browser"):
            sys.stderr.write(f"report.png is left as it is: there is none of {', '.join(BROWSERS)}\n")


if __name__ == "__main__":
    main()
