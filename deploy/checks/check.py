#!/usr/bin/env python3
"""Holds the deployment files to their tools, to each other, and to the code. `make k8s-check`.

Needs no daemon and no network. What a settings key means only the program knows: tests/tests/deploy.rs
asks it about every `ERY_…` variable and every ery.toml here.
"""

import os
import pathlib
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "deploy"
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(TOOLS / "python")]
os.environ["PYTHONPATH"] = str(TOOLS / "python")
os.environ["PATH"] = f"{TOOLS / 'python' / 'bin'}:{TOOLS / 'bin'}:{ROOT / '.tools' / 'bin'}:{os.environ['PATH']}"

import compose  # noqa: E402
import images  # noqa: E402
import kubernetes  # noqa: E402
import metrics  # noqa: E402
from report import Report  # noqa: E402


def main() -> int:
    report = Report(ROOT)
    code = metrics.Code(ROOT)
    stack = compose.check(report)
    images.check(report, stack)
    kubernetes.check(report, stack)
    metrics.check(report, code)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
