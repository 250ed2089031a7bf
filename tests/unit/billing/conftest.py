"""How long Hypothesis searches: shortly by default, HYPOTHESIS_PROFILE=thorough for a long run."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("default", max_examples=60, stateful_step_count=40, deadline=None)
settings.register_profile(
    "thorough",
    max_examples=2_000,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
