"""Dashboards, alerts and docs/metrics.md, against the metrics that the code exports."""

import json
import pathlib
import re
import shutil
import tempfile

RULES = "deploy/kubernetes/components/monitoring/rule.yaml"
DASHBOARDS = "deploy/kubernetes/components/monitoring/dashboards"
# Of Prometheus itself, and of whatever finds the processes.
OTHERS = {"up"}
OTHER_LABELS = {"job", "service", "instance", "le"}

KINDS = {
    "u64_counter": "counter",
    "counter": "counter",
    "u64_histogram": "histogram",
    "f64_histogram": "histogram",
    "seconds": "histogram",
    "timed": "histogram",
    "u64_gauge": "gauge",
    "i64_up_down_counter": "gauge",
}


class Code:
    """The metrics of all services, by the names that they have when they are exported."""

    def __init__(self, root: pathlib.Path):
        self.kinds: dict[str, str] = {}
        self.labels: set[str] = set()
        # Histograms that say nothing of their buckets.
        self.unbounded: set[str] = set()
        crates = [root / "crates/rpc/src/traced.rs", root / "crates/telemetry/src/export.rs"]
        for path in sorted(root.glob("services/*/src/metrics.rs")) + crates:
            text = path.read_text()
            self.labels |= set(re.findall(r'KeyValue::new\(\s*"(\w+)"', text))
            for kind, name in re.findall(r'\b(\w+)\(\s*(?:&\w+,\s*)?"((?:ery|gen_ai)_\w+)"', text):
                if kind not in KINDS:
                    continue
                built = text.split(f'"{name}"', 1)[1].split(".build()", 1)[0].split(";", 1)[0]
                if kind.endswith("_histogram") and "with_boundaries" not in built:
                    self.unbounded.add(name)
                self.kinds[exported(name, KINDS[kind], '.with_unit("s")' in built)] = KINDS[kind]

    def has(self, series: str) -> bool:
        if series in OTHERS:
            return True
        if self.kinds.get(series) in ("counter", "gauge"):
            return True
        base = re.sub(r"_(bucket|sum|count)$", "", series)
        return base != series and self.kinds.get(base) == "histogram"


def exported(name: str, kind: str, is_in_seconds: bool) -> str:
    """Returns the name that opentelemetry-prometheus gives a metric."""
    if is_in_seconds:
        name += "_seconds"
    return f"{name}_total" if kind == "counter" else name


def check(report, code: Code) -> None:
    for name, kind in code.kinds.items():
        report.check(not name.endswith("_total_total"), f"the counter {name} is named twice what it is")
        report.check(
            kind == "counter" or not name.endswith("_total"), f"{name} is no counter, and named like one"
        )

    # The default buckets are for milliseconds.
    report.check(not code.unbounded, f"these histograms have no buckets of their own: {code.unbounded}")

    rules = (report.root / RULES).read_text()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # As compose does it.
        spec = rules.split("\nspec:\n", 1)[1]
        (folder / "alerts.yml").write_text(re.sub(r"^  ", "", spec, flags=re.M))
        shutil.copy(report.root / "deploy/checks/alerts_test.yml", folder)
        report.run("promtool", "check", "rules", "alerts.yml", what=RULES, cwd=folder)
        report.run("promtool", "test", "rules", "alerts_test.yml", what="alerts_test.yml", cwd=folder)
        config = (report.root / "deploy/compose/prometheus.yml").read_text()
        (folder / "prometheus.yml").write_text(config.replace("/tmp/alerts.yml", "alerts.yml"))
        report.run("promtool", "check", "config", "prometheus.yml", what="prometheus.yml", cwd=folder)

    for expression in re.findall(r"^ +expr: (?:\|\n((?:            .*\n)+)|(.*))", rules, re.M):
        _expression(report, code, "an alert", "".join(expression))
    operations = (report.root / "docs/operations.md").read_text()
    for alert in re.findall(r"alert: (\w+)", rules):
        report.check(f"`{alert}`" in operations, f"docs/operations.md does not tell what {alert} means")
    for told in re.findall(r"`(Ery[A-Z]\w+)`", operations):
        report.check(f"alert: {told}\n" in rules, f"docs/operations.md tells of {told}, which is no alert")

    uids = set()
    for path in sorted((report.root / DASHBOARDS).glob("*.json")):
        dashboard = json.loads(path.read_text())
        report.check(dashboard["uid"] not in uids, f"{path.name} has the uid of another dashboard")
        uids.add(dashboard["uid"])
        targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
        report.check(targets, f"{path.name} asks nothing")
        for target in targets:
            _expression(report, code, path.name, target["expr"])

    page = (report.root / "docs/metrics.md").read_text()
    told = set(re.findall(r"^\| `((?:ery|gen_ai)_\w+)`", page, re.M))
    report.check(
        told == set(code.kinds),
        f"docs/metrics.md: missing {sorted(set(code.kinds) - told)}, not exported {sorted(told - set(code.kinds))}",
    )


def _expression(report, code: Code, where: str, expression: str) -> None:
    series = set(re.findall(r"\b(ery_\w+|up)\b(?!\s*=)", re.sub(r'"[^"]*"', '""', expression)))
    report.check(series, f"{where} asks for no metric: {expression}")
    for name in series:
        report.check(code.has(name), f"{where} asks for {name}, which is not exported")
    labels = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", expression))
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    for label in labels:
        report.check(label in code.labels | OTHER_LABELS, f"{where} asks for label {label}: {expression}")
