"""Finished runs read, grouped and compared: numbers for reports and notebooks, without text for people."""
