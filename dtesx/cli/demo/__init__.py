"""``dtesx demo``: protects, loses and recovers a server of the lab, and checks the result."""

from dtesx.cli.demo.command import run_demo as run_demo
