"""Examples here are judged by what they compute, not by how long a busy machine takes for one."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
