"""The compose file: by the real tool, and what that does not look at."""

import json
import re

# Run to their end before the others start.
ONE_SHOT = {"setup", "playground-mode"}
# What `ery` runs as services, each of which comes to its servers as itself.
SERVICES = ("gateway", "orchestrator", "ai-service", "tool-service", "store", "console")
# `--scale` must work for these.
SCALED = {"orchestrator", "tool-service", "ai-service", "gateway"}


def check(report) -> dict:
    """Returns the file as the tool reads it, with all profiles."""
    # As somebody has it who has set nothing.
    command = ("docker-compose", "--env-file", "/dev/null", "--profile", "*")
    text = report.run(*command, "config", "--format", "json", what="docker-compose.yml")
    stack = json.loads(text or '{"services": {}}')
    report.run("docker-compose", "--env-file", ".env.example", "config", "-q", what=".env.example")
    services = stack["services"]

    for name, service in services.items():
        where = f"docker-compose.yml: {name}"
        ends = name in ONE_SHOT
        report.check("container_name" not in service, f"{where} has a fixed name: it cannot be scaled")
        report.check(bool(service.get("read_only")), f"{where} can write its root")
        report.check(service.get("cap_drop") == ["ALL"], f"{where} keeps capabilities")
        report.check(
            "no-new-privileges:true" in service.get("security_opt", []), f"{where} may gain privileges"
        )
        if ends:
            report.check(service.get("network_mode") == "none", f"{where} has a network")
            continue
        report.check("healthcheck" in service, f"{where} has no health check")
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        report.check({"cpus", "memory"} <= set(limits), f"{where} has no limits")
        user = str(service.get("user", "65532"))
        report.check(not user.startswith("0"), f"{where} runs as root")
        for port in service.get("ports", []):
            report.check(port.get("host_ip") == "127.0.0.1", f"{where} is open to other hosts")
            report.check(name not in SCALED, f"{where} has a port on the host: it cannot be scaled")

        for needed, how in service.get("depends_on", {}).items():
            other = services.get(needed)
            if not report.check(other is not None, f"{where} waits for {needed}, which there is not"):
                continue
            wants = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            report.check(how["condition"] == wants, f"{where} does not wait until {needed} is {wants}")
            is_there = set(other.get("profiles", [])) <= set(service.get("profiles", []))
            report.check(
                is_there or not how.get("required", True),
                f"{where} needs {needed}, which another profile has",
            )

    for name in SERVICES:
        if not report.check(name in services, f"docker-compose.yml: there is no {name}"):
            continue
        where, service = f"docker-compose.yml: {name}", services[name]
        report.check(service["command"][0] == name, f"{where} runs `ery {service['command'][0]}`")
        user = service["environment"].get("ERY_NATS__USER")
        report.check(user == name, f"{where} comes to NATS as {user}")
        own = {f"servers-{name}"} == {
            volume["source"] for volume in service["volumes"] if volume["target"] == "/run/ery/servers"
        }
        report.check(own, f"{where} has the passwords of another service")
        # Where no viewer of traces runs, nobody is to be told so by every service.
        sends = service["environment"].get("ERY_TELEMETRY__OTLP_ENDPOINT")
        report.check(not sends, f"{where} sends traces to {sends} unless it is told not to")
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                exists = (report.root / volume["source"]).exists()
                report.check(exists, f"docker-compose.yml: there is no {volume['source']}")

    prometheus = (report.root / "deploy/compose/prometheus.yml").read_text()
    names = re.search(r"names: \[(.*)\]", prometheus).group(1).split(", ")
    ours = {
        name
        for name, service in services.items()
        if service["image"] == services["store"]["image"] and not service.get("profiles")
    }
    report.check(set(names) == ours, f"prometheus.yml reads {names}, and the services are {sorted(ours)}")

    # Every variable that an operator may set is used, and the other way round.
    example = (report.root / ".env.example").read_text()
    offered = set(re.findall(r"^#?([A-Z_]+)=", example, re.M))
    text = (report.root / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    report.check(offered <= used, f".env.example offers {sorted(offered - used)}, which nothing reads")
    report.check(used <= offered, f".env.example does not tell of {sorted(used - offered)}")
    return stack
