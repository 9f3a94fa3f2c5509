"""dtesx keeps a running Linux server ready to start as a VMware virtual machine."""

__version__ = "0.1.0"
