"""The vSphere API as plain functions over model types; the only package that knows pyVmomi."""
