"""Look the installed packages up among known vulnerabilities; fail if one is found.

Where the registry has no such service, this is said, and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_S = 300


def main() -> int:
    """Run pip-audit and judge its report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--progress-spinner",
            "off",
            "--timeout",
            "15",
        ]
        try:
            subprocess.run(
                [*command, "--format", "json", "--output", str(report)],
                capture_output=True, check=False, timeout=LIMIT_S,
            )  # fmt: skip
            found = json.loads(report.read_text())["dependencies"]
        except (subprocess.TimeoutExpired, FileNotFoundError, ValueError) as error:
            print(f"audit: no answer from the vulnerability service ({type(error).__name__})")
            return 0
    for one in found:
        for hole in one.get("vulns", ()):
            fixed = ", ".join(hole["fix_versions"]) or "no version"
            print(f"audit: {one['name']} {one['version']}: {hole['id']}, mended in {fixed}")
    known = [one for one in found if "skip_reason" not in one]
    print(f"audit: {len(known)} of {len(found)} packages could be looked up in this registry")
    return int(any(one.get("vulns") for one in found))


if __name__ == "__main__":
    sys.exit(main())
