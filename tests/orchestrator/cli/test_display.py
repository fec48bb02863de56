import json
import logging
from pathlib import Path

import pytest

from orchestrator.cli.display import JsonFormatter, LogFile, Sentence


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


def test_people_read_a_sentence_and_the_log_has_the_places_in_the_program(tmp_path: Path) -> None:
    handler = LogFile(tmp_path / "log.jsonl", JsonFormatter())
    try:
        raise OSError(28, "No space left on device")
    except OSError as problem:
        info = (type(problem), problem, problem.__traceback__)
    record = logging.makeLogRecord({"msg": "it cannot be kept", "levelname": "ERROR", "exc_info": info})
    handler.handle(record)
    handler.close()
    assert Sentence().format(record) == "ERROR: it cannot be kept: [Errno 28] No space left on device"
    assert "Traceback" in json.loads((tmp_path / "log.jsonl").read_text())["traceback"]
