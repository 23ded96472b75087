from run_fixtures import configure, questions, watch  # noqa: F401
