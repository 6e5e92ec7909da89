"""The Dockerfiles: by the linter, by what an old engine's classic builder knows, and by each other."""

import re

# What the classic builder of engine 20.10 refuses.
BUILDKIT_ONLY = {
    r"^#\s*syntax\s*=": "a `# syntax` line",
    r"<<-?['\"]?\w+": "a here-document",
    r"^\s*(COPY|ADD)\s.*--link": "COPY --link",
    r"^\s*(COPY|ADD)\s.*--(parents|exclude|chmod)": "an option of COPY",
    r"^\s*RUN\s+--": "an option of RUN",
    r"\$\{?TARGET(PLATFORM|ARCH)": "a variable of BuildKit",
}


def check(report, stack) -> None:
    files = {name: (report.root / "deploy" / name).read_text() for name in ("Dockerfile", "packaged.Dockerfile")}
    for name, text in files.items():
        report.run("hadolint", f"deploy/{name}", what=name)
        for pattern, what in BUILDKIT_ONLY.items():
            report.check(not re.search(pattern, text, re.M), f"{name} uses {what}")
        report.check("HEALTHCHECK" not in text, f"{name} has a health check: probes are the platform's")
        last = text.rsplit("\nFROM ", 1)[1]
        report.check(re.search(r"^USER [1-9]", last, re.M) is not None, f"{name} runs as root")
        report.check(re.search(r"^ENTRYPOINT \[", last, re.M) is not None, f"{name} starts a shell")
        report.check(re.search(r"^STOPSIGNAL SIGTERM", last, re.M) is not None, f"{name} has no stop signal")
        # A port beyond the port of the settings would be of no use.
        exposed = set(re.search(r"^EXPOSE (.*)", last, re.M).group(1).split())
        listening = set(re.findall(r"LISTEN=[\d.]+:(\d+)", last))
        report.check(exposed == listening, f"{name} exposes {exposed}, and listens on {listening}")

    def final(text):
        stage = text.rsplit("\nFROM ", 1)[1]
        return [line for line in stage.splitlines() if not line.startswith(("COPY", "#"))]

    dockerfile, packaged = files.values()
    report.check(final(dockerfile) == final(packaged), "packaged.Dockerfile makes another image than Dockerfile")
    runtime = r"^ARG RUNTIME_IMAGE=.*"
    report.check(
        re.search(runtime, dockerfile, re.M).group() == re.search(runtime, packaged, re.M).group(),
        "packaged.Dockerfile has another base than Dockerfile",
    )
    for name, service in stack["services"].items():
        if service["image"] != stack["services"].get("store", {}).get("image"):
            tag = service["image"].rpartition(":")[2]
            report.check(bool(re.match(r"v?\d", tag)), f"docker-compose.yml: {name} has no fixed version")
