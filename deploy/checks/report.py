"""What was checked, and what was wrong."""

import pathlib
import subprocess


class Report:
    def __init__(self, root: pathlib.Path):
        self.root = root
        self.checked = 0
        self.wrong: list[str] = []

    def check(self, holds: bool, what: str) -> bool:
        """Counts one claim, and keeps `what` is wrong unless it holds."""
        self.checked += 1
        if not holds:
            self.wrong.append(what)
        return holds

    def run(self, *command: str, what: str, **options) -> str:
        """Runs a tool that judges by its exit code, and returns its output."""
        done = subprocess.run(
            command, cwd=options.pop("cwd", self.root), capture_output=True, text=True, **options
        )
        told = (done.stderr + done.stdout).strip()
        self.check(done.returncode == 0, f"{what}: {command[0]} says:\n{told}")
        return done.stdout

    def end(self) -> int:
        for wrong in self.wrong:
            print(f"✗ {wrong}")
        print(f"deploy: {self.checked - len(self.wrong)} passed, {len(self.wrong)} failed")
        return 1 if self.wrong else 0
