from reports.conftest import finish_run  # noqa: F401
