"""The containers of a laboratory's server: what the files say, without any container."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

TOP = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load((TOP / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def _environment(service):
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_and_started_again(name):
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"
    assert ":" in service["image"] or service["image"] == SERVICES["prefect"]["image"], (
        "a version, or what is built here"
    )


def test_what_is_mounted_is_declared():
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in COMPOSE["volumes"]
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_no_secret_stands_in_the_files():
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    for name in SERVICES:
        for variable, value in _environment(name).items():
            assert "PASSWORD" not in variable or variable.endswith("_FILE")
            assert not re.search(r"//[^/@]*:[^/@]*@", value), "an address with a password"
    (folder,) = {Path(secret["file"]).parts[0] for secret in COMPOSE["secrets"].values()}
    for ignoring in (".gitignore", ".dockerignore"):
        assert folder in [line.rstrip("/") for line in (TOP / ignoring).read_text().split()]


def test_only_this_computer_is_served_unless_somebody_says_so():
    for service in SERVICES.values():
        assert all(port.startswith("${SABATIER_ADDRESS:-127.0.0.1}:") for port in service.get("ports", []))


def test_addresses_lead_to_services():
    worker = _environment("worker")
    assert worker["PREFECT_API_URL"] == "http://prefect:4200/api"
    user, database = _environment("postgres")["POSTGRES_USER"], _environment("postgres")["POSTGRES_DB"]
    assert worker["SABATIER_STORE"] == f"postgresql://{user}@postgres/{database}"
    assert any(mount.split(":")[1] == worker["SABATIER_FILES"] for mount in SERVICES["worker"]["volumes"])


def test_the_image_has_every_package():
    lines = (TOP / "Dockerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    packages = {path.parent.name for path in TOP.glob("*/__init__.py") if path.parent.name != "tests"}
    assert packages <= copied
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= copied
    assert all((TOP / name).exists() for name in copied)
