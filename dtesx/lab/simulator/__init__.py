"""The lab's vSphere: VMware's own simulator, made as strict as ESXi where dtesx relies on it."""

from dtesx.lab.simulator.build import build
from dtesx.lab.simulator.process import Simulator, SimulatorConfig, SimulatorUser

__all__ = ["Simulator", "SimulatorConfig", "SimulatorUser", "build"]
