"""A campaign is amended by a command while another process runs it."""

import json


def test_a_running_campaign_follows(bench):
    text = (bench.folder / "campaign.yaml").read_text()
    bench.write(text.replace("experiments: 20", "experiments: 2") + "approval: all\n")
    bench.write(text.replace("experiments: 20", "experiments: 4"), "new.yaml")
    process = bench.start("run", "campaign.yaml", "--engine", "threads")
    try:
        for line in process.stdout:
            if "proposed" in line:
                break
        said = bench.run("amend", "plate", "new.yaml", "--who", "marie", "--why", "nobody is here at night").stdout
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert "stop.experiments  2 -> 4" in said
    assert "experiment 1: queued; it needs no approval any more" in said
    assert "the process that runs it follows" in said
    assert "amended  version 2" in rest
    assert "campaign plate is completed" in rest
    status = json.loads(bench.run("status", "plate", "--json").stdout)
    assert (status["version"], status["experiments"]["completed"], status["budget"]) == (2, 4, 4)
