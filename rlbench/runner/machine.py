"""What a machine is, for the record: enough to compare times, nothing that names it."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Processor, number of cores and system, such as "Intel Xeon, 2 cores, Linux"."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return " ".join(value.split())
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()
