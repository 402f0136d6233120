"""The environment that the W&B client and its service process get to see.

In: this process's variables and what is tracked. Out: the few variables that they need. Everything else is left out, so
that no secret of the shell can land in one of W&B's files, and no `WANDB_*` variable can change what a run looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_SYSTEM = {
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC", "WANDB_CONFIG_DIR"),
}
_PROXIES = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}  # in either case
_ONLINE = {
    *("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_CREDENTIALS_FILE"),
    *("WANDB_INSECURE_DISABLE_SSL", "WANDB_HTTP_TIMEOUT"),
}


def client_environment(variables: Mapping[str, str], *, online: bool) -> dict[str, str]:
    """The variables for the client; the key and the address of the server only where it is to go there."""
    kept = {
        name: value
        for name, value in variables.items()
        if name in _SYSTEM or name.lower() in _PROXIES or (online and name in _ONLINE)
    }
    return kept | {
        # One thread, and fewer collections, of W&B's service, which is written in Go: 3/5 of the CPU time with all cores.
        "GOMAXPROCS": "1",
        "GOGC": "400",
        "WANDB_SILENT": "true",  # a login that has something to say asks the server who we are
        "WANDB_ERROR_REPORTING": "false",  # also switches off the client's and the service's own telemetry
    }


def scratch_environment(folder: Path) -> dict[str, str]:
    """The variables that send W&B's caches and its service's log to a folder, and not to the user's home."""
    return {"WANDB_CACHE_DIR": str(folder), "WANDB_DATA_DIR": str(folder)}
