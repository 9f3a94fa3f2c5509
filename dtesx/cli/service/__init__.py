"""``dtesx service``: what systemd starts."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.service.appliance import run_appliance
from dtesx.cli.service.source import run_source
from dtesx.cli.service.worker import run_worker

app = teach.group("The services of source servers and appliances.")
teach.add(app, "source", run_source, "dtesx service source --address 0.0.0.0 --port 6325")
teach.add(
    app, "appliance", run_appliance, "dtesx service appliance --port 6325 --state /var/lib/dtesx/appliance"
)
teach.add(app, "worker", run_worker, "dtesx service worker --directory /var/lib/dtesx/appliance/jobs/alpha")
