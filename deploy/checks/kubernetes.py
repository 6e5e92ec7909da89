"""The manifests: against Kubernetes' schemas, and what no schema says."""

import re

import yaml

import kubernetes_validate

OVERLAYS = ("playground", "small", "production")
VERSION = "1.36"
# Of operators; their schemas are not in Kubernetes.
FOREIGN = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}
WORKLOADS = {"Deployment", "StatefulSet", "CronJob"}
# `process.grace`: pods must be given longer.
GRACE_SECONDS = 25
SERVICES = ("gateway", "orchestrator", "ai-service", "tool-service", "store", "console")
# What the administrator makes, as docs/operations.md tells: name and keys.
SECRETS = {
    "ery-cluster": {"credential"},
    **{f"ery-servers-{service}": {"nats_password", "redis_url"} for service in SERVICES},
    "ery-discord": {"token"},
    "ery-ai": {"api_key"},
    "ery-store": {"key"},
    "ery-backup": {"s3_access_key_id", "s3_secret_access_key"},
    "ery-tls": {"ca.crt", "tls.crt", "tls.key"},
    "ery-nats": {"auth.conf", "cluster.conf"},
    "ery-redis": {"users.acl"},
}


def check(report, stack) -> None:
    commands = set(re.findall(r"^    ([A-Z]\w+)[,(]", _enum(report), re.M))
    commands = {re.sub(r"(?<=.)([A-Z])", r"-\1", name).lower() for name in commands}
    images = {service["image"] for service in stack["services"].values()}
    for overlay in OVERLAYS:
        text = report.run(
            "kubectl", "kustomize", f"deploy/kubernetes/overlays/{overlay}", what=f"overlay {overlay}"
        )
        Overlay(report, overlay, [it for it in yaml.safe_load_all(text) if it]).check(commands, images)

    subjects = (report.root / "crates/cluster/src/subjects.rs").read_text()
    constants = dict(re.findall(r'const (\w+): &str = "(.+)";', subjects))
    keda = (report.root / "deploy/kubernetes/components/keda/scaled-object.yaml").read_text()
    report.check(f"stream: {constants['TASKS']}\n" in keda, "keda looks at another stream than the queue's")
    report.check(
        f"consumer: {constants['ORCHESTRATOR']}\n" in keda, "keda looks at another consumer than the queue's"
    )
    # Both files of NATS users let in what the code speaks, and no more.
    needed = {f"$KV.{constants[it]}.>" for it in ("RESUME_POINTS", "CURSORS")}
    for path in ("base/nats-auth.conf", "overlays/playground/nats-auth.conf"):
        text = (report.root / "deploy/kubernetes" / path).read_text()
        users = re.findall(r'user: "([\w-]+)"(.*?)\n    }', text, re.S)
        report.check({name for name, _ in users} == set(SERVICES), f"{path} has other users than the services")
        everybody = set()
        for user, permissions in users:
            for direction in ("publish", "subscribe"):
                listed = re.search(direction + r": \[(.*?)\]", permissions, re.S).group(1)
                allowed = set(re.findall(r'"([^"]+)"', listed))
                everybody |= allowed
                wide = allowed & {">", "ery.>", "$JS.API.>", "$JS.>", "$KV.>", "_INBOX.>", "*.>"}
                report.check(not wide, f"{path} lets {user} {direction} {sorted(wide)}")
        report.check(needed <= everybody, f"{path} lets nobody publish {sorted(needed - everybody)}")
    # The playground's differ from the base's in their passwords alone, so that it tries what others run.
    for name, secret in (
        ("users.acl", r"(?<=>)REDIS_PASSWORD_[A-Z_]+"),
        ("nats-auth.conf", r"(?<=\")(NATS_PASSWORD_[A-Z_]+|JETSTREAM_KEY_VALUE)(?=\")"),
    ):
        base = (report.root / "deploy/kubernetes/base" / name).read_text()
        playground = (report.root / "deploy/kubernetes/overlays/playground" / name).read_text()
        same = _rules(playground) == _rules(re.sub(secret, "playground", base))
        report.check(same, f"the playground's {name} says other things than the base's")


def _rules(text) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def _enum(report) -> str:
    cli = (report.root / "crates/ery/src/cli.rs").read_text()
    return cli.split("pub(crate) enum Command {")[1].split("\n}")[0]


class Overlay:
    def __init__(self, report, name, resources):
        self.report, self.name, self.resources = report, name, resources

    def of(self, *kinds):
        return [it for it in self.resources if it["kind"] in kinds]

    def claim(self, holds, what):
        return self.report.check(holds, f"overlay {self.name}: {what}")

    def check(self, commands, images):
        self.schemas()
        names = [(it["kind"], it["metadata"]["name"]) for it in self.resources]
        self.claim(len(names) == len(set(names)), "two resources have one name")
        namespaces = {it["metadata"].get("namespace") for it in self.resources if it["kind"] != "Namespace"}
        self.claim(len(namespaces) == 1, f"resources lie in several namespaces: {namespaces}")
        self.pods = [self.pod(it) for it in self.of(*WORKLOADS)]
        for workload in self.of(*WORKLOADS):
            self.workload(workload, commands, images)
        for service in SERVICES:
            self.has(service)
        for service in self.of("Service"):
            self.service(service)
        for policy in self.of("NetworkPolicy"):
            self.policy(policy)
        for budget in self.of("PodDisruptionBudget"):
            what = f"PodDisruptionBudget {budget['metadata']['name']}"
            self.claim(self.chosen(budget["spec"]["selector"]), f"{what} chooses no pod")
        self.scaling()
        self.monitors()
        for binding in self.of("RoleBinding"):
            self.binding(binding)

    def schemas(self):
        for resource in self.resources:
            what = f"{resource['kind']} {resource['metadata']['name']}"
            if resource["kind"] in FOREIGN:
                continue
            try:
                kubernetes_validate.validate(resource, VERSION, strict=True)
                problem = None
            except kubernetes_validate.ValidationError as error:
                problem = f"{'.'.join(map(str, error.path))}: {error.message}"
            except Exception as error:  # A kind that there is not.
                problem = str(error)
            self.claim(problem is None, f"{what} is refused by the schema of {VERSION}: {problem}")

    @staticmethod
    def pod(workload):
        spec = workload["spec"]
        return spec["jobTemplate"]["spec"]["template"] if workload["kind"] == "CronJob" else spec["template"]

    def chosen(self, selector):
        """Returns the pods that a selector chooses; each word of it must choose some."""
        for expression in selector.get("matchExpressions", []):
            key = expression["key"]
            known = {pod["metadata"]["labels"].get(key) for pod in self.pods}
            for value in expression["values"]:
                self.claim(value in known, f"a selector speaks of {key}: {value}, and no pod is one")

        def matches(labels):
            if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
                return False
            for expression in selector.get("matchExpressions", []):
                assert expression["operator"] == "In", expression
                if labels.get(expression["key"]) not in expression["values"]:
                    return False
            return True

        return [pod for pod in self.pods if matches(pod["metadata"]["labels"])]

    def workload(self, workload, commands, images):
        kind, name = workload["kind"], workload["metadata"]["name"]
        what = f"{kind} {name}"
        pod = self.pod(workload)
        spec, labels = pod["spec"], pod["metadata"]["labels"]
        if kind != "CronJob":
            chosen = self.chosen(workload["spec"]["selector"])
            self.claim(chosen == [pod], f"{what} does not choose exactly its own pods")
            self.claim("part-of" in str(workload["metadata"]["labels"]), f"{what} is part of nothing")
        if kind == "StatefulSet":
            services = {it["metadata"]["name"] for it in self.of("Service")}
            self.claim(workload["spec"]["serviceName"] in services, f"{what} has no service")
        for constraint in spec.get("topologySpreadConstraints", []):
            self.claim(pod in self.chosen(constraint["labelSelector"]), f"{what} spreads other pods")

        accounts = {it["metadata"]["name"] for it in self.of("ServiceAccount")}
        self.claim(spec.get("serviceAccountName") in accounts, f"{what} has no account of its own")
        self.claim(spec.get("enableServiceLinks") is False, f"{what} gets variables of services")
        secured = spec.get("securityContext", {})
        self.claim(secured.get("runAsNonRoot") is True, f"{what} may run as root")
        self.claim(secured.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{what} has no seccomp")

        claimed = {it["metadata"]["name"] for it in workload["spec"].get("volumeClaimTemplates") or []}
        volumes = {it["name"] for it in spec.get("volumes", [])} | claimed
        for container in spec.get("initContainers", []) + spec["containers"]:
            self.container(f"{what}: {container['name']}", container, volumes)
        for volume in spec.get("volumes", []):
            for source in [volume, *volume.get("projected", {}).get("sources", [])]:
                self.source(what, source)

        main = spec["containers"][0]
        if main["name"] == "ery":
            self.claim(main["args"][0] in commands, f"{what} runs `ery {main['args'][0]}`, which there is not")
            grace = spec.get("terminationGracePeriodSeconds", 30)
            self.claim(grace > GRACE_SECONDS, f"{what} is killed before its drain can end")
        elif kind != "CronJob":
            self.claim(main["image"] in images, f"{what} has another image than compose: {main['image']}")

    def has(self, service):
        """Each service runs, comes to its servers as itself, and survives the drain of a node."""
        found = [it for it in self.of("Deployment", "StatefulSet") if it["metadata"]["name"] == service]
        if not self.claim(found, f"there is no {service}"):
            return
        main = self.pod(found[0])["spec"]["containers"][0]
        self.claim(main["args"][0] == service, f"{service} runs `ery {main['args'][0]}`")
        user = {it["name"]: it.get("value") for it in main["env"]}.get("ERY_NATS__USER")
        self.claim(user == service, f"{service} comes to NATS as {user}")
        servers = [it for it in self.pod(found[0])["spec"]["volumes"] if it["name"] == "servers"]
        name = servers[0]["secret"]["secretName"] if servers else ""
        own = name.startswith(f"ery-servers-{service}")
        self.claim(own, f"{service} has the passwords of secret {name}")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.claim(probe in main, f"{service} has no {probe}")
        if service != "store":
            selectors = [it["spec"]["selector"] for it in self.of("PodDisruptionBudget")]
            chosen = [pod for selector in selectors for pod in self.chosen(selector)]
            self.claim(self.pod(found[0]) in chosen, f"{service} has no PodDisruptionBudget")

    def container(self, what, container, volumes):
        secured = container.get("securityContext", {})
        self.claim(secured.get("readOnlyRootFilesystem") is True, f"{what} can write its root")
        self.claim(secured.get("allowPrivilegeEscalation") is False, f"{what} may gain privileges")
        self.claim(secured.get("capabilities", {}).get("drop") == ["ALL"], f"{what} keeps capabilities")
        for mount in container.get("volumeMounts", []):
            self.claim(mount["name"] in volumes, f"{what} mounts {mount['name']}, which there is not")
        ports = {it["name"]: it["containerPort"] for it in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            port = container.get(probe, {}).get("httpGet", {}).get("port")
            self.claim(port is None or port in ports, f"{what}: {probe} asks port {port}, which there is not")
        listening = {it["name"]: it.get("value", "") for it in container.get("env", [])}
        served = {"admin": "ERY_ADMIN__LISTEN", "rpc": "ERY_RPC__LISTEN", "mcp": "ERY_CONSOLE__LISTEN"}
        for port, variable in served.items():
            if port in ports:
                own = listening.get(variable, "").rpartition(":")[2]
                self.claim(own == str(ports[port]), f"{what}: port {port} is {ports[port]}, and it listens on {own}")
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                self.secret(what, reference["name"], {reference["key"]})
        resources = container.get("resources", {})
        self.claim("memory" in resources.get("limits", {}), f"{what} has no limit of memory")
        for resource, limit in resources.get("limits", {}).items():
            asked = resources.get("requests", {}).get(resource, limit)
            self.claim(amount(asked) <= amount(limit), f"{what} asks for more {resource} than its limit")

    def source(self, what, source):
        if "configMap" in source:
            maps = {it["metadata"]["name"] for it in self.of("ConfigMap")}
            self.claim(source["configMap"]["name"] in maps, f"{what} wants ConfigMap {source['configMap']}")
        if "persistentVolumeClaim" in source:
            claims = {it["metadata"]["name"] for it in self.of("PersistentVolumeClaim")}
            claim = source["persistentVolumeClaim"]["claimName"]
            self.claim(claim in claims, f"{what} mounts claim {claim}, which there is not")
        secret = source.get("secret")
        if secret:
            keys = {it["key"] for it in secret.get("items", [])}
            self.secret(what, secret.get("secretName") or secret["name"], keys)

    def secret(self, what, name, keys):
        made = {it["metadata"]["name"]: set(it.get("data", {})) for it in self.of("Secret")}
        # kustomize appends a hash to what it makes itself.
        known = made.get(name) or SECRETS.get(name)
        if self.claim(known is not None, f"{what} wants secret {name}, which nobody makes"):
            self.claim(keys <= known, f"{what} wants {sorted(keys - known)} of secret {name}")

    def service(self, service):
        what = f"Service {service['metadata']['name']}"
        pods = self.chosen({"matchLabels": service["spec"]["selector"]})
        if not self.claim(len(pods) == 1, f"{what} chooses {len(pods)} workloads"):
            return
        ports = ports_of(pods[0])
        for port in service["spec"]["ports"]:
            target = port["targetPort"]
            if self.claim(target in ports, f"{what} leads to port {target}, which no container has"):
                self.claim(ports[target] == port["port"], f"{what}: port {port['port']} is {ports[target]} in the pod")

    def policy(self, policy):
        what = f"NetworkPolicy {policy['metadata']['name']}"
        spec = policy["spec"]
        own = self.chosen(spec["podSelector"])
        self.claim(own, f"{what} chooses no pod")
        for rule in spec.get("ingress", []):
            for peer in rule.get("from", []):
                self.peer(what, peer)
            for port in rule.get("ports", []):
                serving = [pod for pod in own if port["port"] in ports_of(pod).values()]
                self.claim(serving, f"{what} lets in to port {port['port']}, which none of its pods has")
        for rule in spec.get("egress", []):
            peers = [pod for peer in rule.get("to", []) for pod in self.peer(what, peer)]
            for port in rule.get("ports", []):
                if peers:
                    serving = [pod for pod in peers if port["port"] in ports_of(pod).values()]
                    self.claim(serving, f"{what} lets out to port {port['port']}, which no peer has")

    def peer(self, what, peer):
        if "podSelector" not in peer or "namespaceSelector" in peer:
            return []
        pods = self.chosen(peer["podSelector"])
        self.claim(pods, f"{what} speaks of pods that there are not: {peer['podSelector']}")
        return pods

    def scaling(self):
        deployments = {it["metadata"]["name"]: it for it in self.of("Deployment")}
        seen = set()
        for scaler in self.of("HorizontalPodAutoscaler", "ScaledObject"):
            what = f"{scaler['kind']} {scaler['metadata']['name']}"
            spec = scaler["spec"]
            target = spec["scaleTargetRef"]["name"]
            self.claim(target in deployments, f"{what} scales {target}, which there is not")
            self.claim(target not in seen, f"{target} is scaled twice")
            seen.add(target)
            least, most = (
                (spec["minReplicas"], spec["maxReplicas"])
                if scaler["kind"] == "HorizontalPodAutoscaler"
                else (spec["minReplicaCount"], spec["maxReplicaCount"])
            )
            self.claim(1 <= least <= most, f"{what} scales from {least} to {most}")
            fixed = "replicas" in deployments.get(target, {"spec": {}})["spec"]
            self.claim(not fixed, f"{what}: each apply would set the replicas of {target} back")
            container = self.pod(deployments[target])["spec"]["containers"][0]
            self.claim("cpu" in container["resources"]["requests"], f"{what}: {target} asks for no CPU")

    def monitors(self):
        for monitor in self.of("ServiceMonitor"):
            labels = monitor["spec"]["selector"]["matchLabels"]
            services = [
                it
                for it in self.of("Service")
                if labels.items() <= it["metadata"].get("labels", {}).items()
            ]
            self.claim(len(services) >= 5, f"ServiceMonitor chooses {len(services)} services")
            for service in services:
                for endpoint in monitor["spec"]["endpoints"]:
                    named = {it["name"] for it in service["spec"]["ports"]}
                    self.claim(
                        endpoint["port"] in named,
                        f"ServiceMonitor reads port {endpoint['port']} of {service['metadata']['name']}",
                    )
                part = monitor["spec"]["jobLabel"]
                self.claim(service["metadata"]["labels"].get(part) == "ery", "the label job is not `ery`")

    def binding(self, binding):
        what = f"RoleBinding {binding['metadata']['name']}"
        roles = {it["metadata"]["name"] for it in self.of("Role")}
        self.claim(binding["roleRef"]["name"] in roles, f"{what} binds a role that there is not")
        for subject in binding["subjects"]:
            own = subject.get("namespace") == binding["metadata"].get("namespace")
            self.claim(own, f"{what} binds an account of another namespace")


def ports_of(pod) -> dict:
    return {
        port["name"]: port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
    }


def amount(text) -> float:
    """Reads a quantity of Kubernetes'."""
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]*)", str(text)).groups()
    units = {"": 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}
    return float(number) * units[unit]
