"""Runs on the devices of a Ray cluster: the driver's side and the workers."""
