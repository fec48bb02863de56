import json
import logging
from pathlib import Path

import pytest

from orchestrator.cli.display import JsonFormatter, LogFile


def test_a_log_is_json_lines(tmp_path: Path) -> None:
    handler = LogFile(tmp_path / "log.jsonl", JsonFormatter(rig="twin-cells"))
    handler.handle(logging.makeLogRecord({"msg": "it is %s", "args": ("off",), "levelname": "INFO"}))
    handler.close()
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert (line["rig"], line["message"], line["level"]) == ("twin-cells", "it is off", "INFO")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is a file of Linux")
def test_a_log_on_a_full_disk_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    handler = LogFile(Path("/dev/full"), JsonFormatter(rig="twin-cells"))
    for number in range(3):
        handler.handle(logging.makeLogRecord({"msg": f"reading {number}"}))
    handler.close()
    told = capsys.readouterr().err
    assert told.count("the log has gaps") == 1
    assert "Traceback" not in told
