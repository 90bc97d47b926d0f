"""Keys of what matchers find, to resume and to find it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpr.matchers.base.matcher import Matcher, uses_gpu
from vpr.runtime.environment import installed_version

OPTIONAL = ("transformers",)  # packages of matchers that env.yaml, which is for all, does not name


def matching_key(matcher: Matcher, *values: object, inputs: Sequence[Path]) -> str:
    """Hash what a matcher's results depend on, see `vpr.runtime.resuming.fingerprint`."""
    import torch  # slow, and not every matcher needs it

    from vpr.runtime.resuming import fingerprint

    device = torch.device("cuda" if uses_gpu(matcher) else "cpu")
    versions = [installed_version(name) for name in OPTIONAL]
    return fingerprint(*values, versions, inputs=inputs, device=device)
