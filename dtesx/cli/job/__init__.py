"""``dtesx job``: what is protected, and how."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.job.bandwidth import limit_job
from dtesx.cli.job.create import create_job
from dtesx.cli.job.delete import delete_job
from dtesx.cli.job.list import list_jobs
from dtesx.cli.job.mirror import mirror_job
from dtesx.cli.job.pause import pause_job
from dtesx.cli.job.plan import plan_job
from dtesx.cli.job.resume import resume_job
from dtesx.cli.job.schema import print_schema
from dtesx.cli.job.show import show_job
from dtesx.cli.job.stop import stop_job
from dtesx.cli.job.validate import validate_job
from dtesx.cli.job.watch import watch_job

app = teach.group("Jobs: what is protected, and where it stands.")
teach.add(
    app, "create", create_job, "dtesx job create -f job.yaml", "dtesx job create -f job.yaml --no-wait --json"
)
teach.add(app, "plan", plan_job, "dtesx job plan -f job.yaml", "dtesx job plan alpha --json")
teach.add(
    app,
    "validate",
    validate_job,
    "dtesx job validate -f job.yaml",
    "dtesx job validate alpha --json",
    "dtesx job validate alpha --fix tools",
)
teach.add(app, "list", list_jobs, "dtesx job list")
teach.add(app, "show", show_job, "dtesx job show alpha", "dtesx job show alpha --json")
teach.add(app, "watch", watch_job, "dtesx job watch alpha")
teach.add(app, "mirror", mirror_job, "dtesx job mirror alpha")
teach.add(app, "pause", pause_job, "dtesx job pause alpha", "dtesx job pause alpha --target")
teach.add(app, "resume", resume_job, "dtesx job resume alpha", "dtesx job resume alpha --target")
teach.add(app, "stop", stop_job, "dtesx job stop alpha")
teach.add(
    app, "bandwidth", limit_job, "dtesx job bandwidth alpha 20MB/s", "dtesx job bandwidth alpha default"
)
teach.add(
    app, "delete", delete_job, "dtesx job delete alpha", "dtesx job delete alpha --delete-replica --yes"
)
teach.add(app, "schema", print_schema, "dtesx job schema > job.schema.json")
