"""docker-compose.yml cannot be run where there is no container engine; what can be checked without one is checked.

Every command is a verb that exists, every variable is known to the configuration or declared, every image is pinned.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from gateway.config import load_config, variables
from gateway.ops.cli import app
from gateway.ops.run_commands import stages_asked
from gateway.sandbox.simulators.__main__ import _arguments

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
CONFIGURATION = (ROOT / "gateway.yaml").read_text("utf-8")
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
DECLARED = dict(
    line.split("=", 1)
    for line in (ROOT / "docker" / "env.example").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
COMPOSE_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")
PINNED = re.compile(r"^[a-z0-9./-]+:\d+\.\d+[a-z0-9.-]*$")
OURS = [name for name, service in SERVICES.items() if "build" in service]


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_a_service_exists(name: str) -> None:
    program, *arguments = SERVICES[name]["command"]
    if program == "python":
        assert arguments[:2] == ["-m", "gateway.sandbox.simulators"]
        without_variables = ["off" if argument.startswith("${") else argument for argument in arguments[2:]]
        assert _arguments(without_variables).name == name
        return
    assert program == "hocba"
    command: Any = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        verb = arguments.pop(0)
        with command.make_context(command.name, [verb]) as asked:
            command = command.get_command(asked, verb)
        assert command is not None, f"hocba has no {verb!r}"
    with command.make_context(name, arguments) as parsed:  # refuses options that do not exist
        if command.name == "run":
            config = load_config(ROOT / "gateway.yaml", {})
            assert stages_asked(config, parsed.params["stages"]) == parsed.params["stages"]


def test_every_stage_has_its_service() -> None:
    config = load_config(ROOT / "gateway.yaml", {})
    run = [service["command"][2] for service in SERVICES.values() if service.get("command", [])[:2] == ["hocba", "run"]]

    assert run == stages_asked(config, ["all"])


def test_every_variable_is_declared_and_every_declared_one_is_used() -> None:
    used = set(COMPOSE_VARIABLE.findall(COMPOSE)) | variables(CONFIGURATION)

    assert used == set(DECLARED)


def test_a_worker_is_given_every_variable_of_the_configuration() -> None:
    given = set(SERVICES["intake"]["environment"])

    assert variables(CONFIGURATION) <= given
    for name, text in SERVICES["intake"]["environment"].items():
        assert name == "PGPASSWORD" or set(COMPOSE_VARIABLE.findall(text)) == {name}


def test_the_declared_values_give_a_configuration_without_faults() -> None:
    config = load_config(ROOT / "gateway.yaml", DECLARED)

    assert config.kafka.bootstrap_servers == DECLARED["HOCBA_KAFKA"]
    assert config.kafka.replication_factor == 1


def test_every_image_tag_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert [image for image in images if not PINNED.match(image)] == []


def test_the_image_installs_locked_hashes_and_runs_as_nobody_special() -> None:
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert re.search(r"^USER (?!root|0)\w+", DOCKERFILE, re.MULTILINE)


def test_what_a_service_waits_for_exists() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
    volumes = set(yaml.safe_load(COMPOSE)["volumes"])
    mounted = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}

    assert mounted == volumes
