"""Progress of runs while they are executed: what a run publishes, and how other processes watch it."""
